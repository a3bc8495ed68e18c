/** The bounce buffer: runs of pages, first come first served. */

import { expect, test } from 'vitest';
import { BounceBuffer, type BounceRun } from '../../dom0/bounce-buffer.js';

const PAGE = 4096;
const buffer = (pages: number) => new BounceBuffer(new Uint8Array(pages * PAGE));

test('runs do not overlap, and name their place in the whole', async () => {
  const whole = new Uint8Array(4 * PAGE);
  const bounce = new BounceBuffer(whole);
  const [first, second] = [await bounce.take(3), await bounce.take(1)];
  first.bytes.fill(1);
  second.bytes.fill(2);
  expect(whole[first.at]).toBe(1);
  expect(whole[second.at]).toBe(2);
  expect(whole.filter((byte) => byte === 1)).toHaveLength(3 * PAGE);
  expect(bounce.freePages).toBe(0);
});

test('who finds it full waits, and a large wish is not overtaken by a small one', async () => {
  const bounce = buffer(4);
  const held = [await bounce.take(2), await bounce.take(2)];
  const served: number[] = [];
  const large = bounce.take(3).then(() => served.push(3));
  const small = bounce.take(1).then(() => served.push(1));
  held[0]?.free();
  await new Promise(setImmediate);
  expect(served).toEqual([]);
  held[1]?.free();
  await Promise.all([large, small]);
  expect(served).toEqual([3, 1]);
});

test('a run that is freed twice is freed once', async () => {
  const bounce = buffer(2);
  const run = await bounce.take(1);
  run.free();
  await bounce.take(2);
  run.free();
  expect(bounce.freePages).toBe(0);
});

test.each([0, -1, 3, Number.NaN])('a run of %s pages of 2 is refused', async (pages) => {
  await expect(buffer(2).take(pages)).rejects.toThrow(RangeError);
});

test('after any order of taking and giving back all of it is free', async () => {
  const bounce = buffer(64);
  const held: BounceRun[] = [];
  for (let n = 0; n < 1000; n++) {
    const pages = 1 + ((n * 7) % 11);
    if (bounce.freePages >= 24 && (n * 5) % 3 > 0) held.push(await bounce.take(Math.min(pages, 4)));
    else held.splice((n * 13) % Math.max(held.length, 1), 1)[0]?.free();
  }
  for (const run of held) run.free();
  expect(bounce.freePages).toBe(64);
  expect((await bounce.take(64)).at).toBe(0);
});
