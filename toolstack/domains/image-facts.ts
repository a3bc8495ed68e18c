/**
 * What is known of the content of image files: found out when it is first asked for, and remembered for as long as the file is
 * the same one, also by the next service. A file is the same while its stamp is; what cannot be remembered is found out again.
 */

import { createHash } from 'node:crypto';
import { existsSync, type Stats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Image } from '../schemas/image.js';
import type { Collection } from '../state/collection.js';
import type { StoredImageFacts } from '../state/state.js';
import { HEAD_BYTES, kindOf } from './image-kind.js';

/** Read in one go. */
const PIECE_BYTES = 1024 * 1024;
/** A file that was written to so lately may be written to again within one tick of its clock, milliseconds. */
const UNSETTLED_MS = 2000;

export type Facts = Pick<Image, 'bytes' | 'sha256' | 'kind'>;

export class ImageFacts {
  readonly #kept: Collection<StoredImageFacts>;
  /** Being found out, by path and stamp. */
  readonly #coming = new Map<string, Promise<Facts>>();

  constructor(kept: Collection<StoredImageFacts>) {
    this.#kept = kept;
  }

  /** Of the file that is there. @throws as `open` and `read` do. */
  async at(path: string, stats: Stats): Promise<Facts> {
    const known = this.#known(path, stampOf(stats));
    if (known !== undefined) return known;
    const file = await open(path);
    try {
      return await this.of(path, file);
    } finally {
      await file.close();
    }
  }

  /** Of a file that is open, whatever its path leads to by now. */
  async of(path: string, file: FileHandle): Promise<Facts> {
    const stats = await file.stat();
    const stamp = stampOf(stats);
    const known = this.#known(path, stamp);
    if (known !== undefined) return known;
    const id = `${stamp} ${path}`;
    const coming = this.#coming.get(id) ?? this.#find(path, stats, file);
    this.#coming.set(id, coming);
    try {
      return await coming;
    } finally {
      this.#coming.delete(id);
    }
  }

  /** Resolves when the next service knows it, too. */
  async remember(path: string, stats: Stats, { bytes, sha256, kind }: Facts): Promise<void> {
    const facts = { path, stamp: stampOf(stats), bytes, sha256, kind };
    await this.#kept.change(keyOf(path), () => facts);
  }

  async forget(path: string): Promise<void> {
    await this.#kept.change(keyOf(path), () => undefined);
  }

  /** Forgets files that are gone. */
  async sweep(): Promise<void> {
    for (const { path } of this.#kept.list()) if (!existsSync(path)) await this.forget(path);
  }

  #known(path: string, stamp: string): Facts | undefined {
    const kept = this.#kept.get(keyOf(path));
    if (kept?.stamp !== stamp) return undefined;
    const { bytes, sha256, kind } = kept;
    return { bytes, sha256, kind };
  }

  async #find(path: string, stats: Stats, file: FileHandle): Promise<Facts> {
    const facts = await read(file, stats.size);
    const isSettled = Date.now() - stats.mtimeMs > UNSETTLED_MS;
    if (isSettled) await this.remember(path, stats, facts).catch(() => undefined);
    return facts;
  }
}

/** What is different once a file has been written to or replaced. */
export const stampOf = ({ dev, ino, size, mtimeMs, ctimeMs }: Stats): string =>
  [dev, ino, size, mtimeMs, ctimeMs].join();

/** Paths may be longer than keys of the store. */
const keyOf = (path: string): string => createHash('sha256').update(path).digest('hex');

async function read(file: FileHandle, size: number): Promise<Facts> {
  const hash = createHash('sha256');
  const piece = Buffer.alloc(Math.min(size, PIECE_BYTES));
  let kind: Image['kind'] = 'other';
  let bytes = 0;
  while (bytes < size) {
    const { bytesRead } = await file.read(piece, 0, piece.length, bytes);
    if (bytesRead === 0) break;
    if (bytes === 0) kind = kindOf(piece.subarray(0, Math.min(bytesRead, HEAD_BYTES)));
    hash.update(piece.subarray(0, bytesRead));
    bytes += bytesRead;
  }
  return { bytes, sha256: hash.digest('hex'), kind };
}
