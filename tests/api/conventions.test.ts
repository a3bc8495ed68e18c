/** Conventions of the API: Idempotency-Key, ETag and If-Match, digests, request ids, limits, its document. */

import { createHash } from 'node:crypto';
import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { eventually, startTestService, type TestService } from '../support/service.js';

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ memory: 128 });
});
afterAll(() => service.close());
afterEach(async () => {
  const { json } = await service.request('GET', '/v1/domains?ended=true');
  for (const { uuid } of json.domains) await service.request('DELETE', `/v1/domains/${uuid}`);
});

const send = (method: string, path: string, headers: Record<string, string>, body?: object) =>
  fetch(service.url + path, {
    method,
    headers: { ...(body && { 'content-type': 'application/json' }), ...headers },
    ...(body && { body: JSON.stringify(body) }),
  });
const hello = (name = 'hello') => ({ name, kernel: 'hello', memory: 4 });

describe('Idempotency-Key', () => {
  const create = (key: string, body: object) =>
    send('POST', '/v1/domains', { 'idempotency-key': key }, body);

  test('the same request again gets the same answer, and makes no second domain', async () => {
    const first = await create('one', hello());
    const again = await create('one', hello());
    expect([first.status, again.status]).toEqual([201, 201]);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(again.headers.get('location')).toBe(first.headers.get('location'));
    expect(await again.json()).toEqual(await first.json());
    expect((await service.request('GET', '/v1/domains')).json.domains).toHaveLength(1);
  });

  test('another request under the same key is refused, and one while the first goes on', async () => {
    await create('two', hello());
    expect((await create('two', hello('other'))).status).toBe(422);
    // The kernel of a paused domain answers nothing: the first is waited for as long as it says.
    await service.request('POST', '/v1/domains', { ...hello('still'), paused: true });
    const headers = { 'idempotency-key': 'three', prefer: 'wait' };
    const stop = () => send('POST', '/v1/domains/still/actions/shutdown', headers, { timeout: 1 });
    const first = stop();
    await eventually(
      () => service.request('GET', '/v1/tasks'),
      ({ json }) => json.tasks.some(({ state }: { state: string }) => state === 'running'),
    );
    const second = await stop();
    expect([(await first).status, second.status]).toEqual([200, 409]);
    expect(await second.json()).toMatchObject({ type: '/problems/in-flight' });
  });

  test('refusals are repeated as well; a key that is none is refused', async () => {
    const bad = { ...hello(), kernel: 'none' };
    expect((await create('four', bad)).status).toBe(400);
    const again = await create('four', bad);
    expect(again.status).toBe(400);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect((await create('a b', hello())).status).toBe(400);
  });
});

describe('ETag', () => {
  const tagOf = async () => (await send('GET', '/v1/domains/hello', {})).headers.get('etag') ?? '';
  const patch = (tag: string, weight: number) =>
    send('PATCH', '/v1/domains/hello', { 'if-match': tag }, { weight });

  test('stays until something is changed; If-None-Match spares the body', async () => {
    await service.request('POST', '/v1/domains', hello());
    const tag = await tagOf();
    expect(await tagOf()).toBe(tag);
    const same = await send('GET', '/v1/domains/hello', { 'if-none-match': tag });
    expect(same.status).toBe(304);
    const changed = await patch(tag, 512);
    expect(changed.status).toBe(200);
    expect(changed.headers.get('etag')).toBe(await tagOf());
    expect(await tagOf()).not.toBe(tag);
  });

  test('of two who change it at once by If-Match, one wins', async () => {
    await service.request('POST', '/v1/domains', hello());
    const tag = await tagOf();
    const both = await Promise.all([patch(tag, 300), patch(tag, 400)]);
    expect(both.map(({ status }) => status).sort()).toEqual([200, 412]);
    expect((await patch('*', 500)).status).toBe(200);
  });
});

test('an upload whose digest is of other bytes is refused, and leaves nothing', async () => {
  const bytes = 'some bytes';
  const digest = createHash('sha256').update(bytes).digest('base64');
  const put = (name: string, header: string) =>
    fetch(`${service.url}/v1/images/${name}`, {
      method: 'PUT',
      headers: { 'content-digest': header },
      body: bytes,
    });
  expect((await put('good', `sha-256=:${digest}:`)).status).toBe(201);
  const bad = await put('bad', `sha-256=:${digest.replace(/^./, (c) => (c === 'A' ? 'B' : 'A'))}:`);
  expect(bad.status).toBe(400);
  expect(await bad.json()).toMatchObject({ type: '/problems/digest-mismatch' });
  const { json } = await service.request('GET', '/v1/images');
  const names = json.images.map(({ name }: { name: string }) => name);
  expect(names).toContain('good');
  expect(names).not.toContain('bad');
});

test('the id of a request is the client’s where that can stand in a log', async () => {
  const id = async (given: string) =>
    (await send('GET', '/v1/host', { 'x-request-id': given })).headers.get('x-request-id');
  expect(await id('build-17.3')).toBe('build-17.3');
  expect(await id('a b')).toMatch(/^[0-9a-f-]{36}$/);
});

test('who asks too often is told when to come again', async () => {
  const busy = await startTestService({ memory: 64, rateLimit: 1 });
  try {
    const statuses: number[] = [];
    for (let n = 0; n < 11; n++) statuses.push((await busy.request('GET', '/v1/tasks')).status);
    expect(statuses.slice(0, 10).every((status) => status === 200)).toBe(true);
    const { status, headers, json } = await busy.request('GET', '/v1/tasks');
    expect(status).toBe(429);
    expect(json.type).toBe('/problems/too-many-requests');
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
  } finally {
    await busy.close();
  }
});

test('a service that is about to stop can be read, and begins nothing', async () => {
  const ending = await startTestService({ memory: 64 });
  try {
    ending.services.readiness.stop();
    expect((await ending.request('GET', '/v1/domains')).status).toBe(200);
    expect((await ending.request('GET', '/readyz')).status).toBe(503);
    const refused = await ending.request('POST', '/v1/domains', hello());
    expect(refused).toMatchObject({ status: 503, json: { type: '/problems/stopping' } });
    expect(refused.headers.get('retry-after')).toBe('5');
  } finally {
    await ending.close();
  }
});

test('/openapi.json is valid, and /docs shows it', async () => {
  const { json } = await service.request('GET', '/openapi.json');
  expect(await new Validator().validate(json)).toMatchObject({ valid: true });
  const docs = await service.request('GET', '/docs/');
  expect(docs.status).toBe(200);
  expect(docs.text).toContain('swagger-ui');
});
