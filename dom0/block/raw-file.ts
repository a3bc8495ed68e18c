/** A disk that is a file or a block device of the host, byte for byte. */

import { type FileHandle, open, readFile, stat } from 'node:fs/promises';
import { BLKIF_SECTOR } from '../../hypervisor/public/io/blkif.js';
import { readFully, writeFully } from './file-io.js';
import { claimImage } from './image-claims.js';
import { DiskError, diskErrorOf, type Storage } from './storage.js';

/** An image and the right to use it. */
export interface OpenImage {
  readonly handle: FileHandle;
  readonly bytes: number;
  /** Last change, in milliseconds since 1970. */
  readonly changed: number;
  close(): Promise<void>;
}

/** @throws DiskError */
export async function openImage(path: string, readonly: boolean): Promise<OpenImage> {
  let release: (() => void) | undefined;
  try {
    const facts = await stat(path);
    // Looked at before it is opened: to open a pipe is to wait for its other end.
    if (!(facts.isFile() || facts.isBlockDevice())) {
      throw new DiskError('not-a-disk', `${path} is neither a file nor a block device`);
    }
    const bytes = facts.isFile() ? facts.size : await deviceBytes(facts.rdev);
    release = claimImage(`${facts.dev}:${facts.ino}`, path, readonly);
    const handle = await open(path, readonly ? 'r' : 'r+');
    const close = async (): Promise<void> => {
      release?.();
      await handle.close().catch(() => undefined);
    };
    return { handle, bytes, changed: Math.trunc(facts.mtimeMs), close };
  } catch (error) {
    release?.();
    throw diskErrorOf(error, path);
  }
}

/** Size of a block device: its file has none. */
async function deviceBytes(rdev: number): Promise<number> {
  // As makedev(3) of Linux packs them.
  const major = (rdev >>> 8) & 0xfff;
  const minor = (rdev & 0xff) | ((rdev >>> 12) & ~0xff);
  const sectors = await readFile(`/sys/dev/block/${major}:${minor}/size`, 'latin1');
  return Number(sectors) * BLKIF_SECTOR;
}

/** @throws DiskError */
export async function openRawFile(path: string, readonly: boolean): Promise<Storage> {
  const image = await openImage(path, readonly);
  const bytes = image.bytes - (image.bytes % BLKIF_SECTOR);
  if (bytes === 0) {
    await image.close();
    throw new DiskError('not-a-disk', `${path} has no whole sector`);
  }
  const { handle } = image;
  return {
    bytes,
    // Node cannot punch holes, and zeros that are written give nothing back.
    discardGranularity: undefined,
    read: (views, position) => readFully(handle, views, position),
    write: (views, position) => writeFully(handle, views, position),
    flush: () => handle.datasync(),
    discard: () => Promise.reject(new Error('a raw file cannot discard')),
    close: () => image.close(),
  };
}
