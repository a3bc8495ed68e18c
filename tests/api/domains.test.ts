/** The life cycle of domains over HTTP: what an operator does with curl, and what guests do of themselves. */

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

const get = async (path: string) => (await service.request('GET', path)).json;
const action = (id: string, kind: string, body?: object) =>
  service.request('POST', `/v1/domains/${id}/actions/${kind}`, body);
const create = async (body: object = {}) => {
  const answer = await service.request('POST', '/v1/domains', {
    name: 'hello',
    kernel: 'hello',
    memory: 4,
    ...body,
  });
  expect(answer.status, answer.text).toBe(201);
  return answer.json;
};
const freeFrames = async (): Promise<number> => (await get('/v1/host')).memory.freeFrames;
const consoleOf = (id: string): Promise<string> =>
  service.request('GET', `/v1/domains/${id}/console`).then(({ text }) => text);
const greeting = (id = 'hello') =>
  eventually(
    () => consoleOf(id),
    (text) => text.includes('hello> '),
  );
const type = (text: string, id = 'hello') =>
  fetch(`${service.url}/v1/domains/${id}/console`, { method: 'POST', body: text });
const state = async (id: string): Promise<string> => (await get(`/v1/domains/${id}`)).state;

describe('with HTTP alone', () => {
  test('hello is created, heard, listed, found by each of its names, and destroyed without a trace', async () => {
    const free = await freeFrames();
    const domain = await create();
    expect(domain).toMatchObject({ name: 'hello', kernel: 'hello', memory: { pages: 1024 } });
    expect(await greeting()).toContain(`Hello from domain ${domain.domid}.`);
    expect((await get('/v1/domains')).domains).toMatchObject([{ name: 'hello' }]);
    for (const id of [domain.domid, domain.uuid, domain.uuid.toUpperCase(), 'hello']) {
      expect(await get(`/v1/domains/${id}`)).toMatchObject({ uuid: domain.uuid });
    }
    expect(await freeFrames()).toBeLessThan(free);
    expect((await service.request('DELETE', '/v1/domains/hello')).status).toBe(204);
    expect((await get('/v1/domains')).domains).toEqual([]);
    expect(await freeFrames()).toBe(free);
  });

  test('what it has printed can be read after its end, until it is forgotten', async () => {
    const { uuid } = await create();
    await greeting();
    await service.request('DELETE', '/v1/domains/hello');
    expect(await get(`/v1/domains/${uuid}`)).toMatchObject({ state: 'ended' });
    expect(await consoleOf(uuid)).toContain('hello> ');
    expect((await type('x', uuid)).status).toBe(409);
    expect((await service.request('DELETE', `/v1/domains/${uuid}`)).status).toBe(204);
    expect((await service.request('GET', `/v1/domains/${uuid}`)).status).toBe(404);
  });

  test('it answers what is typed', async () => {
    await create({ cmdline: 'one two' });
    expect(await greeting()).toContain('"one two"');
    expect((await type('echo is anybody there?\r')).status).toBe(204);
    await eventually(
      () => consoleOf('hello'),
      (text) => text.includes('\nis anybody there?'),
    );
  });

  test('it finds its nodes in XenStore', async () => {
    const { domid, uuid } = await create();
    await greeting();
    await type('xs name\rxs vm\rxs domid\rxs control/shutdown\r');
    await eventually(
      () => consoleOf('hello'),
      (text) =>
        ['name = "hello"', `vm = "/vm/${uuid}"`, `domid = "${domid}"`, 'shutdown = ""'].every(
          (line) => text.includes(line),
        ),
    );
  });
});

describe('pause and unpause', () => {
  test('a paused domain says nothing until it is unpaused', async () => {
    await create({ paused: true });
    expect(await state('hello')).toBe('paused');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await consoleOf('hello')).toBe('');
    expect((await action('hello', 'unpause')).json.state).not.toBe('paused');
    await greeting();
    expect((await action('hello', 'pause')).json.state).toBe('paused');
  });

  test('in the wrong state they are refused, naming the state and the right ones', async () => {
    await create();
    const unpause = await action('hello', 'unpause');
    expect(unpause.status).toBe(409);
    expect(unpause.json.detail).toMatch(/is (running|blocked); .* while paused/);
    await action('hello', 'pause');
    expect((await action('hello', 'pause')).status).toBe(409);
  });
});

