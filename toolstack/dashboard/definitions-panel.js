/** Definitions: domains that the service remembers, to be started by hand or by the service when it comes up. */

import { request } from './api.js';
import { h, icon, keyed, setText } from './dom.js';
import { domains, lookSoon } from './live.js';
import { go } from './router.js';
import { complain, say } from './toast.js';

/** @typedef {import('../schemas/definition.js').Definition} Definition */

const COLUMNS = ['Definition', 'Memory', 'With the service', 'Actions'];

/** Other clients define domains, too, milliseconds. */
const EVERY_MS = 5000;

/**
 * @param {AbortSignal} until
 * @returns {HTMLElement} hidden while there are none
 */
export function definitionsPanel(until) {
  const body = h('tbody');
  const element = h(
    'section',
    { class: 'definitions', hidden: true, 'aria-labelledby': 'definitions' },
    h('h2', { id: 'definitions' }, 'Definitions'),
    h(
      'table',
      { class: 'table domains cards' },
      h('caption', { class: 'unseen' }, 'Definitions'),
      h('thead', {}, h('tr', {}, ...COLUMNS.map((name) => h('th', { scope: 'col' }, name)))),
      body,
    ),
  );
  const update = keyed(
    body,
    (/** @type {Definition} */ { config }) => config.name,
    ({ config }) => makeRow(config.name, () => void look()),
  );
  const look = async () => {
    try {
      const { definitions } = await request('GET', '/v1/definitions');
      update(definitions);
      element.hidden = definitions.length === 0;
    } catch {
      // The header says that there is no answer.
    }
  };
  void look();
  const timer = setInterval(() => document.hidden || void look(), EVERY_MS);
  until.addEventListener('abort', () => clearInterval(timer));
  return element;
}

/**
 * @param {string} name
 * @param {() => void} changed
 */
function makeRow(name, changed) {
  const kernel = h('span', { class: 'sub' });
  const memory = h('span', { class: 'figure' });
  const autostart = h('input', {
    type: 'checkbox',
    'aria-label': `Start ${name} with the service`,
    change: () => void change('PATCH', name, { autostart: autostart.checked }).then(changed),
  });
  const start = button('play', 'Start', name, () => void startDomain(name));
  const forget = button('destroy', 'Forget', name, () => void change('DELETE', name).then(changed));
  forget.classList.add('danger');
  return {
    element: h(
      'tr',
      {},
      h('td', { class: 'name' }, h('b', {}, name), h('div', {}, kernel)),
      h('td', { 'data-label': 'Memory' }, memory),
      h('td', {}, h('label', { class: 'check' }, autostart, 'autostart')),
      h('td', { class: 'last' }, h('div', { class: 'actions' }, start, forget)),
    ),
    /** @param {Definition} definition */
    update(definition) {
      setText(kernel, definition.config.kernel);
      setText(memory, `${definition.config.memory} MiB`);
      if (document.activeElement !== autostart) autostart.checked = definition.autostart;
      start.disabled = domains.value?.some((domain) => domain.name === name) === true;
    },
  };
}

/**
 * @param {string} symbol
 * @param {string} label
 * @param {string} name
 * @param {() => void} click
 */
const button = (symbol, label, name, click) =>
  h(
    'button',
    { type: 'button', title: label, 'aria-label': `${label} ${name}`, click },
    icon(symbol),
  );

/** @param {string} name */
async function startDomain(name) {
  try {
    const { uuid } = await request('POST', addressOf(name, '/actions/start'), {});
    say(`${name} is started.`);
    lookSoon();
    go(`/domains/${uuid}`);
  } catch (error) {
    complain(`Start ${name}`, error);
  }
}

/**
 * @param {'PATCH' | 'DELETE'} method
 * @param {string} name
 * @param {object} [body]
 */
async function change(method, name, body) {
  try {
    await request(method, addressOf(name), body);
  } catch (error) {
    complain(`${method === 'DELETE' ? 'Forget' : 'Change'} the definition ${name}`, error);
  }
}

const addressOf = (/** @type {string} */ name, rest = '') =>
  `/v1/definitions/${encodeURIComponent(name)}${rest}`;
