/**
 * Disk images: files below the configured directories, and nothing else of the host. Links are followed, and must end
 * within. What is made or uploaded goes to the first directory.
 */

import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { link, mkdir, open, realpath, rm, stat } from 'node:fs/promises';
import { isAbsolute, join, resolve, sep } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { DiskImage } from '../schemas/disk.js';
import { sweepTemporary, temporaryName } from '../state/temporary-files.js';
import { CommandError } from './errors.js';
import { fileNames } from './file-names.js';

/** Bytes of the blocks that `stat` counts. */
const STAT_BLOCK = 512;
/** What the disk of a named overlay is called behind its name. */
const OVERLAY = '.overlay';
/** Files that are no images: those under way, and notes. */
const HIDDEN = /(^|\/)(\.|README\.md$)/;

export interface DiskFolderOptions {
  /** Where disks may lie. The first is made when it is needed. */
  readonly disks: readonly [string, ...string[]];
  /** Bytes of an uploaded disk. */
  readonly diskLimit: number;
}

/** A file that a disk may be. */
export interface DiskFile {
  /** Real path. */
  readonly path: string;
  readonly bytes: number;
  readonly usedBytes: number;
}

export class DiskFolders {
  readonly #folders: readonly [string, ...string[]];
  readonly #limit: number;
  /** How many disks of domains lie in each file. */
  readonly #users = new Map<string, number>();

  constructor({ disks, diskLimit }: DiskFolderOptions) {
    this.#folders = disks;
    this.#limit = diskLimit;
  }

  get directories(): readonly string[] {
    return this.#folders;
  }

