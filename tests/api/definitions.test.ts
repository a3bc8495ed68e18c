/** `/v1/definitions` over real HTTP: what is defined stays defined, changes by one at a time, starts, and starts of itself. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { ServiceOptions } from '../../toolstack/options.js';
import { startTestService, type TestService, TestSocket } from '../support/service.js';

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ memory: 64 });
});
afterAll(() => service.close());
afterEach(async () => {
  const { json } = await service.request('GET', '/v1/definitions');
  for (const { config } of json.definitions) await ask('DELETE', config.name);
  const live = await service.request('GET', '/v1/domains?ended=true');
  for (const { uuid } of live.json.domains) await service.request('DELETE', `/v1/domains/${uuid}`);
});

const ask = (method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
  service.request(method, `/v1/definitions/${path}`, body, headers);
const hello = (name = 'hello', more: object = {}) => ({
  config: { name, kernel: 'hello', memory: 4, ...more },
});
const UUID = '3fa85f64-5717-4562-b3fc-2c963f66afa6';

describe('a definition', () => {
  test('is made by PUT, read, listed by name, replaced and removed', async () => {
    const made = await ask('PUT', 'web', { ...hello('web'), autostart: true });
    expect(made.status).toBe(201);
    expect(made.headers.get('location')).toBe('/v1/definitions/web');
    expect(made.json).toMatchObject({ config: { name: 'web', memory: 4, vcpus: 1 } });
    await ask('PUT', 'db', hello('db'));
    const { json } = await service.request('GET', '/v1/definitions');
    expect(json.definitions).toMatchObject([
      { config: { name: 'db' }, autostart: false },
      { config: { name: 'web' }, autostart: true },
    ]);
    const again = await ask('PUT', 'web', hello('web', { memory: 8 }));
    expect(again.status).toBe(200);
    expect(again.json).toMatchObject({ config: { memory: 8 }, autostart: false });
    expect((await ask('GET', 'web')).json).toEqual(again.json);
    expect((await ask('DELETE', 'web')).status).toBe(204);
    expect((await ask('GET', 'web')).json).toMatchObject({ type: '/problems/no-such-definition' });
  });

  test('that was read can be put back as it is, and changes nothing', async () => {
    await ask('PUT', 'hello', hello());
    const { json, headers } = await ask('GET', 'hello');
    const back = await ask('PUT', 'hello', json);
    expect(back).toMatchObject({ status: 200, json });
    expect(back.headers.get('etag')).toBe(headers.get('etag'));
  });

  test('keeps the uuid it was given or has got, unless another is put', async () => {
    const { uuid } = (await ask('PUT', 'hello', hello())).json.config;
    expect(uuid).toMatch(/^[0-9a-f-]{36}$/);
    expect((await ask('PUT', 'hello', hello())).json.config.uuid).toBe(uuid);
    const given = await ask('PUT', 'hello', hello('hello', { uuid: UUID.toUpperCase() }));
    expect(given.json.config.uuid).toBe(UUID);
    const taken = await ask('PUT', 'other', hello('other', { uuid: UUID }));
    expect(taken).toMatchObject({ status: 409, json: { errors: [{ pointer: '/config/uuid' }] } });
  });

  // biome-ignore format: one row per mistake
  test.each([
    [{ autostart: true },                              '/config'],
    [hello('other'),                                   '/config/name'],
    [{ ...hello(), colour: 'red' },                    '/colour'],
    [hello('hello', { colour: 'red' }),                '/config/colour'],
    [hello('hello', { vcpus: 2, maxVcpus: 1 }),        '/config/maxVcpus'],
    [hello('hello', { disks: [{ vdev: 'xvda' }] }),    '/config/disks/0/target'],
    [{ ...hello(), autostart: 'yes' },                 '/autostart'],
  ])('is not made of %j', async (body, pointer) => {
    const { status, json } = await ask('PUT', 'hello', body);
    expect({ status, json }).toMatchObject({ status: 400, json: { errors: [{ pointer }] } });
    expect((await ask('GET', 'hello')).status).toBe(404);
  });

  test.each(['GET', 'DELETE', 'PATCH'])('that there is not is 404 to %s', async (method) => {
    const body = method === 'PATCH' ? { autostart: true } : undefined;
    const { status, json } = await ask(method, 'nobody', body, { 'if-match': '"x"' });
    expect({ status, json }).toMatchObject({
      status: 404,
      json: { type: '/problems/no-such-definition' },
    });
  });

  test('tells each change as an event', async () => {
    const socket = new TestSocket(`${service.url}/v1/events?domain=told`);
    await socket.opened();
    await ask('PUT', 'told', hello('told'));
    await ask('PUT', 'told', hello('told')); // nothing is different
    await ask('PATCH', 'told', { autostart: true });
    await ask('DELETE', 'told');
    await socket.until(() => socket.lines().length >= 3, 'three events');
    socket.close();
    expect(socket.lines()).toMatchObject([
      { kind: 'defined', name: 'told', autostart: false },
      { kind: 'redefined', name: 'told', autostart: true },
      { kind: 'undefined', name: 'told', autostart: true },
    ]);
  });
});

describe('a merge patch', () => {
  const patch = (body: object, headers?: Record<string, string>) =>
    ask('PATCH', 'hello', body, headers);

  test('changes what it names, takes null back to the default, and leaves the rest', async () => {
    await ask('PUT', 'hello', hello('hello', { maxMemory: 16, cmdline: 'a', ramdisk: 'hello' }));
    const { status, json } = await patch({ config: { memory: 8, cmdline: null, ramdisk: null } });
    expect(status).toBe(200);
    expect(json).toMatchObject({ config: { memory: 8, maxMemory: 16, cmdline: '' } });
    expect(json.config).not.toHaveProperty('ramdisk');
    expect((await patch({ autostart: true })).json).toEqual({ ...json, autostart: true });
  });

  test('may come as application/merge-patch+json', async () => {
    await ask('PUT', 'hello', hello());
    const type = { 'content-type': 'application/merge-patch+json' };
    expect((await patch({ config: { weight: 512 } }, type)).json.config.weight).toBe(512);
  });

  // biome-ignore format: one row per mistake
  test.each([
    [{},                                        ''],
    [{ config: { colour: 'red' } },             '/config/colour'],
    [{ config: { name: 'other' } },             '/config/name'],
    [{ config: { kernel: null } },              '/config/kernel'],
    [{ config: { memory: 32, maxMemory: 16 } }, '/config/maxMemory'],
    [{ config: { maxVcpus: 1 } },               '/config/maxVcpus'],
    [{ config: { weight: 'heavy' } },           '/config/weight'],
  ])('%j is refused, and nothing is changed', async (body, pointer) => {
    await ask('PUT', 'hello', hello('hello', { vcpus: 2 }));
    const { json: before } = await ask('GET', 'hello');
    const { status, json } = await patch(body);
    expect({ status, json }).toMatchObject({ status: 400, json: { errors: [{ pointer }] } });
    expect((await ask('GET', 'hello')).json).toEqual(before);
  });
});

describe('the ETag of a definition', () => {
  const tagOf = async () => (await ask('GET', 'hello')).headers.get('etag') ?? '';

  test('comes with every answer and is what If-None-Match spares the body by', async () => {
    const made = await ask('PUT', 'hello', hello());
    const tag = await tagOf();
    expect(made.headers.get('etag')).toBe(tag);
    expect((await ask('GET', 'hello', undefined, { 'if-none-match': tag })).status).toBe(304);
    const changed = await ask('PATCH', 'hello', { autostart: true });
    expect(changed.headers.get('etag')).not.toBe(tag);
    expect(changed.headers.get('etag')).toBe(await tagOf());
  });

  test('of several who change it at once by If-Match, one wins', async () => {
    await ask('PUT', 'hello', hello());
    const ifMatch = { 'if-match': await tagOf() };
    const all = await Promise.all([
      ask('PUT', 'hello', hello('hello', { memory: 5 }), ifMatch),
      ask('PATCH', 'hello', { config: { memory: 6 } }, ifMatch),
      ask('PATCH', 'hello', { autostart: true }, ifMatch),
    ]);
    expect(all.map(({ status }) => status).sort()).toEqual([200, 412, 412]);
    const late = await ask('DELETE', 'hello', undefined, ifMatch);
    expect(late).toMatchObject({ status: 412, json: { type: '/problems/precondition-failed' } });
    const now = { 'if-match': await tagOf() };
    expect((await ask('DELETE', 'hello', undefined, now)).status).toBe(204);
    expect((await ask('PUT', 'hello', hello(), now)).status).toBe(412);
  });

  test('of several who make it at once by If-None-Match: *, one does', async () => {
    const none = { 'if-none-match': '*' };
    const all = await Promise.all([1, 2, 3].map(() => ask('PUT', 'hello', hello(), none)));
    expect(all.map(({ status }) => status).sort()).toEqual([201, 412, 412]);
  });
});

describe('the domain of a definition', () => {
  const start = (headers?: Record<string, string>) =>
    ask('POST', 'hello/actions/start', undefined, headers);

  test('is created by start, which is refused while it is there, naming its state', async () => {
    const { json } = await ask('PUT', 'hello', hello('hello', { paused: true }));
    const started = await start();
    expect(started.status).toBe(201);
    expect(started.json).toMatchObject({ name: 'hello', uuid: json.config.uuid, state: 'paused' });
    expect(started.headers.get('location')).toBe(`/v1/domains/${json.config.uuid}`);
    const again = await start();
    expect(again).toMatchObject({ status: 409, json: { type: '/problems/name-in-use' } });
    expect(again.json.detail).toMatch(
      /^The domain "hello" is there already: domain \d+, paused\.$/,
    );
    await ask('DELETE', 'hello');
    expect((await service.request('GET', '/v1/domains/hello')).json.state).toBe('paused');
    expect((await start()).status).toBe(404);
  });

  test('can be created as a task, and what is wrong with it is said', async () => {
    await ask('PUT', 'hello', hello());
    const { status, json } = await start({ prefer: 'respond-async, wait=60' });
    expect({ status, json }).toMatchObject({ status: 200, json: { state: 'succeeded' } });
    await service.request('DELETE', '/v1/domains/hello');
    await ask('PATCH', 'hello', { config: { kernel: 'none' } });
    expect(await start()).toMatchObject({
      status: 400,
      json: { errors: [{ pointer: '/kernel' }] },
    });
  });
});

describe('after a restart', () => {
  const folder = mkdtempSync(join(tmpdir(), 'xenolith-definitions-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const lines: string[] = [];
  const restarted = (options: Partial<ServiceOptions> = {}) =>
    startTestService({ memory: 32, state: join(folder, 'state'), ...options }, (line) =>
      lines.push(line),
    );

  test('a definition is as it was, with its ETag; those with autostart run, by name, whatever fails', async () => {
    const first = await restarted();
    const put = (body: { config: { name: string }; autostart?: boolean }) =>
      first.request('PUT', `/v1/definitions/${body.config.name}`, body);
    await put({ ...hello('c'), autostart: true });
    await put({ ...hello('a', { kernel: 'none' }), autostart: true });
    await put({ ...hello('b'), autostart: true });
    await put(hello('d'));
    const before = await first.request('GET', '/v1/definitions');
    expect((await first.request('GET', '/v1/domains')).json.domains).toEqual([]);
    await first.close();
    const again = await restarted();
    try {
      expect(await again.autostarted).toEqual({ started: 2, failed: 1 });
      const after = await again.request('GET', '/v1/definitions');
      expect(after.json).toEqual(before.json);
      expect(after.headers.get('etag')).toBe(before.headers.get('etag'));
      const { domains } = (await again.request('GET', '/v1/domains')).json;
      expect(domains.map(({ name }: { name: string }) => name)).toEqual(['b', 'c']);
      expect(domains[0].uuid).toBe(before.json.definitions[1].config.uuid);
      const detail = 'The kernel "none" is no image here.';
      expect(lines).toContain(`autostart: the domain "a" could not be started: ${detail}`);
      const socket = new TestSocket(`${again.url}/v1/events?since=0&kind=autostart-failed`);
      await socket.until(() => socket.lines().length >= 2, 'a gap and an event');
      socket.close();
      expect(socket.lines()[1]).toMatchObject({ kind: 'autostart-failed', name: 'a', detail });
    } finally {
      await again.close();
    }
  });
});
