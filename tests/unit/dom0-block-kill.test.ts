/** What was answered to a guest is there after the host process was killed in the middle of a write. */

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openStorage } from '../../dom0/block/open-storage.js';

const WRITER = join(import.meta.dirname, '../support/disk-writer.ts');
const SECTORS = 3000;
const WRITES = 400;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'xenolith-kill-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Lets the writer work and kills it. @returns the number of its last write that was answered. */
async function killWriter(path: string, overlay: string): Promise<number> {
  const child = spawn(process.execPath, ['--import', 'tsx', WRITER, path, overlay], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output.split('\n').length > WRITES) child.kill('SIGKILL');
    });
    child.once('error', reject);
    child.once('close', () => resolve());
  });
  expect(child.signalCode).toBe('SIGKILL');
  return output.split('\n').length - 1;
}

test.each([
  ['a raw image', ''],
  ['an overlay', 'kept.overlay'],
])('%s', async (_what, name) => {
  const path = join(folder, 'disk.img');
  writeFileSync(path, new Uint8Array(SECTORS * 512));
  const overlay = name && join(folder, name);
  const last = await killWriter(path, overlay);
  expect(last).toBeGreaterThanOrEqual(WRITES);
  const storage = await openStorage({
    vdev: 'xvda',
    path,
    readonly: false,
    discard: false,
    ...(overlay && { overlay: { path: overlay } }),
  });
  const wanted = new Map<number, number>();
  for (let n = 1; n <= last; n += 1) {
    for (let i = 0; i < 3; i += 1) wanted.set(((n * 3) % (SECTORS - 3)) + i, n);
  }
  const disk = new Uint8Array(storage.bytes);
  await storage.read([disk], 0);
  await storage.close();
  const view = new DataView(disk.buffer);
  for (const [sector, n] of wanted) {
    for (const at of [sector * 512, sector * 512 + 508]) {
      // The write that was under way when it was killed may be there as well.
      expect([n, last + 1]).toContain(view.getUint32(at, true));
    }
  }
});
