/** The event stream: numbered, kept for a while, replayed to whoever asks for what they have missed. */

import type { NumberedEvent } from '../schemas/event.js';

/** Events kept for `since`. */
const KEPT = 10_000;

type Listener = (event: NumberedEvent) => void;
type Unnumbered<E> = E extends unknown ? Omit<E, 'seq' | 'time'> : never;

/** Where numbers come from. */
export interface Numbers {
  /** The newest one given; 0 if none ever was. */
  readonly last: number;
  next(): number;
}

export class EventLog {
  readonly #events: NumberedEvent[] = [];
  readonly #listeners = new Set<Listener>();
  readonly #numbers: Numbers;

  /** @param numbers from 1, if they need not outlive the log. */
  constructor(numbers: Numbers = fromOne()) {
    this.#numbers = numbers;
  }

  /** Number of the newest event, of this service or one before it; 0 if there has been none. */
  get last(): number {
    return this.#numbers.last;
  }

  record(event: Unnumbered<NumberedEvent>): void {
    const numbered = { seq: this.#numbers.next(), time: new Date().toISOString(), ...event };
    this.#events.push(numbered);
    if (this.#events.length > 2 * KEPT) this.#events.splice(0, KEPT);
    for (const listener of this.#listeners) listener(numbered);
  }

  /**
   * Events after number `since`, oldest first.
   * The first of them has a number greater than since + 1 if older ones are no longer kept.
   */
  since(since: number): readonly NumberedEvent[] {
    const first = this.#events.findLastIndex(({ seq }) => seq <= since) + 1;
    return this.#events.slice(first);
  }

  /** @returns how to stop. */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

function fromOne(): Numbers {
  let last = 0;
  return {
    get last() {
      return last;
    },
    next: () => ++last,
  };
}
