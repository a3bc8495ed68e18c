/** Tasks: shutdown, reboot, dump-core and create by Prefer; told of by events; waited for, cancelled, forgotten. */

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { eventually, startTestService, type TestService, TestSocket } from '../support/service.js';

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ memory: 128 });
});
afterAll(() => service.close());
afterEach(async () => {
  const { json } = await service.request('GET', '/v1/domains?ended=true');
  for (const { uuid } of json.domains) await service.request('DELETE', `/v1/domains/${uuid}`);
});

async function post(path: string, body: object | undefined, prefer?: string) {
  const response = await fetch(service.url + path, {
    method: 'POST',
    headers: {
      ...(body && { 'content-type': 'application/json' }),
      ...(prefer && { prefer }),
    },
    ...(body && { body: JSON.stringify(body) }),
  });
  return { status: response.status, headers: response.headers, json: await response.json() };
}
const hello = (body: object = {}) => ({ name: 'hello', kernel: 'hello', memory: 4, ...body });
const act = (kind: string, body?: object, prefer?: string) =>
  post(`/v1/domains/hello/actions/${kind}`, body, prefer);
const taskAt = (location: string | null) => service.request('GET', location ?? '');
const greeting = () =>
  eventually(
    () => service.request('GET', '/v1/domains/hello/console'),
    ({ text }) => text.includes('hello> '),
  );

test('a domain is created at once, and its answer is the domain, unless a task is preferred', async () => {
  const plain = await post('/v1/domains', hello());
  expect(plain).toMatchObject({ status: 201, json: { name: 'hello' } });
  const async = await post('/v1/domains', hello({ name: 'other' }), 'respond-async');
  expect(async).toMatchObject({ status: 202, json: { kind: 'create-domain', state: 'running' } });
  expect(async.headers.get('preference-applied')).toBe('respond-async');
  const location = async.headers.get('location');
  expect(location).toBe(`/v1/tasks/${async.json.id}`);
  const { json } = await eventually(
    () => taskAt(location),
    (answer) => answer.json.state !== 'running',
  );
  expect(json).toMatchObject({ state: 'succeeded', progress: 1, result: { name: 'other' } });
  expect((await service.request('GET', `/v1/domains/${json.result.uuid}`)).status).toBe(200);
});

test('what goes wrong in a task is in the task, as the request would have been refused', async () => {
  const body = hello({ kernel: 'no-such' });
  const { status, json } = await post('/v1/domains', body, 'respond-async, wait=30');
  expect(status).toBe(200);
  expect(json.state).toBe('failed');
  expect(json.problem).toMatchObject({
    type: '/problems/bad-value',
    instance: `/v1/tasks/${json.id}`,
    errors: [{ pointer: '/kernel' }],
  });
});

describe('shutdown and reboot', () => {
  test('answer with a task that ends when the kernel has done it', async () => {
    await post('/v1/domains', hello());
    await greeting();
    const asked = await act('shutdown');
    expect(asked).toMatchObject({ status: 202, json: { kind: 'shutdown', state: 'running' } });
    const { json } = await eventually(
      () => taskAt(asked.headers.get('location')),
      (answer) => answer.json.state !== 'running',
    );
    expect(json).toMatchObject({ state: 'succeeded', result: { reason: 'poweroff' } });
  });

  test('can be waited for with Prefer: wait, and the time may run out', async () => {
    await post('/v1/domains', hello({ paused: true }));
    const short = await act('reboot', undefined, 'wait=0.05');
    expect(short).toMatchObject({ status: 202, json: { state: 'running' } });
    expect(short.headers.get('preference-applied')).toBe('wait=0.05');
    const long = await act('shutdown', { force: true }, 'wait');
    expect(long).toMatchObject({ status: 200, json: { state: 'succeeded' } });
  });

  test('of a kernel that does not take notice fail, and say so', async () => {
    await post('/v1/domains', hello({ paused: true }));
    const { status, json } = await act('shutdown', { timeout: 0.05 }, 'wait=20');
    expect(status).toBe(200);
    expect(json).toMatchObject({ state: 'failed', problem: { type: '/problems/unresponsive' } });
  });

  test('that are refused make no task', async () => {
    const before = (await service.request('GET', '/v1/tasks')).json.tasks.length;
    expect((await post('/v1/domains/nobody/actions/shutdown', undefined)).status).toBe(404);
    expect((await service.request('GET', '/v1/tasks')).json.tasks).toHaveLength(before);
  });
});

test('a task that runs can be cancelled, one that has ended forgotten', async () => {
  await post('/v1/domains', hello({ paused: true }));
  const { json: task } = await act('shutdown', { timeout: 3600 });
  const cancelled = await service.request('DELETE', `/v1/tasks/${task.id}`);
  expect(cancelled.status).toBe(202);
  await eventually(
    () => service.request('GET', `/v1/tasks/${task.id}`),
    ({ json }) => json.state === 'cancelled',
  );
  expect((await service.request('DELETE', `/v1/tasks/${task.id}`)).status).toBe(204);
  const gone = await service.request('GET', `/v1/tasks/${task.id}`);
  expect(gone).toMatchObject({ status: 404, json: { type: '/problems/no-such-task' } });
});

test('events tell of each step of a task', async () => {
  const events = new TestSocket(`${service.url}/v1/events`);
  await events.opened();
  const { json } = await post('/v1/domains', hello(), 'respond-async, wait');
  const steps = () => events.lines().filter(({ task }) => task?.id === json.id);
  await events.until(() => steps().some(({ task }) => task.state === 'succeeded'), 'end');
  expect(steps().map(({ kind, task }) => [kind, task.step, task.state])).toEqual([
    ['task', 'begins', 'running'],
    ['task', 'builds the domain', 'running'],
    ['task', 'builds the domain', 'succeeded'],
  ]);
  events.close();
});

test('more than 128 vCPUs are refused, 64 are not', async () => {
  const many = await post('/v1/domains', hello({ maxVcpus: 64 }));
  expect(many).toMatchObject({ status: 201, json: { vcpus: { max: 64, online: 1 } } });
  await greeting();
  const tooMany = await post('/v1/domains', hello({ name: 'other', maxVcpus: 129 }));
  expect(tooMany).toMatchObject({ status: 400, json: { errors: [{ pointer: '/maxVcpus' }] } });
});
