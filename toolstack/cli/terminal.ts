/** The console in a terminal: raw keys to the guest, its output to the screen, ctrl-] to leave. */

import type { Readable, Writable } from 'node:stream';
import type { RawData, WebSocket } from 'ws';

/** ctrl-]: leaves the console, as in xl. */
const DETACH = 0x1d;

/** Resolves when the user has detached or the domain has ended. */
export function attach(
  socket: WebSocket,
  input: Readable & Partial<Pick<NodeJS.ReadStream, 'isTTY' | 'setRawMode'>>,
  output: Writable,
): Promise<void> {
  return new Promise((resolve) => {
    const raw = input.isTTY === true;
    const keys = (bytes: Buffer): void => {
      const end = raw ? bytes.indexOf(DETACH) : -1;
      const typed = end < 0 ? bytes : bytes.subarray(0, end);
      if (typed.length > 0) socket.send(typed);
      if (end >= 0) socket.close();
    };
    if (raw) input.setRawMode?.(true);
    input.on('data', keys);
    socket.on('message', (data: RawData, isBinary: boolean) => {
      if (isBinary) output.write(data as Buffer);
      else notice(String(data), output);
    });
    socket.on('close', () => {
      input.off('data', keys);
      if (raw) input.setRawMode?.(false);
      input.pause();
      resolve();
    });
    socket.resume();
  });
}

function notice(text: string, output: Writable): void {
  const { dropped } = JSON.parse(text) as { dropped?: number };
  if (dropped !== undefined) output.write(`\r\n[${dropped} bytes dropped]\r\n`);
}
