/** Small images that were read lately, with their names: who creates one domain after the other reads and hashes the file once. */

import { createHash } from 'node:crypto';
import { readFileSync, type Stats } from 'node:fs';
import { stampOf } from './image-facts.js';

/** Files up to this size are read without a detour through the thread pool, which costs more than the reading. */
export const SMALL_BYTES = 1024 * 1024;
/** Images kept. */
const KEPT = 16;

interface SmallImage {
  readonly bytes: Buffer<ArrayBuffer>;
  /** SHA-256 of the bytes, in hexadecimal. */
  readonly name: string;
  /** What is different once the file has been written to or replaced. */
  readonly stamp: string;
}

export class SmallImages {
  /** By path, the one used last at the end. */
  readonly #images = new Map<string, SmallImage>();

  /** @param path of a file of at most SMALL_BYTES. @throws as `readFileSync` does. */
  read(path: string, stats: Stats): SmallImage {
    const stamp = stampOf(stats);
    const known = this.#images.get(path);
    this.#images.delete(path);
    const image = known?.stamp === stamp ? known : readImage(path, stamp);
    this.#images.set(path, image);
    for (const oldest of this.#images.keys()) {
      if (this.#images.size <= KEPT) break;
      this.#images.delete(oldest);
    }
    return image;
  }
}

function readImage(path: string, stamp: string): SmallImage {
  const bytes = readFileSync(path);
  return { bytes, name: createHash('sha256').update(bytes).digest('hex'), stamp };
}
