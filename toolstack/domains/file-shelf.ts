/** A folder of files of one kind, each written whole or not at all: listed, read, downloaded, removed. */

import { createReadStream, lstatSync, type Stats } from 'node:fs';
import { type FileHandle, link, lstat, mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { CommandError, type ErrorCode } from './errors.js';

const PARTIAL = '.partial';

export interface ShelfFile {
  readonly name: string;
  readonly bytes: number;
  readonly createdAt: string;
}

export interface ShelfWords {
  /** What lies there: "core". */
  readonly noun: string;
  readonly missing: ErrorCode;
  readonly exists: ErrorCode;
}

export class FileShelf {
  readonly folder: string;
  readonly #words: ShelfWords;

  constructor(folder: string, words: ShelfWords) {
    this.folder = folder;
    this.#words = words;
  }

  /** By name. */
  async list(): Promise<ShelfFile[]> {
    const names = await readdir(this.folder).catch(() => []);
    const all = await Promise.all(
      names.filter(isWhole).map((name) => this.read(name).catch(() => undefined)),
    );
    const found = all.filter((file) => file !== undefined);
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Throws that it is missing. A link is none of ours: it may lead anywhere. */
  async read(name: string): Promise<ShelfFile> {
    return this.#described(name, await lstat(this.pathOf(name)).catch(() => undefined));
  }

  /** As `read`, at once: a WebSocket is refused before it is opened. */
  readSync(name: string): ShelfFile {
    return this.#described(name, lstatSync(this.pathOf(name), { throwIfNoEntry: false }));
  }

  async download(name: string): Promise<{ bytes: number; stream: Readable }> {
    const { bytes } = await this.read(name);
    return { bytes, stream: createReadStream(this.pathOf(name)) };
  }

  async delete(name: string): Promise<void> {
    await this.read(name);
    await rm(this.pathOf(name));
  }

  pathOf(name: string): string {
    return join(this.folder, name);
  }

  /** Throws that it exists. */
  async requireFree(name: string): Promise<void> {
    await mkdir(this.folder, { recursive: true });
    if ((await readdir(this.folder)).includes(name)) throw this.#existing(name);
  }

  /** Has a new file written, which is there when `write` has resolved; nothing of it if that throws. */
  async write(name: string, write: (file: FileHandle) => Promise<void>): Promise<ShelfFile> {
    await this.requireFree(name);
    const partial = this.pathOf(`${name}${PARTIAL}`);
    const file = await open(partial, 'wx', 0o600).catch(() => {
      throw this.#existing(name);
    });
    try {
      await write(file);
      await file.sync();
      await link(partial, this.pathOf(name)).catch(() => {
        throw this.#existing(name);
      });
    } finally {
      await file.close();
      await rm(partial, { force: true });
    }
    return this.read(name);
  }

  #described(name: string, facts: Stats | undefined): ShelfFile {
    if (!isWhole(name) || facts?.isFile() !== true) {
      const { missing, noun } = this.#words;
      throw new CommandError(missing, `There is no ${noun} "${name}".`);
    }
    return { name, bytes: facts.size, createdAt: facts.mtime.toISOString() };
  }

  #existing(name: string): CommandError {
    const { exists, noun } = this.#words;
    return new CommandError(exists, `There is a ${noun} "${name}" already.`, {
      errors: [{ pointer: '/name', detail: 'is there already', found: name }],
    });
  }
}

/** A name for a file of a domain, of this moment. @param kind what it ends in. */
export function fileNameFor(
  { name, domid }: { readonly name: string; readonly domid: number },
  kind: string,
): string {
  return `${name}-${domid}-${momentForName()}.${kind}`;
}

/** This moment, as it can stand in the name of a file. */
export const momentForName = (): string =>
  new Date().toISOString().replace(/[-:]/g, '').replace('.', '-');

const isWhole = (name: string): boolean => !name.startsWith('.') && !name.endsWith(PARTIAL);
