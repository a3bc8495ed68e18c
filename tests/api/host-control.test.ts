/** What an operator does to the host: debug keys, messages, the scheduler; the NMI button. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually, startTestService, type TestService } from '../support/service.js';

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ memory: 128 });
  const body = { name: 'hello', kernel: 'hello', memory: 4, maxVcpus: 2 };
  expect((await service.request('POST', '/v1/domains', body)).status).toBe(201);
  await eventually(
    () => service.request('GET', '/v1/domains/hello/console'),
    ({ text }) => text.includes('hello> '),
  );
});
afterAll(() => service.close());

const keys = async (wanted: string): Promise<string> => {
  const { status, json } = await service.request('POST', '/v1/host/debug-keys', { keys: wanted });
  expect(status).toBe(200);
  return json.text;
};
const dmesg = async () => (await service.request('GET', '/v1/host/dmesg')).text;

describe('debug keys', () => {
  // biome-ignore format: one row per key
  const rows: [string, RegExp][] = [
    ['h', /^'h' pressed: show this help\n[\s\S]*\n {2}q {2}show domains/],
    ['q', /d1:\n {2}handle [0-9a-f-]{36}, pauses 0, not shut down\n[\s\S]*v0: blocked, [\d.]+ ms, upcall none/],
    ['r', /credit2: slice 1000 us, ratelimit 100 us, \d queued/],
    ['e', /d1:\n {2}port 1: to d0 port \d+, vCPU 0/],
    ['g', /d1:\n {2}version 1, 1 of 64 frames/],
    ['t', /system time \d+ ns, wall clock 20\d\d-/],
    ['a', /\d+ timers, the next /],
    ['d', /d1v0: kernel rip [0-9a-f]{16} rflags [0-9a-f]{8} cs e033 ss e02b rax [0-9a-f]{16}/],
    ['m', /d1: 1024 of at most 1024 pages/],
    ['H', /\d+ frames of 4 KiB, \d+ free/],
  ];
  test.each(rows)('%s answers from the state as it is', async (key, wanted) => {
    expect(await keys(key)).toMatch(wanted);
  });

  test('what they show is in the log as well; clearing it empties the log', async () => {
    const text = await keys('t');
    expect(await dmesg()).toContain(text.split('\n')[1]);
    expect((await service.request('POST', '/v1/host/dmesg/clear')).status).toBe(204);
    expect(await dmesg()).toBe('');
    expect(await keys('hq')).toContain("'q' pressed");
  });

  test('that there are not are refused by name', async () => {
    const { status, json } = await service.request('POST', '/v1/host/debug-keys', { keys: 'Z' });
    expect(status).toBe(400);
    expect(json.errors).toMatchObject([{ pointer: '/keys', found: 'Z' }]);
  });

  test('an asterisk shows them all, while the guest goes on', async () => {
    expect(await keys('*')).toMatch(/'a': show timers[\s\S]*'t': show clocks/);
    await fetch(`${service.url}/v1/domains/hello/console`, { method: 'POST', body: 'echo on\r' });
    await eventually(
      () => service.request('GET', '/v1/domains/hello/console'),
      ({ text }) => text.includes('\non'),
    );
  });
});

describe('the scheduler', () => {
  const path = '/v1/host/scheduler';
  test('tells its parameters and takes others', async () => {
    const first = { name: 'credit2', sliceUs: 1000, ratelimitUs: 100 };
    expect((await service.request('GET', path)).json).toEqual(first);
    const changed = await service.request('PATCH', path, { ratelimitUs: 500 });
    expect(changed).toMatchObject({ status: 200, json: { ...first, ratelimitUs: 500 } });
    expect(await keys('r')).toContain('ratelimit 500 us');
    await service.request('PATCH', path, { ratelimitUs: 100 });
  });

  test('refuses a ratelimit longer than its slice, and what is out of range', async () => {
    const longer = await service.request('PATCH', path, { ratelimitUs: 2000 });
    expect(longer).toMatchObject({ status: 400, json: { errors: [{ pointer: '/ratelimitUs' }] } });
    expect((await service.request('PATCH', path, { sliceUs: 1 })).status).toBe(400);
  });
});

describe('NMI', () => {
  const nmi = (body?: object) => service.request('POST', '/v1/domains/hello/actions/nmi', body);
  test('goes to a vCPU; a kernel without a handler for it goes on', async () => {
    expect(await nmi()).toMatchObject({ status: 200, json: { name: 'hello' } });
    expect(await nmi({ vcpu: 1 })).toMatchObject({ status: 200 });
  });
  test('to a vCPU that the domain does not have is refused', async () => {
    expect(await nmi({ vcpu: 2 })).toMatchObject({
      status: 400,
      json: { errors: [{ pointer: '/vcpu' }] },
    });
  });
});
