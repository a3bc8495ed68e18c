/** What can be done without a mouse, and where it is said. */

import { openCreateForm } from './create-form.js';
import { h } from './dom.js';
import { go } from './router.js';

const HELP = [
  ['1 – 5', 'the views, in their order'],
  ['n', 'create a domain'],
  ['/', 'to the filter of this view'],
  ['↑ ↓', 'from row to row; in the tree → opens, ← closes'],
  ['ctrl-]', 'out of a console, as in xl'],
  ['?', 'this list'],
];

/** @param {readonly import('./router.js').View[]} views */
export function startKeys(views) {
  addEventListener('keydown', (event) => {
    if (isMeant(event) && act(event, views)) event.preventDefault();
  });
}

/** @param {KeyboardEvent} event */
function isMeant({ ctrlKey, altKey, metaKey, target }) {
  if (ctrlKey || altKey || metaKey || isTyping(target)) return false;
  return document.querySelector('dialog[open]') === null;
}

/**
 * @param {KeyboardEvent} event
 * @param {readonly import('./router.js').View[]} views
 * @returns {boolean} whether the key does anything
 */
function act(event, views) {
  const view = views[Number(event.key) - 1];
  if (view !== undefined) go(`/${view.name}`);
  else if (event.key === 'n') openCreateForm();
  else if (event.key === '?') showHelp();
  else if (event.key === '/') focusFilter();
  else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') return step(event);
  else return false;
  return true;
}

/** @param {EventTarget | null} target */
function isTyping(target) {
  return (
    target instanceof Element &&
    target.closest('input, textarea, select, .xterm, [role=tree]') !== null
  );
}

function focusFilter() {
  /** @type {HTMLElement | null} */ (document.querySelector('#view [data-filter]'))?.focus();
}

/** @param {KeyboardEvent} event */
function step(event) {
  const rows = [
    .../** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('#view [data-row]')),
  ];
  const at = rows.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  const row = rows[Math.max(0, at + (event.key === 'ArrowDown' ? 1 : -1))];
  row?.focus();
  return row !== undefined;
}

function showHelp() {
  const rows = HELP.flatMap(([key, what]) => [h('dt', {}, h('kbd', {}, key)), h('dd', {}, what)]);
  const close = h(
    'button',
    { class: 'primary', autofocus: true, click: () => dialog.close() },
    'Close',
  );
  const dialog = h(
    'dialog',
    { class: 'dialog', 'aria-label': 'Keys', close: () => dialog.remove() },
    h('h2', {}, 'Keys'),
    h('dl', { class: 'keys' }, ...rows),
    h('div', { class: 'buttons' }, close),
  );
  document.body.append(dialog);
  dialog.showModal();
}
