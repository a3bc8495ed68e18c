/** Tasks: work that goes on after the request that asked for it. A bounded number runs, a bounded number is remembered. */

import { randomUUID } from 'node:crypto';
import type { Problem } from '../schemas/problem.js';
import type { Task, TaskKind } from '../schemas/task.js';
import { CommandError } from './errors.js';
import type { EventLog } from './event-log.js';

/** Tasks that may run at once. */
const MOST_RUNNING = 256;
/** Tasks that have ended and are still told of. */
const REMEMBERED = 512;

/** How work tells what it is doing, and learns that it is no longer wanted. */
export interface Progress {
  readonly signal: AbortSignal;
  /** @param share of the work that is done, 0 to 1. */
  step(text: string, share?: number): void;
}

/** For work that nobody watches. */
export const QUIET: Progress = { signal: new AbortController().signal, step: () => undefined };

export interface TaskPlan {
  readonly kind: TaskKind;
  /** UUID of the domain it concerns. */
  readonly domain?: string;
  /** The request that asked for it, for the problem that it may end with. */
  readonly requestId: string;
  work(progress: Progress): Promise<Task['result']>;
}

interface Entry {
  task: Task;
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

/** Puts an error into words. */
type Describe = (error: unknown, request: { url: string; id: string }) => Problem;

export class Tasks {
  readonly #entries = new Map<string, Entry>();
  readonly #events: EventLog;
  readonly #describe: Describe;
  #running = 0;

  constructor(events: EventLog, describe: Describe) {
    this.#events = events;
    this.#describe = describe;
  }

  /** The newest first. */
  list(): Task[] {
    return [...this.#entries.values()].map(({ task }) => task).reverse();
  }

  /** Throws `no-such-task`. */
  read(id: string): Task {
    return this.#require(id).task;
  }

  /** Throws `busy` if too many are running. */
  start(plan: TaskPlan): Task {
    if (this.#running >= MOST_RUNNING) {
      throw new CommandError('busy', `${this.#running} tasks are running; wait for one to end.`);
    }
    const { kind, domain } = plan;
    const task: Task = {
      id: randomUUID(),
      kind,
      state: 'running',
      progress: 0,
      step: 'begins',
      ...(domain !== undefined && { domain }),
      createdAt: new Date().toISOString(),
    };
    const abort = new AbortController();
    this.#running += 1;
    const done = Promise.resolve().then(() => this.#run(entry, plan));
    const entry: Entry = { task, abort, done };
    this.#entries.set(task.id, entry);
    this.#tell(entry, {});
    return task;
  }

  /** Asks a task that is running to stop, forgets one that has ended. @returns the task if it was running. */
  cancel(id: string): Task | undefined {
    const entry = this.#require(id);
    if (entry.task.state !== 'running') {
      this.#entries.delete(id);
      return undefined;
    }
    entry.abort.abort();
    return entry.task;
  }

  /** Waits until the task ends, at most so long. */
  async ended(id: string, timeoutMs: number): Promise<Task> {
    const entry = this.#require(id);
    await within(entry.done, timeoutMs);
    return entry.task;
  }

  /** Waits until nothing runs any more, at most so long; what runs then is told to stop, and waited for. */
  async settle(timeoutMs: number): Promise<void> {
    const running = () =>
      [...this.#entries.values()].filter(({ task }) => task.state === 'running');
    await within(Promise.all(running().map(({ done }) => done)), timeoutMs);
    for (const { abort } of running()) abort.abort();
    await within(Promise.all(running().map(({ done }) => done)), timeoutMs);
  }

  async #run(entry: Entry, { requestId, work }: TaskPlan): Promise<void> {
    const { signal } = entry.abort;
    const step = (text: string, share = entry.task.progress): void => {
      const isNew = text !== entry.task.step;
      entry.task = { ...entry.task, step: text, progress: Math.min(1, Math.max(0, share)) };
      if (isNew) this.#tell(entry, {});
    };
    try {
      const result = await work({ signal, step });
      this.#end(entry, { state: 'succeeded', progress: 1, ...(result && { result }) });
    } catch (error) {
      if (signal.aborted) this.#end(entry, { state: 'cancelled' });
      else {
        const problem = this.#describe(error, { url: `/v1/tasks/${entry.task.id}`, id: requestId });
        this.#end(entry, { state: 'failed', problem });
      }
    }
  }

  #end(entry: Entry, end: Partial<Task>): void {
    this.#running -= 1;
    this.#tell(entry, { ...end, endedAt: new Date().toISOString() });
    const ended = [...this.#entries.values()].filter(({ task }) => task.state !== 'running');
    for (const { task } of ended.slice(0, -REMEMBERED)) this.#entries.delete(task.id);
  }

  #tell(entry: Entry, change: Partial<Task>): void {
    entry.task = { ...entry.task, ...change };
    this.#events.record({ kind: 'task', task: entry.task });
  }

  #require(id: string): Entry {
    const entry = this.#entries.get(id);
    if (entry === undefined) throw new CommandError('no-such-task', `There is no task "${id}".`);
    return entry;
  }
}

async function within(end: Promise<unknown>, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
  });
  await Promise.race([end, timeout]);
  clearTimeout(timer);
}
