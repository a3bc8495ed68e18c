/** The list of domains: filters, fields, pages, one a line; events as server-sent events. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestService, type TestService } from '../support/service.js';

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ memory: 192 });
  for (const [n, name] of ['web-1', 'web-2', 'db-1', 'db-2', 'db-3'].entries()) {
    const body = { name, kernel: 'hello', memory: 4, weight: 256 + n, paused: n === 0 };
    expect((await service.request('POST', '/v1/domains', body)).status).toBe(201);
  }
});
afterAll(() => service.close());

const list = async (query: string) => service.request('GET', `/v1/domains?${query}`);
const names = async (query: string): Promise<string[]> =>
  (await list(query)).json.domains.map(({ name }: { name: string }) => name);

describe('filter', () => {
  // biome-ignore format: one row per filter
  const rows: [string, string[]][] = [
    ['filter=name:eq:db-1',                             ['db-1']],
    ['filter=name:prefix:web',                          ['web-1', 'web-2']],
    ['filter=name:contains:-3',                         ['db-3']],
    ['filter=state:eq:paused',                          ['web-1']],
    ['filter=weight:gt:258',                            ['db-2', 'db-3']],
    ['filter=weight:ge:257&filter=weight:lt:259',       ['web-2', 'db-1']],
    ['filter=memory.pages:ne:1024',                     []],
    ['filter=createdAt:gt:2020-01-01T00:00:00Z&limit=1', ['web-1']],
    ['filter=endedAt:gt:2020-01-01T00:00:00Z',          []],
  ];
  test.each(rows)('%s', async (query, expected) => {
    expect(await names(query)).toEqual(expected);
  });

  test.each([
    'filter=name',
    'filter=nothing:eq:1',
    'filter=name:lt:1',
    'filter=weight:eq:x',
    'filter=weight:eq:',
    'filter=__proto__:eq:1',
    'filter=name:constructor:1',
    'fields=nothing',
    'fields=toString',
    'cursor=AAAA',
    'limit=0',
  ])('%s is refused, naming the parameter', async (query) => {
    const { status, json } = await list(query);
    expect(status).toBe(400);
    expect(json.errors[0].pointer).toBe(`?${query.split('=', 1)[0]}`);
  });
});

test('fields leaves out all others', async () => {
  const { json } = await list('fields=name,weight&limit=1');
  expect(json.domains).toEqual([{ name: 'web-1', weight: 256 }]);
});

test('pages follow one another by cursor and by Link, and together are the list', async () => {
  const seen: string[] = [];
  let path: string | undefined = '/v1/domains?limit=2';
  while (path !== undefined) {
    const { json, headers } = await service.request('GET', path);
    seen.push(...json.domains.map(({ name }: { name: string }) => name));
    const [, next] = /^<([^>]+)>; rel="next"$/.exec(headers.get('link') ?? '') ?? [];
    expect(next === undefined).toBe(json.next === undefined);
    path = next;
  }
  expect(seen).toEqual(['web-1', 'web-2', 'db-1', 'db-2', 'db-3']);
});

test('application/x-ndjson has one domain a line', async () => {
  const response = await fetch(`${service.url}/v1/domains`, {
    headers: { accept: 'application/x-ndjson' },
  });
  expect(response.headers.get('content-type')).toBe('application/x-ndjson');
  const lines = (await response.text()).trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line).name)).toHaveLength(5);
});

describe('events as server-sent events', () => {
  async function read(path: string, headers: Record<string, string>, until: string) {
    const abort = new AbortController();
    const response = await fetch(service.url + path, { headers, signal: abort.signal });
    let text = '';
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk, { stream: true });
      if (text.includes(until)) break;
    }
    abort.abort();
    return { type: response.headers.get('content-type'), text };
  }

  test('come with their numbers, and go on after the last one seen', async () => {
    const { type, text } = await read('/v1/events?since=0', {}, '"name":"db-3"');
    expect(type).toBe('text/event-stream; charset=utf-8');
    expect(text).toContain('id: 1\nevent: created\ndata: {"seq":1,');
    const later = await read('/v1/events', { 'last-event-id': '3' }, '"name":"db-3"');
    expect(later.text).not.toContain('id: 3\n');
    expect(later.text).toContain('id: 4\nevent: created\n');
  });

  test('are filtered, and a gap is an event', async () => {
    const { text } = await read('/v1/events?since=0&domain=db-3', {}, '"name":"db-3"');
    expect(text).not.toContain('web-1');
    const gap = await read('/v1/events?since=999999', {}, 'gap');
    expect(gap.text).toContain('event: gap\ndata: {"kind":"gap",');
  });
});
