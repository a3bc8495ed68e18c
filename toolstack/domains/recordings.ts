/** Recordings of the trace: made as tasks, a bounded number of bounded size; listed, stopped, read, removed. */

import { createReadStream } from 'node:fs';
import { type FileHandle, statfs } from 'node:fs/promises';
import type { Recording, RecordingRequest } from '../schemas/recording.js';
import type { Task } from '../schemas/task.js';
import type { TraceFilter } from '../trace/filter.js';
import { Recording as RecordingFile } from '../trace/recording.js';
import { noteBytes } from '../trace/recording-format.js';
import { CommandError } from './errors.js';
import { FileShelf, momentForName } from './file-shelf.js';
import type { Progress, Tasks } from './tasks.js';
import { traceFilter } from './trace-filter.js';
import { recordingConsumer, sizeOf } from './trace-recorder.js';
import type { NamedSource } from './trace-session.js';

const MS = 1000;
/** Bytes of a file that are read at once. */
const CHUNK = 256 * 1024;
const MIB = 1024 * 1024;
/** Recordings that may lie in the folder or be under way. */
const MOST = 64;
/** Bytes that may wait to be written before records are dropped. */
const MOST_WAITING = 16 * MIB;
/** How often progress is told, milliseconds. */
const STEP_MS = 250;
const WORDS = {
  noun: 'recording',
  missing: 'no-such-recording',
  exists: 'recording-exists',
} as const;

/** Why a recording has ended. */
type End = 'stopped' | 'seconds' | 'bytes';

interface Running {
  task: string;
  readonly createdAt: string;
  bytes: number;
  stop(end: End): void;
}

export class Recordings {
  readonly shelf: FileShelf;
  readonly #origin: NamedSource;
  readonly #running = new Map<string, Running>();

  constructor(folder: string, origin: NamedSource) {
    this.shelf = new FileShelf(folder, WORDS);
    this.#origin = origin;
  }

  async list(): Promise<Recording[]> {
    const running = [...this.#running].map(([name, { task, createdAt, bytes }]) => ({
      ...{ name, state: 'recording' as const, bytes, createdAt, task },
    }));
    const complete = (await this.shelf.list()).map((file) => ({
      ...file,
      state: 'complete' as const,
    }));
    return [...running, ...complete];
  }

  /** Throws `bad-value`, `recording-exists`, `too-many`, `no-space`; what else goes wrong is the task's. */
  async start(
    tasks: Tasks,
    request: RecordingRequest,
    requestId: string,
  ): Promise<{ name: string; task: Task }> {
    const filter = traceFilter(request, this.#origin.decode);
    const { name = `trace-${momentForName()}` } = request;
    await this.shelf.requireFree(name);
    this.#requireIdle(name, 'recording-exists');
    await this.#requireRoom(request.bytes);
    const running: Running = {
      ...{ task: '', createdAt: new Date().toISOString(), bytes: 0, stop: () => undefined },
    };
    this.#running.set(name, running);
    const work = (progress: Progress) =>
      this.#run(name, running, filter, request, progress).finally(() => this.#running.delete(name));
    try {
      const task = tasks.start({ kind: 'record', requestId, work });
      running.task = task.id;
      return { name, task };
    } catch (error) {
      this.#running.delete(name);
      throw error;
    }
  }

  /** Throws `no-such-recording`, `wrong-state` if it has ended. */
  async stop(name: string): Promise<void> {
    const running = this.#running.get(name);
    if (running !== undefined) return running.stop('stopped');
    await this.shelf.read(name);
    throw new CommandError('wrong-state', `"${name}" is complete.`);
  }

  /** The service is to stop: what has been recorded is kept. */
  stopAll(): void {
    for (const { stop } of this.#running.values()) stop('stopped');
  }

  /** Throws `no-such-recording`, `wrong-state` while it is being recorded. */
  async delete(name: string): Promise<void> {
    this.#requireIdle(name, 'wrong-state');
    await this.shelf.delete(name);
  }

  /** The recording, read when it is played. Throws as `download` does, but at once: a WebSocket is refused before it is opened. */
  open(name: string): RecordingFile {
    this.#requireIdle(name, 'wrong-state');
    this.shelf.readSync(name);
    return new RecordingFile(this.bytesOf(name));
  }

  bytesOf(name: string): AsyncIterable<Uint8Array> {
    return chunksOf(this.shelf.pathOf(name));
  }

  #requireIdle(name: string, code: 'wrong-state' | 'recording-exists'): void {
    if (this.#running.has(name)) throw new CommandError(code, `"${name}" is being recorded.`);
  }

  async #requireRoom(needed: number): Promise<void> {
    const count = (await this.list()).length;
    if (count >= MOST) {
      const message = `There are ${count} recordings of at most ${MOST}; remove some.`;
      throw new CommandError('too-many', message);
    }
    const { bavail, bsize } = await statfs(this.shelf.folder);
    const figures = { needed, free: bavail * bsize };
    if (figures.free >= needed) return;
    const message = `A recording of up to ${needed} bytes: ${figures.free} are free.`;
    throw new CommandError('no-space', message, { figures });
  }

  async #run(
    name: string,
    running: Running,
    filter: TraceFilter,
    request: RecordingRequest,
    progress: Progress,
  ): Promise<Task['result']> {
    const recorder = new Recorder(this.#origin, filter, request);
    running.stop = (end) => recorder.end(end);
    const started = performance.now();
    const timer = setInterval(() => {
      running.bytes = recorder.bytes;
      const shares = [
        recorder.bytes / request.bytes,
        (performance.now() - started) / MS / request.seconds,
      ];
      progress.step('records', Math.max(...shares));
    }, STEP_MS);
    progress.signal.addEventListener('abort', () => recorder.end('stopped'), { once: true });
    try {
      await this.shelf.write(name, async (file) => {
        await recorder.writeTo(file);
        progress.signal.throwIfAborted();
      });
    } finally {
      clearInterval(timer);
    }
    const { bytes, records, dropped, ended = 'stopped' } = recorder;
    return { recording: name, bytes, records, dropped, ended };
  }
}

