/** Kernels and RAM disks: the image directory, which is only read, and beside it what was uploaded. Nothing outside is reachable. */

import { randomUUID } from 'node:crypto';
import { realpathSync, type Stats, statSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { isAbsolute, join, sep } from 'node:path';
import type { Image } from '../schemas/image.js';
import { CommandError } from './errors.js';
import { fileNames } from './file-names.js';
import { ImageCache } from './image-cache.js';
import { hashOf, readShared } from './shared-bytes.js';
import { SMALL_BYTES, SmallImages } from './small-images.js';
import { isPacked, UnpackError } from './unpack.js';
import { UnpackedImages } from './unpacked-images.js';

/** Bytes of a text that is read at most. */
const LARGEST_TEXT = 32 * 1024 * 1024;
/** Files of the folders that are no images. */
const HIDDEN = /(^|\/)(\.|README\.md$)/;

export interface ImageFolders {
  /** Images that came with the installation or the operator: read, never written. */
  readonly images: string;
  /** Where uploads go; made when the first one comes. */
  readonly uploads: string;
  /** Unpacked kernels, for the next time. */
  readonly cache: string;
  /** Bytes that a compressed image may grow to. */
  readonly unpackedLimit: number;
  /** Bytes that the cache may hold. */
  readonly cacheLimit: number;
}

export interface LoadedImage {
  /** Whoever gets them must not write to them. Large ones are in shared memory. */
  readonly bytes: Uint8Array;
  /** Images of the same name are the same to the last byte. */
  readonly name: string;
}

export class Images {
  readonly #folders: ImageFolders;
  readonly #unpacked: UnpackedImages;
  readonly #small = new SmallImages();

  constructor(folders: ImageFolders) {
    this.#folders = folders;
    this.#unpacked = new UnpackedImages(new ImageCache(folders.cache, folders.cacheLimit));
  }

  /** Regular files of both folders, by name; an upload hides an image of the same name. */
  async list(): Promise<Image[]> {
    const { images, uploads } = this.#folders;
    const found = new Map<string, Image>();
    for (const [folder, uploaded] of [
      [images, false],
      [uploads, true],
    ] as const) {
      for (const { name, bytes } of await regularFiles(folder)) {
        found.set(name, { name, bytes, uploaded });
      }
    }
    return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /**
   * The bytes of an image. A kernel is unpacked if it is a gzip file or a bzImage; a RAM disk is the kernel's to unpack.
   * @param field of the request that named it, for the error.
   */
  async load(name: string, field: 'kernel' | 'ramdisk'): Promise<LoadedImage> {
    const { path, stats } = this.#find(name, field);
    if (stats.size <= SMALL_BYTES) {
      const image = this.#small.read(path, stats);
      return field === 'kernel' && isPacked(image.bytes) ? this.#unpack(image.bytes, field) : image;
    }
    if (field === 'ramdisk') return named(await readShared(path));
    // What unpacks cannot read shared memory.
    const bytes = await readFile(path);
    return isPacked(bytes) ? this.#unpack(bytes, field) : named(bytes);
  }

  /** The bytes of a small image that is not packed, at once; undefined if it is no such image. */
  small(name: string): LoadedImage | undefined {
    const file = this.#lookup(name);
    if (file === undefined || file.stats.size > SMALL_BYTES) return undefined;
    const image = this.#small.read(file.path, file.stats);
    return isPacked(image.bytes) ? undefined : image;
  }

  /** An image that is text, undefined if there is none of that name. */
  async text(name: string): Promise<string | undefined> {
    const file = this.#lookup(name);
    if (file === undefined || file.stats.size > LARGEST_TEXT) return undefined;
    return readFile(file.path, 'latin1').catch(() => undefined);
  }

  /** Resolves when nothing is being written any more. */
  get settled(): Promise<void> {
    return this.#unpacked.written;
  }

  async save(name: string, bytes: Uint8Array): Promise<Image> {
    const { uploads } = this.#folders;
    await mkdir(uploads, { recursive: true });
    const temporary = join(uploads, `.${randomUUID()}`);
    try {
      await writeFile(temporary, bytes, { mode: 0o600 });
      await rename(temporary, join(uploads, name));
    } finally {
      await rm(temporary, { force: true });
    }
    return { name, bytes: bytes.length, uploaded: true };
  }

  /** Removes an upload; images of the image directory stay. */
  async delete(name: string): Promise<void> {
    const file = fileWithin(this.#folders.uploads, name);
    if (file === undefined)
      throw new CommandError('no-such-image', `No upload is named "${name}".`);
    await rm(file.path);
  }

  #find(name: string, field: string): File {
    if (isAbsolute(name) || name.split(/[/\\]/).includes('..') || name.includes('\0')) {
      throw badName(name, field, 'leaves the image directory');
    }
    const file = this.#lookup(name);
    if (file === undefined) throw badName(name, field, 'is no image here');
    return file;
  }

  #lookup(name: string): File | undefined {
    const { uploads, images } = this.#folders;
    for (const folder of [uploads, images]) {
      const file = fileWithin(folder, name) ?? fileWithin(folder, `${name}.elf`);
      if (file !== undefined) return file;
    }
    return undefined;
  }

  async #unpack(packed: Buffer, field: string): Promise<LoadedImage> {
    try {
      const { bytes, hash } = await this.#unpacked.of(packed, this.#folders.unpackedLimit);
      return { bytes, name: `unpacked ${hash}` };
    } catch (error) {
      if (!(error instanceof UnpackError)) throw error;
      const { message: detail, expected } = error;
      throw new CommandError('bad-image', `The compressed ${field} ${detail}.`, {
        errors: [{ pointer: `/${field}`, detail, expected }],
      });
    }
  }
}

const named = async (bytes: Uint8Array): Promise<LoadedImage> => ({
  bytes,
  name: await hashOf(bytes),
});

const badName = (name: string, field: string, detail: string): CommandError =>
  new CommandError('bad-value', `The ${field} "${name}" ${detail}.`, {
    errors: [{ pointer: `/${field}`, detail, expected: 'the name of an image', found: name }],
  });

async function regularFiles(folder: string): Promise<{ name: string; bytes: number }[]> {
  const names = await fileNames(folder);
  return names
    .filter((name) => !HIDDEN.test(name))
    .flatMap((name) => {
      const file = fileWithin(folder, name);
      return file === undefined ? [] : [{ name, bytes: file.stats.size }];
    });
}

interface File {
  readonly path: string;
  readonly stats: Stats;
}

/** A regular file below a folder, by its real path; undefined if there is none, or if a link leads out of the folder. */
function fileWithin(folder: string, name: string): File | undefined {
  try {
    const path = realpathSync.native(join(folder, name));
    if (!path.startsWith(realpathSync.native(folder) + sep)) return undefined;
    const stats = statSync(path);
    return stats.isFile() ? { path, stats } : undefined;
  } catch {
    return undefined;
  }
}
