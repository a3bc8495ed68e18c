/** The transcripts once more, their guests' rows spoken by a real guest kernel through its ring. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { guestWorld, Machine } from './guest-world.js';
import { expected, play } from './transcript.js';
import { ALL_TRANSCRIPTS, titleOf } from './transcripts/all.js';

let machine: Machine;
beforeAll(() => {
  machine = new Machine();
});
afterAll(() => machine.stop());

const spoken = ALL_TRANSCRIPTS.filter(({ rows }) => rows.some(([name]) => /^d\d+$/.test(name)));

test.each(spoken.map((script) => [titleOf(script), script] as const))('%s', async (_, script) => {
  const world = await guestWorld(machine);
  try {
    expect(await play(world, script)).toEqual(expected(world, script));
  } finally {
    await world.close();
  }
});

test('nothing is left of all those guests', () => {
  expect(machine.harness.bugs).toBe(0);
});
