/** What is left of a domain that has stopped, and what a refusal says beside its name: the errno's meaning, and the lines that say more. */

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { startTestService, type TestService } from '../support/service.js';

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ memory: 128 });
});
afterAll(() => service.close());
afterEach(async () => {
  const { json } = await service.request('GET', '/v1/domains?ended=true');
  for (const { uuid } of json.domains) await service.request('DELETE', `/v1/domains/${uuid}`);
});

const create = async (body: Record<string, unknown>): Promise<string> => {
  const answer = await service.request('POST', '/v1/domains', { memory: 8, ...body });
  expect(answer.status, answer.text).toBe(201);
  return `/v1/domains/${answer.json.uuid}`;
};
const read = async (path: string) => (await service.request('GET', path)).json;
const until = async (path: string, shutdownReason: string, state: string) => {
  await expect.poll(() => read(path), { timeout: 60_000 }).toMatchObject({ shutdownReason, state });
  return read(path);
};

test('a domain that powered off keeps console, exit code and last lines until it is reaped', async () => {
  const path = await create({ name: 'user', kernel: 'user' });
  expect(await read(path)).not.toHaveProperty('exitCode');
  const ended = await until(path, 'poweroff', 'ended');
  expect(ended.exitCode).toBe(0);
  const console = (await service.request('GET', `${path}/console`)).text;
  expect(console).toContain('VERDICT: success');
  expect(ended.lastOutput.length).toBeLessThanOrEqual(20);
  expect(ended.lastOutput.join('\n')).toContain('VERDICT: success');
  expect(console).toContain(ended.lastOutput[0]);
  expect((await service.request('DELETE', path)).status).toBe(204);
  for (const gone of [path, `${path}/console`]) {
    expect((await service.request('GET', gone)).status).toBe(404);
  }
});

test('one that crashed says so by its exit code, and a request that it cannot serve shows its last lines', async () => {
  const path = await create({ name: 'crash', kernel: 'hostile-no-handler', onCrash: 'preserve' });
  const crashed = await until(path, 'crash', 'shutdown');
  expect(crashed).toMatchObject({ exitCode: 3, lastOutput: expect.any(Array) });
  expect(crashed.lastOutput.length).toBeGreaterThan(0);
  const refused = await service.request('POST', `${path}/actions/pause`);
  expect(refused.status).toBe(409);
  expect(refused.json.log).toEqual(crashed.lastOutput);
});

test('one that was destroyed has its last lines and no exit code', async () => {
  const path = await create({ name: 'hello', kernel: 'hello' });
  const printed = async () => (await service.request('GET', `${path}/console`)).text;
  await expect.poll(printed, { timeout: 60_000 }).toContain('hello> ');
  await service.request('DELETE', path);
  const ended = await read(path);
  expect(ended).not.toHaveProperty('exitCode');
  expect(ended.lastOutput.at(-1)).toContain('hello>');
});

test('what the hypervisor refuses has its errno, what that means, and its figures', async () => {
  const body = { name: 'huge', kernel: 'hello', memory: 3000 };
  const answer = await service.request('POST', '/v1/domains', body);
  expect(answer.status).toBe(507);
  expect(answer.json).toMatchObject({
    errno: 'ENOMEM',
    errnoMeaning: expect.stringContaining('free frames'),
    figures: expect.any(Object),
  });
});
