/**
 * The event stream for many readers. Each has a cursor in the log and takes what comes after it when it can: a reader that stalls
 * costs nothing, and finds what it has missed when it reads again. What the log no longer has by then is told as a gap.
 */

import type { Event, GapEvent, NumberedEvent } from '../schemas/event.js';
import type { EventLog } from './event-log.js';

/** How often a reader that has stalled is looked after, milliseconds. */
const RETRY_MS = 50;

/** Where events go. */
export interface EventSink {
  /** Nothing is to be written now. */
  readonly full: boolean;
  write(event: Event): void;
}

export interface EventWishes {
  /** Number of the last event seen; those after it are wanted. */
  readonly since?: number | undefined;
  /** Domid, name or uuid. */
  readonly domain?: string | undefined;
  readonly kinds?: readonly NumberedEvent['kind'][] | undefined;
}

export class EventFeed {
  readonly #events: EventLog;
  /** Events up to this number came before the service was started. */
  readonly #begun: number;

  constructor(events: EventLog) {
    this.#events = events;
    this.#begun = events.last;
  }

  /** @returns how to stop. */
  open(wishes: EventWishes, sink: EventSink): () => void {
    const wants = filterOf(wishes, this.#events);
    let cursor = wishes.since ?? this.#events.last;
    let retry: NodeJS.Timeout | undefined;
    const pump = (): void => {
      clearTimeout(retry);
      retry = undefined;
      cursor = this.#deliver(cursor, wants, sink);
      if (cursor !== this.#events.last) retry = setTimeout(pump, RETRY_MS);
    };
    const stop = this.#events.subscribe(() => {
      if (retry === undefined) pump();
    });
    pump();
    return () => {
      stop();
      clearTimeout(retry);
    };
  }

  /** Gives the sink what it takes. @returns the cursor then. */
  #deliver(from: number, wants: (event: NumberedEvent) => boolean, sink: EventSink): number {
    if (sink.full) return from;
    let cursor = from;
    const gap = this.#gapAfter(cursor);
    if (gap !== undefined) {
      cursor = gap.reason === 'unknown' ? this.#events.last : gap.to;
      sink.write(gap);
    }
    for (const event of this.#events.since(cursor)) {
      if (sink.full) break;
      cursor = event.seq;
      if (wants(event)) sink.write(event);
    }
    return cursor;
  }

  /** What is missing between the cursor and the next event that there is. */
  #gapAfter(cursor: number): GapEvent | undefined {
    const { last } = this.#events;
    if (cursor > last) return { kind: 'gap', from: last + 1, to: cursor, reason: 'unknown' };
    const next = this.#events.since(cursor)[0]?.seq ?? last + 1;
    if (next === cursor + 1) return undefined;
    const reason = cursor < this.#begun ? 'restart' : 'expired';
    return { kind: 'gap', from: cursor + 1, to: next - 1, reason };
  }
}

function filterOf({ domain, kinds }: EventWishes, events: EventLog) {
  /** Tasks name their domain by its uuid. */
  const uuids = new Set<string>();
  const isOf = (event: NumberedEvent): boolean => {
    if (domain === undefined) return true;
    if (event.kind === 'task') return uuids.has(event.task.domain ?? '');
    const { name, uuid } = event;
    const hasDomid = 'domid' in event && String(event.domid) === domain;
    const found = hasDomid || name === domain || uuid === domain.toLowerCase();
    if (found) uuids.add(uuid);
    return found;
  };
  for (const event of events.since(0)) isOf(event);
  return (event: NumberedEvent): boolean =>
    isOf(event) && (kinds === undefined || kinds.includes(event.kind));
}
