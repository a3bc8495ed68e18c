/**
 * Host frames with an owner and, beside it, holders: a grant mapping, a mapping of dom0. A frame goes back to the host when
 * its owner has released it and the last holder has dropped it, whichever comes last. A frame of an image may have several
 * owners, as long as none writes to it: shared-frames.ts.
 */

import type { HostFrames } from '../machine/host-frames.js';
import type { Frame } from '../machine/types.js';
import { SharedFrames } from './shared-frames.js';

interface Holding {
  count: number;
  /** The owner has released the frame already. */
  orphan: boolean;
}

export class FramePool {
  readonly #hostFrames: HostFrames;
  readonly #released: (frame: Frame) => void;
  readonly #held = new Map<Frame, Holding>();
  readonly shared = new SharedFrames();

  /** @param released told of each frame that goes back, so that nothing decoded from it stays. */
  constructor(hostFrames: HostFrames, released: (frame: Frame) => void) {
    this.#hostFrames = hostFrames;
    this.#released = released;
  }

  get total(): number {
    return this.#hostFrames.total;
  }

  /** Frames that can be allocated: those in reserve for users of shared ones are not among them. */
  get free(): number {
    return this.#hostFrames.free + this.shared.idle - this.shared.reserved;
  }

  /** Frames that somebody besides their owner holds. */
  get held(): number {
    return this.#held.size;
  }

  /** @returns a zeroed frame, undefined if none is left. */
  allocate(): Frame | undefined {
    if (this.free <= 0) return undefined;
    return (
      this.#hostFrames.allocate() ?? (this.#reclaim() ? this.#hostFrames.allocate() : undefined)
    );
  }

  /** A user of a shared frame is to have it alone. @returns the frame itself if nobody else uses it, else a copy. */
  unshare(frame: Frame): Frame {
    if (!this.shared.drop(frame)) return frame;
    let copy = this.#hostFrames.allocateCopy(frame);
    if (copy === undefined && this.#reclaim()) copy = this.#hostFrames.allocateCopy(frame);
    if (copy === undefined) throw new Error('the reserve for shared frames is gone');
    return copy;
  }

  /** Zeroes up to `count` frames ahead of need. @returns whether there are more to zero. */
  scrub(count: number): boolean {
    return this.#hostFrames.scrub(count);
  }

  /** The owner, or one of several, gives the frame up. */
  release(frame: Frame): void {
    if (this.shared.size > 0 && this.shared.leave(frame)) return;
    const holding = this.#held.size > 0 ? this.#held.get(frame) : undefined;
    if (holding) holding.orphan = true;
    else this.#giveBack(frame);
  }

  hold(frame: Frame): void {
    const holding = this.#held.get(frame);
    if (holding) holding.count++;
    else this.#held.set(frame, { count: 1, orphan: false });
  }

  drop(frame: Frame): void {
    const holding = this.#held.get(frame);
    if (!holding || --holding.count > 0) return;
    this.#held.delete(frame);
    if (holding.orphan) this.#giveBack(frame);
  }

  /** Gives an idle frame of an image back to the host. @returns false if there is none. */
  #reclaim(): boolean {
    const frame = this.shared.reclaim();
    if (frame !== undefined) this.#giveBack(frame);
    return frame !== undefined;
  }

  #giveBack(frame: Frame): void {
    this.#released(frame);
    this.#hostFrames.release(frame);
  }
}
