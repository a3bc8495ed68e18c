/** The trace line by line. What comes faster than anybody reads is not drawn, and it is said how much that was. */

import { h } from './dom.js';
import { count, nanoseconds } from './format.js';
import { wants } from './words.js';

/**
 * @typedef {object} Line
 * @property {number} seq
 * @property {number} time
 * @property {number} domid
 * @property {number} vcpu
 * @property {string} kind
 * @property {string} name
 * @property {string} [op]
 * @property {Record<string, string>} args
 * @property {Record<string, string>} output
 * @property {number} [result]
 * @property {string} [errno]
 * @property {number} duration
 * @property {string} rip
 * @property {string} [symbol] where in the guest's kernel
 * @property {readonly string[]} why
 * @property {string} text
 */

/** Lines that stay on the page, and those that are drawn at once. */
const KEPT = 800;
const AT_ONCE = 150;

export class TraceLines {
  #filter;
  #list = h('div', {
    class: 'lines',
    role: 'log',
    'aria-live': 'off',
    'aria-label': 'Hypercalls',
    tabindex: 0,
  });
  #empty = h(
    'p',
    { class: 'empty' },
    'Nothing yet. What a guest asks of the hypervisor appears here as it happens.',
  );
  /** @type {(Line | string)[]} */
  #waiting = [];
  #skipped = 0;
  #atOnce;

  /**
   * @param {HTMLInputElement} filter
   * @param {boolean} isPlayed from a recording, all at once: nobody waits for what comes next
   */
  constructor(filter, isPlayed) {
    this.#filter = filter;
    this.#atOnce = isPlayed ? KEPT : AT_ONCE;
    this.element = h('div', { class: 'stack' }, this.#empty, this.#list);
    filter.addEventListener('input', () => {
      for (const line of /** @type {NodeListOf<HTMLElement>} */ (
        this.#list.querySelectorAll('details')
      )) {
        line.hidden = !wants(filter.value, line.dataset['text'] ?? '');
      }
    });
  }

  /** @param {readonly Line[]} lines */
  add(lines) {
    const wanted = lines.filter(({ text }) => wants(this.#filter.value, text));
    if (wanted.length === 0) return;
    this.#push(wanted);
  }

  /** @param {string} text in place of a line */
  note(text) {
    this.#push([text]);
  }

  clear() {
    this.#waiting = [];
    this.#skipped = 0;
    this.#list.replaceChildren();
    this.#empty.hidden = false;
  }

  /** @param {readonly (Line | string)[]} lines */
  #push(lines) {
    if (this.#waiting.length === 0) requestAnimationFrame(() => this.#draw());
    this.#waiting.push(...lines);
    const excess = this.#waiting.length - this.#atOnce;
    if (excess <= 0) return;
    this.#waiting.splice(0, excess);
    this.#skipped += excess;
  }

  #draw() {
    const list = this.#list;
    const follows = list.scrollTop + list.clientHeight >= list.scrollHeight - 24;
    const fresh = this.#waiting.map((line) =>
      typeof line === 'string' ? noteRow(line) : lineRow(line),
    );
    if (this.#skipped > 0)
      fresh.unshift(
        noteRow(`${count(this.#skipped)} lines came too fast to be shown; the summary counts them`),
      );
    this.#waiting = [];
    this.#skipped = 0;
    this.#empty.hidden = true;
    list.append(...fresh);
    // Who reads further up is not moved away from there.
    if (!follows) return;
    while (list.childElementCount > KEPT) list.firstElementChild?.remove();
    list.scrollTop = list.scrollHeight;
  }
}

/** @param {string} text */
const noteRow = (text) => h('p', { class: 'note' }, text);

/** @param {Line} line */
function lineRow(line) {
  const { time, domid, vcpu, name, duration, errno, text } = line;
  const rest = text.replace(/^\S+ /, '');
  const isName = rest.startsWith(name);
  const details = h(
    'details',
    { 'data-text': text, class: errno && 'bad' },
    h(
      'summary',
      {},
      h('span', { class: 'time' }, (time / 1e9).toFixed(6)),
      h('span', { class: 'who' }, `d${domid}v${vcpu}`),
      h(
        'span',
        { class: 'call' },
        h('b', {}, isName ? name : ''),
        isName ? rest.slice(name.length) : rest,
      ),
      h('span', { class: 'took' }, duration > 0 ? nanoseconds(duration) : ''),
    ),
  );
  const showMore = () => {
    details.append(moreOf(line));
    details.scrollIntoView({ block: 'nearest' });
  };
  details.addEventListener('toggle', showMore, { once: true });
  return details;
}

/** @param {Line} line */
function moreOf({ args, output, why, rip, symbol, seq }) {
  const rows = [
    ...why.map((reason) => ['why', reason]),
    ...Object.entries(args),
    ...Object.entries(output).map(([name, value]) => [`→ ${name}`, value]),
    ...(symbol === undefined ? [] : [['in', symbol]]),
    ['rip', rip],
    ['record', String(seq)],
  ];
  return h(
    'dl',
    {},
    ...rows.flatMap(([name = '', value = '']) => [h('dt', {}, name), h('dd', {}, value)]),
  );
}
