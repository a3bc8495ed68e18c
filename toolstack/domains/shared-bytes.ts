/** Bytes in shared memory: the hypervisor's thread is given them without a copy. Large ones are hashed piece by piece. */

import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';

/** Hashed in one go: about a millisecond's work. */
const PIECE_BYTES = 1024 * 1024;

export const sharedBytes = (size: number): Uint8Array =>
  new Uint8Array(new SharedArrayBuffer(size));

/** The whole file. @throws as `open` and `read` do. */
export async function readShared(path: string): Promise<Uint8Array> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const bytes = sharedBytes(size);
    let at = 0;
    while (at < size) {
      const { bytesRead } = await file.read(bytes, at, size - at, at);
      if (bytesRead === 0) return bytes.subarray(0, at);
      at += bytesRead;
    }
    return bytes;
  } finally {
    await file.close();
  }
}

/** SHA-256, in hexadecimal. Others get their turn while a large file is hashed. */
export async function hashOf(bytes: Uint8Array): Promise<string> {
  const hash = createHash('sha256');
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    if (at > 0) await setImmediate();
    hash.update(bytes.subarray(at, at + PIECE_BYTES));
  }
  return hash.digest('hex');
}
