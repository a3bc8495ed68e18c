/**
 * Unpacked images in a folder, by the hash of what they were unpacked from: they outlive the service. A file is the hash of
 * the image, then the image: what a disk has done to it is noticed. The folder is bounded, and losing it loses only time:
 * nothing that fails here is anybody's error.
 */

import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { hashOf, readShared } from './shared-bytes.js';

/** Hexadecimal digits of a SHA-256. */
const HASH_BYTES = 64;
/** A file under way; whoever finds one that is older than this may remove it. */
const TEMPORARY = '.new-';
const ABANDONED_MS = 10 * 60 * 1000;

export class ImageCache {
  readonly #folder: string;
  readonly #limit: number;

  /** @param limit bytes of all files together; the newest is kept in any case. */
  constructor(folder: string, limit: number) {
    this.#folder = folder;
    this.#limit = limit;
  }

  /** @returns undefined if it is not there, or is damaged. */
  async read(hash: string): Promise<Uint8Array | undefined> {
    const path = join(this.#folder, hash);
    try {
      const bytes = await readShared(path);
      const image = bytes.subarray(HASH_BYTES);
      const expected = Buffer.from(bytes.subarray(0, HASH_BYTES)).toString('latin1');
      if ((await hashOf(image)) !== expected) {
        await rm(path, { force: true });
        return undefined;
      }
      const now = new Date();
      await utimes(path, now, now);
      return image;
    } catch {
      return undefined;
    }
  }

  /** Cannot fail. */
  async write(hash: string, image: Uint8Array): Promise<void> {
    const temporary = join(this.#folder, `${TEMPORARY}${randomUUID()}`);
    try {
      await mkdir(this.#folder, { recursive: true });
      const file = await open(temporary, 'wx', 0o600);
      try {
        await file.writeFile(await hashOf(image));
        await file.writeFile(image);
      } finally {
        await file.close();
      }
      await rename(temporary, join(this.#folder, hash));
      await this.#shrink();
    } catch {
      await rm(temporary, { force: true }).catch(() => undefined);
    }
  }

  /** Removes what was not used for longest until the rest fits. */
  async #shrink(): Promise<void> {
    const names = await readdir(this.#folder);
    const files = await Promise.all(
      names.map(async (name) => {
        const { size, mtimeMs } = await stat(join(this.#folder, name));
        return { name, size, mtimeMs, isTemporary: name.startsWith(TEMPORARY) };
      }),
    );
    const abandoned = files.filter(
      ({ isTemporary, mtimeMs }) => isTemporary && mtimeMs < Date.now() - ABANDONED_MS,
    );
    const images = files.filter(({ isTemporary }) => !isTemporary);
    images.sort((a, b) => b.mtimeMs - a.mtimeMs);
    let total = 0;
    const old = images.filter(({ size }, n) => {
      total += size;
      return n > 0 && total > this.#limit;
    });
    await Promise.all(
      [...abandoned, ...old].map(({ name }) => rm(join(this.#folder, name), { force: true })),
    );
  }
}
