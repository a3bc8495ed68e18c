/** Recordings over REST: begun and ended, downloaded in every form, played to the readers of the trace, damaged ones. */

import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Answer,
  eventually,
  startTestService,
  type TestService,
  TestSocket,
} from '../support/service.js';

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ memory: 64 });
  const body = { name: 'clock', kernel: 'ticker', cmdline: 'ticks=1000000 period=20', memory: 4 };
  expect((await service.request('POST', '/v1/domains', body)).status).toBe(201);
});
afterAll(() => service.close());

const get = (path: string) => service.request('GET', `/v1/recordings${path}`);
const fileOf = (name: string): string => join(service.folder, 'recordings', name);

/** Records until there is something in it, and stops. */
async function record(name: string, asked: object = {}): Promise<Answer> {
  const begun = await service.request('POST', '/v1/recordings', { name, ...asked });
  expect(begun.status, begun.text).toBe(202);
  expect(begun.headers.get('content-location')).toBe(`/v1/recordings/${name}`);
  await eventually(
    () => get(''),
    ({ json }) =>
      json.recordings.some(
        (each: { name: string; bytes: number }) => each.name === name && each.bytes > 4096,
      ),
  );
  expect((await service.request('POST', `/v1/recordings/${name}/actions/stop`)).status).toBe(204);
  return ended(begun);
}

const ended = (begun: Answer): Promise<Answer> =>
  eventually(
    () => service.request('GET', `/v1/tasks/${begun.json.id}`),
    ({ json }) => json.state !== 'running',
  );

async function playedTo(query: string): Promise<TestSocket> {
  const socket = new TestSocket(`${service.url}/v1/trace?${query}`);
  await socket.until(() => socket.closed !== undefined, 'end');
  return socket;
}

describe('a recording', () => {
  test('is a task until it is stopped, then a file', async () => {
    const begun = await service.request('POST', '/v1/recordings', {
      name: 'first',
      domain: ['clock'],
    });
    expect(begun.json).toMatchObject({ kind: 'record', state: 'running' });
    expect((await get('')).json.recordings).toContainEqual(
      expect.objectContaining({ name: 'first', state: 'recording', task: begun.json.id }),
    );
    expect((await get('/first')).status).toBe(409);
    expect((await service.request('DELETE', '/v1/recordings/first')).status).toBe(409);
    const again = await service.request('POST', '/v1/recordings', { name: 'first' });
    expect(again).toMatchObject({ status: 409, json: { type: '/problems/recording-exists' } });
    await eventually(
      () => get(''),
      ({ json }) => json.recordings[0].bytes > 4096,
    );
    expect((await service.request('POST', '/v1/recordings/first/actions/stop')).status).toBe(204);
    const { json } = await ended(begun);
    expect(json).toMatchObject({
      state: 'succeeded',
      result: { recording: 'first', dropped: 0, ended: 'stopped' },
    });
    expect(json.result.records).toBeGreaterThan(0);
    expect(statSync(fileOf('first')).size).toBe(json.result.bytes);
    expect((await service.request('POST', '/v1/recordings/first/actions/stop')).status).toBe(409);
    expect((await service.request('DELETE', '/v1/recordings/first')).status).toBe(204);
    expect((await get('/first')).status).toBe(404);
  });

  test('ends when its time is over, and when its file is full', async () => {
    const brief = await service.request('POST', '/v1/recordings', { seconds: 0.2 });
    expect((await ended(brief)).json.result).toMatchObject({
      recording: expect.stringMatching(/^trace-\d{8}T/),
      ended: 'seconds',
    });
    const busy = { name: 'busy', kernel: 'hostile-event-storm', memory: 4 };
    expect((await service.request('POST', '/v1/domains', busy)).status).toBe(201);
    const small = await service.request('POST', '/v1/recordings', { name: 'full', bytes: 65_536 });
    const { json } = await ended(small);
    await service.request('DELETE', '/v1/domains/busy');
    expect(json.result).toMatchObject({ ended: 'bytes' });
    expect(statSync(fileOf('full')).size).toBeLessThanOrEqual(65_536);
    expect(statSync(fileOf('full')).size).toBeGreaterThan(60_000);
  });

  test('leaves nothing if its task is cancelled', async () => {
    const begun = await service.request('POST', '/v1/recordings', { name: 'never' });
    await service.request('DELETE', `/v1/tasks/${begun.json.id}`);
    expect((await ended(begun)).json.state).toBe('cancelled');
    expect((await get('/never')).status).toBe(404);
  });

  // biome-ignore format: one row per request
  test.each([
    [{ name: '../escape' },        '/name'],
    [{ filter: 'what=ever' },      '?filter'],
    [{ call: ['nonsense'] },       '?call'],
    [{ seconds: 0 },               '/seconds'],
    [{ bytes: 1 },                 '/bytes'],
    [{ what: 'ever' },             '/what'],
  ])('of %j is refused', async (body, pointer) => {
    const { status, json } = await service.request('POST', '/v1/recordings', body);
    expect({ status, errors: json.errors }).toMatchObject({ status: 400, errors: [{ pointer }] });
  });
});

