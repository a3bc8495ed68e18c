/**
 * The backend's end of a shared ring, over one page or several. Producer indices of the frontend are read once and
 * checked; requests are copied out before anything is made of them.
 * Spec: Xen public/io/ring.h.
 *
 *     for (;;) {
 *       const waiting = ring.waiting();
 *       if (waiting === undefined) return device.fail('…');      // the frontend lies
 *       for (let n = 0; n < waiting; n += 1) { ring.take(request); …; ring.put(response); }
 *       if (ring.publish()) channel.notify();
 *       if (!ring.finalCheck()) return;                           // the next request brings an event
 *     }
 */

import { RING, ringSlots } from '../hypervisor/public/io/ring.js';

const INDEX_BYTES = 4;

export class SharedRing {
  /** Requests that fit. */
  readonly slots: number;
  readonly #pages: readonly Uint8Array[];
  readonly #pageBytes: number;
  readonly #slotBytes: number;
  readonly #indices: Int32Array;
  /** Private: what the shared page says of them is never read back. */
  #requestsTaken: number;
  #responsesPut: number;
  #responsesPublished: number;

  /**
   * Goes on where the shared page says that responses ended: at 0 in a new ring.
   * @param pages mapped, of equal size, in the ring's order.
   * @param slotBytes the larger of request and response, as the frontend's ABI lays them out.
   */
  constructor(pages: readonly Uint8Array[], slotBytes: number) {
    const [first] = pages;
    if (first === undefined) throw new RangeError('a ring has a page');
    this.#pages = pages;
    this.#pageBytes = first.length;
    this.#slotBytes = slotBytes;
    this.slots = ringSlots(pages.length * first.length, slotBytes);
    this.#indices = new Int32Array(first.buffer, first.byteOffset, RING.SLOTS / INDEX_BYTES);
    this.#responsesPublished = this.#load(RING.RSP_PROD);
    this.#responsesPut = this.#responsesPublished;
    this.#requestsTaken = this.#responsesPublished;
  }

  /** Requests that were taken and are not answered yet. */
  get unanswered(): number {
    return (this.#requestsTaken - this.#responsesPut) >>> 0;
  }

  /** @returns how many requests can be taken; undefined if the frontend's index is further ahead than a ring can hold. */
  waiting(): number | undefined {
    const waiting = (this.#load(RING.REQ_PROD) - this.#requestsTaken) >>> 0;
    return waiting + this.unanswered > this.slots ? undefined : waiting;
  }

  /** Copies the next request, or as much of it as fits. To be called only as often as `waiting` has said. */
  take(into: Uint8Array): void {
    this.#copy(this.#requestsTaken, into, copyOut);
    this.#requestsTaken = (this.#requestsTaken + 1) >>> 0;
  }

  /** Puts the next response in place; the frontend sees it after `publish`. At most one for each request taken. */
  put(response: Uint8Array): void {
    this.#copy(this.#responsesPut, response, copyIn);
    this.#responsesPut = (this.#responsesPut + 1) >>> 0;
  }

  /** Publishes the responses put since the last time. @returns whether the frontend is to be notified. */
  publish(): boolean {
    const before = this.#responsesPublished;
    const now = this.#responsesPut;
    if (now === before) return false;
    this.#responsesPublished = now;
    this.#store(RING.RSP_PROD, now);
    const passed = (now - this.#load(RING.RSP_EVENT)) >>> 0;
    return passed < (now - before) >>> 0;
  }

  /**
   * Asks to be notified when `count` requests wait. @returns whether they do already, and no event will come; also if the
   * frontend's index lies, for `waiting` to tell.
   */
  finalCheck(count = 1): boolean {
    if ((this.waiting() ?? count) >= count) return true;
    this.#store(RING.REQ_EVENT, this.#requestsTaken + count);
    return (this.waiting() ?? count) >= count;
  }

  /** Slots of large rings lie across the edges of pages, which are not neighbours in memory. */
  #copy(
    index: number,
    bytes: Uint8Array,
    copy: (page: Uint8Array, at: number, bytes: Uint8Array) => void,
  ): void {
    const length = Math.min(bytes.length, this.#slotBytes);
    let at = RING.SLOTS + (index & (this.slots - 1)) * this.#slotBytes;
    for (let done = 0; done < length; ) {
      const offset = at % this.#pageBytes;
      const part = Math.min(length - done, this.#pageBytes - offset);
      const page = this.#pages[Math.floor(at / this.#pageBytes)];
      if (page !== undefined) copy(page, offset, bytes.subarray(done, done + part));
      done += part;
      at += part;
    }
  }

  #load(field: number): number {
    return Atomics.load(this.#indices, field / INDEX_BYTES) >>> 0;
  }

  #store(field: number, value: number): void {
    Atomics.store(this.#indices, field / INDEX_BYTES, value | 0);
  }
}

const copyOut = (page: Uint8Array, at: number, bytes: Uint8Array): void =>
  bytes.set(page.subarray(at, at + bytes.length));

const copyIn = (page: Uint8Array, at: number, bytes: Uint8Array): void => page.set(bytes, at);
