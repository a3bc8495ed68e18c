/**
 * Which MFNs of a domain's space are in use and for what. Numbers are handed out scrambled, so that a guest that takes a
 * PFN for an MFN fails here as it would on Xen; they come from a permutation of the space, then from those given back.
 */

import { asMfn, type Frame, type Mfn } from '../machine/types.js';
import type { FrameMap } from './frame-map.js';
import type { PageKind } from './hooks.js';

const KINDS: readonly (PageKind | undefined)[] = [undefined, 'ram', 'xen', 'alias'];
/** Odd, so that multiplying by it permutes any power of two. */
const SCRAMBLE = 0x9e5;

export class MachineFrames {
  readonly map: FrameMap;
  readonly #kinds: Uint8Array;
  readonly #recycled: Mfn[] = [];
  /** Next index of the permutation: MFN 0 is never used, index 0 gives it. */
  #next = 1;
  /** MFNs in use; 0 never is. */
  #used = 0;
  /** Largest MFN ever in use. */
  #maximum = 0;

  constructor(map: FrameMap) {
    this.map = map;
    this.#kinds = new Uint8Array(map.capacity);
  }

  get maximum(): Mfn {
    return asMfn(this.#maximum);
  }

  /** @returns undefined for an MFN that is not in use. */
  kindOf(mfn: Mfn): PageKind | undefined {
    return KINDS[this.#kinds[mfn] ?? 0];
  }

  /** @returns whether `add` would find an MFN. */
  get hasFree(): boolean {
    return this.#used < this.map.capacity - 1;
  }

  /** Gives a frame the next free MFN. @returns undefined if the space is full. */
  add(frame: Frame, kind: PageKind): Mfn | undefined {
    const mfn = this.#recycled.pop() ?? this.#fresh();
    if (mfn === undefined) return undefined;
    // A block allocation may have taken a recycled number meanwhile.
    if (this.#kinds[mfn]) return this.add(frame, kind);
    this.put(mfn, frame, kind);
    return mfn;
  }

  /** Gives a frame this MFN, which must be free. */
  put(mfn: Mfn, frame: Frame, kind: PageKind): void {
    this.map.set(mfn, frame);
    this.#used++;
    this.#kinds[mfn] = KINDS.indexOf(kind);
    if (mfn > this.#maximum) this.#maximum = mfn;
  }

  remove(mfn: Mfn): void {
    this.map.clear(mfn);
    this.#used--;
    this.#kinds[mfn] = 0;
    this.#recycled.push(mfn);
  }

  /** @returns the first MFN of 2^order free ones in a row, aligned to their number; undefined if there is none. */
  findBlock(order: number): Mfn | undefined {
    const size = 2 ** order;
    for (let base = this.map.capacity - size; base >= size; base -= size) {
      let offset = 0;
      while (offset < size && this.#kinds[base + offset] === 0) offset++;
      if (offset === size) return asMfn(base);
    }
    return undefined;
  }

  #fresh(): Mfn | undefined {
    const { capacity } = this.map;
    while (this.#next < capacity) {
      const mfn = asMfn((this.#next++ * SCRAMBLE) % capacity);
      if (mfn !== 0 && this.#kinds[mfn] === 0) return mfn;
    }
    return undefined;
  }
}
