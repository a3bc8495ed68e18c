/**
 * A domain's machine-frame space: MFN to host frame. It lies in RAM because the page walker reads it there.
 *
 *   root frame: 1024 u32, byte address of a leaf or 0       leaf: 1024 u32, host frame or 0
 *   entry = u32[u32[root + (mfn >>> 10) * 4] + (mfn & 1023) * 4]
 *   entry:  31 SHARED: other domains have the frame as well, it may only be read     19-0 host frame
 *
 * Frame numbers are only ever shifted left by 12 on the way to an address, which loses the flag: readers need not mask it.
 */

import { PAGE_SIZE } from '../machine/layout.js';
import type { Ram } from '../machine/ram.js';
import { asFrame, type Frame, type HostAddr, type Mfn } from '../machine/types.js';

const LEAF_ENTRIES = 1024;
/** Where the tables come from: HostFrames or FramePool. */
export interface FrameSource {
  readonly free: number;
  allocate(): Frame | undefined;
  release(frame: Frame): void;
}

/** Most MFNs a domain can have. */
export const MAX_MFNS = LEAF_ENTRIES * LEAF_ENTRIES;

/** Flag of an entry. */
export const SHARED_ENTRY = 0x8000_0000;

export class FrameMap {
  /** Byte address of the root. */
  readonly root: HostAddr;
  /** MFNs run from 0 to capacity - 1; a multiple of 1024. */
  readonly capacity: number;
  readonly #u32: Uint32Array;
  readonly #hostFrames: FrameSource;
  readonly #tables: Frame[] = [];
  /** Makes a shared frame the domain's own; set by who shares frames. */
  unshare: (mfn: Mfn) => Frame = () => {
    throw new Error('nobody shares frames here');
  };

  /**
   * Allocates the root and every leaf.
   * @param capacity MFNs wanted, at most MAX_MFNS; rounded up to a multiple of 1024.
   * @throws RangeError if the host has too few frames: ask `framesNeeded` first.
   */
  constructor(ram: Ram, hostFrames: FrameSource, capacity: number) {
    this.#u32 = ram.u32;
    this.#hostFrames = hostFrames;
    this.capacity = Math.ceil(capacity / LEAF_ENTRIES) * LEAF_ENTRIES;
    if (hostFrames.free < FrameMap.framesNeeded(capacity)) throw new RangeError('out of frames');
    this.root = ram.addressOf(this.#allocate());
    for (let leaf = 0; leaf < this.capacity / LEAF_ENTRIES; leaf++) {
      this.#u32[(this.root >>> 2) + leaf] = this.#allocate() * PAGE_SIZE;
    }
  }

  /** Host frames that a map of so many MFNs takes. */
  static framesNeeded(capacity: number): number {
    return 1 + Math.ceil(capacity / LEAF_ENTRIES);
  }

  /** @returns the host frame, the domain's own and no other's; undefined if the domain has no such MFN. */
  lookup(mfn: Mfn): Frame | undefined {
    return this.isShared(mfn) ? this.unshare(mfn) : this.peek(mfn);
  }

  /** @returns the host frame, which may be shared: to be read, or to be given up. */
  peek(mfn: Mfn): Frame | undefined {
    const frame = this.#entry(mfn) & ~SHARED_ENTRY;
    return frame === 0 ? undefined : asFrame(frame);
  }

  isShared(mfn: Mfn): boolean {
    return this.#entry(mfn) >= SHARED_ENTRY;
  }

  /** Gives an MFN below `capacity` a frame. */
  set(mfn: Mfn, frame: Frame): void {
    this.#u32[this.#slot(mfn)] = frame;
  }

  /** Gives an MFN a frame that it may only read. */
  setShared(mfn: Mfn, frame: Frame): void {
    this.#u32[this.#slot(mfn)] = frame + SHARED_ENTRY;
  }

  clear(mfn: Mfn): void {
    this.#u32[this.#slot(mfn)] = 0;
  }

  /** All MFNs in use with their frames. The callback may clear the entry it is given. */
  forEach(visit: (mfn: Mfn, frame: Frame) => void): void {
    for (let base = 0; base < this.capacity; base += LEAF_ENTRIES) {
      const leaf = this.#slot(base as Mfn);
      for (let index = 0; index < LEAF_ENTRIES; index++) {
        const frame = (this.#u32[leaf + index] ?? 0) & ~SHARED_ENTRY;
        if (frame) visit((base + index) as Mfn, asFrame(frame));
      }
    }
  }

  /** Gives the tables back; the map is unusable afterwards. */
  destroy(): void {
    for (const frame of this.#tables.splice(0)) this.#hostFrames.release(frame);
  }

  #entry(mfn: Mfn): number {
    return mfn >= 0 && mfn < this.capacity ? (this.#u32[this.#slot(mfn)] ?? 0) : 0;
  }

  #slot(mfn: Mfn): number {
    const leaf = this.#u32[(this.root >>> 2) + (mfn >>> 10)] ?? 0;
    return (leaf >>> 2) + (mfn & (LEAF_ENTRIES - 1));
  }

  #allocate(): Frame {
    const frame = this.#hostFrames.allocate();
    if (frame === undefined) throw new RangeError('out of frames');
    this.#tables.push(frame);
    return frame;
  }
}
