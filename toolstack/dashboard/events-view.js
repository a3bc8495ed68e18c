/** The events: what has happened to domains, newest first. */

import { h, keyed, setText } from './dom.js';
import { events } from './event-feed.js';
import { clock } from './format.js';

/** @typedef {import('./event-feed.js').Entry} Entry */

const COLUMNS = ['Time', 'Domain', 'Event', 'Detail'];
const BAD = ['crashed', 'device-failed', 'unresponsive'];

/** @type {import('./router.js').View} */
export const eventsView = {
  name: 'events',
  title: 'Events',
  show(main, _rest, _query, until) {
    const filter = h('input', {
      type: 'search',
      'data-filter': true,
      'aria-label': 'Filter events',
      placeholder: 'Filter by any word',
      input: () => show(events.value),
    });
    const body = h('tbody');
    const empty = h('p', { class: 'empty' }, 'Nothing has happened yet.');
    const table = h(
      'table',
      { class: 'table events cards' },
      h('caption', { class: 'unseen' }, 'Events, newest first'),
      h('thead', {}, h('tr', {}, ...COLUMNS.map((name) => h('th', { scope: 'col' }, name)))),
      body,
    );
    main.append(h('div', { class: 'head' }, h('h1', {}, 'Events'), filter), table, empty);
    const update = keyed(body, (/** @type {Entry} */ entry) => entry.key, makeRow);
    /** @param {readonly Entry[]} list */
    const show = (list) => {
      const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      const wanted = list.filter((entry) => {
        const text = Object.values(entry).join(' ').toLowerCase();
        return words.every((word) => text.includes(word));
      });
      empty.hidden = wanted.length > 0;
      table.hidden = wanted.length === 0;
      setText(empty, list.length === 0 ? 'Nothing has happened yet.' : 'No event has these words.');
      update(wanted);
    };
    events.watch(show, until);
  },
};

/** @param {Entry} entry */
function makeRow(entry) {
  const { time, domid, name, uuid, kind, note, device, reason, detail } = entry;
  const about = [device, reason, detail, note].filter((part) => part !== undefined).join(' · ');
  const who = name === undefined ? '' : h('a', { href: `#/domains/${uuid}` }, name);
  return {
    element: h(
      'tr',
      { tabindex: -1, 'data-row': true },
      h(
        'td',
        { class: 'time' },
        time === undefined ? '' : h('time', { datetime: time, title: time }, clock(time)),
      ),
      h(
        'td',
        { class: 'who' },
        who,
        domid !== undefined && h('span', { class: 'sub' }, ` ${domid}`),
      ),
      h(
        'td',
        {},
        h(
          'span',
          { class: 'badge', 'data-state': BAD.includes(kind ?? '') ? 'crash' : kind },
          note ? 'gap' : (kind ?? 'event'),
        ),
      ),
      h('td', { class: 'detail' }, about),
    ),
    update() {},
  };
}
