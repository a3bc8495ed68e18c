/** xl as its users run it, as a process of its own, and without one where that would only cost time. */

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { join } from 'node:path';
import { invoke } from '../../toolstack/cli/invoke.js';
import type { Outcome } from './transcript-file.js';

const ROOT = join(import.meta.dirname, '../..');
const XL = join(ROOT, 'toolstack/cli/xl.ts');

/** What runs xl as a program: its words follow. */
export const XL_COMMAND = [process.execPath, '--import', 'tsx', XL] as const;

/** A program that runs. */
export interface RunningXl {
  readonly child: ChildProcessWithoutNullStreams;
  /** What it has written so far. */
  readonly said: { readonly out: string; readonly err: string };
  readonly ended: Promise<Outcome>;
}

export function startXl(words: readonly string[], env: NodeJS.ProcessEnv = {}): RunningXl {
  const [node, ...options] = XL_COMMAND;
  const child = spawn(node, [...options, ...words], { cwd: ROOT, env: { ...process.env, ...env } });
  const said = { out: '', err: '' };
  child.stdout.on('data', (data: Buffer) => {
    said.out += data;
  });
  child.stderr.on('data', (data: Buffer) => {
    said.err += data;
  });
  const ended = new Promise<Outcome>((resolve) =>
    child.on('close', (code, signal) =>
      resolve({ status: code ?? 128, out: said.out, err: said.err + (signal ?? '') }),
    ),
  );
  return { child, said, ended };
}

/** @param input typed to it; standard input stays open. */
export function runXl(
  words: readonly string[],
  input = '',
  env: NodeJS.ProcessEnv = {},
): Promise<Outcome> {
  const { child, ended } = startXl(words, env);
  if (input !== '') child.stdin.write(input);
  return ended;
}

/** The same without a process: what it writes and its exit status are caught. One at a time; it must not read standard input. */
export async function runXlHere(words: readonly string[]): Promise<Outcome> {
  const said = { out: '', err: '' };
  const release = [
    catchWrites(process.stdout, said, 'out'),
    catchWrites(process.stderr, said, 'err'),
  ];
  const before = process.exitCode;
  process.exitCode = 0;
  try {
    await invoke(words);
    return { ...said, status: Number(process.exitCode) };
  } finally {
    process.exitCode = before;
    for (const each of release) each();
  }
}

function catchWrites(
  stream: NodeJS.WriteStream,
  said: { out: string; err: string },
  key: 'out' | 'err',
): () => void {
  const { write } = stream;
  stream.write = (data: string | Uint8Array): boolean => {
    said[key] += typeof data === 'string' ? data : Buffer.from(data).toString();
    return true;
  };
  return () => {
    stream.write = write;
  };
}
