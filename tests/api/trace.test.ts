/** The trace over WebSocket: decoded, filtered, in bytes, and to readers who stop reading. */

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { TRACE_KIND, TRACE_UNIT, traceRecord } from '../../hypervisor/public/trace.js';
import { TraceLine } from '../../toolstack/schemas/trace.js';
import { eventually, startTestService, type TestService, TestSocket } from '../support/service.js';

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ memory: 128 });
});
afterAll(() => service.close());
afterEach(async () => {
  const { json } = await service.request('GET', '/v1/domains');
  for (const { uuid } of json.domains) await service.request('DELETE', `/v1/domains/${uuid}`);
});

const create = async (name: string, kernel = 'hello', cmdline = ''): Promise<{ domid: number }> => {
  const body = { name, kernel, cmdline, memory: 8 };
  const answer = await service.request('POST', '/v1/domains', body);
  expect(answer.status, answer.text).toBe(201);
  return answer.json;
};
const listen = async (query: string): Promise<TestSocket> => {
  const socket = new TestSocket(`${service.url}/v1/trace?${query}`);
  await socket.opened();
  return socket;
};
describe('a reader', () => {
  test('sees the hypercalls of a booting guest with arguments, result, duration and rip', async () => {
    const trace = await listen('');
    const { domid } = await create('hello');
    await trace.until(() => trace.lines().some(({ op }) => op === 'block'), 'a block');
    const lines = trace.lines();
    for (const line of lines) expect(TraceLine.parse(line)).toBeDefined();
    expect(lines).toContainEqual(
      expect.objectContaining({
        kind: 'hypercall',
        domid,
        vcpu: 0,
        name: 'xen_version',
        op: 'version',
        result: 0x40011,
        rip: expect.stringMatching(/^0xffffffff8/),
        text: expect.stringContaining(`d${domid}v0 xen_version(version) = 0x40011`),
      }),
    );
    expect(lines).toContainEqual(
      expect.objectContaining({
        name: 'event_channel_op',
        op: 'alloc_unbound',
        args: expect.objectContaining({ dom: 'SELF' }),
        output: { port: expect.any(String) },
      }),
    );
    expect(lines.every(({ duration }) => duration >= 0)).toBe(true);
    const numbers = lines.map(({ seq }) => seq);
    expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    trace.close();
  });

  test('gets only the domains, calls and classes asked for', async () => {
    const byName = await listen('domain=two');
    const byCall = await listen('call=sched_op,xen_version');
    const byClass = await listen('class=event');
    const { domid: one } = await create('one');
    const { domid: two } = await create('two');
    const blocked = (socket: TestSocket, domid: number) =>
      socket.lines().some((line) => line.domid === domid && line.op === 'block');
    await byCall.until(() => blocked(byCall, one) && blocked(byCall, two), 'both');
    await byName.until(() => blocked(byName, two), 'two');
    const values = (socket: TestSocket, key: string) =>
      new Set(socket.lines().map((line) => line[key]));
    expect(values(byName, 'domid')).toEqual(new Set([two]));
    expect(values(byCall, 'name')).toEqual(new Set(['sched_op', 'xen_version']));
    expect(values(byClass, 'class')).toEqual(new Set(['event']));
    for (const socket of [byName, byCall, byClass]) socket.close();
  });

  test('gets only what its expression holds for, and the hypervisor writes no other call for it', async () => {
    const query = new URLSearchParams({
      filter: 'domain=two and call=xen_version and (op~ver* or result<0)',
    });
    const trace = await listen(String(query));
    await create('one');
    const { domid } = await create('two');
    await trace.until(() => trace.lines().length > 0, 'a record');
    await service.request('DELETE', '/v1/domains/two');
    const lines = trace.lines();
    for (const line of lines) expect(line).toMatchObject({ domid, name: 'xen_version' });
    expect(lines).toContainEqual(expect.objectContaining({ op: 'version' }));
    trace.close();
    // Numbers count what is written: any other call of this domain would have had one.
    const filter = 'domain=three and call=set_timer_op and result>=0';
    const alone = await listen(String(new URLSearchParams({ filter })));
    await create('three', 'ticker', 'ticks=10 period=10');
    await alone.until(() => alone.lines().length >= 5, 'five timers');
    const numbers = alone.lines().map(({ seq }) => seq);
    expect(numbers).toEqual(numbers.map((_, n) => numbers[0] + n));
    alone.close();
  });

  test('sees why a domain was crashed, and its faults if it asks for them', async () => {
    const trace = await listen('class=fault,domain');
    await create('faulty', 'hostile-no-handler');
    await trace.until(() => trace.lines().some(({ kind }) => kind === 'domain'), 'the crash');
    expect(trace.lines()).toContainEqual(expect.objectContaining({ kind: 'fault', name: '#UD' }));
    trace.close();
  });

  test('gets a summary each second, one when it asks, and a last one after so many records', async () => {
    const trace = await listen('format=summary&by=domain&class=time');
    const { domid } = await create('clock', 'ticker', 'ticks=1000000 period=20');
    const counts = () => trace.lines().map(({ calls }) => calls);
    await trace.until(() => (counts().at(-1) ?? 0) > 0, 'a summary of something');
    const { rows, errors, seconds } = trace.lines().at(-1);
    expect({ errors, isLong: seconds > 0.5 }).toEqual({ errors: 0, isLong: true });
    expect(rows).toContainEqual(expect.objectContaining({ call: 'set_timer_op', domid }));
    const heard = counts().length;
    for (let n = 0; n < 50; n++) trace.send('now');
    await trace.until(() => counts().length >= heard + 50, 'the answers');
    expect(trace.closed).toBeUndefined();
    trace.close();
    const limited = await listen('format=summary&limit=7&call=set_timer_op');
    await limited.until(() => limited.closed !== undefined, 'end');
    expect(limited.closed).toMatchObject({ code: 1000 });
    expect(limited.lines().at(-1)).toMatchObject({ calls: 7, dropped: 0 });
  });

  test('sums up over HTTP for so long', async () => {
    await create('clock', 'ticker', 'ticks=1000000 period=20');
    const query = 'seconds=1&domain=clock&filter=duration<1s';
    // A guest that is late sets no timer: it may take more than one second.
    const { json } = await eventually(
      () => service.request('GET', `/v1/trace/summary?${query}`),
      ({ json }) => json.rows.some(({ call }: { call: string }) => call === 'set_timer_op'),
    );
    expect(json.seconds).toBeGreaterThanOrEqual(1);
    for (const { min, p50, p99, max, average, total, calls: count } of json.rows) {
      expect([min, p50, p99, max].toSorted((a, b) => a - b)).toEqual([min, p50, p99, max]);
      expect(average).toBeCloseTo(total / count);
    }
    const refused = await service.request('GET', '/v1/trace/summary?filter=what%3Dever');
    expect(refused).toMatchObject({ status: 400, json: { errors: [{ pointer: '?filter' }] } });
    expect((await service.request('GET', '/v1/trace/summary?seconds=61')).status).toBe(400);
  });

  test('is told that it has had all that it asked for', async () => {
    await create('clock', 'ticker', 'ticks=1000000 period=20');
    const some = await listen('limit=3&call=set_timer_op');
    const brief = await listen('seconds=0.3');
    for (const socket of [some, brief]) {
      await socket.until(() => socket.closed !== undefined, 'end');
      expect(socket.closed).toMatchObject({ code: 1000 });
    }
    expect(some.lines()).toHaveLength(3);
    // The last listener has left in the midst of a look: the next one hears again.
    const next = await listen('call=set_timer_op');
    await next.until(() => next.lines().length > 0, 'a record');
    next.close();
  });

  test('gets records as bytes with format=binary', async () => {
    const trace = await listen('format=binary&call=xen_version');
    const { domid } = await create('hello');
    await trace.until(() => trace.frames.length > 0, 'a frame');
    const [frame] = trace.frames;
    expect(frame?.binary).toBe(true);
    expect((frame?.data.length ?? 1) % TRACE_UNIT).toBe(0);
    const bytes = new Uint8Array(frame?.data ?? []);
    const record = traceRecord.decode(new DataView(bytes.buffer), 0);
    expect(record).toMatchObject({ kind: TRACE_KIND.HYPERCALL, domid, op: 17, result: 0x40011n });
    trace.close();
  });
});