describe('shutdown and reboot', () => {
  test('a kernel that is asked to power off does so, and the domain ends', async () => {
    const free = await freeFrames();
    const { uuid } = await create();
    await greeting();
    expect((await action('hello', 'shutdown')).status).toBe(202);
    const ended = await eventually(
      () => get(`/v1/domains/${uuid}`),
      (domain) => domain.state === 'ended',
    );
    expect(ended.shutdownReason).toBe('poweroff');
    expect(await consoleOf(uuid)).toContain('asked to poweroff');
    expect(await freeFrames()).toBe(free);
  });

  test('a kernel that is asked to reboot comes back as the same domain with a new domid', async () => {
    const { domid, uuid } = await create();
    await greeting();
    await action('hello', 'reboot');
    const again = await eventually(
      () => get('/v1/domains/hello'),
      (domain) => domain.domid !== domid,
    );
    expect(again.uuid).toBe(uuid);
    await eventually(
      () => consoleOf('hello'),
      (text) => text.split('Hello from domain').length === 3,
    );
    expect((await service.request('GET', `/v1/domains/${domid}`)).status).toBe(404);
  });

  test('by force it happens without asking', async () => {
    const { uuid } = await create({ paused: true, onReboot: 'destroy' });
    await action('hello', 'reboot', { force: true });
    const ended = await eventually(
      () => get(`/v1/domains/${uuid}`),
      (domain) => domain.state === 'ended',
    );
    expect(ended.shutdownReason).toBe('reboot');
  });

  test('a kernel that does not react is said in the event stream', async () => {
    const events = new TestSocket(`${service.url}/v1/events`);
    await events.opened();
    await create({ paused: true });
    await action('hello', 'shutdown', { timeout: 0.05 });
    await events.until(
      () => events.lines().some(({ kind }) => kind === 'unresponsive'),
      'unresponsive',
    );
    events.close();
  });

  test('bad requests are refused', async () => {
    await create({ paused: true });
    expect((await action('hello', 'shutdown', { timeout: -1 })).status).toBe(400);
    expect((await action('hello', 'shutdown', { farce: true })).status).toBe(400);
  });
});

describe('a guest that breaks its contract', () => {
  test('is crashed with the reason, in the domain, the event stream and the log', async () => {
    const free = await freeFrames();
    const events = new TestSocket(`${service.url}/v1/events`);
    await events.opened();
    const { uuid, domid } = await create({ kernel: 'hostile-no-handler' });
    const dead = await eventually(
      () => get(`/v1/domains/${uuid}`),
      (domain) => domain.state === 'ended',
    );
    expect(dead).toMatchObject({ shutdownReason: 'crash', detail: expect.stringMatching(/\w{3}/) });
    await events.until(
      () => events.lines().some(({ kind, domid: who }) => kind === 'crashed' && who === domid),
      'crashed event',
    );
    const crashed = events.lines().find(({ kind }) => kind === 'crashed');
    expect(crashed).toMatchObject({ reason: 'crash', detail: dead.detail });
    const { text } = await service.request('GET', '/v1/host/dmesg');
    expect(text).toContain(dead.detail);
    expect(await freeFrames()).toBe(free);
    events.close();
  });

  test('may say so itself', async () => {
    const { uuid } = await create();
    await greeting();
    await type('crash\r');
    const dead = await eventually(
      () => get(`/v1/domains/${uuid}`),
      (domain) => domain.state === 'ended',
    );
    expect(dead).toMatchObject({
      shutdownReason: 'crash',
      detail: expect.stringContaining('itself'),
    });
  });

  test('is kept for the post-mortem if asked so, and beside its successor if asked so', async () => {
    await create({ onCrash: 'preserve' });
    await greeting();
    await type('crash\r');
    const kept = await eventually(
      () => get('/v1/domains/hello'),
      (domain) => domain.state === 'shutdown',
    );
    expect(kept).toMatchObject({ shutdownReason: 'crash' });
    expect((await action('hello', 'pause')).status).toBe(409);
    await service.request('DELETE', '/v1/domains/hello');

    const { domid, uuid } = await create({ onCrash: 'rename-restart' });
    await greeting();
    await type('crash\r');
    await eventually(
      () => get('/v1/domains'),
      ({ domains }) => domains.length === 2,
    );
    expect(await get(`/v1/domains/hello-${domid}`)).toMatchObject({ state: 'shutdown' });
    expect(await get('/v1/domains/hello')).toMatchObject({ uuid });
  });
});

