/** The trace: hypercalls as they happen, line by line or summed up. */

import { keepSocket } from './api.js';
import { h, icon, keyed, setText } from './dom.js';
import { count, short } from './format.js';
import { domains } from './live.js';
import { recordingsPanel } from './recordings-panel.js';
import { go } from './router.js';
import { expressionField } from './trace-expression.js';
import { TraceLines } from './trace-lines.js';
import { TraceSummary } from './trace-summary.js';

/** @typedef {import('./trace-lines.js').Line} Line */
/** @typedef {import('../schemas/domain.js').Domain} Domain */

const EVERY_MS = 500;
/** Classes of records that come by the thousand: only for who asks. */
const LOUD = ['fault', 'switch'];
const QUIET =
  'mmu,memory,event,grant,sched,time,vcpu,trap,cpu,console,version,multi,control,domain'.split(',');

/** @type {import('./router.js').View} */
export const traceView = {
  name: 'trace',
  title: 'Trace',
  show(main, _rest, query, until) {
    const filter = filterField();
    const isPlayed = query.has('recording');
    const parts = { lines: new TraceLines(filter, isPlayed), summary: new TraceSummary(filter) };
    const tools = toolbar(query, parts, filter, until);
    parts.summary.element.hidden = true;
    main.append(
      h(
        'div',
        { class: 'head' },
        h('h1', {}, 'Trace'),
        tools.state,
        tools.pause,
        tools.clear,
        isPlayed && liveLink(),
      ),
      tools.element,
      expressionField(query, until),
      recordingsPanel(query, until),
      parts.lines.element,
      parts.summary.element,
    );
    const totals = { records: 0, dropped: 0, before: 0, isOpen: false };
    keepSocket(
      () => `/v1/trace${address(query)}`,
      {
        open: () => {
          totals.isOpen = true;
        },
        lost: (reason) => {
          totals.isOpen = false;
          setText(tools.state, reason || 'connection lost, trying again');
        },
        closed: () => {
          totals.isOpen = false;
          setText(tools.state, `end of the recording, ${count(totals.records)} records`);
        },
        message: (data) => receive(String(data), parts, totals, tools.isPaused()),
      },
      until,
    );
    const timer = setInterval(() => {
      parts.summary.update();
      if (!totals.isOpen) return;
      const rate = ((totals.records - totals.before) * 1000) / EVERY_MS;
      totals.before = totals.records;
      const dropped = totals.dropped === 0 ? '' : `, ${count(totals.dropped)} dropped`;
      setText(tools.state, `${short(rate)} a second, ${count(totals.records)} records${dropped}`);
    }, EVERY_MS);
    until.addEventListener('abort', () => clearInterval(timer));
  },
};

const liveLink = () => h('a', { class: 'button', href: '#/trace' }, 'Live');

/** What the service is asked for.
 * @param {URLSearchParams} query of the page
 */
function address(query) {
  const asked = new URLSearchParams();
  for (const name of ['domain', 'filter', 'recording']) {
    const value = query.get(name);
    if (value !== null) asked.set(name, value);
  }
  const loud = LOUD.filter((name) => query.has(name));
  if (loud.length > 0) asked.set('class', [...QUIET, ...loud].join());
  return `?${asked}`;
}

/**
 * @param {string} frame
 * @param {{ lines: TraceLines, summary: TraceSummary }} parts
 * @param {{ records: number, dropped: number }} totals
 * @param {boolean} isPaused
 */
function receive(frame, { lines, summary }, totals, isPaused) {
  /** @type {Line[]} */
  const fresh = [];
  for (const text of frame.split('\n')) {
    const record = JSON.parse(text);
    if (record.dropped === undefined) fresh.push(record);
    else {
      totals.dropped += record.dropped;
      if (!isPaused) lines.note(`${count(record.dropped)} records were dropped here`);
    }
  }
  totals.records += fresh.length;
  if (isPaused) return;
  lines.add(fresh);
  summary.add(fresh);
}

const filterField = () =>
  h('input', {
    type: 'search',
    'data-filter': true,
    'aria-label': 'Filter the trace',
    placeholder: 'Filter: words, -without, = EINVAL',
  });

/**
 * @param {URLSearchParams} query
 * @param {{ lines: TraceLines, summary: TraceSummary }} parts
 * @param {HTMLInputElement} filter
 * @param {AbortSignal} until
 */
function toolbar(query, { lines, summary }, filter, until) {
  const pause = h(
    'button',
    { 'aria-pressed': 'false', click: () => setPaused(!isPaused) },
    'Pause',
  );
  let isPaused = false;
  const setPaused = (/** @type {boolean} */ paused) => {
    isPaused = paused;
    pause.setAttribute('aria-pressed', String(paused));
  };
  const clear = h(
    'button',
    {
      title: 'Clear',
      click: () => {
        lines.clear();
        summary.clear();
      },
    },
    icon('clear'),
    'Clear',
  );
  const modes = modeButtons((mode) => {
    lines.element.hidden = mode !== 'Lines';
    summary.element.hidden = mode !== 'Summary';
  });
  const loud = LOUD.map((name) => loudBox(query, name));
  const element = h(
    'div',
    { class: 'tools', role: 'toolbar', 'aria-label': 'Trace' },
    domainField(query, until),
    filter,
    ...loud,
    h('span', { class: 'space' }),
    modes,
  );
  return {
    element,
    pause,
    clear,
    isPaused: () => isPaused,
    state: h('span', { class: 'count' }, 'connecting …'),
  };
}

/** @param {(mode: string) => void} choose */
function modeButtons(choose) {
  const buttons = ['Lines', 'Summary'].map((mode, n) =>
    h(
      'button',
      {
        'aria-pressed': String(n === 0),
        click: () => {
          for (const each of buttons)
            each.setAttribute('aria-pressed', String(each.textContent === mode));
          choose(mode);
        },
      },
      mode,
    ),
  );
  return h('div', { class: 'segments', role: 'group', 'aria-label': 'Shown as' }, ...buttons);
}

/**
 * @param {URLSearchParams} query
 * @param {string} name
 */
function loudBox(query, name) {
  const box = h('input', {
    type: 'checkbox',
    change: () => {
      if (box.checked) query.set(name, '1');
      else query.delete(name);
      go(`/trace?${query}`);
    },
  });
  box.checked = query.has(name);
  return h('label', { class: 'check' }, box, `${name}es`.replace('faultes', 'faults'));
}

/**
 * @param {URLSearchParams} query
 * @param {AbortSignal} until
 */
function domainField(query, until) {
  const chosen = query.get('domain') ?? '';
  const select = h('select', {
    'aria-label': 'Domain',
    change: () => {
      if (select.value === '') query.delete('domain');
      else query.set('domain', select.value);
      go(`/trace?${query}`);
    },
  });
  const update = keyed(
    select,
    (/** @type {{ uuid: string, name: string }} */ { uuid }) => uuid,
    ({ uuid }) => {
      const element = h('option', { value: uuid });
      return { element, update: ({ name }) => setText(element, name) };
    },
  );
  domains.watch((list) => {
    const known = (list ?? []).some(({ uuid }) => uuid === chosen);
    const extra = known || chosen === '' ? [] : [{ uuid: chosen, name: chosen.slice(0, 8) }];
    update([{ uuid: '', name: 'All domains' }, ...extra, ...(list ?? [])]);
    select.value = chosen;
  }, until);
  return select;
}
