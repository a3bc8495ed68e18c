/** The allocator of host frames: who may use which 4 KiB of RAM. */

import { LAYOUT, PAGE_SIZE } from './layout.js';
import type { Ram } from './ram.js';
import { asFrame, type Frame } from './types.js';

export class HostFrames {
  /** Frames given back, last in first out: a warm frame is cheaper than one the host has yet to commit. */
  readonly #free: number[] = [];
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
    return this.#end - this.#next + this.#free.length;
  }

  /** @returns a zeroed frame, undefined if none is left. */
  allocate(): Frame | undefined {
    const recycled = this.#free.pop();
    if (recycled !== undefined) {
      this.#ram.zeroFrame(asFrame(recycled));
      return asFrame(recycled);
    }
    // A frame never handed out before is still zero: RAM starts so.
    return this.#next < this.#end ? asFrame(this.#next++) : undefined;
  }

  /** Gives a frame back. The caller has made sure that nothing (TLB, decoded code, alias) names it any more. */
  release(frame: Frame): void {
    this.#free.push(frame);
  }
}
