/** Grant tables, version 1: what a domain lets others map or copy, and what it has mapped of others. Spec: grant_table.h. */

import type { Frame, Mfn } from '../machine/types.js';

export interface GrantOwner {
  allocateXenPage(): { mfn: Mfn; frame: Frame } | undefined;
}

export class GrantTable {
  readonly maxFrames: number;
  readonly maxMaptrackFrames: number;
  readonly #owner: GrantOwner;
  readonly #frames: { mfn: Mfn; frame: Frame }[] = [];

  constructor(owner: GrantOwner, maxFrames: number, maxMaptrackFrames: number) {
    this.#owner = owner;
    this.maxFrames = maxFrames;
    this.maxMaptrackFrames = maxMaptrackFrames;
  }

  get frames(): readonly { mfn: Mfn; frame: Frame }[] {
    return this.#frames;
  }

  /** Grows the table. @returns false if it may not or cannot be so large. */
  grow(frames: number): boolean {
    if (frames > this.maxFrames) return false;
    while (this.#frames.length < frames) {
      const page = this.#owner.allocateXenPage();
      if (!page) return false;
      this.#frames.push(page);
    }
    return true;
  }

  destroy(): void {
    this.#frames.length = 0;
  }
}
