/** Unpacks a stream in a thread of its own: for formats whose libraries compute in one go and would keep everybody waiting. */

import { Worker } from 'node:worker_threads';

export type WorkerFormat = 'zstd' | 'bzip2' | 'lz4';

/** What the thread is given. */
export interface UnpackTask {
  readonly format: WorkerFormat;
  readonly packed: Uint8Array;
  /** As long as the result must be; shared. */
  readonly output: Uint8Array;
}

/** What it says in the end. */
export interface UnpackAnswer {
  /** What is wrong with the stream, if something is. */
  readonly fault?: string;
}

/** Rejects if the stream is damaged or is not of the output's length. */
export function unpackInThread(task: UnpackTask): Promise<void> {
  const url = new URL('./unpack-worker.mjs', import.meta.url);
  const worker = new Worker(url, { workerData: task, name: `unpack ${task.format}` });
  return new Promise((resolve, reject) => {
    worker.once('message', ({ fault }: UnpackAnswer) => {
      if (fault === undefined) resolve();
      else reject(new Error(fault));
    });
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`its thread ended with code ${code}`)));
  });
}
