/** Reads and writes that are complete or fail: what the operating system does in parts is done to the end. */

import type { FileHandle } from 'node:fs/promises';

type Views = readonly Uint8Array[];

/** @throws Error, also if the file ends before the views are full. */
export async function readFully(handle: FileHandle, views: Views, position: number): Promise<void> {
  let left = views;
  for (let at = position; left.length > 0; ) {
    const { bytesRead } = await handle.readv(left, at);
    if (bytesRead === 0) throw new Error(`the file ends at ${at}: it has shrunk`);
    left = behind(left, bytesRead);
    at += bytesRead;
  }
}

/** @throws Error */
export async function writeFully(
  handle: FileHandle,
  views: Views,
  position: number,
): Promise<void> {
  let left = views;
  for (let at = position; left.length > 0; ) {
    const { bytesWritten } = await handle.writev(left, at);
    if (bytesWritten === 0) throw new Error(`nothing more can be written at ${at}`);
    left = behind(left, bytesWritten);
    at += bytesWritten;
  }
}

/** What is left of the views after so many bytes. */
function behind(views: Views, bytes: number): Views {
  let rest = bytes;
  for (const [n, view] of views.entries()) {
    if (rest < view.length) return [view.subarray(rest), ...views.slice(n + 1)];
    rest -= view.length;
  }
  return [];
}
