/**
 * The console backend: one per domain, any number of viewers, history kept after the domain's death.
 *
 * Output goes page → history → viewers, all in one turn of the event loop, so that a viewer that opens gets the history
 * and then each later byte exactly once. Input is queued while the guest's ring is full and bounded by INPUT_LIMIT.
 */

import { ConsoleHistory } from './console-history.js';
import { ConsoleRing } from './console-ring.js';

/** Bytes of output kept for each domain. */
export const CONSOLE_LIMIT = 256 * 1024;
/** Bytes of input waiting for a guest that does not read; what is typed beyond is refused. */
const INPUT_LIMIT = 64 * 1024;
/** Rings full of output taken in one turn: a guest that prints without end must not hold the event loop. */
const ROUNDS = 32;

/** Whoever watches a console. Must not block: it is called between the guest's ring and all other viewers. */
export interface ConsoleViewer {
  output(bytes: Uint8Array): void;
  /** The domain is gone; no more output will come. */
  ended(): void;
}

/** What a console needs of its domain while that lives. */
export interface ConsoleLink {
  readonly page: Uint8Array;
  /** Sends an event to the guest's end of the channel. */
  notify(): void;
}

export class Console {
  readonly history: ConsoleHistory;
  readonly #viewers = new Set<ConsoleViewer>();
  #ring: ConsoleRing | undefined;
  #notify: () => void = () => undefined;
  #input: Uint8Array[] = [];
  #inputBytes = 0;

  constructor(limit = CONSOLE_LIMIT) {
    this.history = new ConsoleHistory(limit);
  }

  /** Whether a domain is behind it. */
  get connected(): boolean {
    return this.#ring !== undefined;
  }

  get viewers(): number {
    return this.#viewers.size;
  }

  /** Binds the page of a domain, and takes what it may have printed already. */
  connect(link: ConsoleLink): void {
    this.#ring = new ConsoleRing(link.page);
    this.#notify = link.notify;
    this.pump();
  }

  /** The guest has sent an event: output may have come, space for input may have become free. */
  pump(): void {
    const ring = this.#ring;
    if (ring === undefined) return;
    const rounds = this.#drain(ring);
    if (this.#feed(ring) || rounds > 0) this.#notify();
    if (rounds === ROUNDS) setImmediate(() => this.pump());
  }

  /** @returns how many of `bytes` were taken: fewer if the guest does not read and the queue is full. */
  type(bytes: Uint8Array): number {
    const taken = bytes.slice(0, Math.max(0, INPUT_LIMIT - this.#inputBytes));
    if (taken.length > 0) this.#input.push(taken);
    this.#inputBytes += taken.length;
    this.pump();
    return taken.length;
  }

  /** Replays the history to a viewer, then keeps it up to date. @returns how to stop. */
  open(viewer: ConsoleViewer): () => void {
    this.pump();
    const past = this.history.bytes();
    if (past.length > 0) viewer.output(past);
    this.#viewers.add(viewer);
    return () => this.#viewers.delete(viewer);
  }

  /** Takes the last output and lets go of the page, before the domain is destroyed. Viewers stay. */
  disconnect(): void {
    this.pump();
    this.#ring = undefined;
    this.#notify = () => undefined;
    this.#input = [];
    this.#inputBytes = 0;
  }

  /** Tells the viewers that nothing more will come. */
  end(): void {
    this.disconnect();
    const viewers = [...this.#viewers];
    this.#viewers.clear();
    for (const viewer of viewers) viewer.ended();
  }

  /** @returns how many times there was something to take, at most ROUNDS. */
  #drain(ring: ConsoleRing): number {
    for (let round = 0; round < ROUNDS; round += 1) {
      const bytes = ring.take();
      if (bytes.length === 0) return round;
      this.#show(bytes);
    }
    return ROUNDS;
  }

  #show(bytes: Uint8Array): void {
    this.history.append(bytes);
    for (const viewer of this.#viewers) viewer.output(bytes);
  }

  /** @returns whether the guest was given anything. */
  #feed(ring: ConsoleRing): boolean {
    let given = 0;
    for (let head = this.#input[0]; head !== undefined; head = this.#input[0]) {
      const length = ring.give(head);
      given += length;
      if (length < head.length) {
        this.#input[0] = head.subarray(length);
        break;
      }
      this.#input.shift();
    }
    this.#inputBytes -= given;
    return given > 0;
  }
}
