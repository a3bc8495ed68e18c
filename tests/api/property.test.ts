/** Whatever a client sends, it is answered with a documented status and problem+json, never with a 5xx of ours, and nothing is leaked. */

import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestService, type TestService } from '../support/service.js';

const RUNS = 300;
const TAKEN = [200, 201, 202, 204];
const REFUSED = [400, 404, 405, 409, 413, 415, 422, 426, 429, 507];

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ memory: 32 });
});
afterAll(() => service.close());

/** A value that is right more often than not, so that some requests get far. */
const mostly = <T>(right: T, ...wrong: fc.Arbitrary<unknown>[]) =>
  fc.oneof({ weight: 30, arbitrary: fc.constant<unknown>(right) }, ...wrong);
const anything = fc.jsonValue({ maxDepth: 2 });

const body = fc.record(
  {
    name: fc.oneof(
      { weight: 8, arbitrary: fc.stringMatching(/^[a-z]{1,8}$/) },
      fc.string(),
      anything,
    ),
    kernel: mostly(
      'hello',
      fc.string(),
      fc.constantFrom('../x', 'test-iret', 'README.md'),
      anything,
    ),
    memory: mostly(4, fc.double(), fc.integer({ min: -1, max: 5000 }), anything),
    vcpus: mostly(1, fc.integer({ min: -1, max: 40 }), anything),
    maxVcpus: mostly(2, anything),
    weight: mostly(256, fc.integer(), anything),
    cap: mostly(0, fc.integer({ min: -1, max: 400 }), anything),
    cmdline: mostly('quiet', fc.string({ maxLength: 2000 }), anything),
    paused: mostly(true, anything),
    onCrash: mostly('destroy', fc.constantFrom('preserve', 'restart'), anything),
  },
  { requiredKeys: ['name', 'kernel'] },
);

const id = fc.oneof(
  fc.stringMatching(/^[a-z]{1,3}$/),
  fc.integer({ min: -1, max: 20 }).map(String),
  fc.string(),
);
const path = fc.oneof(
  id.map((name) => `/v1/domains/${encodeURIComponent(name)}`),
  fc
    .tuple(id, fc.constantFrom('pause', 'unpause', 'shutdown', 'reboot', 'fly'))
    .map(([name, verb]) => `/v1/domains/${encodeURIComponent(name)}/actions/${verb}`),
  id.map((name) => `/v1/domains/${encodeURIComponent(name)}/console`),
  fc.string().map((name) => `/v1/xenstore/${encodeURIComponent(name)}`),
  fc.webPath().map((rest) => `/v1${rest}`),
);

async function ask(method: string, where: string, content?: unknown): Promise<number> {
  const answer = await service.request(method, where, content);
  const type = answer.headers.get('content-type') ?? '';
  expect([...TAKEN, ...REFUSED], `${method} ${where}: ${answer.text}`).toContain(answer.status);
  if (REFUSED.includes(answer.status)) expect(type).toContain('application/problem+json');
  return answer.status;
}

test('no request body brings the service down or leaks', async () => {
  const free = async (): Promise<number> =>
    (await service.request('GET', '/v1/host')).json.memory.freeFrames;
  const before = await free();
  let created = 0;
  await fc.assert(
    fc.asyncProperty(fc.oneof({ weight: 4, arbitrary: body }, anything), async (content) => {
      if ((await ask('POST', '/v1/domains', content)) === 201) created += 1;
      if (created % 4 === 3) await destroyAll();
    }),
    { numRuns: RUNS },
  );
  await destroyAll();
  expect(created).toBeGreaterThan(10);
  expect(await free()).toBe(before);
});

test('no path and method does', async () => {
  const method = fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH');
  await fc.assert(
    fc.asyncProperty(method, path, fc.option(anything), async (verb, where, content) => {
      await ask(verb, where, verb === 'GET' || content === null ? undefined : content);
    }),
    { numRuns: RUNS },
  );
  const { json } = await service.request('GET', '/v1/host');
  expect(json.faults).toBe(0);
});

async function destroyAll(): Promise<void> {
  const { json } = await service.request('GET', '/v1/domains');
  for (const { uuid } of json.domains) await service.request('DELETE', `/v1/domains/${uuid}`);
}
