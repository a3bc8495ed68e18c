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
/** Numbers begin anew with a service that has kept none. */
let era = 0;

export function startEvents() {
  const path = () => `/v1/events?since=${since}`;
  const socket = keepSocket(
    path,
    { message: (data) => receive(data, socket.again), open: lookSoon },
    new AbortController().signal,
  );
}

/** @type {Entry[]} */
let waiting = [];

/**
 * @param {string | ArrayBuffer} data
 * @param {() => void} again asks once more, from `since` on
 */
function receive(data, again) {
  const event = JSON.parse(String(data));
  if (event.kind === 'gap' && event.reason === 'unknown') {
    era += 1;
    since = 0;
    again();
  }
  if (typeof event.seq === 'number') since = event.seq;
  if (waiting.length === 0) requestAnimationFrame(flush);
  waiting.push(entryOf(event));
  lookSoon();
}

/** @param {any} event */
function entryOf(event) {
  const isGap = event.dropped !== undefined || event.kind === 'gap';
  if (!isGap) return { ...event, key: `${era}.${event.seq}` };
  notes += 1;
  const isNew = event.reason === 'unknown';
  const note = `${event.dropped ?? 'some'} events are no longer kept`;
  return { key: `n${notes}`, note: isNew ? 'the service was started anew' : note };
}

function flush() {
  const fresh = waiting.reverse();
  waiting = [];
  events.set([...fresh, ...events.value].slice(0, KEPT));
}
