/**
 * Frames that several domains use until they write to them: pages of one image, found by the image's name and the place in
 * it. A user that writes takes a copy; the last one takes the frame itself.
 *
 * Sharing is no promise of memory that is not there: for each user but the last a frame is kept in reserve, so that a write
 * never fails. What sharing saves is the copying, and memory that the host need not commit.
 *
 * A frame whose last user is gone without having written to it is idle: free for whoever needs a frame, but until then the
 * next domain of the image finds it as it was, with what has been decoded from it.
 */

import type { Frame } from '../machine/types.js';

interface SharedFrame {
  readonly image: Map<number, Frame>;
  readonly offset: number;
  users: number;
}

export class SharedFrames {
  readonly #images = new Map<string, Map<number, Frame>>();
  readonly #frames = new Map<Frame, SharedFrame>();
  /** Frames without users, those longest without one first. */
  readonly #idle = new Set<Frame>();
  #reserved = 0;

  /** Frames that users of shared ones may yet need. */
  get reserved(): number {
    return this.#reserved;
  }

  /** Frames that are shared, or could be. */
  get size(): number {
    return this.#frames.size;
  }

  /** Frames without users: they count as free. */
  get idle(): number {
    return this.#idle.size;
  }

  /** @returns the frame with the page of the image at this offset, as it was loaded. */
  find(image: string, offset: number): Frame | undefined {
    return this.#images.get(image)?.get(offset);
  }

  /** A frame now holds that page of the image, and has one user. */
  add(image: string, offset: number, frame: Frame): void {
    const pages = this.#images.get(image) ?? new Map<number, Frame>();
    pages.set(offset, frame);
    this.#images.set(image, pages);
    this.#frames.set(frame, { image: pages, offset, users: 1 });
  }

  /** One more user of a frame that `find` gave. The caller has made sure that there is a free frame, which goes with it. */
  addUser(frame: Frame): void {
    const shared = this.#frames.get(frame);
    if (shared === undefined) throw new Error(`frame ${frame} is not shared`);
    if (shared.users++ > 0) this.#reserved++;
    else this.#idle.delete(frame);
  }

  /** A user wants the frame for itself. @returns true if others still use it; else it is shared no more, and the user's alone. */
  drop(frame: Frame): boolean {
    const shared = this.#frames.get(frame);
    if (shared === undefined) return false;
    if (this.#oneFewer(shared)) return true;
    this.#forget(frame, shared);
    return false;
  }

  /** A user is gone. @returns whether the frame is a shared one: then it stays here, idle if that was its last user. */
  leave(frame: Frame): boolean {
    const shared = this.#frames.get(frame);
    if (shared === undefined) return false;
    if (!this.#oneFewer(shared)) this.#idle.add(frame);
    return true;
  }

  /** Gives up the frame that has been idle for longest. */
  reclaim(): Frame | undefined {
    for (const frame of this.#idle) {
      this.#idle.delete(frame);
      const shared = this.#frames.get(frame);
      if (shared !== undefined) this.#forget(frame, shared);
      return frame;
    }
    return undefined;
  }

  /** @returns whether there are others. */
  #oneFewer(shared: SharedFrame): boolean {
    const others = --shared.users > 0;
    if (others) this.#reserved--;
    return others;
  }

  #forget(frame: Frame, { image, offset }: SharedFrame): void {
    this.#frames.delete(frame);
    image.delete(offset);
  }

  /** Forgets names of images of which no page is left. */
  forgetEmpty(): void {
    for (const [name, pages] of this.#images) if (pages.size === 0) this.#images.delete(name);
  }
}
