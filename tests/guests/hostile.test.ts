/** Hostile guests, each beside a well-behaved one that must keep its pace; nothing of them may be left behind. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Harness } from '../support/hypervisor-harness.js';
import { verdictOf } from './verdict.js';

type Expected = 'crash' | 'survives' | 'keeps running';

// biome-ignore format: one row per guest: what must become of it, its command line
const HOSTILE: readonly (readonly [string, Expected, string])[] = [
  ['masked-loop',       'keeps running', ''],
  ['event-storm',       'keeps running', ''],
  ['no-handler',        'crash',         ''],
  ['handler-faults',    'crash',         ''],
  ['bad-stack',         'crash',         ''],
  ['stack-in-xen',      'crash',         ''],
  ['writable-tables',   'survives',      ''],
  ['pte-everywhere',    'survives',      'count=200000'],
  ['garbage',           'survives',      'count=3000'],
  ['greedy',            'survives',      ''],
  ['random-hypercalls', 'survives',      'count=1000000 seed=1'],
];

/** How late a tick of the good neighbour may be, in the guests' own time: two slices of the scheduler. */
const WORST_LATENESS_NS = 2e6;
const TICKS = 20;

const others = readdirSync(join(import.meta.dirname, '../../guests/hostile')).filter(
  (name) => name !== 'rings' && !HOSTILE.some(([row]) => row === name),
);

/** The first tick is not counted: the neighbour is created while the other already runs. */
function worstLateness(output: string): number {
  const late = [...output.matchAll(/(\d+) ns late/g)].slice(1).map(([, ns]) => Number(ns));
  return Math.max(...late);
}

test('every hostile guest has a row', () => expect(others).toEqual([]));

test.each(HOSTILE)('%s: %s', (name, expected, cmdline) => {
  // Time passes by instructions: whether the neighbour is served fairly does not depend on how busy this machine is.
  const harness = new Harness({ memory: 128, clock: 'virtual' });
  const before = harness.freeFrames;
  const hostile = harness.create(`hostile-${name}`, { cmdline });
  const neighbour = harness.create('ticker', { cmdline: `ticks=${TICKS} period=2` });

  expect(neighbour.ends(60_000), 'the neighbour came to its end').toBe(true);
  const verdict = verdictOf({ output: neighbour.output, crash: undefined, ended: true });
  expect(verdict).toMatch(/^VERDICT: success/);
  expect(worstLateness(neighbour.output)).toBeLessThan(WORST_LATENESS_NS);

  if (expected === 'keeps running') {
    expect(hostile.info).toMatchObject({ shutdown: false });
  } else {
    const ended = hostile.ends(120_000);
    const { shutdownReason, crashReason } = hostile.info;
    const outcome = { output: hostile.output, crash: crashReason, ended };
    if (expected === 'crash') {
      expect(shutdownReason).toBe('crash');
      expect(crashReason, verdictOf(outcome)).toBeTruthy();
    } else {
      expect(verdictOf(outcome)).toMatch(/^VERDICT: success/);
    }
  }
  expect(hostile.output).toContain(`HOSTILE ${name}`);
  hostile.destroy();
  neighbour.destroy();
  expect(harness.bugs, harness.log).toBe(0);
  expect(harness.freeFrames).toBe(before);
});

test('random hypercalls that spare nothing harm only their caller', () => {
  const harness = new Harness({ memory: 128 });
  const before = harness.freeFrames;
  for (const seed of [2, 3, 4, 5]) {
    const cmdline = `count=1 seed=${seed} reckless=1000000`;
    const hostile = harness.create('hostile-random-hypercalls', { cmdline });
    const neighbour = harness.create('ticker', { cmdline: 'ticks=10 period=10' });
    expect(neighbour.ends(60_000)).toBe(true);
    expect(neighbour.output).toContain('VERDICT: success');
    hostile.destroy();
    neighbour.destroy();
  }
  expect(harness.bugs, harness.log).toBe(0);
  expect(harness.freeFrames).toBe(before);
});
