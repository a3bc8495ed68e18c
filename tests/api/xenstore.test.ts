/** XenStore over HTTP and WebSocket: nodes, snapshots, watches, the inspector. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestService, type TestService, TestSocket } from '../support/service.js';

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ memory: 16 });
});
afterAll(() => service.close());

const node = (method: string, path: string, body?: object) =>
  service.request(method, `/v1/xenstore${path}`, body);

describe('a node', () => {
  test('is written, read with what is below it, given away, and removed', async () => {
    const put = await node('PUT', '/data/colour', { value: 'bläulich' });
    expect(put.status).toBe(200);
    expect(put.json).toMatchObject({
      path: '/data/colour',
      value: 'bläulich',
      permissions: ['n0'],
    });
    await node('PUT', '/data/shape/edges', { value: '4', permissions: ['n0', 'r7'] });
    const { json } = await node('GET', '/data?depth=1');
    expect(json.children.map(({ name }: { name: string }) => name)).toEqual(['colour', 'shape']);
    expect((await node('GET', '/data')).json.children[1].children[0]).toMatchObject({
      path: '/data/shape/edges',
      permissions: ['n0', 'r7'],
    });
    expect((await node('PUT', '/data/colour', { permissions: ['b3'] })).json.permissions).toEqual([
      'b3',
    ]);
    expect((await node('DELETE', '/data')).status).toBe(204);
    expect((await node('GET', '/data/colour')).status).toBe(404);
    expect((await node('DELETE', '/data')).status).toBe(404);
  });

  // biome-ignore format: one row per mistake
  test.each<[string, string, object | undefined, number]>([
    ['PUT',    '/a b',        { value: 'x' },                400],
    ['PUT',    '/a',          { value: 7 },                  400],
    ['PUT',    '/a',          { value: 'x'.repeat(5000) },   400],
    ['PUT',    '/a',          { permissions: ['q0'] },       400],
    ['PUT',    '/a',          { permissions: [] },           400],
    ['PUT',    '/a',          { valeu: 'x' },                400],
    ['GET',    '/tool?depth=x', undefined,                   400],
    ['GET',    '/a//b',       undefined,                     404],
    ['POST',   '/tool',       {},                            405],
  ])('%s %s with %j: %i', async (method, path, body, status) => {
    const answer = await node(method, path, body);
    expect(answer.status, answer.text).toBe(status);
    expect(answer.json).toMatchObject({ status });
  });
});

test('a watch tells the node first, then each change at or below it, as deep as asked', async () => {
  await node('PUT', '/watched', { value: '' });
  const all = new TestSocket(`${service.url}/v1/xenstore/watch?path=/watched`);
  const shallow = new TestSocket(`${service.url}/v1/xenstore/watch?path=/watched&depth=1`);
  await Promise.all(
    [all, shallow].map((socket) => socket.until(() => socket.lines().length === 1, 'start')),
  );
  await node('PUT', '/watched/one', { value: '1' });
  await node('PUT', '/elsewhere', { value: '1' });
  await node('PUT', '/watched/one/deep', { value: '2' });
  await all.until(() => all.lines().length === 3, 'three events');
  const paths = (socket: TestSocket) => socket.lines().map(({ path }) => path);
  expect(paths(all)).toEqual(['/watched', '/watched/one', '/watched/one/deep']);
  expect(paths(shallow)).toEqual(['/watched', '/watched/one']);
  all.close();
  shallow.close();
});

test('the inspector shows connections, watches and requests, live ones too', async () => {
  const live = new TestSocket(`${service.url}/v1/xenstore-inspector/requests`);
  await live.opened();
  await node('PUT', '/seen', { value: 'x' });
  await live.until(() => live.lines().some(({ type }) => type === 'WRITE'), 'a WRITE');
  const { json } = await service.request('GET', '/v1/xenstore-inspector');
  expect(json.connections).toContainEqual(expect.objectContaining({ transport: 'toolstack' }));
  expect(json.requests).toContainEqual(expect.objectContaining({ type: 'WRITE', result: 'OK' }));
  live.close();
});
