/** The host: figures of machine and service, hypercalls by name, and the hypervisor's own messages. */

import { request } from './api.js';
import { h, keyed, setText } from './dom.js';
import { bytes, count, duration, pages, percent, short } from './format.js';
import { host, hostRates } from './live.js';
import { complain } from './toast.js';
import { forgetToken, token } from './token.js';

/** @typedef {{ key: string, value: string, about: string, bad?: boolean }} Tile */
/** @typedef {{ name: string, total: number, rate: number, share: number, missing: boolean }} Call */

const LOG_MS = 3000;

/** @type {import('./router.js').View} */
export const hostView = {
  name: 'host',
  title: 'Host',
  show(main, _rest, _query, until) {
    const tiles = h('div', { class: 'tiles' });
    const calls = h('tbody');
    const log = h('pre', { class: 'log', tabindex: 0, 'aria-label': 'Messages of the hypervisor' });
    main.append(
      h(
        'div',
        { class: 'head' },
        h('h1', {}, 'Host'),
        token() === null ? machineLinks() : tokenButton(),
      ),
      tiles,
      h(
        'div',
        { class: 'split even' },
        h(
          'section',
          { class: 'panel' },
          h('h2', {}, 'Hypercalls'),
          h(
            'table',
            { class: 'table' },
            h('caption', { class: 'unseen' }, 'Hypercalls of the domains that exist, by name'),
            h(
              'thead',
              {},
              h(
                'tr',
                {},
                ...['Call', 'A second', 'In all'].map((name) => h('th', { scope: 'col' }, name)),
              ),
            ),
            calls,
          ),
        ),
        h('section', { class: 'panel' }, h('h2', {}, 'Messages of the hypervisor'), log),
      ),
    );
    const updateTiles = keyed(tiles, (/** @type {Tile} */ { key }) => key, makeTile);
    const updateCalls = keyed(calls, (/** @type {Call} */ { name }) => name, makeCall);
    host.watch((figures) => {
      if (figures === undefined) return;
      updateTiles(tilesOf(figures));
      updateCalls(callsOf(figures));
    }, until);
    void followLog(log, until);
  },
};

/** Where a token is needed, a browser that follows a link has none to show. */
const machineLinks = () =>
  h(
    'nav',
    { class: 'links', 'aria-label': 'For machines' },
    h('a', { href: '/docs' }, 'API'),
    h('a', { href: '/openapi.json' }, 'OpenAPI'),
    h('a', { href: '/metrics' }, 'Metrics'),
  );

const tokenButton = () =>
  h(
    'button',
    {
      click: () => {
        forgetToken();
        location.reload();
      },
    },
    'Forget the token',
  );

/** @param {import('../schemas/host.js').Host} figures
 * @returns {Tile[]}
 */
function tilesOf({ memory, process, ...figures }) {
  const used = memory.totalFrames - memory.freeFrames;
  const { cpu, instructions, hypercalls } = hostRates.value;
  const rate = Object.values(hypercalls).reduce((sum, each) => sum + each, 0);
  return [
    {
      key: 'CPU',
      value: percent(cpu.at(-1) ?? 0),
      about: `${short(instructions)} instructions a second`,
    },
    { key: 'Memory', value: pages(used), about: `of ${pages(memory.totalFrames)} for guests` },
    {
      key: 'Domains',
      value: count(figures.domains),
      about: `${count(figures.vcpus)} vCPUs online`,
    },
    {
      key: 'Hypercalls',
      value: `${short(rate)}/s`,
      about: `${short(figures.hypercalls.total)} in all`,
    },
    {
      key: 'Up',
      value: duration(figures.uptimeSeconds),
      about: `${figures.product}, Node ${figures.node}`,
    },
    {
      key: 'Service',
      value: bytes(process.heapBytes),
      about: `of heap; ${bytes(process.residentBytes)} resident`,
    },
    {
      key: 'Faults',
      value: count(figures.faults),
      about: 'bugs of the hypervisor seen',
      bad: figures.faults > 0,
    },
    { key: 'Xen', value: figures.xenVersion, about: 'is what guests are told' },
  ];
}

/** @param {Tile} tile */
function makeTile({ key }) {
  const value = h('b');
  const about = h('span', { class: 'sub' });
  const element = h('div', { class: 'tile' }, h('span', {}, key), value, about);
  return {
    element,
    /** @param {Tile} tile */
    update(tile) {
      setText(value, tile.value);
      setText(about, tile.about);
      element.classList.toggle('bad', tile.bad === true);
    },
  };
}

/** @param {import('../schemas/host.js').Host} figures
 * @returns {Call[]}
 */
function callsOf({ hypercalls }) {
  const rates = hostRates.value.hypercalls;
  const most = Math.max(1, ...Object.values(rates));
  const made = Object.entries(hypercalls.byName).map(([name, total]) => ({
    name,
    total,
    rate: rates[name] ?? 0,
    share: (rates[name] ?? 0) / most,
    missing: false,
  }));
  const missing = Object.entries(hypercalls.missing).map(([name, total]) => ({
    name: `${name} (missing)`,
    total,
    rate: 0,
    share: 0,
    missing: true,
  }));
  return [...made.sort((a, b) => b.total - a.total), ...missing];
}

/** @param {Call} call */
function makeCall({ name, missing }) {
  const rate = h('span', { class: 'figure' });
  const total = h('span', { class: 'figure' });
  const bar = h('meter', { min: 0, max: 1, 'aria-hidden': 'true' });
  return {
    element: h(
      'tr',
      { class: missing && 'bad' },
      h('th', { scope: 'row' }, name),
      h('td', {}, bar, rate),
      h('td', {}, total),
    ),
    /** @param {Call} call */
    update(call) {
      setText(rate, call.rate === 0 ? '–' : short(call.rate));
      setText(total, count(call.total));
      bar.value = call.share;
    },
  };
}

/**
 * @param {HTMLElement} log
 * @param {AbortSignal} until
 */
async function followLog(log, until) {
  while (!until.aborted) {
    try {
      const isAtEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
      setText(log, await request('GET', '/v1/host/dmesg'));
      if (isAtEnd) log.scrollTop = log.scrollHeight;
    } catch (error) {
      complain('The messages cannot be read', error);
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, LOG_MS));
  }
}