describe('what was recorded', () => {
  let records: number;
  beforeAll(async () => {
    const { json } = await record('clock', { filter: 'domain=clock and class=time,sched' });
    records = json.result.records;
  });

  test('is downloaded as it is, as JSON, as text and for Perfetto, filtered if that is wanted', async () => {
    const binary = await fetch(`${service.url}/v1/recordings/clock`);
    expect(Buffer.from(await binary.arrayBuffer())).toEqual(readFileSync(fileOf('clock')));
    const json = (await get('/clock?format=json')).text.trimEnd().split('\n');
    expect(json).toHaveLength(records);
    expect(JSON.parse(json[0] ?? '')).toMatchObject({
      kind: 'hypercall',
      domid: expect.any(Number),
    });
    const text = (await get('/clock?format=text&call=set_timer_op')).text.trimEnd().split('\n');
    for (const line of text) expect(line).toMatch(/^d\d+v0 set_timer_op\(/);
    expect(text.length).toBeLessThan(records);
    const { traceEvents } = (await get('/clock?format=perfetto')).json;
    expect(traceEvents.filter(({ ph }: { ph: string }) => ph === 'X')).toHaveLength(records);
    expect(traceEvents).toContainEqual(
      expect.objectContaining({ ph: 'M', args: { name: expect.stringMatching(/^d\d+ clock$/) } }),
    );
    expect((await get('/clock?format=binary&call=set_timer_op')).status).toBe(400);
    expect((await get('/clock?format=text&filter=x')).status).toBe(400);
  });

  test('is played to a reader of the trace, who gets what he would have got, and the end', async () => {
    const live = (await get('/clock?format=json')).text.trimEnd().split('\n');
    const all = await playedTo('recording=clock');
    expect(all.closed).toMatchObject({ code: 1000 });
    expect(all.lines()).toEqual(live.map((line) => JSON.parse(line)));
    const some = await playedTo('recording=clock&limit=3&filter=call%3Dset_timer_op');
    expect(some.lines()).toHaveLength(3);
    const summary = await playedTo('recording=clock&format=summary');
    expect(summary.lines().at(-1)).toMatchObject({ calls: records, dropped: 0 });
    const copy = await playedTo('recording=clock&format=recording');
    writeFileSync(fileOf('copy'), Buffer.concat(copy.frames.map(({ data }) => data)));
    expect((await playedTo('recording=copy')).lines()).toEqual(all.lines());
  });

  test('is played as slowly as it was, or at another speed', async () => {
    const lines = (await playedTo('recording=clock')).lines();
    const span = (lines.at(-1).time - lines[0].time) / 1e6;
    const started = performance.now();
    await playedTo('recording=clock&speed=0.5');
    expect(performance.now() - started).toBeGreaterThanOrEqual(span * 2 - 10);
  });

  test('is not there: the socket is refused', async () => {
    await expect(
      new TestSocket(`${service.url}/v1/trace?recording=nothing`).opened(),
    ).rejects.toThrow('404');
    await expect(
      new TestSocket(`${service.url}/v1/trace?recording=..%2Fstate`).opened(),
    ).rejects.toThrow(/40[04]/);
  });

  test('is damaged: what is whole comes, then the place', async () => {
    await record('damaged', { call: ['set_timer_op'] });
    truncateSync(fileOf('damaged'), statSync(fileOf('damaged')).size - 8);
    const socket = await playedTo('recording=damaged');
    expect(socket.closed).toMatchObject({
      code: 1011,
      reason: expect.stringMatching(/^the recording is damaged at byte \d+: the file ends within/),
    });
    expect(socket.lines().length).toBeGreaterThan(0);
    const text = (await get('/damaged?format=text')).text;
    expect(text).toMatch(/\n… damaged at byte \d+: .* …\n$/);
  });
});

test('a service that stops keeps what it has recorded', async () => {
  const recordings = join(service.folder, 'kept');
  const ending = await startTestService({ memory: 64, recordings });
  await ending.request('POST', '/v1/recordings', { name: 'kept' });
  await ending.close();
  expect(readFileSync(join(recordings, 'kept')).toString('latin1', 0, 7)).toBe('XLTRACE');
});
