/** Overlays: the image stays as it is, the disk has what was written, and a kept overlay has it again. */

import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openStorage } from '../../dom0/block/open-storage.js';
import type { Storage } from '../../dom0/block/storage.js';

const SECTORS = 1027; // the last block is not whole
const BYTES = SECTORS * 512;

let folder: string;
let path: string;
let base: Buffer;
let storage: Storage;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'xenolith-overlay-test-'));
  path = join(folder, 'base.img');
  base = Buffer.from(
    Uint32Array.from({ length: BYTES / 4 }, (_, n) => Math.imul(n, 2654435761)).buffer,
  );
  writeFileSync(path, base);
});
afterEach(async () => {
  await storage.close();
  expect(readFileSync(path).equals(base), 'the base is as it was').toBe(true);
  rmSync(folder, { recursive: true, force: true });
});

const open = async (overlay: { path?: string } = {}): Promise<void> => {
  storage = await openStorage({ vdev: 'xvda', path, readonly: false, discard: true, overlay });
};

async function content(): Promise<Buffer> {
  const views = [new Uint8Array(5 * 512), new Uint8Array(512), new Uint8Array(BYTES - 6 * 512)];
  await storage.read(views, 0);
  return Buffer.concat(views);
}

/** A generator of numbers that repeats. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test('what is not written is the image', async () => {
  await open();
  expect(storage.bytes).toBe(BYTES);
  expect((await content()).equals(base)).toBe(true);
});

test.each([1, 2, 3])(
  'a thousand writes and discards are as in a plain file, seed %i',
  async (seed) => {
    await open();
    const model = Buffer.from(base);
    const next = random(seed);
    for (let n = 0; n < 1000; n += 1) {
      const first = next(SECTORS);
      const count = 1 + next(Math.min(24, SECTORS - first));
      if (next(5) === 0) {
        const position = first * 512;
        await storage.discard(position, count * 512);
        const end =
          position + count * 512 === BYTES ? BYTES : Math.floor((first + count) / 8) * 4096;
        const start = Math.ceil(first / 8) * 4096;
        if (start < end) model.fill(0, start, end);
      } else {
        const data = Buffer.alloc(count * 512, `${n} `);
        await storage.write(
          [data.subarray(0, 512), data.subarray(512)].filter((v) => v.length > 0),
          first * 512,
        );
        data.copy(model, first * 512);
      }
    }
    expect((await content()).equals(model)).toBe(true);
  },
);

test('writes to parts of the same block at the same time keep each other', async () => {
  await open();
  const model = Buffer.from(base);
  await Promise.all(
    Array.from({ length: 8 }, (_, n) => storage.write([Buffer.alloc(512, n + 1)], n * 512)),
  );
  for (let n = 0; n < 8; n += 1) model.fill(n + 1, n * 512, (n + 1) * 512);
  expect((await content()).equals(model)).toBe(true);
});

describe('a kept overlay', () => {
  test('has what was written, again and again, and takes little space', async () => {
    const overlay = join(folder, 'kept.overlay');
    const model = Buffer.from(base);
    for (const [n, sector] of [3, 500, 1026].entries()) {
      await open({ path: overlay });
      expect((await content()).equals(model)).toBe(true);
      await storage.write([Buffer.alloc(512, n + 1)], sector * 512);
      model.fill(n + 1, sector * 512, (sector + 1) * 512);
      await storage.flush();
      await storage.close();
    }
    await open({ path: overlay });
    expect((await content()).equals(model)).toBe(true);
    expect(statSync(overlay).blocks * 512).toBeLessThan(BYTES / 4);
  });

  test('belongs to the image it was made for', async () => {
    const overlay = join(folder, 'kept.overlay');
    await open({ path: overlay });
    await storage.close();
    utimesSync(path, 1, 1);
    await expect(open({ path: overlay })).rejects.toMatchObject({ code: 'bad-format' });
  });

  test('is used by one disk', async () => {
    const overlay = join(folder, 'kept.overlay');
    await open({ path: overlay });
    const second = {
      vdev: 'xvdb',
      path,
      readonly: false,
      discard: false,
      overlay: { path: overlay },
    };
    await expect(openStorage(second)).rejects.toMatchObject({ code: 'in-use' });
  });

  // biome-ignore format: one row per file
  test.each<[what: string, content: (made: Buffer) => Buffer]>([
    ['no overlay',            () => Buffer.from('#!/bin/sh\necho something else entirely\n'.repeat(200))],
    ['cut short',             (made) => made.subarray(0, 4100)],
    ['with a damaged map',    (made) => { made[4100] = 77; return made; }],
  ])('%s is refused, and left alone', async (_what, change) => {
    const overlay = join(folder, 'kept.overlay');
    await open({ path: overlay });
    await storage.close();
    const bytes = change(readFileSync(overlay));
    writeFileSync(overlay, bytes);
    await expect(open({ path: overlay })).rejects.toMatchObject({ name: 'DiskError' });
    expect(readFileSync(overlay).equals(bytes)).toBe(true);
  });

  test('cannot be where there is no folder', async () => {
    await open();
    const overlay = { path: join(folder, 'none', 'x') };
    await expect(
      openStorage({ vdev: 'xvdb', path, readonly: false, discard: false, overlay }),
    ).rejects.toMatchObject({ code: 'not-found' });
    expect(existsSync(overlay.path)).toBe(false);
  });
});