describe('two clients at once', () => {
  test('one of many creations of the same name wins, the others are told', async () => {
    const body = { name: 'one', kernel: 'hello', memory: 4 };
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => service.request('POST', '/v1/domains', body)),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array(7).fill(409)]);
  });

  test('destroying while it is created and paused leaves nothing behind', async () => {
    const free = await freeFrames();
    const created = create({ name: 'brief' });
    await Promise.all([
      created,
      created.then(() => action('brief', 'pause')),
      created.then(() => service.request('DELETE', '/v1/domains/brief')),
      created.then(() => service.request('DELETE', '/v1/domains/brief')),
    ]);
    expect((await get('/v1/domains')).domains).toEqual([]);
    expect(await freeFrames()).toBe(free);
  });
});

describe('the event stream', () => {
  test('is numbered, and replays what came after a given event', async () => {
    const live = new TestSocket(`${service.url}/v1/events`);
    await live.opened();
    await create();
    await service.request('DELETE', '/v1/domains/hello');
    await live.until(() => live.lines().length >= 2, 'two events');
    const [created, destroyed] = live.lines();
    expect(created).toMatchObject({ kind: 'created', name: 'hello' });
    expect(destroyed).toMatchObject({ kind: 'destroyed', seq: created.seq + 1 });
    const replay = new TestSocket(`${service.url}/v1/events?since=${created.seq}`);
    await replay.until(() => replay.lines().length >= 1, 'the replay');
    expect(replay.lines()).toEqual([destroyed]);
    live.close();
    replay.close();
  });
});

describe('images', () => {
  test('bytes that were uploaded boot under their name', async () => {
    const bytes = await fetch(`${service.url}/v1/images`).then((answer) => answer.json());
    expect(bytes.images).toContainEqual(expect.objectContaining({ name: 'hello.elf' }));
    const { readFileSync } = await import('node:fs');
    const { gzipSync } = await import('node:zlib');
    const image = readFileSync(new URL('../../guests/images/hello.elf', import.meta.url));
    const body = new Uint8Array(gzipSync(image));
    const put = await fetch(`${service.url}/v1/images/mine.gz`, { method: 'PUT', body });
    expect(put.status).toBe(201);
    expect(await put.json()).toMatchObject({ name: 'mine.gz', bytes: body.length, uploaded: true });
    await create({ kernel: 'mine.gz' });
    await greeting();
    expect((await service.request('DELETE', '/v1/images/mine.gz')).status).toBe(204);
  });
});

describe('the host', () => {
  test('tells its figures', async () => {
    await create();
    await greeting();
    expect(await get('/v1/host')).toMatchObject({
      product: expect.stringContaining('xenolith'),
      domains: 1,
      vcpus: 1,
      faults: 0,
      hypercalls: { total: expect.any(Number), byName: expect.any(Object) },
    });
  });

  test('describes its API', async () => {
    const api = await get('/openapi.json');
    expect(api.openapi).toBe('3.1.0');
    expect(Object.keys(api.components.schemas)).toEqual(
      expect.arrayContaining(['Domain', 'DomainCreate', 'Problem', 'Host', 'Image']),
    );
    expect(api.paths['/v1/domains'].post.requestBody).toBeDefined();
  });
});
