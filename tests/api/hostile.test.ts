/**
 * Hostile guests, each beside a well-behaved one that ticks: the tick keeps its pace, the API answers, the guest ends as it
 * should, no exception escapes and no frame is lost. What each does, and what is expected of it, it says itself in its first line.
 */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { eventually, startTestService, type TestService, TestSocket } from '../support/service.js';

const IMAGES = join(import.meta.dirname, '../../guests/images');
/** They need a disk and a network interface to be hostile to: tests/guests/disk.test.ts, net.test.ts. */
const WITH_DEVICES = ['hostile-block-rings.elf', 'hostile-net-rings.elf'];
const HOSTILE = readdirSync(IMAGES).filter(
  (name) => name.startsWith('hostile-') && !WITH_DEVICES.includes(name),
);
/** The tick of the neighbour, milliseconds. */
const PERIOD = 20;
/** Share of its ticks that the neighbour must have had, the host's own noise allowed for. */
const PACE = 0.8;
/** How long one that never ends is let run. */
const RUN_MS = 2000;
/** How long the others may take: a million hypercalls take their time. */
const LONGEST_MS = 240_000;
/** An answer takes a few milliseconds; the rest is for a test machine that is busy with others. */
const SLOWEST_ANSWER_MS = 5000;

let service: TestService;
let free: number;
beforeAll(async () => {
  service = await startTestService({ memory: 128 });
  free = await freeFrames();
  await create('ticker', 'ticker', `ticks=100000000 period=${PERIOD}`);
  await eventually(lastTick, (tick) => tick > 10);
});
afterAll(() => service.close());
afterEach(() => service.request('DELETE', '/v1/domains/hostile'));

const get = async (path: string) => (await service.request('GET', path)).json;
const freeFrames = async (): Promise<number> => (await get('/v1/host')).memory.freeFrames;
const printed = async (id: string): Promise<string> =>
  (await service.request('GET', `/v1/domains/${id}/console`)).text;

async function create(name: string, kernel: string, cmdline = '') {
  const body = { name, kernel, cmdline, memory: 8, onPoweroff: 'preserve', onCrash: 'preserve' };
  const answer = await service.request('POST', '/v1/domains', body);
  expect(answer.status, answer.text).toBe(201);
}

async function lastTick(): Promise<number> {
  const ticks = [...(await printed('ticker')).matchAll(/^tick (\d+) at/gm)];
  return Number(ticks.at(-1)?.[1] ?? 0);
}

/** What the guest says is expected of it, before it floods its console with other things. */
async function expectation(): Promise<string> {
  const socket = new TestSocket(`${service.url}/v1/domains/hostile/console`);
  const says = () => /^HOSTILE \S+: expected: (.*?)\r?\n/m.exec(socket.output().slice(0, 4096));
  await socket.until(() => says() !== null, 'expectation');
  socket.close();
  return says()?.[1] ?? '';
}

/** Waits for the guest's end, or RUN_MS if it has none; asks the API all the while. */
async function watch(isEndless: boolean): Promise<{ state: string; shutdownReason?: string }> {
  const start = Date.now();
  for (;;) {
    const asked = Date.now();
    const domain = await get('/v1/domains/hostile');
    expect(Date.now() - asked).toBeLessThan(SLOWEST_ANSWER_MS);
    const ran = Date.now() - start;
    if (domain.state === 'shutdown' || (isEndless && ran > RUN_MS)) return domain;
    expect(ran, `it does not end: ${await printed('hostile')}`).toBeLessThan(LONGEST_MS);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe('beside a guest that ticks', () => {
  test('there are hostile guests', () => expect(HOSTILE.length).toBeGreaterThan(5));

  test.each(HOSTILE)('%s harms nobody but itself', async (image) => {
    const before = await freeFrames();
    const [firstTick, start] = [await lastTick(), Date.now()];
    await create('hostile', image);
    const expected = await expectation();
    const domain = await watch(expected === 'keeps running');
    const [ticks, elapsed] = [(await lastTick()) - firstTick, Date.now() - start];
    const output = await printed('hostile');

    if (expected === 'crash') {
      expect(domain).toMatchObject({
        shutdownReason: 'crash',
        detail: expect.stringMatching(/\w/),
      });
    } else if (expected === 'survives') {
      expect(output).toContain('VERDICT: success');
      expect(domain.shutdownReason).toBe('poweroff');
    } else {
      expect(expected).toBe('keeps running');
      expect(['running', 'blocked']).toContain(domain.state);
    }
    expect(ticks).toBeGreaterThan((elapsed / PERIOD) * PACE - 5);
    expect((await service.request('DELETE', '/v1/domains/hostile')).status).toBe(204);
    expect(await freeFrames()).toBe(before);
    expect((await get('/v1/host')).faults).toBe(0);
  });

  test('in the end everything is given back', async () => {
    await service.request('DELETE', '/v1/domains/ticker');
    expect(await freeFrames()).toBe(free);
  });
});
