/** A service of xl's own on a port that is free, for as long as xl runs: a child process, whose files are in a temporary folder. */

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UserError } from './client.js';

const MAIN = join(import.meta.dirname, '../main.ts');
const FOLDERS = ['uploads', 'cache', 'disks', 'cores', 'saves', 'recordings'] as const;

export interface PrivateService {
  readonly url: string;
  /** Ends it, and resolves when it is gone. */
  close(): Promise<void>;
}

/** @param memory guest memory, MiB. @throws UserError if it does not come up. */
export async function startPrivateService(memory: number): Promise<PrivateService> {
  const folder = await mkdtemp(join(tmpdir(), 'xl-run-'));
  const folders = FOLDERS.flatMap((name) => [`--${name}`, join(folder, name)]);
  const words = ['--port', '0', '--memory', String(memory), '--demo', 'none'];
  const args = [
    '--import',
    'tsx',
    MAIN,
    ...words,
    '--store-socket',
    'none',
    '--state',
    'none',
    ...folders,
  ];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const close = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
    await rm(folder, { recursive: true, force: true });
  };
  let said = '';
  const url = new Promise<string>((resolve, reject) => {
    const hear = (data: Buffer): void => {
      said += data;
      const found = /API +(http:\/\/[^/\s]+)/.exec(said)?.[1];
      if (found !== undefined) resolve(found);
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    void ended.then(() => reject(new UserError(`no service came up: ${said.trim()}`)));
  });
  return { url: await url, close };
}
