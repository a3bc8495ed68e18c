/**
 * Frames that several domains use until they write to them: pages of one image, found by the image's name and the place in
 * it. A user that writes takes a copy; the last one takes the frame itself.
 *
 * Sharing is no promise of memory that is not there: for each user but the last a frame is kept in reserve, so that a write
 * never fails. What sharing saves is the copying, and memory that the host need not commit.
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
  #reserved = 0;

  /** Frames that users of shared ones may yet need. */
  get reserved(): number {
    return this.#reserved;
  }

  /** Frames that are shared, or could be. */
  get size(): number {
    return this.#frames.size;
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

  /** One more user of a frame that `find` gave. The caller has made sure that a frame can be reserved. */
  addUser(frame: Frame): void {
    const shared = this.#frames.get(frame);
    if (shared === undefined) throw new Error(`frame ${frame} is not shared`);
    shared.users++;
    this.#reserved++;
  }

  /** One user fewer. @returns true if others still use the frame; else it is shared no more, and the user's alone. */
  drop(frame: Frame): boolean {
    const shared = this.#frames.get(frame);
    if (shared === undefined) return false;
    if (--shared.users > 0) {
      this.#reserved--;
      return true;
    }
    this.#frames.delete(frame);
    shared.image.delete(shared.offset);
    return false;
  }

  /** Forgets names of images of which no page is left. */
  forgetEmpty(): void {
    for (const [name, pages] of this.#images) if (pages.size === 0) this.#images.delete(name);
  }
}
