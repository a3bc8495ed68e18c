/** The allocator of host frames: who may use which 4 KiB of RAM. */

import { LAYOUT, PAGE_SIZE } from './layout.js';
import type { Ram } from './ram.js';
import { asFrame, type Frame } from './types.js';

export class HostFrames {
  /** Frames given back and zeroed since, last in first out: a warm frame is cheaper than one the host has yet to commit. */
  readonly #clean: number[] = [];
  /** Frames given back as they were. */
  readonly #dirty: number[] = [];
  #next: number = LAYOUT.FRAMES / PAGE_SIZE;
  readonly #end: number;
  readonly #ram: Ram;

  constructor(ram: Ram) {
    this.#ram = ram;
    this.#end = ram.frameCount;
  }

  /** Frames there are in all. */
  get total(): number {
    return this.#end - LAYOUT.FRAMES / PAGE_SIZE;
  }

  /** Frames that can still be allocated. */
  get free(): number {
    return this.#end - this.#next + this.#clean.length + this.#dirty.length;
  }

  /** @returns a zeroed frame, undefined if none is left. */
  allocate(): Frame | undefined {
    const clean = this.#clean.pop();
    if (clean !== undefined) return asFrame(clean);
    const dirty = this.#dirty.pop();
    if (dirty !== undefined) {
      this.#ram.zeroFrame(asFrame(dirty));
      return asFrame(dirty);
    }
    const fresh = this.#fresh();
    return fresh === undefined ? undefined : asFrame(fresh);
  }

  /** @returns a frame with the same bytes, undefined if none is left. */
  allocateCopy(of: Frame): Frame | undefined {
    const frame = this.#clean.pop() ?? this.#dirty.pop() ?? this.#fresh();
    if (frame === undefined) return undefined;
    this.#ram.u8.copyWithin(frame * PAGE_SIZE, of * PAGE_SIZE, (of + 1) * PAGE_SIZE);
    return asFrame(frame);
  }

  /** A frame never handed out before is still zero: RAM starts so. */
  #fresh(): number | undefined {
    return this.#next < this.#end ? this.#next++ : undefined;
  }

  /** Gives a frame back. The caller has made sure that nothing (TLB, decoded code, alias) names it any more. */
  release(frame: Frame): void {
    this.#dirty.push(frame);
  }

  /**
   * Zeroes frames that were given back, ahead of need: for times with nothing else to do.
   * @param count frames at most.
   * @returns whether there are more.
   */
  scrub(count: number): boolean {
    for (let left = count; left > 0; left--) {
      const frame = this.#dirty.pop();
      if (frame === undefined) return false;
      this.#ram.zeroFrame(asFrame(frame));
      this.#clean.push(frame);
    }
    return this.#dirty.length > 0;
  }
}
