/** The guests build with what compilers there are, and what was built boots. */

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Harness } from '../support/hypervisor-harness.js';
import { testWithPeer } from '../support/peer.js';

const GUESTS = join(import.meta.dirname, '../../guests');
const IMAGES = join(GUESTS, 'images');
const LARGEST = 48 * 1024;

const find = (program: string): string =>
  (process.env['PATH'] ?? '')
    .split(':')
    .map((folder) => join(folder, program))
    .find(existsSync) ?? `/usr/bin/${program}`;

/** Compilers beyond the host's own are tried where they are installed, and nobody has to have them. */
const compilers = ['cc', 'clang', 'zig'].filter(
  (name) => name === 'cc' || spawnSync(name, ['--help'], { stdio: 'ignore' }).status === 0,
);
const COMMAND: Record<string, string> = { zig: 'zig cc -target x86_64-freestanding' };

function build(compiler: string, folder: string): string {
  const images = join(folder, 'images');
  const { CC: _, MAKEFLAGS: __, ...env } = process.env;
  const args = ['-s', '-j2', '-C', GUESTS, `CC=${COMMAND[compiler] ?? compiler}`];
  execFileSync('make', [...args, `BUILD=${join(folder, 'build')}`, `IMAGES=${images}`], {
    stdio: 'pipe',
    env,
  });
  return images;
}

describe('guests', () => {
  for (const compiler of compilers) {
    testWithPeer(
      'make gcc',
      [find('make'), find(compiler)],
      `all build with ${compiler}, and what was built boots`,
      () => {
        const folder = mkdtempSync(join(tmpdir(), 'guests-'));
        try {
          const images = build(compiler, folder);
          expect(readdirSync(images).sort()).toEqual(readdirSync(IMAGES).sort());
          const load = (name: string) => new Uint8Array(readFileSync(join(images, `${name}.elf`)));
          const harness = new Harness();
          const hello = harness.create(load('hello'));
          const user = harness.create(load('user'));
          expect(hello.shows('hello> ')).toBe(true);
          expect(user.ends()).toBe(true);
          expect(user.output).toContain('VERDICT: success');
        } finally {
          rmSync(folder, { recursive: true, force: true });
        }
      },
    );
  }

  test('prebuilt images are small', () => {
    const sizes = readdirSync(IMAGES).map((name) => readFileSync(join(IMAGES, name)).length);
    expect(Math.max(...sizes)).toBeLessThan(LARGEST);
  });
});
