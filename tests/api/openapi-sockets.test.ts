/** WebSockets in /openapi.json: what they take, what comes over them, and that it is so. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ConsoleNotice } from '../../toolstack/schemas/console.js';
import { Event } from '../../toolstack/schemas/event.js';
import { TraceLine, TraceSummary } from '../../toolstack/schemas/trace.js';
import { StoreChange, StoreRequest } from '../../toolstack/schemas/xenstore.js';
import { startTestService, type TestService, TestSocket } from '../support/service.js';

let service: TestService;
// biome-ignore lint/suspicious/noExplicitAny: the document as it comes
let document: any;
beforeAll(async () => {
  service = await startTestService({ memory: 64 });
  document = (await service.request('GET', '/openapi.json')).json;
  await service.request('POST', '/v1/domains', { name: 'hello', kernel: 'hello', memory: 4 });
});
afterAll(() => service.close());

// biome-ignore format: one row per WebSocket
const SOCKETS: readonly (readonly [path: string, parameters: string[], schemas: string[], alone: boolean])[] = [
  ['/v1/domains/{id}/console',        ['id', 'format'],                                    ['ConsoleNotice'],               false],
  ['/v1/trace',                       ['domain', 'call', 'class', 'filter', 'format'], ['TraceLine', 'TraceDrops', 'TraceSummary'], true],
  ['/v1/events',                      ['since', 'domain', 'kind', 'last-event-id'],        ['Event'],                       false],
  ['/v1/xenstore/watch',              ['path', 'depth'],                                   ['StoreChange', 'TraceDrops'],   true],
  ['/v1/xenstore-inspector/requests', [],                                                  ['StoreRequest', 'TraceDrops'],  true],
];

describe.each(SOCKETS)('%s', (path, parameters, schemas) => {
  test('is documented with its query, 101, and the schemas of what it sends', () => {
    const { get } = document.paths[path];
    const names = get.parameters.map(({ name }: { name: string }) => name);
    expect(names).toEqual(expect.arrayContaining(parameters));
    expect(get.responses[101]).toBeDefined();
    expect(get.security).toEqual([{ bearer: ['viewer'] }]);
    const { text } = get['x-websocket'].server;
    const refs = (text.oneOf ?? [text]).map(({ $ref }: { $ref: string }) => $ref);
    expect(refs).toEqual(schemas.map((name) => `#/components/schemas/${name}`));
    for (const name of schemas) expect(document.components.schemas[name]).toBeDefined();
    expect(get['x-websocket'].client.description).not.toBe('');
  });
});

const ALONE = SOCKETS.filter(([, , , alone]) => alone).map(([path]) => path);

test.each(ALONE)('%s asks for an upgrade whoever comes without', async (path) => {
  expect(document.paths[path].get.responses).toHaveProperty('426');
  const { status, json } = await service.request('GET', path);
  // A node of XenStore may have any name.
  if (path === '/v1/xenstore/watch') expect(json.type).toBe('/problems/no-such-node');
  else
    expect({ status, type: json.type }).toEqual({
      status: 426,
      type: '/problems/upgrade-required',
    });
});

test('there are no others', () => {
  const found = Object.entries<{ get?: object }>(document.paths)
    .filter(([, { get }]) => get !== undefined && 'x-websocket' in get)
    .map(([path]) => path);
  expect(found.sort()).toEqual(SOCKETS.map(([path]) => path).sort());
});

// biome-ignore format: one row per WebSocket
test.each([
  ['/v1/trace?domain=hello',           TraceLine],
  ['/v1/trace?format=summary',         TraceSummary],
  ['/v1/events?since=0',               Event],
  ['/v1/xenstore/watch?path=/local',   StoreChange],
  ['/v1/xenstore-inspector/requests',  StoreRequest],
])('what comes over %s is what the document says', async (path, schema) => {
  const socket = new TestSocket(service.url + path);
  await socket.opened();
  while (socket.lines().length < 3) {
    // Something that each of them tells of.
    await fetch(`${service.url}/v1/domains/hello/console`, { method: 'POST', body: 'x\r' });
    await service.request('PUT', '/v1/xenstore/local/test', { value: 'x' });
    await service.request('PATCH', '/v1/domains/hello', { weight: 300 });
    socket.send('now');
  }
  for (const line of socket.lines()) schema.parse(line);
  socket.close();
});

test('what is said beside the output of a console is what the document says', async () => {
  await service.request('POST', '/v1/domains', { name: 'short', kernel: 'hello', memory: 4 });
  const socket = new TestSocket(`${service.url}/v1/domains/short/console`);
  await socket.shows('hello> ');
  await service.request('DELETE', '/v1/domains/short');
  await socket.until(() => socket.closed !== undefined, 'end');
  expect(socket.lines().map((line) => ConsoleNotice.parse(line))).toEqual([{ ended: true }]);
});