/** One recording, from the feed to its file. */
class Recorder {
  readonly #limit: number;
  readonly #stop: () => void;
  readonly #timer: NodeJS.Timeout;
  /** What waits to be written, and its length. */
  #queue: Uint8Array[] = [];
  #waiting = 0;
  #wake: () => void = () => undefined;
  bytes = 0;
  records = 0;
  dropped = 0;
  ended: End | undefined;

  constructor(origin: NamedSource, filter: TraceFilter, { bytes, seconds }: RecordingRequest) {
    this.#limit = bytes;
    const sink = this.#sink();
    const consumer = recordingConsumer(sink, origin.named, this.#bounds());
    const stop = origin.subscribe(filter, consumer, () => this.end('stopped'));
    this.#stop = () => {
      stop();
      consumer.flush();
    };
    this.#timer = setTimeout(() => this.end('seconds'), seconds * MS);
  }

  /** Takes no more. */
  end(why: End): void {
    if (this.ended !== undefined) return;
    this.ended = why;
    clearTimeout(this.#timer);
    this.#stop();
    this.#wake();
  }

  /** Until it ends. */
  async writeTo(file: FileHandle): Promise<void> {
    try {
      for (;;) {
        const queue = this.#queue;
        this.#queue = [];
        if (queue.length > 0) {
          await file.writeFile(Buffer.concat(queue));
          this.#waiting -= sizeOf(queue);
        } else if (this.ended === undefined) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        } else return;
      }
    } finally {
      this.end('stopped');
    }
  }

  #sink() {
    const recorder = this;
    return {
      get full() {
        return recorder.#waiting > MOST_WAITING;
      },
      deliver: (frame: string | Uint8Array, records: number) => {
        this.records += records;
        this.#put(typeof frame === 'string' ? Buffer.from(frame) : frame);
      },
      dropped: (records: number) => {
        this.dropped += records;
        this.#put(noteBytes({ dropped: records }));
      },
    };
  }

  #bounds() {
    const recorder = this;
    return {
      get room() {
        return recorder.#limit - recorder.bytes;
      },
      exhausted: () => this.end('bytes'),
    };
  }

  #put(bytes: Uint8Array): void {
    this.#queue.push(bytes);
    this.#waiting += bytes.length;
    this.bytes += bytes.length;
    this.#wake();
  }
}

/** Opened when the first is asked for. */
async function* chunksOf(path: string): AsyncGenerator<Uint8Array> {
  yield* createReadStream(path, { highWaterMark: CHUNK });
}
