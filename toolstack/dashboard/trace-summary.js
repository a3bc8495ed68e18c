/** The trace summed up: how often each call was made, how long it took, what it failed with. */

import { h, keyed, setText } from './dom.js';
import { count, nanoseconds, percent } from './format.js';
import { wants } from './words.js';

/** @typedef {{ name: string, calls: number, errors: number, time: number, most: number, errnos: Map<string, number> }} Sum */

const COLUMNS = ['Call', 'Calls', 'Share of time', 'Time', 'Mean', 'Longest', 'Errors'];

export class TraceSummary {
  #filter;
  /** @type {Map<string, Sum>} */
  #sums = new Map();
  #body = h('tbody');
  #empty = h('p', { class: 'empty' }, 'No calls yet.');
  #table = h(
    'table',
    { class: 'table summary' },
    h('caption', { class: 'unseen' }, 'Hypercalls, by the time spent in them'),
    h('thead', {}, h('tr', {}, ...COLUMNS.map((name) => h('th', { scope: 'col' }, name)))),
    this.#body,
  );
  #total = 1;
  #update = keyed(
    this.#body,
    (/** @type {Sum} */ { name }) => name,
    (sum) => this.#row(sum),
  );

  /** @param {HTMLInputElement} filter */
  constructor(filter) {
    this.#filter = filter;
    this.element = h(
      'div',
      { class: 'stack' },
      this.#empty,
      h('div', { class: 'scroll' }, this.#table),
    );
  }

  /** @param {readonly import('./trace-lines.js').Line[]} lines */
  add(lines) {
    for (const { kind, name, op, duration, errno, text } of lines) {
      if (kind !== 'hypercall' || !wants(this.#filter.value, text)) continue;
      const key = op === undefined ? name : `${name} ${op}`;
      const sum = this.#sums.get(key) ?? {
        name: key,
        calls: 0,
        errors: 0,
        time: 0,
        most: 0,
        errnos: new Map(),
      };
      sum.calls += 1;
      sum.time += duration;
      sum.most = Math.max(sum.most, duration);
      if (errno !== undefined) {
        sum.errors += 1;
        sum.errnos.set(errno, (sum.errnos.get(errno) ?? 0) + 1);
      }
      this.#sums.set(key, sum);
    }
  }

  /** Draws what has been added. */
  update() {
    if (this.element.hidden) return;
    const sums = [...this.#sums.values()].sort((a, b) => b.time - a.time);
    this.#total = Math.max(
      1,
      sums.reduce((all, { time }) => all + time, 0),
    );
    this.#empty.hidden = sums.length > 0;
    this.#table.hidden = sums.length === 0;
    this.#update(sums);
  }

  clear() {
    this.#sums.clear();
    this.update();
  }

  /** @param {Sum} sum */
  #row({ name }) {
    const cells = Array.from({ length: 5 }, () => h('td', { class: 'number' }));
    const errors = h('td', {});
    const meter = h('meter', { min: 0, max: 1, 'aria-hidden': 'true' });
    const share = h('span', { class: 'figure' });
    const [calls, shared, time, mean, most] = cells;
    shared?.append(meter, share);
    return {
      element: h('tr', {}, h('th', { scope: 'row' }, name), ...cells, errors),
      /** @param {Sum} sum */
      update: (sum) => {
        meter.value = sum.time / this.#total;
        setText(share, percent(sum.time / this.#total));
        const values = [
          [calls, count(sum.calls)],
          [time, nanoseconds(sum.time)],
          [mean, nanoseconds(sum.time / sum.calls)],
          [most, nanoseconds(sum.most)],
        ];
        for (const [cell, value] of values) if (cell instanceof Node) setText(cell, String(value));
        setText(
          errors,
          [...sum.errnos].map(([errno, times]) => `${count(times)} ${errno}`).join(', '),
        );
      },
    };
  }
}
