/** Five hundred clients at once for a minute: each gets a documented answer, and nothing is left of them. */

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { LoadReport } from '../support/load-clients.js';
import { eventually, startTestService, type TestService } from '../support/service.js';

const ROOT = join(import.meta.dirname, '../..');
const CLIENTS = 500;
const SECONDS = 60;
const MIB = 1024 * 1024;
/** Memory of all guests together, MiB: for a quarter of the clients at once. */
const MEMORY = 512;

const DOCUMENTED = new Set(['101', '200', '201', '204', '404', '409', '429', '503', '507']);

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ memory: MEMORY, rateLimit: 0 });
});
afterAll(() => service.close());

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

async function host() {
  collectGarbage();
  return (await service.request('GET', '/v1/host')).json;
}

/** Both ends of the one connection that this test has itself are among them. */
const openSockets = (): number =>
  process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;

async function destroyAll(): Promise<void> {
  for (;;) {
    const { json } = await service.request('GET', '/v1/domains?limit=100');
    if (json.domains.length === 0) return;
    for (const { uuid } of json.domains) await service.request('DELETE', `/v1/domains/${uuid}`);
  }
}

function load(): Promise<LoadReport> {
  const program = join(ROOT, 'tests/support/load-clients.ts');
  const words = ['--import', 'tsx', program, service.url, String(CLIENTS), String(SECONDS)];
  const child = spawn(process.execPath, words, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (bytes: Buffer) => {
    said += bytes;
  });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), 10 * SECONDS * 1000);
    child.once('close', (code) => {
      clearTimeout(timer);
      if (code === 0) resolve(JSON.parse(said) as LoadReport);
      else reject(new Error(`the clients ended with ${code}: ${said}`));
    });
  });
}

test(`${CLIENTS} clients for ${SECONDS} seconds: documented answers, and all is as before`, async () => {
  // One that all the code has been through.
  await service.request('POST', '/v1/domains', { name: 'first', kernel: 'hello', memory: 4 });
  await destroyAll();
  const before = await host();
  const socketsBefore = openSockets();

  const { answers, latencies, errors } = await load();
  const rows = Object.entries(latencies).map(([name, figures]) => ({
    name,
    ...figures,
    answers: JSON.stringify(answers[name]),
  }));
  console.table(rows);
  expect(errors.slice(0, 10)).toEqual([]);
  const statuses = Object.values(answers).flatMap((each) => Object.keys(each));
  expect(statuses.filter((status) => !DOCUMENTED.has(status))).toEqual([]);
  // It was no load of refusals only.
  expect(answers['create']?.[201]).toBeGreaterThan(CLIENTS / 2);
  expect(answers['destroy']?.[204]).toBeGreaterThan(CLIENTS / 4);
  for (const name of ['list', 'console text']) expect(answers[name]?.[200]).toBeGreaterThan(10);
  for (const name of ['console', 'trace']) expect(answers[name]?.[101]).toBeGreaterThan(10);

  await destroyAll();
  const freeFrames = before.memory.freeFrames;
  const after = await eventually(host, ({ memory }) => memory.freeFrames === freeFrames);
  expect(after.domains).toBe(0);
  expect(after.faults).toBe(0);
  await eventually(
    async () => openSockets(),
    (open) => open <= socketsBefore,
  );
  const grown = (field: 'heapBytes' | 'residentBytes'): number =>
    (after.process[field] - before.process[field]) / MIB;
  console.log(`heap +${grown('heapBytes').toFixed(1)} MiB`);
  console.log(`resident +${grown('residentBytes').toFixed(1)} MiB`);
  expect(grown('heapBytes')).toBeLessThan(64);
  // The guests' memory becomes resident when it is first touched, and stays: once for all of them.
  expect(grown('residentBytes')).toBeLessThan(MEMORY + 256);
});
