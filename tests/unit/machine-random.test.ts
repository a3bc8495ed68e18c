/** Randomness that repeats: what a run with a virtual clock gives its guests. */

import { expect, test } from 'vitest';
import { SeededRandom } from '../../hypervisor/machine/random.js';

const take = (random: SeededRandom, bytes: number): number[] => {
  const into = new Uint8Array(bytes);
  random.fill(into);
  return [...into];
};

test('the same seed gives the same bytes, another one others', () => {
  expect(take(new SeededRandom(7), 64)).toEqual(take(new SeededRandom(7), 64));
  expect(take(new SeededRandom(7), 64)).not.toEqual(take(new SeededRandom(8), 64));
});

test('it fills any length, and no two fills alike', () => {
  const random = new SeededRandom();
  const seen = new Set(Array.from({ length: 1000 }, () => take(random, 8).join()));
  expect(seen.size).toBe(1000);
  expect(take(random, 3)).toHaveLength(3);
});

test('each bit is set about half of the time', () => {
  const bytes = take(new SeededRandom(3), 8000);
  for (let bit = 0; bit < 8; bit++) {
    const set = bytes.filter((byte) => (byte >>> bit) & 1).length;
    expect(Math.abs(set - 4000)).toBeLessThan(300);
  }
});
