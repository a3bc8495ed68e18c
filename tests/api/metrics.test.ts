/** What machines ask: is it alive, is it ready, and its figures for Prometheus. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Family, parseMetrics } from '../support/prometheus.js';
import { eventually, startTestService, type TestService } from '../support/service.js';

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ memory: 64 });
});
afterAll(() => service.close());

const get = (path: string) => service.request('GET', path);
const metrics = async (): Promise<Map<string, Family>> =>
  parseMetrics((await get('/metrics')).text);

/** The one sample of a family whose labels contain the text. */
function sample(families: Map<string, Family>, name: string, labels = ''): number | undefined {
  const { samples } = families.get(`xenolith_${name}`) ?? { samples: new Map<string, number>() };
  const found = [...samples].filter(([key]) => key.includes(labels));
  expect(found.length, `${name} with ${labels}`).toBeLessThan(2);
  return found[0]?.[1];
}

const run = async (config: object): Promise<number> => {
  const answer = await service.request('POST', '/v1/domains', { memory: 4, ...config });
  expect(answer.status, answer.text).toBe(201);
  const { name } = answer.json;
  await eventually(
    async () => (await get(`/v1/domains/${name}/console`)).text,
    (text) => text.includes('hello> '),
  );
  return answer.json.domid;
};

describe('/metrics', () => {
  test('is what Prometheus reads, and tells of a domain what it has done', async () => {
    const domid = await run({ name: 'counted', kernel: 'hello' });
    const answer = await get('/metrics');
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const families = parseMetrics(answer.text);
    const own = `{domid="${domid}",name="counted"`;
    expect(sample(families, 'domain_memory_bytes', own)).toBe(4 * 1024 * 1024);
    expect(sample(families, 'domain_vcpus', own)).toBe(1);
    expect(sample(families, 'domain_cpu_seconds_total', own)).toBeGreaterThan(0);
    expect(sample(families, 'domain_instructions_total', own)).toBeGreaterThan(1000);
    expect(sample(families, 'domain_events_total', own)).toBeGreaterThan(0);
    expect(sample(families, 'domain_event_channels', own)).toBeGreaterThanOrEqual(2);
    expect(sample(families, 'domain_hypercalls_total', 'call="event_channel_op"')).toBeGreaterThan(
      0,
    );
    const states = [...(families.get('xenolith_domain_state')?.samples ?? [])];
    const inState = states.filter(([, value]) => value === 1).map(([labels]) => labels);
    expect(inState).toEqual([expect.stringMatching(/state="(running|blocked)"/)]);
    const printed = (await get('/v1/domains/counted/console')).text;
    expect(sample(families, 'domain_console_bytes_total', own)).toBe(Buffer.byteLength(printed));
    expect(sample(families, 'domains')).toBe(1);
    expect(families.get('process_resident_memory_bytes')?.kind).toBe('gauge');
  });

  test('the runstates of a vCPU add up to the time that has passed, and the sum of cpu time is part of it', async () => {
    await run({ name: 'timed', kernel: 'hello' });
    const total = (families: Map<string, Family>): number =>
      ['running', 'runnable', 'blocked', 'offline']
        .map(
          (state) =>
            sample(
              families,
              'domain_vcpu_seconds_total',
              `name="timed",vcpu="0",state="${state}"`,
            ) ?? Number.NaN,
        )
        .reduce((sum, seconds) => sum + seconds);
    const before = await metrics();
    await new Promise((resolve) => setTimeout(resolve, 50));
    const after = await metrics();
    const passed =
      (sample(after, 'host_uptime_seconds') ?? 0) - (sample(before, 'host_uptime_seconds') ?? 0);
    expect(passed).toBeGreaterThan(0.04);
    // Both are read by the hypervisor between the same two slices, one after the other.
    expect(Math.abs(total(after) - total(before) - passed)).toBeLessThan(passed / 2);
    expect(sample(after, 'domain_cpu_seconds_total', 'name="timed"')).toBe(
      sample(after, 'domain_vcpu_seconds_total', 'name="timed",vcpu="0",state="running"'),
    );
  });

  test('counters only grow, and a domain that is gone leaves nothing behind', async () => {
    await run({ name: 'gone', kernel: 'hello' });
    const before = await metrics();
    const after = await metrics();
    for (const [name, { kind, samples }] of before) {
      if (kind !== 'counter') continue;
      for (const [labels, value] of samples) {
        expect(after.get(name)?.samples.get(labels), name + labels).toBeGreaterThanOrEqual(value);
      }
    }
    expect((await service.request('DELETE', '/v1/domains/gone')).status).toBe(204);
    expect((await get('/metrics')).text).not.toContain('name="gone"');
  });

  test('memory that a domain takes is missing from what is free', async () => {
    const free = sample(await metrics(), 'host_memory_free_bytes') ?? 0;
    await run({ name: 'large', kernel: 'hello', memory: 8 });
    const left = sample(await metrics(), 'host_memory_free_bytes') ?? 0;
    expect(free - left).toBeGreaterThanOrEqual(8 * 1024 * 1024);
  });

  test('many readers at once get whole answers', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, metrics));
    const families = answers.map((each) => [...each.keys()].join());
    expect(new Set(families).size).toBe(1);
  });
});

describe('probes', () => {
  test('a service that runs is alive and ready', async () => {
    expect(await get('/healthz')).toMatchObject({ status: 200, json: { alive: true } });
    expect(await get('/readyz')).toMatchObject({
      status: 200,
      json: { ready: true, checks: { service: 'ok', hypervisor: 'ok', xenstore: 'ok' } },
    });
  });

  test('one that is about to stop is alive, and not ready', async () => {
    const stopping = await startTestService({ memory: 16 });
    stopping.services.readiness.stop();
    expect(await stopping.request('GET', '/readyz')).toMatchObject({
      status: 503,
      json: { ready: false, checks: { service: 'stopping', hypervisor: 'ok' } },
    });
    expect((await stopping.request('GET', '/healthz')).status).toBe(200);
    await stopping.close();
  });
});

describe('the reader of metrics that these tests trust', () => {
  // biome-ignore format: one row per mistake
  test.each([
    ['a 1\n',                                              'has no type'],
    ['# HELP a x\n# TYPE a gauge\na 1\na 2\n',              'is there twice'],
    ['# HELP a x\n# TYPE a gauge\na one\n',                 'has no number'],
    ['# HELP a x\n# TYPE a counter\na -1\n',                'below 0'],
    ['# HELP a x\n# TYPE a gauge\na{b="1" 1\n',             'is no sample'],
    ['# HELP a x\n# TYPE a gauge\n# HELP a x\n',            'described already'],
    ['# HELP a x\n# TYPE a gauge\na 1',                     'no end'],
  ])('%j is refused', (text, why) => {
    expect(() => parseMetrics(text)).toThrow(why);
  });
});
