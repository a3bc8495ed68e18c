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

/** How late a tick of the good neighbour may be: a few slices of the scheduler, on a busy machine. */
const WORST_LATENESS_NS = 100e6;
const TICKS = 50;

const others = readdirSync(join(import.meta.dirname, '../../guests/hostile')).filter(
  (name) => name !== 'rings' && !HOSTILE.some(([row]) => row === name),
);

test('every hostile guest has a row', () => expect(others).toEqual([]));

test.each(HOSTILE)('%s: %s', (name, expected, cmdline) => {
  const harness = new Harness({ memory: 128 });
  const before = harness.freeFrames;
  const hostile = harness.create(`hostile-${name}`, { cmdline });
  const neighbour = harness.create('ticker', { cmdline: `ticks=${TICKS} period=10` });

  expect(neighbour.ends(60_000), 'the neighbour came to its end').toBe(true);
  const verdict = verdictOf({ output: neighbour.output, crash: undefined, ended: true });
  expect(verdict).toMatch(/^VERDICT: success/);
  expect(Number(/worst lateness (\d+)/.exec(verdict)?.[1])).toBeLessThan(WORST_LATENESS_NS);

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
