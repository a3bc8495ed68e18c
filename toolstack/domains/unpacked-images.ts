/**
 * Images once unpacked, kept by the hash of their packed bytes, in memory and on disk, so that the second domain of a kernel
 * starts at once, also after a restart of the service.
 */

import type { ImageCache } from './image-cache.js';
import { hashOf } from './shared-bytes.js';
import { unpack } from './unpack.js';

/** Unpacked bytes that are kept in memory at most; the last image always is. Two of Debian's kernels fit. */
const KEPT_BYTES = 192 * 1024 * 1024;

export interface UnpackedImage {
  /** In shared memory; whoever gets it must not write to it. */
  readonly bytes: Uint8Array;
  /** Of its packed bytes: images with the same one are the same. */
  readonly hash: string;
}

export class UnpackedImages {
  /** In order of last use. An image that cannot be unpacked is forgotten again. */
  readonly #images = new Map<string, Promise<Uint8Array>>();
  readonly #sizes = new Map<string, number>();
  readonly #cache: ImageCache;
  #writing: Promise<void> = Promise.resolve();

  constructor(cache: ImageCache) {
    this.#cache = cache;
  }

  /**
   * The image inside.
   * @param limit bytes that it may grow to.
   * @throws UnpackError
   */
  async of(packed: Buffer, limit: number): Promise<UnpackedImage> {
    const hash = await hashOf(packed);
    const image = this.#images.get(hash) ?? this.#find(hash, packed, limit);
    this.#images.delete(hash);
    this.#images.set(hash, image);
    try {
      const bytes = await image;
      this.#sizes.set(hash, bytes.length);
      this.#shrink();
      return { bytes, hash };
    } catch (error) {
      this.#forget(hash);
      throw error;
    }
  }

  /** Resolves when what is to outlive the service has been written. */
  get written(): Promise<void> {
    return this.#writing;
  }

  async #find(hash: string, packed: Buffer, limit: number): Promise<Uint8Array> {
    const known = await this.#cache.read(hash);
    if (known !== undefined && known.length <= limit) return known;
    const image = await unpack(packed, limit);
    this.#writing = this.#writing.then(() => this.#cache.write(hash, image)); // nobody waits for it
    return image;
  }

  #shrink(): void {
    let total = [...this.#sizes.values()].reduce((sum, size) => sum + size, 0);
    for (const hash of [...this.#images.keys()].slice(0, -1)) {
      if (total <= KEPT_BYTES) return;
      total -= this.#sizes.get(hash) ?? 0;
      this.#forget(hash);
    }
  }

  #forget(hash: string): void {
    this.#images.delete(hash);
    this.#sizes.delete(hash);
  }
}
