/** Hostile guests, each beside a well-behaved one that must keep its pace; nothing of them may be left behind. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Console } from '../../dom0/console.js';
import { Harness, image } from '../support/hypervisor-harness.js';
import { StoreHost } from './store-host.js';
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
const TICKS = 10;

/** Tested with dom0 behind their rings: below, in disk.test.ts and in net.test.ts. */
const WITH_DOM0 = new Set(['rings', 'block-rings', 'net-rings']);
const others = readdirSync(join(import.meta.dirname, '../../guests/hostile')).filter(
  (name) => !WITH_DOM0.has(name) && !HOSTILE.some(([row]) => row === name),
);

/** The first tick is not counted: the neighbour is created while the other already runs. */
function worstLateness(output: string): number {
  const late = [...output.matchAll(/(\d+) ns late/g)].slice(1).map(([, ns]) => Number(ns));
  return Math.max(...late);
}

const printed = ({ history }: Console): string => new TextDecoder().decode(history.bytes());

/** A paused domain with dom0's own console backend behind its ring. */
function connectConsole(harness: Harness, name: string) {
  const created = harness.call('createdomain', {
    handle: '00000000-0000-0000-0000-000000000002',
    memoryPages: 1024,
    kernel: image(name),
    paused: true,
  });
  const { domid, consoleMfn: mfn, consolePort } = created;
  const console = new Console();
  const { address } = harness.call('foreignmap', { domid, mfn });
  const bound = { remoteDom: domid, remotePort: consolePort };
  const { port } = harness.call('evtchn.bind_interdomain', bound);
  const page = harness.ram.u8.subarray(address, address + 4096);
  console.connect({ page, notify: () => void harness.post('evtchn.send', { port }) });
  harness.ports.set(port, () => console.pump());
  const destroy = (): void => {
    console.disconnect();
    harness.ports.delete(port);
    harness.call('foreignunmap', { domid, mfn });
    harness.call('evtchn.close', { port });
    harness.call('destroydomain', { domid });
  };
  return { domid, created, console, destroy };
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

test('rings: keeps running, and dom0 drops what is senseless', async () => {
  const harness = new Harness({ memory: 128 });
  const before = harness.freeFrames;
  const store = new StoreHost(harness);
  const hostile = connectConsole(harness, 'hostile-rings');
  await store.attach(hostile, 'rings');
  const neighbour = harness.create('hello', { paused: true });
  await store.attach(neighbour, 'neighbour');
  for (const { domid } of [hostile, neighbour]) harness.call('unpausedomain', { domid });

  const rounds = (condition: () => boolean) =>
    harness.runUntil(() => {
      store.turn();
      return condition();
    });
  expect(rounds(() => printed(hostile.console).includes('HOSTILE rings'))).toBe(true);
  expect(rounds(() => neighbour.shows('hello> ', 0))).toBe(true);
  for (let i = 0; i < 20; i++) {
    neighbour.type('xs name\r');
    const seen = () => neighbour.output.split('name = "neighbour"').length > i + 1;
    expect(rounds(() => neighbour.shows('hello> ', 0) && seen())).toBe(true);
  }
  expect(harness.call('getdomaininfo', { domid: hostile.domid })).toMatchObject({
    shutdown: false,
  });
  expect(await store.client.read(`/local/domain/${hostile.domid}/name`)).toBe('rings');

  for (const guest of [hostile, neighbour]) {
    store.detach(guest);
    guest.destroy();
  }
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
