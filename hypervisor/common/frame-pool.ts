/**
 * Host frames with an owner and, beside it, holders: a grant mapping, a mapping of dom0. A frame goes back to the host when
 * its owner has released it and the last holder has dropped it, whichever comes last.
 */

import type { HostFrames } from '../machine/host-frames.js';
import type { Frame } from '../machine/types.js';

interface Holding {
  count: number;
  /** The owner has released the frame already. */
  orphan: boolean;
}

export class FramePool {
  readonly #hostFrames: HostFrames;
  readonly #released: (frame: Frame) => void;
  readonly #held = new Map<Frame, Holding>();

  /** @param released told of each frame that goes back, so that nothing decoded from it stays. */
  constructor(hostFrames: HostFrames, released: (frame: Frame) => void) {
    this.#hostFrames = hostFrames;
    this.#released = released;
  }

  get total(): number {
    return this.#hostFrames.total;
  }

  get free(): number {
    return this.#hostFrames.free;
  }

  /** Frames that somebody besides their owner holds. */
  get held(): number {
    return this.#held.size;
  }

  /** @returns a zeroed frame, undefined if none is left. */
  allocate(): Frame | undefined {
    return this.#hostFrames.allocate();
  }

  /** Zeroes up to `count` frames ahead of need. @returns whether there are more to zero. */
  scrub(count: number): boolean {
    return this.#hostFrames.scrub(count);
  }

  /** The owner gives the frame up. */
  release(frame: Frame): void {
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

  #giveBack(frame: Frame): void {
    this.#released(frame);
    this.#hostFrames.release(frame);
  }
}
