/** Looks at the file of a store before it is opened: the library that opens it does not survive a file that is none. */

import { closeSync, openSync, readSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';

/** 0xbeefc0de as it lies in memory, after a header whose length depends on the machine. */
const MAGIC = Buffer.from('dec0efbe', 'hex');
const START = 32;
/** Both meta pages, at the least. They are what is written first. */
const SMALLEST = 8192;

/** A file that was only begun when its service was killed is begun anew. Throws if it is something else. */
export function checkStoreFile(folder: string): void {
  const path = join(folder, 'data.mdb');
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size === 0) return;
  if (!startOf(path).includes(MAGIC)) {
    throw new Error(`${path} is no store of a service's state; move it away to begin a new one.`);
  }
  if (size < SMALLEST) truncateSync(path);
}

function startOf(path: string): Buffer {
  const start = Buffer.alloc(START);
  const file = openSync(path, 'r');
  try {
    return start.subarray(0, readSync(file, start));
  } finally {
    closeSync(file);
  }
}