describe('a reader that stops reading', () => {
  /** Calls a second that the busy guest makes, by the hypervisor's own count: the best of a few looks, as the host has other work. */
  async function pace(): Promise<number> {
    const total = async () => (await service.request('GET', '/v1/host')).json.hypercalls.total;
    const rates: number[] = [];
    for (let look = 0; look < 3; look += 1) {
      const [before, start] = [await total(), performance.now()];
      await new Promise((resolve) => setTimeout(resolve, 500));
      rates.push(((await total()) - before) / (performance.now() - start));
    }
    return Math.max(...rates);
  }

  test('does not slow the guest or other readers, costs bounded memory, and is told what it has missed', async () => {
    await create('busy', 'hostile-event-storm');
    const reading = await listen('domain=busy');
    const alone = await pace();
    // Without a filter each record of the ring is for it, so that everything can be accounted for.
    const stalled = await listen('');
    await stalled.until(() => stalled.frames.length > 0, 'the first records');
    stalled.socket.pause();
    const resident = async (): Promise<number> =>
      (await service.request('GET', '/v1/host')).json.process.residentBytes;
    // Long enough to fill the socket and the outbox.
    await new Promise((resolve) => setTimeout(resolve, 3000));
    const before = await resident();
    const beside = await pace();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect((await resident()) - before).toBeLessThan(200 * 1024 * 1024);
    expect(beside).toBeGreaterThan(alone * 0.2);
    const heard = reading.frames.length;
    await reading.until(() => reading.frames.length > heard, 'more for the reader that reads');
    reading.close();

    await service.request('DELETE', '/v1/domains/busy');
    stalled.socket.resume();
    const drops = () => stalled.lines().filter(({ dropped }) => dropped !== undefined);
    await stalled.until(() => drops().length > 0, 'the report of drops');
    const { domid } = await create('last');
    await stalled.until(
      () =>
        stalled
          .lines()
          .slice(-50)
          .some((line) => line.domid === domid),
      'records after the drops',
    );
    await new Promise((resolve) => setTimeout(resolve, 500));
    // What was lost before its first record was never this reader's.
    const lines = stalled.lines();
    const since = lines.slice(lines.findIndex(({ seq }) => seq !== undefined));
    const numbers = since.flatMap(({ seq }) => (seq === undefined ? [] : [seq]));
    const reported = since.reduce((sum, { dropped = 0 }) => sum + dropped, 0);
    const written = (numbers.at(-1) ?? 0) - (numbers[0] ?? 0) + 1;
    expect(numbers.length + reported).toBe(written);
    stalled.close();
  });
});
