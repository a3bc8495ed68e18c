/** Short messages at the edge of the page: what was done passes by, what failed stays until it is closed. */

import { Problem } from './api.js';
import { h, icon } from './dom.js';

const PASSES_MS = 5000;
const MOST = 5;

/** @param {string} text */
export function say(text) {
  const toast = show('toast', 'status', h('p', {}, text));
  setTimeout(() => toast.remove(), PASSES_MS);
}

/**
 * @param {string} what could not be done
 * @param {unknown} error
 */
export function complain(what, error) {
  const message = error instanceof Error ? error.message : String(error);
  const title = error instanceof Problem ? `${what}: ${error.title.toLowerCase()}` : what;
  show('toast error', 'alert', h('div', {}, h('strong', {}, title), h('p', {}, message)));
}

/**
 * @param {string} className
 * @param {string} role
 * @param {HTMLElement} content
 */
function show(className, role, content) {
  const close = h(
    'button',
    { class: 'plain', 'aria-label': 'Close the message', click: () => toast.remove() },
    icon('destroy'),
  );
  const toast = h('div', { class: className, role }, content, close);
  const list = /** @type {HTMLElement} */ (document.getElementById('toasts'));
  list.append(toast);
  // Shown anew it lies above a dialog that was opened meanwhile.
  if (list.matches(':popover-open')) list.hidePopover();
  list.showPopover();
  while (list.childElementCount > MOST) list.firstElementChild?.remove();
  return toast;
}
