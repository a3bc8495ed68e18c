/**
 * The backend's end of a console page. The guest may write anything into the page at any time: indices are read once,
 * checked, and a ring that lies is skipped over, never believed.
 * Spec: Xen public/io/console.h.
 */

import {
  CONSOLE_IN_SIZE,
  CONSOLE_OUT_SIZE,
  XENCONS_INTERFACE,
} from '../hypervisor/public/io/console.js';

const { offset } = XENCONS_INTERFACE;
const INDEX_BYTES = 4;

export class ConsoleRing {
  readonly #in: Uint8Array;
  readonly #out: Uint8Array;
  readonly #indices: Int32Array;

  /** @param page the shared 4096 bytes, aligned to 4. */
  constructor(page: Uint8Array) {
    this.#in = page.subarray(offset.in, offset.in + CONSOLE_IN_SIZE);
    this.#out = page.subarray(offset.out, offset.out + CONSOLE_OUT_SIZE);
    this.#indices = new Int32Array(page.buffer, page.byteOffset + offset.in_cons, 4);
  }

  /**
   * Takes what the guest has printed.
   * @returns a copy of the bytes; empty if there are none, or if the producer index is more than a ring ahead: then the
   * consumer index is moved up to it, so that a guest that resets its indices is heard again.
   */
  take(): Uint8Array {
    const consumer = this.#load(offset.out_cons);
    const producer = this.#load(offset.out_prod);
    const length = (producer - consumer) >>> 0;
    if (length === 0) return new Uint8Array(0);
    const bytes = new Uint8Array(length <= CONSOLE_OUT_SIZE ? length : 0);
    copyOut(this.#out, consumer, bytes);
    this.#store(offset.out_cons, producer);
    return bytes;
  }

  /** @returns how many of `bytes` fitted; 0 as well if the guest's indices make no sense. */
  give(bytes: Uint8Array): number {
    const consumer = this.#load(offset.in_cons);
    const producer = this.#load(offset.in_prod);
    const used = (producer - consumer) >>> 0;
    if (used > CONSOLE_IN_SIZE) return 0;
    const length = Math.min(bytes.length, CONSOLE_IN_SIZE - used);
    copyIn(this.#in, producer, bytes.subarray(0, length));
    this.#store(offset.in_prod, producer + length);
    return length;
  }

  #load(field: number): number {
    return Atomics.load(this.#indices, (field - offset.in_cons) / INDEX_BYTES) >>> 0;
  }

  #store(field: number, value: number): void {
    Atomics.store(this.#indices, (field - offset.in_cons) / INDEX_BYTES, value | 0);
  }
}

function copyOut(ring: Uint8Array, index: number, into: Uint8Array): void {
  const at = index % ring.length;
  const first = ring.subarray(at, Math.min(at + into.length, ring.length));
  into.set(first);
  into.set(ring.subarray(0, into.length - first.length), first.length);
}

function copyIn(ring: Uint8Array, index: number, from: Uint8Array): void {
  const at = index % ring.length;
  const first = from.subarray(0, ring.length - at);
  ring.set(first, at);
  ring.set(from.subarray(first.length), 0);
}
