/** Recordings of the trace: begun and stopped here, played in the place of what happens now, removed. */

import { request } from './api.js';
import { h, icon, keyed, setText } from './dom.js';
import { bytes } from './format.js';
import { go } from './router.js';
import { complain } from './toast.js';

/** @typedef {import('../schemas/recording.js').Recording} Recording */

/** One that goes on grows, milliseconds. */
const EVERY_MS = 2000;

/**
 * @param {URLSearchParams} query of the page: what it shows is what is recorded
 * @param {AbortSignal} until
 * @returns {HTMLElement}
 */
export function recordingsPanel(query, until) {
  const list = h('ul', { class: 'recordings' });
  const none = h(
    'p',
    { class: 'hint' },
    'Nothing is recorded yet. What is asked for above goes to a file of the service.',
  );
  const record = h('button', { type: 'button', click: () => void act('Record', start) }, 'Record');
  const update = keyed(
    list,
    (/** @type {Recording} */ { name, state }) => `${state} ${name}`,
    (recording) => makeRow(recording, act),
  );
  const look = async () => {
    const { recordings } = await request('GET', '/v1/recordings');
    none.hidden = recordings.length > 0;
    update(recordings);
  };
  /**
   * @param {string} what
   * @param {() => Promise<unknown>} action
   */
  async function act(what, action) {
    try {
      await action();
      await look();
    } catch (error) {
      complain(what, error);
    }
  }
  const start = () => request('POST', '/v1/recordings', wishesOf(query));
  const panel = h(
    'details',
    {
      class: 'expression',
      open: query.has('recording'),
      toggle: () => void act('Recordings', look),
    },
    h('summary', {}, 'Recordings'),
    h('div', {}, record, none, list),
  );
  const timer = setInterval(() => {
    if (panel.open && !document.hidden) look().catch(() => undefined);
  }, EVERY_MS);
  until.addEventListener('abort', () => clearInterval(timer));
  return panel;
}

/** @param {URLSearchParams} query */
function wishesOf(query) {
  const domain = query.get('domain');
  const filter = query.get('filter');
  return { ...(domain !== null && { domain: [domain] }), ...(filter !== null && { filter }) };
}

/**
 * @param {Recording} recording
 * @param {(what: string, action: () => Promise<unknown>) => Promise<void>} act
 */
function makeRow({ name, state }, act) {
  const size = h('span', { class: 'sub' });
  const address = `/v1/recordings/${encodeURIComponent(name)}`;
  const button = (
    /** @type {string} */ symbol,
    /** @type {string} */ label,
    /** @type {() => void} */ click,
  ) =>
    h(
      'button',
      { type: 'button', title: label, 'aria-label': `${label} ${name}`, click },
      icon(symbol),
    );
  const stop = () => void act('Stop', () => request('POST', `${address}/actions/stop`, {}));
  const remove = () => void act('Remove', () => request('DELETE', address));
  const buttons =
    state === 'recording'
      ? [button('power', 'Stop', stop)]
      : [
          button('play', 'Play', () => go(`/trace?${new URLSearchParams({ recording: name })}`)),
          button('clear', 'Remove', remove),
        ];
  return {
    element: h('li', {}, h('code', {}, name), size, h('span', { class: 'actions' }, ...buttons)),
    /** @param {Recording} recording */
    update(recording) {
      setText(
        size,
        state === 'recording' ? `${bytes(recording.bytes)} so far` : bytes(recording.bytes),
      );
    },
  };
}
