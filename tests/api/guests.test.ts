/** The guests of the kit over the API: what they do for themselves, and for each other by XenStore, grants and events. */

import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually, startTestService, type TestService } from '../support/service.js';

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ memory: 64 });
});
afterAll(() => service.close());

const create = async (name: string, cmdline = ''): Promise<void> => {
  const body = { name, kernel: name, cmdline, memory: 8, onPoweroff: 'preserve' };
  const answer = await service.request('POST', '/v1/domains', body);
  expect(answer.status, answer.text).toBe(201);
};
const free = async (): Promise<number> =>
  (await service.request('GET', '/v1/host')).json.memory.freeFrames;
const destroy = (name: string) => service.request('DELETE', `/v1/domains/${name}`);

/** Waits until the guest has shut down, and gives what it has printed. */
async function printed(name: string): Promise<string> {
  await eventually(
    async () => (await service.request('GET', `/v1/domains/${name}`)).json.state,
    (state) => state === 'shutdown',
    120_000,
  );
  return (await service.request('GET', `/v1/domains/${name}/console`)).text;
}

test('ping and pong find each other and exchange 100,000 messages, none lost', async () => {
  const before = await free();
  await create('pong');
  await create('ping', 'count=100000');
  expect(await printed('ping')).toContain('VERDICT: success: 100000 messages');
  expect(await printed('pong')).toContain('VERDICT: success: 100000 messages answered');
  await destroy('ping');
  await destroy('pong');
  expect(await free()).toBe(before);
});

test('user: each misdeed of a program in ring 3 ends the program, not the kernel', async () => {
  await create('user');
  const output = await printed('user');
  expect(output).toContain('VERDICT: success');
  expect(output).not.toContain('WRONG');
  await destroy('user');
});
