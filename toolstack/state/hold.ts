/**
 * Holds a folder for one service: a second one would start the same domains again. On Linux the hold is a socket without a file,
 * which the kernel lets go with the process, however it ends. Elsewhere there is no such thing, and no hold.
 */

import { createHash } from 'node:crypto';
import { createServer } from 'node:net';

/** @returns how to let go. Throws if another service has it. */
export async function holdFolder(realPath: string): Promise<() => Promise<void>> {
  if (process.platform !== 'linux') return async () => undefined;
  const name = createHash('sha256').update(realPath).digest('hex');
  const server = createServer((socket) => socket.destroy()).unref();
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken = `Another service keeps its state in ${realPath}; give each its own by --state.`;
      reject(error.code === 'EADDRINUSE' ? new Error(taken) : error);
    });
    server.listen(`\0xenolith-${name}`, resolve);
  });
  return () => new Promise((resolve) => server.close(() => resolve()));
}
