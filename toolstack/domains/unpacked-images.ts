/** Images once unpacked, kept by the hash of their packed bytes, so that the second domain of a kernel starts at once. */

import { createHash } from 'node:crypto';
import { unpack } from './unpack.js';

/** Unpacked bytes that are kept at most; the last image always is. Two of Debian's kernels fit. */
const KEPT_BYTES = 192 * 1024 * 1024;

export class UnpackedImages {
  /** In order of last use. An image that cannot be unpacked is forgotten again. */
  readonly #images = new Map<string, Promise<Uint8Array>>();
  readonly #sizes = new Map<string, number>();

  /**
   * The image inside; whoever gets it must not write to it.
   * @param limit bytes that it may grow to.
   * @throws UnpackError
   */
  async of(packed: Buffer, limit: number): Promise<Uint8Array> {
    const hash = createHash('sha256').update(packed).digest('hex');
    const image = this.#images.get(hash) ?? unpack(packed, limit);
    this.#images.delete(hash);
    this.#images.set(hash, image);
    try {
      const bytes = await image;
      this.#sizes.set(hash, bytes.length);
      this.#shrink();
      return bytes;
    } catch (error) {
      this.#forget(hash);
      throw error;
    }
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
