/** Files that are under way: of no use once the process that writes them has ended. Their names tell which one that is. */

import { randomUUID } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** Tells this process from one that was killed and had the same number. */
const SELF = randomUUID();

export const temporaryName = (): string => `.temporary-${process.pid}-${SELF}-${randomUUID()}`;

/** Removes from a folder what processes that have ended have left. */
export async function sweepTemporary(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const [, pid] = /^\.temporary-(\d+)-/.exec(name) ?? [];
    if (pid === undefined || name.includes(SELF)) continue;
    if (Number(pid) === process.pid || !isRunning(Number(pid))) {
      await rm(join(folder, name), { force: true });
    }
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
