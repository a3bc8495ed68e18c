/** The same again and again: domains come and go by the thousand, and nothing is left of them. */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestService, type TestService, TestSocket } from '../support/service.js';

const CYCLES = 1000;
/** Memory is looked at only after caches, pools and remembered domains have reached their size. */
const WARM_UP = 300;
/** It is measured after each round. */
const ROUND = 100;
const KIB = 1024;
const MIB = 1024 * KIB;

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ memory: 64 });
});
afterAll(() => service.close());

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** The host's figures, without the garbage that merely has not been collected yet. */
async function host() {
  collectGarbage();
  return (await service.request('GET', '/v1/host')).json;
}
const nodes = async (): Promise<number> =>
  (await service.request('GET', '/v1/xenstore-inspector')).json.store.nodes;

/** The median of the slopes between any two of equidistant values (Theil and Sen): a single jump does not tilt it. */
function slope(values: readonly number[]): number {
  const slopes = values.flatMap((to, n) =>
    values.slice(0, n).map((from, m) => (to - from) / (n - m)),
  );
  return slopes.sort((a, b) => a - b)[slopes.length >> 1] ?? 0;
}

/** Create, first console byte, destroy. */
async function cycle(): Promise<void> {
  const body = { name: 'brief', kernel: 'hello', memory: 4 };
  const created = await service.request('POST', '/v1/domains', body);
  expect(created.status, created.text).toBe(201);
  const terminal = new TestSocket(`${service.url}/v1/domains/brief/console`);
  await terminal.shows('Hello from domain');
  terminal.close();
  expect((await service.request('DELETE', '/v1/domains/brief')).status).toBe(204);
}

test(`${CYCLES} domains created, heard and destroyed leave no frame, no node and no memory behind`, async () => {
  await cycle();
  const before = await host();
  const nodesBefore = await nodes();
  for (let i = 0; i < WARM_UP; i += 1) await cycle();
  const rounds = [await host()];
  for (let i = WARM_UP; i < CYCLES; i += 1) {
    await cycle();
    if ((i + 1) % ROUND === 0) rounds.push(await host());
  }
  const after = await host();
  expect(after.memory.freeFrames).toBe(before.memory.freeFrames);
  expect(after.domains).toBe(0);
  expect(after.faults).toBe(0);
  expect(await nodes()).toBe(nodesBefore);
  const growth = (field: 'residentBytes' | 'heapBytes'): number =>
    slope(rounds.map((round) => round.process[field])) / ROUND;
  // per cycle: a domain has 4 MiB of memory, so that one left in forty would be seen
  expect(growth('heapBytes')).toBeLessThan(5 * KIB);
  expect(growth('residentBytes')).toBeLessThan(MIB / 10);
});
