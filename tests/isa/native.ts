/** Runs cases on the host's own processor through native/driver.c, where the host is x86-64 Linux with a C compiler. */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Case, decodeFromDriver, encodeForDriver, type Outcome } from './format.js';

const SOURCE = fileURLToPath(new URL('native/driver.c', import.meta.url));
const FLAGS = ['-O2', '-no-pie', '-fno-pie', '-fno-stack-protector', '-mno-red-zone'];
/** Cases given to one run of the driver: bounds the buffers, not the speed. */
const BATCH = 20_000;

let driver: string | undefined;

/** @returns the path of the compiled driver, undefined if this host cannot run it. */
export function nativeDriver(): string | undefined {
  if (process.arch !== 'x64' || process.platform !== 'linux') return undefined;
  if (driver !== undefined) return driver;
  const binary = join(mkdtempSync(join(tmpdir(), 'xenolith-isa-')), 'driver');
  spawnSync('gcc', [...FLAGS, '-o', binary, SOURCE], { stdio: 'ignore' });
  driver = existsSync(binary) ? binary : undefined;
  return driver;
}

function runBatch(binary: string, cases: readonly Case[]): Outcome[] {
  const result = spawnSync(binary, [], { input: encodeForDriver(cases), maxBuffer: 1 << 30 });
  if (result.status !== 0) throw new Error(`driver: status ${result.status}: ${result.stderr}`);
  return decodeFromDriver(result.stdout);
}

/** @throws Error if there is no driver on this host, or a case brought it down. */
export function runNative(cases: readonly Case[]): Outcome[] {
  const binary = nativeDriver();
  if (binary === undefined) throw new Error('no native driver on this host');
  const outcomes: Outcome[] = [];
  for (let at = 0; at < cases.length; at += BATCH)
    outcomes.push(...runBatch(binary, cases.slice(at, at + BATCH)));
  return outcomes;
}
