/** What can be done to a domain: buttons that are there while the domain is in a state for them. */

import { request } from './api.js';
import { h, icon, setAttribute, setText } from './dom.js';
import { lookSoon } from './live.js';
import { go } from './router.js';
import { complain, say } from './toast.js';

/** @typedef {import('../schemas/domain.js').Domain} Domain */

const ALIVE = ['running', 'blocked'];

// biome-ignore format: one row per action
const ACTIONS = [
  { name: 'pause',    label: 'Pause',     done: 'is paused',             states: ALIVE },
  { name: 'unpause',  label: 'Resume',    done: 'runs again',            states: ['paused'],           icon: 'play' },
  { name: 'reboot',   label: 'Reboot',    done: 'is asked to reboot',    states: [...ALIVE, 'paused'] },
  { name: 'shutdown', label: 'Shut down', done: 'is asked to power off', states: [...ALIVE, 'paused'], icon: 'power' },
];

/**
 * @param {Domain} first
 * @returns {{ element: HTMLElement, update(domain: Domain): void }}
 */
export function actionButtons(first) {
  let domain = first;
  const buttons = ACTIONS.map((action) => {
    const element = button(
      action.icon ?? action.name,
      action.label,
      () => void act(domain, action),
    );
    return { element, states: action.states };
  });
  const destroy = button('destroy', 'Destroy', () => confirmDestroy(domain));
  destroy.classList.add('danger');
  const element = h('div', { class: 'actions' }, ...buttons.map((each) => each.element), destroy);
  return {
    element,
    update(next) {
      domain = next;
      for (const each of buttons)
        setAttribute(each.element, 'hidden', !each.states.includes(domain.state));
      const label = domain.state === 'ended' ? 'Forget' : 'Destroy';
      setAttribute(destroy, 'title', label);
      setText(destroy.querySelector('.label') ?? destroy, label);
      for (const each of element.children)
        setAttribute(each, 'aria-label', `${each.getAttribute('title')} ${domain.name}`);
    },
  };
}

/**
 * @param {string} symbol
 * @param {string} label
 * @param {() => void} click
 */
const button = (symbol, label, click) =>
  h(
    'button',
    { type: 'button', title: label, click },
    icon(symbol),
    h('span', { class: 'label' }, label),
  );

/**
 * @param {Domain} domain
 * @param {{ name: string, label: string, done: string }} action
 */
async function act({ uuid, name }, action) {
  try {
    await request('POST', `/v1/domains/${uuid}/actions/${action.name}`, {});
    say(`${name} ${action.done}.`);
  } catch (error) {
    complain(`${action.label} ${name}`, error);
  }
  lookSoon();
}

/** @param {Domain} domain */
function confirmDestroy({ uuid, name, state }) {
  const isPast = state === 'ended';
  const label = isPast ? 'Forget' : 'Destroy';
  const destroy = async () => {
    dialog.close();
    try {
      await request('DELETE', `/v1/domains/${uuid}`);
      say(isPast ? `${name} is forgotten.` : `${name} is destroyed.`);
      if (isPast && location.hash === `#/domains/${uuid}`) go('/domains');
    } catch (error) {
      complain(`${label} ${name}`, error);
    }
    lookSoon();
  };
  const dialog = h(
    'dialog',
    { class: 'dialog', 'aria-label': `${label} ${name}`, close: () => dialog.remove() },
    h('h2', {}, `${label} ${name}?`),
    h(
      'p',
      {},
      isPast
        ? 'Its console output can no longer be read.'
        : 'It ends at once, without being asked: what its kernel has not written to disk is lost.',
    ),
    h(
      'div',
      { class: 'buttons' },
      h('button', { type: 'button', autofocus: true, click: () => dialog.close() }, 'Cancel'),
      h('button', { type: 'button', class: 'primary danger', click: destroy }, label),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
}
