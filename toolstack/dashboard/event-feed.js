/** The event stream, kept for the page: what has happened so far, and what happens. */

import { keepSocket } from './api.js';
import { signal } from './dom.js';
import { lookSoon } from './live.js';

/** @typedef {import('../schemas/event.js').DomainEvent} DomainEvent */
/** @typedef {Partial<DomainEvent> & { key: string, note?: string }} Entry */

const KEPT = 500;

/** Newest first. @type {import('./dom.js').Signal<readonly Entry[]>} */
export const events = signal([]);

let since = 0;
let notes = 0;

export function startEvents() {
  const path = () => `/v1/events?since=${since}`;
  keepSocket(path, { message: receive, open: lookSoon }, new AbortController().signal);
}

/** @type {Entry[]} */
let waiting = [];

/** @param {string | ArrayBuffer} data */
function receive(data) {
  const event = JSON.parse(String(data));
  if (typeof event.seq === 'number') since = Math.max(since, event.seq);
  if (waiting.length === 0) requestAnimationFrame(flush);
  waiting.push(entryOf(event));
  lookSoon();
}

/** @param {any} event */
function entryOf(event) {
  const isGap = event.dropped !== undefined || event.kind === 'gap';
  if (!isGap) return { ...event, key: `e${event.seq}` };
  notes += 1;
  return { key: `n${notes}`, note: `${event.dropped ?? 'some'} events are no longer kept` };
}

function flush() {
  const fresh = waiting.reverse();
  waiting = [];
  events.set([...fresh, ...events.value].slice(0, KEPT));
}
