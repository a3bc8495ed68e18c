/**
 * The receiving half of a TCP connection: puts segments in order and says how much more may come.
 * Spec: RFC 9293 §3.4 (acceptability), §3.8.6 (windows), §3.10.7.4. Offsets do not wrap: 0 is the peer's SYN.
 */

import { copyOf } from './wire.js';

export interface ReceiverUser {
  /** The next bytes of the stream; valid during the call. They count as held until `release`. */
  data(bytes: Uint8Array): void;
  /** The peer's FIN, behind all its data. */
  ended(): void;
}

interface Piece {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Pieces kept that came too early; in bytes they are bounded by the window. */
const MOST_PIECES = 256;

export class TcpReceiver {
  readonly #user: ReceiverUser;
  readonly #capacity: number;
  /** Given to the user, and not yet let go. */
  #held = 0;
  #next = 1;
  #edge: number;
  #fin = Number.POSITIVE_INFINITY;
  #early: Piece[] = [];
  #earlyBytes = 0;

  /** @param capacity bytes taken before the user lets some go. */
  constructor(user: ReceiverUser, capacity: number) {
    this.#user = user;
    this.#capacity = capacity;
    this.#edge = 1 + capacity;
  }

  /** The offset expected next; one beyond the FIN once that has come. */
  get next(): number {
    return this.#next;
  }

  get ended(): boolean {
    return this.#next > this.#fin;
  }

  get edge(): number {
    return this.#edge;
  }

  /** Bytes the peer may send. Its edge, once shown, never moves back. */
  window(): number {
    if (this.ended) return 0;
    this.#edge = Math.max(this.#edge, this.#next + this.#capacity - this.#held);
    return this.#edge - this.#next;
  }

  /** @returns whether the window has opened so much that the peer should be told. */
  release(count: number): boolean {
    this.#held -= count;
    const gain = this.#next + this.#capacity - this.#held - this.#edge;
    return !this.ended && gain >= this.#capacity / 4;
  }

  /**
   * Takes a segment.
   * @returns 'next' if it moved the stream on, 'other' if it came too early, too late or beyond the window: the peer should
   * hear at once what is expected.
   */
  accept(offset: number, bytes: Uint8Array, fin: boolean): 'next' | 'other' {
    const end = offset + bytes.length;
    if (fin && end <= this.#edge && end >= this.#next) this.#fin = Math.min(this.#fin, end);
    const last = Math.min(end, this.#edge, this.#fin);
    const first = Math.max(offset, this.#next);
    const before = this.#next;
    if (first < last) {
      const fresh = bytes.subarray(first - offset, last - offset);
      if (first === this.#next) this.#deliver(fresh);
      else this.#keep(first, fresh);
    }
    this.#drain();
    this.#finish();
    return this.#next > before && this.#early.length === 0 ? 'next' : 'other';
  }

  #deliver(bytes: Uint8Array): void {
    this.#next += bytes.length;
    this.#held += bytes.length;
    this.#user.data(bytes);
  }

  #keep(offset: number, bytes: Uint8Array): void {
    const tooMuch = this.#earlyBytes + bytes.length > this.#capacity;
    if (tooMuch || this.#early.length >= MOST_PIECES) return;
    let place = this.#early.length;
    while (place > 0 && (this.#early[place - 1]?.offset ?? 0) > offset) place--;
    this.#early.splice(place, 0, { offset, bytes: copyOf(bytes) });
    this.#earlyBytes += bytes.length;
  }

  #drain(): void {
    let used = 0;
    for (const { offset, bytes } of this.#early) {
      if (offset > this.#next) break;
      used++;
      this.#earlyBytes -= bytes.length;
      const fresh = bytes.subarray(this.#next - offset, Math.max(0, this.#fin - offset));
      if (fresh.length > 0) this.#deliver(fresh);
    }
    if (used > 0) this.#early.splice(0, used);
  }

  #finish(): void {
    if (this.#next !== this.#fin) return;
    this.#next++;
    this.#early = [];
    this.#earlyBytes = 0;
    this.#user.ended();
  }
}
