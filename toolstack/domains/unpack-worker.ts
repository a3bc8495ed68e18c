/** The thread of unpack-thread.ts: unpacks one stream, answers, and ends. */

import { parentPort, workerData } from 'node:worker_threads';
import bunzip from 'seek-bzip';
import { ZSTDDecoder } from 'zstddec';
import { unpackLz4 } from './lz4.js';
import type { UnpackAnswer, UnpackTask, WorkerFormat } from './unpack-thread.js';

// biome-ignore format: one row per format
const UNPACKERS: Readonly<Record<WorkerFormat, (packed: Uint8Array, output: Uint8Array) => void | Promise<void>>> = {
  zstd:  unpackZstd,
  bzip2: unpackBzip2,
  lz4:   unpackLz4,
};

async function unpackZstd(packed: Uint8Array, output: Uint8Array): Promise<void> {
  const decoder = new ZSTDDecoder();
  await decoder.init();
  const bytes = decoder.decode(packed, output.length);
  // It has no other way to tell a damaged stream.
  if (bytes.length !== output.length) throw new RangeError('the stream is damaged');
  output.set(bytes);
}

function unpackBzip2(packed: Uint8Array, output: Uint8Array): void {
  let from = 0;
  let to = 0;
  const readByte = (): number => {
    const byte = packed[from];
    if (byte === undefined) throw new RangeError('the stream is cut');
    from += 1;
    return byte;
  };
  const read = (buffer: Uint8Array, offset: number, length: number): number => {
    for (let n = 0; n < length; n++) buffer[offset + n] = readByte();
    return length;
  };
  const writeByte = (byte: number): void => {
    if (to === output.length) throw new RangeError('more comes out than it says');
    output[to] = byte;
    to += 1;
  };
  bunzip.decode({ readByte, read }, { writeByte });
  if (to !== output.length) throw new RangeError(`unpacks to ${to} bytes`);
}

async function answer({ format, packed, output }: UnpackTask): Promise<UnpackAnswer> {
  try {
    await UNPACKERS[format](packed, output);
    return {};
  } catch (error) {
    return { fault: error instanceof Error ? error.message : String(error) };
  }
}

parentPort?.postMessage(await answer(workerData as UnpackTask));
