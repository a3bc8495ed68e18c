/** The same again and again: domains come and go by the thousand, and nothing is left of them. */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestService, type TestService, TestSocket } from '../support/service.js';

const CYCLES = 1000;
/** Memory is compared only after caches, pools and remembered domains have reached their size. */
const WARM_UP = 300;
const MIB = 1024 * 1024;

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
  const warm = await host();
  for (let i = WARM_UP; i < CYCLES; i += 1) await cycle();
  const after = await host();
  expect(after.memory.freeFrames).toBe(before.memory.freeFrames);
  expect(after.domains).toBe(0);
  expect(after.faults).toBe(0);
  expect(await nodes()).toBe(nodesBefore);
  const growth = (field: 'residentBytes' | 'heapBytes'): number =>
    (after.process[field] - warm.process[field]) / MIB;
  expect(growth('heapBytes')).toBeLessThan(8);
  // one domain leaked in ten would be 700 MiB: the rest is what compilers and collectors take
  expect(growth('residentBytes')).toBeLessThan(160);
});
