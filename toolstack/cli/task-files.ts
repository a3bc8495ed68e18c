/** Files that the service makes of a domain: xl waits for the task, fetches the file, and only then has the service forget it. */

import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { Task } from '../schemas/task.js';
import { type Client, UserError } from './client.js';

/** Begins an action and waits for its end. @returns the name of the file, as its result has it under `key`. */
export async function fileOfTask(
  client: Client,
  action: string,
  body: object,
  key: string,
): Promise<string> {
  const task = await client.json(Task, 'POST', action, body, { prefer: 'wait' });
  const name = task.result?.[key];
  if (typeof name === 'string') return name;
  throw new UserError(task.problem?.detail ?? task.step);
}

/**
 * A file that is cut off never has the name that was asked for.
 * @throws UserError if it cannot be written: then the service still has it, and the error says where.
 */
export async function moveHere(client: Client, path: string, file: string): Promise<void> {
  const partial = `${file}.partial`;
  try {
    await pipeline(await client.stream(path), createWriteStream(partial));
    await rename(partial, file);
  } catch (error) {
    await rm(partial, { force: true });
    const reason = error instanceof Error ? error.message : String(error);
    throw new UserError(`cannot write ${file}: ${reason}; the service keeps it as ${path}`);
  }
  await client.remove(path).catch(() => undefined);
}
