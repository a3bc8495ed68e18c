/**
 * Both ends of the ring page, seen alike: a ring of bytes to read from and one to write to.
 * Spec: xenstore-ring.txt. Indices run freely as u32; an index is moved only after the bytes have been.
 */
import { XS_RING, XS_RING_SIZE } from '../../hypervisor/public/io/xs-wire.js';

const MASK = XS_RING_SIZE - 1;
const { offset } = XS_RING;

/** Whose end of the page. */
export type RingSide = 'server' | 'client';

/** Indices more than a ring apart: the other side is broken, or hostile. */
export type RingFault = 'bad-index';

export class RingPage {
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  readonly #input: Half;
  readonly #output: Half;

  /** @param page 4096 bytes, aligned to 4: the shared page itself. */
  constructor(page: Uint8Array, side: RingSide) {
    this.#bytes = page;
    this.#words = new Int32Array(page.buffer, page.byteOffset, XS_RING.size >> 2);
    this.#input = side === 'server' ? REQUESTS : RESPONSES;
    this.#output = side === 'server' ? RESPONSES : REQUESTS;
  }

  /** Bytes that can be read. */
  get readable(): number | RingFault {
    return this.#used(this.#input);
  }

  /** Bytes that can be written. */
  get writable(): number | RingFault {
    const used = this.#used(this.#output);
    return used === 'bad-index' ? used : XS_RING_SIZE - used;
  }

  /** Takes `count` readable bytes out of the ring, into the start of `into`. */
  take(count: number, into: Uint8Array): void {
    const { base, consumer } = this.#input;
    const index = this.#load(consumer);
    const start = index & MASK;
    const first = Math.min(count, XS_RING_SIZE - start);
    into.set(this.#bytes.subarray(base + start, base + start + first));
    into.set(this.#bytes.subarray(base, base + count - first), first);
    this.#store(consumer, index + count);
  }

  /** Puts bytes into the ring; there is room for them. */
  put(bytes: Uint8Array): void {
    const { base, producer } = this.#output;
    const index = this.#load(producer);
    const start = index & MASK;
    const first = Math.min(bytes.length, XS_RING_SIZE - start);
    this.#bytes.set(bytes.subarray(0, first), base + start);
    this.#bytes.set(bytes.subarray(first), base);
    this.#store(producer, index + bytes.length);
  }

  /** One of the flag words. */
  flag(name: 'server_features' | 'connection' | 'error'): number {
    return this.#load(offset[name]) >>> 0;
  }

  setFlag(name: 'server_features' | 'connection' | 'error', value: number): void {
    this.#store(offset[name], value);
  }

  /** Empties both rings: all four indices to 0. */
  reset(): void {
    for (const { consumer, producer } of [REQUESTS, RESPONSES]) {
      this.#store(consumer, 0);
      this.#store(producer, 0);
    }
  }

  #used({ producer, consumer }: Half): number | RingFault {
    const used = (this.#load(producer) - this.#load(consumer)) >>> 0;
    return used > XS_RING_SIZE ? 'bad-index' : used;
  }

  #load(at: number): number {
    return Atomics.load(this.#words, at >> 2);
  }

  #store(at: number, value: number): void {
    Atomics.store(this.#words, at >> 2, value | 0);
  }
}

/** One direction: where its bytes start, and the offsets of its indices. */
interface Half {
  readonly base: number;
  readonly consumer: number;
  readonly producer: number;
}

const REQUESTS: Half = {
  base: offset.req,
  consumer: offset.req_cons,
  producer: offset.req_prod,
};
const RESPONSES: Half = {
  base: offset.rsp,
  consumer: offset.rsp_cons,
  producer: offset.rsp_prod,
};