  /** By name; of two with the same name the one in the earlier directory. */
  async list(): Promise<DiskImage[]> {
    const found = new Map<string, DiskImage>();
    for (const folder of this.#folders) {
      const names = await fileNames(folder);
      for (const name of names.filter((each) => !HIDDEN.test(each) && !found.has(each))) {
        const file = await fileWithin(folder, name);
        if (file !== undefined) found.set(name, this.#describe(name, file));
      }
    }
    return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async read(name: string): Promise<DiskImage> {
    return this.#describe(name, (await this.#require(name)).file);
  }

  /** Makes a blank disk. Throws `disk-exists`. */
  async create(name: string, bytes: number): Promise<DiskImage> {
    const [folder] = this.#folders;
    await mkdir(folder, { recursive: true });
    const handle = await open(join(folder, name), 'wx', 0o600).catch((error: unknown) => {
      throw existsAlready(error, name);
    });
    try {
      await handle.truncate(bytes);
    } finally {
      await handle.close();
    }
    return this.read(name);
  }

  /**
   * Writes a stream to a new disk as it comes. Nothing is left of one that breaks off.
   * Throws `disk-exists`, or `too-large` once it is longer than is allowed.
   */
  async upload(name: string, source: Readable): Promise<DiskImage> {
    const [folder] = this.#folders;
    await mkdir(folder, { recursive: true });
    const path = join(folder, name);
    if (existsSync(path)) throw existsAlready({ code: 'EEXIST' }, name);
    const temporary = join(folder, temporaryName());
    try {
      const file = createWriteStream(temporary, { flags: 'wx', mode: 0o600 });
      await pipeline(source, limited(this.#limit), file);
      // Unlike a rename, a link does not replace one that was made meanwhile.
      await link(temporary, path).catch((error: unknown) => {
        throw existsAlready(error, name);
      });
    } finally {
      await rm(temporary, { force: true });
    }
    return this.read(name);
  }

  async download(name: string): Promise<{ bytes: number; stream: Readable }> {
    const { file } = await this.#require(name);
    const { path, bytes } = file;
    // A disk that is written to keeps its size.
    return { bytes, stream: createReadStream(path, bytes > 0 ? { end: bytes - 1 } : {}) };
  }

  /** Throws `disk-in-use` while a domain has it. */
  async delete(name: string): Promise<void> {
    const { file, folder } = await this.#require(name);
    if (this.#users.has(file.path)) {
      throw new CommandError('disk-in-use', `The disk "${name}" belongs to a domain.`);
    }
    await rm(join(folder, name));
  }

  /**
   * The file that a domain's disk names: a path on the host, or one below a disk directory.
   * @param pointer to the field of the request, for the error.
   */
  async resolve(target: string, pointer: string): Promise<DiskFile> {
    let isThere = false;
    for (const folder of isAbsolute(target) ? ['/'] : this.#folders) {
      const file = await fileAt(resolve(folder, target));
      if (file !== undefined && (await this.#isInside(file.path))) return file;
      isThere ||= file !== undefined;
    }
    const what = isThere ? 'lies outside of the disk directories' : 'is no file';
    throw this.#refusal(target, pointer, what);
  }

  /**
   * Where a disk keeps what is written to it, if not in its image.
   * @param name of a disk that outlives the domain; true for one that does not.
   */
  async overlayPath(name: string | true): Promise<string> {
    const [folder] = this.#folders;
    await mkdir(folder, { recursive: true });
    const file = name === true ? temporaryName() : `${name}${OVERLAY}`;
    const path = join(await realpath(folder), file);
    const there = await fileAt(path);
    if (there === undefined || (await this.#isInside(there.path))) return path;
    throw this.#refusal(file, '/overlay', 'lies outside of the disk directories');
  }

  /** Removes what an earlier service that did not end well has left. */
  async sweep(): Promise<void> {
    await sweepTemporary(this.#folders[0]);
  }

  /** Marks a file as a domain's. @returns how to let go of it. */
  hold(path: string): () => void {
    this.#users.set(path, (this.#users.get(path) ?? 0) + 1);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      const left = (this.#users.get(path) ?? 0) - 1;
      if (left > 0) this.#users.set(path, left);
      else this.#users.delete(path);
    };
  }

  #describe(name: string, { path, bytes, usedBytes }: DiskFile): DiskImage {
    return { name, path, bytes, usedBytes, inUse: this.#users.has(path) };
  }

  async #require(name: string): Promise<{ file: DiskFile; folder: string }> {
    for (const folder of this.#folders) {
      const file = HIDDEN.test(name) ? undefined : await fileWithin(folder, name);
      if (file !== undefined) return { file, folder };
    }
    throw new CommandError('no-such-disk', `There is no disk "${name}".`);
  }

  #refusal(target: string, pointer: string, what: string): CommandError {
    const allowed = this.#folders.join(', ');
    const detail = `${what}; disks lie below ${allowed} (npm start -- --disks DIR allows another)`;
    return new CommandError('bad-value', `The disk "${target}" ${detail}.`, {
      errors: [{ pointer, detail, expected: `a file below ${allowed}`, found: target }],
    });
  }

  async #isInside(path: string): Promise<boolean> {
    for (const folder of this.#folders) {
      const real = await realpath(folder).catch(() => undefined);
      if (real !== undefined && path.startsWith(real + sep)) return true;
    }
    return false;
  }
}

/** A regular file by its real path; undefined if there is none that can be read. */
async function fileAt(path: string): Promise<DiskFile | undefined> {
  if (path.includes('\0')) return undefined;
  const real = await realpath(path).catch(() => undefined);
  if (real === undefined) return undefined;
  const facts = await stat(real).catch(() => undefined);
  if (facts?.isFile() !== true) return undefined;
  return { path: real, bytes: facts.size, usedBytes: facts.blocks * STAT_BLOCK };
}

/** One that a directory has by that name, links out of it aside. */
async function fileWithin(folder: string, name: string): Promise<DiskFile | undefined> {
  const real = await realpath(folder).catch(() => undefined);
  const file = await fileAt(join(folder, name));
  return real !== undefined && file?.path.startsWith(real + sep) ? file : undefined;
}

/** Hands on what comes, up to so many bytes. */
const limited = (limit: number) =>
  async function* (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    let bytes = 0;
    for await (const chunk of chunks) {
      bytes += chunk.length;
      if (bytes > limit) {
        throw new CommandError('disk-too-large', `A disk may have ${limit} bytes.`, {
          figures: { limit },
        });
      }
      yield chunk;
    }
  };

function existsAlready(error: unknown, name: string): unknown {
  if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return error;
  const detail = 'is there already';
  return new CommandError('disk-exists', `The disk "${name}" ${detail}.`, {
    errors: [{ pointer: '/name', detail, found: name }],
  });
}
