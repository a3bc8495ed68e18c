/**
 * Files that outlive the service: each is there whole or not at all, at whatever instant the process or the host ends.
 *
 *     write a temporary file ─▶ fsync ─▶ rename ─▶ fsync of the folder ─▶ acknowledged
 */

import type { Stats } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { temporaryName } from './temporary-files.js';

/**
 * Writes a file, or replaces it; the folder is made if it is not there. Resolves when it is on disk.
 * @returns what is to be seen of the file that was written, whatever has replaced it since.
 */
export async function writeDurably(
  folder: string,
  name: string,
  bytes: Uint8Array,
): Promise<Stats> {
  await makeFolder(folder);
  const temporary = join(folder, temporaryName());
  const file = await open(temporary, 'wx', 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
    await rename(temporary, join(folder, name));
    await syncFolder(folder);
    return await file.stat();
  } finally {
    await file.close();
    await rm(temporary, { force: true });
  }
}

/** Resolves when it is gone for good. */
export async function removeDurably(path: string): Promise<void> {
  await rm(path);
  await syncFolder(dirname(path));
}

/** What was made, renamed or removed in a folder is so for good only when the folder is on disk, too. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** A new folder lasts when those above it that know of it do. */
async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true });
  if (first === undefined) return;
  const top = dirname(resolve(first));
  for (let path = dirname(resolve(folder)); ; path = dirname(path)) {
    await syncFolder(path);
    if (path === top || path === dirname(path)) return;
  }
}
