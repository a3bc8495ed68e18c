/** Kernels and RAM disks: the image directory, which is only read, and beside it what was uploaded. Nothing outside is reachable. */

import { realpathSync, type Stats, statSync } from 'node:fs';
import { open, readFile, realpath } from 'node:fs/promises';
import { isAbsolute, join, sep } from 'node:path';
import { Readable } from 'node:stream';
import type { Image } from '../schemas/image.js';
import { removeDurably, writeDurably } from '../state/durable-files.js';
import { sweepTemporary } from '../state/temporary-files.js';
import { CommandError } from './errors.js';
import { fileNames } from './file-names.js';
import { ImageCache } from './image-cache.js';
import type { Facts, ImageFacts } from './image-facts.js';
import { kindOf } from './image-kind.js';
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
  readonly #facts: ImageFacts;

  constructor(folders: ImageFolders, facts: ImageFacts) {
    this.#folders = folders;
    this.#facts = facts;
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
      for (const { name, path, stats } of await regularFiles(folder)) {
        const facts = await this.#facts.at(path, stats).catch(() => undefined);
        if (facts !== undefined) found.set(name, { name, ...facts, uploaded }); // else it is gone
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

  /** Removes what an earlier service that did not end well has left. */
  async sweep(): Promise<void> {
    await sweepTemporary(this.#folders.uploads);
    await this.#facts.sweep();
  }

  /** Resolves when it is on disk. @param sha256 of the bytes, in hexadecimal. */
  async save(name: string, bytes: Uint8Array, sha256: string): Promise<Image> {
    const { uploads } = this.#folders;
    const stats = await writeDurably(uploads, name, bytes);
    const facts = { bytes: bytes.length, sha256, kind: kindOf(bytes) };
    await this.#facts.remember(join(await realpath(uploads), name), stats, facts);
    return { name, ...facts, uploaded: true };
  }

  /** Throws `no-such-image`. */
  async read(name: string): Promise<Facts> {
    const { facts, stream } = await this.download(name);
    stream.destroy();
    return facts;
  }

  /** An image as it lies there, under the name that the list gives it. Whoever gets the stream reads or destroys it. */
  async download(name: string): Promise<{ facts: Facts; stream: Readable }> {
    const { uploads, images } = this.#folders;
    const found = HIDDEN.test(name)
      ? undefined
      : (fileWithin(uploads, name) ?? fileWithin(images, name));
    const file = found && (await open(found.path).catch(() => undefined));
    if (file === undefined) throw noImage(`There is no image "${name}".`);
    try {
      const facts = await this.#facts.of(found?.path ?? '', file);
      if (facts.bytes > 0) {
        return { facts, stream: file.createReadStream({ start: 0, end: facts.bytes - 1 }) };
      }
      await file.close();
      return { facts, stream: Readable.from([]) };
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Removes an upload for good; images of the image directory stay. Throws `no-such-image`. */
  async delete(name: string): Promise<void> {
    const { path } = this.requireUpload(name);
    await removeDurably(path);
    await this.#facts.forget(path);
  }

  /** Throws `no-such-image`. */
  requireUpload(name: string): File {
    const file = HIDDEN.test(name) ? undefined : fileWithin(this.#folders.uploads, name);
    if (file === undefined) throw noImage(`No upload is named "${name}".`);
    return file;
  }

  /** Whether what a configuration names is that upload. */
  isUpload(name: string, used: string): boolean {
    const { path } = this.requireUpload(name);
    return this.#lookup(used)?.path === path;
  }

  #find(name: string, field: string): File {
    if (isAbsolute(name) || name.split(/[/\\]/).includes('..') || name.includes('\0')) {
      throw badName(name, field, 'leaves the image directory');
    }
    const file = this.#lookup(name);
    if (file === undefined) throw badName(name, field, 'is no image here');
    return file;
  }

  /** An upload hides an image of the same name. */
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

const noImage = (message: string): CommandError => new CommandError('no-such-image', message);

async function regularFiles(folder: string): Promise<(File & { name: string })[]> {
  const names = await fileNames(folder);
  return names
    .filter((name) => !HIDDEN.test(name))
    .flatMap((name) => {
      const file = fileWithin(folder, name);
      return file === undefined ? [] : [{ name, ...file }];
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
