/**
 * The file of an overlay: what was written to a disk whose image is left alone. Sparse: a block lies where its number
 * says, and takes space only if it was written.
 *
 *        0  magic     "XenOvly1"
 *        8  u32       bytes of a block: 4096
 *       12  u32       0
 *       16  u64       bytes of the disk
 *       24  u64       last change of the base image, in milliseconds since 1970
 *       32            zeros
 *     4096  map       one byte for each block: 0 in the base, 1 here, 2 zeros
 *      …    data      at the next multiple of 4096: block n at data + n * 4096
 *
 * Numbers are little-endian. The map says "here" only of blocks whose data were written before.
 */

import { randomUUID } from 'node:crypto';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BlockMap, type BlockState } from './block-map.js';
import { readFully, writeFully } from './file-io.js';
import { claimImage } from './image-claims.js';
import { DiskError, diskErrorOf } from './storage.js';

export const BLOCK_BYTES = 4096;
const MAGIC = 'XenOvly1';
const HEADER = { BLOCK: 8, BYTES: 16, CHANGED: 24, SIZE: 4096 };
/** States read at once when a kept overlay is opened. */
const MAP_PART = 1024 * 1024;

/** What an overlay belongs to. */
export interface BaseFacts {
  readonly bytes: number;
  readonly changed: number;
}

export class OverlayFile {
  readonly map = new BlockMap();
  readonly #handle: FileHandle;
  readonly #data: number;
  readonly #release: () => void;

  private constructor(handle: FileHandle, blocks: number, release: () => void) {
    this.#handle = handle;
    this.#data = HEADER.SIZE + Math.ceil(blocks / BLOCK_BYTES) * BLOCK_BYTES;
    this.#release = release;
  }

  /** One that is gone when it is closed, or when this process ends. */
  static async temporary(base: BaseFacts): Promise<OverlayFile> {
    const path = join(tmpdir(), `xenolith-overlay-${randomUUID()}`);
    const handle = await open(path, 'wx+');
    await unlink(path);
    return OverlayFile.#create(handle, base, () => undefined);
  }

  /** The one at that path, made if there is none. @throws DiskError bad-format if it belongs to another image. */
  static async kept(path: string, base: BaseFacts): Promise<OverlayFile> {
    let release = (): void => undefined;
    let handle: FileHandle | undefined;
    try {
      handle = await openOrCreate(path);
      const facts = await handle.stat();
      if (!facts.isFile()) throw new DiskError('not-a-disk', `${path} is not a file`);
      release = claimImage(`${facts.dev}:${facts.ino}`, path, false);
      return facts.size === 0
        ? await OverlayFile.#create(handle, base, release)
        : await OverlayFile.#load(handle, path, base, release);
    } catch (error) {
      release();
      await handle?.close();
      throw diskErrorOf(error, path);
    }
  }

  static async #create(
    handle: FileHandle,
    { bytes, changed }: BaseFacts,
    release: () => void,
  ): Promise<OverlayFile> {
    const header = Buffer.alloc(HEADER.SIZE);
    header.write(MAGIC, 'latin1');
    header.writeUInt32LE(BLOCK_BYTES, HEADER.BLOCK);
    header.writeBigUInt64LE(BigInt(bytes), HEADER.BYTES);
    header.writeBigUInt64LE(BigInt(changed), HEADER.CHANGED);
    const overlay = new OverlayFile(handle, blocksOf(bytes), release);
    // All holes: the map says "base", and reads within the file never end early.
    await handle.truncate(overlay.#data + blocksOf(bytes) * BLOCK_BYTES);
    await writeFully(handle, [header], 0);
    return overlay;
  }

  static async #load(
    handle: FileHandle,
    path: string,
    { bytes, changed }: BaseFacts,
    release: () => void,
  ): Promise<OverlayFile> {
    const header = Buffer.alloc(HEADER.SIZE);
    await readFully(handle, [header], 0);
    if (header.toString('latin1', 0, MAGIC.length) !== MAGIC) {
      throw new DiskError('bad-format', `${path} is not an overlay`);
    }
    const belongs =
      header.readUInt32LE(HEADER.BLOCK) === BLOCK_BYTES &&
      header.readBigUInt64LE(HEADER.BYTES) === BigInt(bytes) &&
      header.readBigUInt64LE(HEADER.CHANGED) === BigInt(changed);
    if (!belongs) {
      throw new DiskError('bad-format', `${path} was made for another image, or that has changed`);
    }
    const overlay = new OverlayFile(handle, blocksOf(bytes), release);
    for (let first = 0; first < blocksOf(bytes); first += MAP_PART) {
      const states = new Uint8Array(Math.min(MAP_PART, blocksOf(bytes) - first));
      await readFully(handle, [states], HEADER.SIZE + first);
      if (!overlay.map.load(first, states)) {
        throw new DiskError('bad-format', `${path} has a damaged map`);
      }
    }
    return overlay;
  }

  /** @param position on the disk. */
  read(views: readonly Uint8Array[], position: number): Promise<void> {
    return readFully(this.#handle, views, this.#data + position);
  }

  write(views: readonly Uint8Array[], position: number): Promise<void> {
    return writeFully(this.#handle, views, this.#data + position);
  }

  /** In the file, then in memory. */
  async mark(first: number, end: number, state: BlockState): Promise<void> {
    const states = new Uint8Array(end - first).fill(state);
    await writeFully(this.#handle, [states], HEADER.SIZE + first);
    this.map.set(first, end, state);
  }

  sync(): Promise<void> {
    return this.#handle.datasync();
  }

  async close(): Promise<void> {
    this.#release();
    await this.#handle.close().catch(() => undefined);
  }
}

const blocksOf = (bytes: number): number => Math.ceil(bytes / BLOCK_BYTES);

async function openOrCreate(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r+');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return open(path, 'wx+');
  }
}
