/** What the API refuses, and how it says so: problem+json with the field, over real HTTP. */

import { readdirSync, readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestService, type TestService, TestSocket } from '../support/service.js';

const IMAGES = join(import.meta.dirname, '../../guests/images');
let service: TestService;
beforeAll(async () => {
  service = await startTestService({ memory: 64, uploadLimit: 1024 * 1024 });
});
afterAll(() => service.close());

const hello = { name: 'hello', kernel: 'hello' };
const disk = { vdev: 'xvda', target: 'some.img' };
const create = (body: unknown) => service.request('POST', '/v1/domains', body);
const freeFrames = async (): Promise<number> =>
  (await service.request('GET', '/v1/host')).json.memory.freeFrames;

function expectProblem(
  answer: Awaited<ReturnType<typeof create>>,
  status: number,
  pointer?: string,
): void {
  expect(answer.headers.get('content-type')).toContain('application/problem+json');
  expect(answer.json).toMatchObject({ status, requestId: answer.headers.get('x-request-id') });
  expect(answer.status).toBe(status);
  if (pointer === undefined) return;
  const pointers = answer.json.errors?.map((error: { pointer: string }) => error.pointer);
  expect(pointers).toContain(pointer);
}

describe('POST /v1/domains refuses', () => {
  // biome-ignore format: one row per mistake
  test.each<[string, unknown, string]>([
    ['no name',                   { kernel: 'hello' },                     '/name'],
    ['no kernel',                 { name: 'hello' },                       '/kernel'],
    ['an empty body',             {},                                      '/name'],
    ['a list',                    [],                                      ''],
    ['null',                      null,                                    ''],
    ['a name of the wrong type',  { ...hello, name: 7 },                   '/name'],
    ['a name that is a number',   { ...hello, name: '17' },                '/name'],
    ['a name with a slash',       { ...hello, name: 'a/b' },               '/name'],
    ['an empty name',             { ...hello, name: '' },                  '/name'],
    ['a name too long',           { ...hello, name: 'x'.repeat(65) },      '/name'],
    ['an unknown field',          { ...hello, memroy: 3 },                 '/memroy'],
    ['memory as text',            { ...hello, memory: '32' },              '/memory'],
    ['no memory at all',          { ...hello, memory: 0 },                 '/memory'],
    ['negative memory',           { ...hello, memory: -1 },                '/memory'],
    ['hardly any memory',         { ...hello, memory: 3e-174 },            '/memory'],
    ['a part of a page',          { ...hello, memory: 1.0001 },            '/memory'],
    ['more than RAM can be',      { ...hello, memory: 5000 },              '/memory'],
    ['no vCPU',                   { ...hello, vcpus: 0 },                  '/vcpus'],
    ['half a vCPU',               { ...hello, vcpus: 1.5 },                '/vcpus'],
    ['fewer vCPUs than online',   { ...hello, vcpus: 2, maxVcpus: 1 },     '/maxVcpus'],
    ['a weight of 0',             { ...hello, weight: 0 },                 '/weight'],
    ['a uuid that is none',       { ...hello, uuid: 'abc' },               '/uuid'],
    ['an unknown policy',         { ...hello, onCrash: 'explode' },        '/onCrash'],
    ['a command line too long',   { ...hello, cmdline: 'x'.repeat(1024) }, '/cmdline'],
    ['an image that is not there', { ...hello, kernel: 'nothing' },        '/kernel'],
    ['a path out of the images',  { ...hello, kernel: '../../package.json' }, '/kernel'],
    ['an absolute path',          { ...hello, kernel: '/etc/passwd' },     '/kernel'],
    ['less memory at most than at first', { ...hello, memory: 8, maxMemory: 4 }, '/maxMemory'],
    ['no grant table',            { ...hello, maxGrantFrames: 0 },         '/maxGrantFrames'],
    ['disks that are no list',    { ...hello, disks: 'xvda' },             '/disks'],
    ['a disk without a target',   { ...hello, disks: [{ vdev: 'xvda' }] }, '/disks/0/target'],
    ['a disk without a name',     { ...hello, disks: [{ target: 'a' }] },  '/disks/0/vdev'],
    ['a disk of no such name',    { ...hello, disks: [{ ...disk, vdev: 'xvd0' }] }, '/disks/0/vdev'],
    ['a disk beyond the last',    { ...hello, disks: [{ ...disk, vdev: 'hdz' }] },  '/disks/0/vdev'],
    ['two disks of one name',     { ...hello, disks: [disk, disk] },       '/disks/1/vdev'],
    ['a disk of another format',  { ...hello, disks: [{ ...disk, format: 'vhd' }] }, '/disks/0/format'],
    ['a disk with other access',  { ...hello, disks: [{ ...disk, access: 'x' }] }, '/disks/0/access'],
    ['a CD-ROM to be written',    { ...hello, disks: [{ ...disk, cdrom: true, access: 'rw' }] }, '/disks/0/access'],
    ['an overlay of no use',      { ...hello, disks: [{ ...disk, access: 'ro', overlay: true }] }, '/disks/0/overlay'],
    ['an overlay elsewhere',      { ...hello, disks: [{ ...disk, overlay: '../x' }] }, '/disks/0/overlay'],
    ['an unknown field of a disk', { ...hello, disks: [{ ...disk, size: 1 }] }, '/disks/0/size'],
    ['a disk that is not there',  { ...hello, disks: [{ ...disk, target: 'nothing' }] }, '/disks/0/target'],
    ['a disk from elsewhere',     { ...hello, disks: [{ ...disk, target: '/etc/passwd' }] }, '/disks/0/target'],
    ['a disk by a way out',       { ...hello, disks: [{ ...disk, target: '../../etc/passwd' }] }, '/disks/0/target'],
    ['a disk that is a directory', { ...hello, disks: [{ ...disk, target: '.' }] }, '/disks/0/target'],
    ['too many disks',            { ...hello, disks: Array(33).fill(disk) }, '/disks'],
    ['a MAC that is none',        { ...hello, vifs: [{ mac: '1:2:3' }] },  '/vifs/0/mac'],
    ['a multicast MAC',           { ...hello, vifs: [{ mac: '01:00:00:00:00:01' }] }, '/vifs/0/mac'],
    ['a bridge with a slash',     { ...hello, vifs: [{ bridge: 'a/b' }] }, '/vifs/0/bridge'],
    ['a rate that is none',       { ...hello, vifs: [{}, { rate: 'fast' }] }, '/vifs/1/rate'],
    ['a rate of nothing',         { ...hello, vifs: [{ rate: '1b/s@1us' }] }, '/vifs/0/rate'],
    ['an address outside',        { ...hello, vifs: [{ ip: '192.168.1.1' }] }, '/vifs/0/ip'],
    ['an address that is none',   { ...hello, vifs: [{ ip: 'here' }] },    '/vifs/0/ip'],
    ['an unknown field of a vif', { ...hello, vifs: [{ script: 'x' }] },   '/vifs/0/script'],
    ['a missing ramdisk',         { ...hello, ramdisk: 'nothing' },        '/ramdisk'],
  ])('%s', async (_what, body, pointer) => {
    expectProblem(await create(body), 400, pointer);
  });

  // biome-ignore format: one row per mistake
  test.each([
    ['{"name": "hello",',      'application/json',                  400],
    ['',                       'application/json',                  400],
    ['{"__proto__": {}}',      'application/json',                  400],
    ['name=hello',             'application/x-www-form-urlencoded', 415],
    ['<domain/>',              'text/xml',                          415],
    [`"${'x'.repeat(2e6)}"`,   'application/json',                  413],
  ])('the body %.20s as %s: %i', async (body, type, status) => {
    const headers = { 'content-type': type };
    const response = await fetch(`${service.url}/v1/domains`, { method: 'POST', body, headers });
    expect(response.status).toBe(status);
    expect(response.headers.get('content-type')).toContain('application/problem+json');
    expect(await response.json()).toMatchObject({ status });
  });

  test('a name and a uuid that are in use, and nothing else changes', async () => {
    const uuid = 'c0ffee00-0000-4000-8000-000000000001';
    expect((await create({ ...hello, name: 'taken', uuid, memory: 4 })).status).toBe(201);
    const free = await freeFrames();
    expectProblem(await create({ ...hello, name: 'taken' }), 409, '/name');
    expectProblem(await create({ ...hello, name: 'other', uuid }), 409, '/uuid');
    expect(await freeFrames()).toBe(free);
    await service.request('DELETE', '/v1/domains/taken');
  });

  test('more memory than there is, with the figures, and nothing leaks', async () => {
    const free = await freeFrames();
    const answer = await create({ ...hello, memory: 1024 });
    expectProblem(answer, 507);
    expect(answer.json).toMatchObject({ errno: 'ENOMEM', figures: expect.anything() });
    const figures = Object.values<number>(answer.json.figures);
    expect(Math.max(...figures)).toBeGreaterThanOrEqual(1024 * 256);
    expect(figures).toContain(free);
    expect(await freeFrames()).toBe(free);
    const list = await service.request('GET', '/v1/domains');
    expect(list.json).toEqual({ domains: [] });
    // The name is free again.
    expect((await create({ ...hello, memory: 4 })).status).toBe(201);
    await service.request('DELETE', '/v1/domains/hello');
  });
});

describe('a domain that exists', () => {
  const change = (body: unknown) => service.request('PATCH', '/v1/domains/hello', body);
  beforeAll(async () => {
    await service.request('POST', '/v1/disks', { name: 'some.img', size: 1024 * 1024 });
    await create({ ...hello, memory: 4, maxMemory: 8, maxVcpus: 2 });
  });
  afterAll(async () => {
    await service.request('DELETE', '/v1/domains/hello');
    await service.request('DELETE', '/v1/disks/some.img');
  });

  // biome-ignore format: one row per mistake
  test.each<[string, unknown, string]>([
    ['to nothing',               {},                     ''],
    ['what cannot be changed',   { kernel: 'x' },        '/kernel'],
    ['to no vCPU',               { vcpus: 0 },           '/vcpus'],
    ['to more vCPUs than it has', { vcpus: 3 },          '/vcpus'],
    ['to more memory',           { memory: 9 },          '/memory'],
    ['to a part of a page',      { memory: 1.0001 },     '/memory'],
    ['to less than its memory',  { maxMemory: 2 },       '/maxMemory'],
    ['to more than it was made for', { maxMemory: 1024 }, '/maxMemory'],
    ['to a name that is none',   { name: 'a/b' },        '/name'],
    ['to no weight',             { weight: 0 },          '/weight'],
  ])('is not changed %s', async (_what, body, pointer) => {
    expectProblem(await change(body), 400, pointer);
  });

  // biome-ignore format: one row per request
  test.each<[string, string, unknown, number, string?]>([
    ['POST',   'disks',              { vdev: 'xvda' },                     400, '/target'],
    ['POST',   'disks',              { vdev: 'xvda', target: 'nothing' },  400, '/target'],
    ['POST',   'disks',              { vdev: 'hdz', target: 'some.img' },  400, '/vdev'],
    ['GET',    'disks/xvda',         undefined,                            404],
    ['DELETE', 'disks/xvda',         undefined,                            404],
    ['DELETE', 'disks/xvda?force=x', undefined,                            400, '?force'],
    ['POST',   'vifs',               { mac: 'x' },                         400, '/mac'],
    ['GET',    'vifs/0',             undefined,                            404],
    ['GET',    'vifs/x',             undefined,                            400, ':devid'],
    ['GET',    'vifs/0/capture',     undefined,                            404],
    ['DELETE', 'vifs/0',             undefined,                            404],
    ['POST',   'actions/sysrq',      {},                                   400, '/key'],
    ['POST',   'actions/sysrq',      { key: 'hh' },                        400, '/key'],
  ])('%s %s %j: %i', async (method, path, body, status, pointer) => {
    expectProblem(await service.request(method, `/v1/domains/hello/${path}`, body), status, pointer);
  });

  // biome-ignore format: one row per request
  test.each<[string, string, unknown, number, string?]>([
    ['GET',    '/v1/networks/none',              undefined,                       404],
    ['POST',   '/v1/networks/xenbr0/forwards',   {},                              400, '/guestAddress'],
    ['POST',   '/v1/networks/xenbr0/forwards',   { guestAddress: '10.0.2.15' },   400, '/guestPort'],
    ['POST',   '/v1/networks/xenbr0/forwards',   { guestAddress: '10.9.9.9', guestPort: 1 }, 400, '/guestAddress'],
    ['POST',   '/v1/networks/xenbr0/forwards',   { guestAddress: '10.0.2.15', guestPort: 1, hostAddress: '0.0.0.0' }, 400, '/hostAddress'],
    ['DELETE', '/v1/networks/xenbr0/forwards/7', undefined,                       404],
    ['DELETE', '/v1/networks/xenbr0/forwards/x', undefined,                       400, ':id'],
    ['GET',    '/v1/networks/none/forwards',     undefined,                       404],
  ])('%s %s %j: %i', async (method, path, body, status, pointer) => {
    expectProblem(await service.request(method, path, body), status, pointer);
  });

  test('has its disk to itself; readers may share one', async () => {
    const attach = (id: string, access: string) =>
      service.request('POST', `/v1/domains/${id}/disks`, { ...disk, access });
    expect((await create({ ...hello, name: 'other', memory: 4 })).status).toBe(201);
    const free = await freeFrames();
    expect((await attach('hello', 'rw')).status).toBe(201);
    expectProblem(await attach('hello', 'ro'), 409, '/vdev');
    expectProblem(await attach('other', 'ro'), 409, '/target');
    expectProblem(
      await create({ ...hello, name: 'third', memory: 4, disks: [disk] }),
      409,
      '/disks/0/target',
    );
    expectProblem(await service.request('DELETE', '/v1/disks/some.img'), 409);
    expect((await service.request('DELETE', '/v1/domains/hello/disks/xvda')).status).toBe(204);
    expect((await attach('hello', 'ro')).status).toBe(201);
    expect((await attach('other', 'ro')).status).toBe(201);
    expect((await service.request('GET', '/v1/disks')).json.disks).toMatchObject([{ inUse: true }]);
    for (const id of ['hello', 'other']) {
      await service.request('DELETE', `/v1/domains/${id}/disks/xvda?force=true`);
    }
    expect((await service.request('GET', '/v1/disks')).json.disks).toMatchObject([
      { inUse: false },
    ]);
    expect(await freeFrames()).toBe(free);
    const store = await service.request('GET', '/v1/xenstore/local/domain/0/backend/vbd');
    expect(store.json.children).toEqual([]);
    await service.request('DELETE', '/v1/domains/other');
  });

  test('writes to an overlay; its image stays as it is and can be shared', async () => {
    const overlaid = async (name: string, overlay: unknown) => {
      const disks = [{ ...disk, overlay }];
      return create({ ...hello, name, memory: 4, disks });
    };
    for (const [name, overlay] of [
      ['one', true],
      ['two', 'kept'],
    ] as const) {
      expect((await overlaid(name, overlay)).status).toBe(201);
    }
    expectProblem(await overlaid('three', 'kept'), 409, '/disks/0/target');
    const files = () => readdirSync(join(service.folder, 'disks'));
    expect(files()).toHaveLength(3);
    expectProblem(await service.request('DELETE', '/v1/disks/kept.overlay'), 409);
    for (const name of ['one', 'two']) await service.request('DELETE', `/v1/domains/${name}`);
    expect(files().sort()).toEqual(['kept.overlay', 'some.img']);
    expect((await service.request('DELETE', '/v1/disks/kept.overlay')).status).toBe(204);
  });

  test('has its MAC to itself, and gives it back', async () => {
    const mac = '00:16:3e:00:00:07';
    const attach = () => service.request('POST', '/v1/domains/hello/vifs', { mac });
    expect((await attach()).json).toMatchObject({ devid: 0, mac, bridge: 'xenbr0' });
    expectProblem(await attach(), 409, '/mac');
    const ports = async () => (await service.request('GET', '/v1/networks/xenbr0')).json.ports;
    expect((await ports()).map(({ name }: { name: string }) => name)).toContainEqual(
      expect.stringMatching(/^vif\d+\.0$/),
    );
    await service.request('DELETE', '/v1/domains/hello/vifs/0?force=true');
    expect((await attach()).status).toBe(201);
    await service.request('DELETE', '/v1/domains/hello/vifs/0?force=true');
  });

  test('is changed, and the store and its figures say so', async () => {
    const { json } = await change({
      name: 'renamed',
      vcpus: 2,
      memory: 3,
      maxMemory: 6,
      weight: 512,
      cap: 50,
    });
    expect(json).toMatchObject({
      name: 'renamed',
      weight: 512,
      cap: 50,
      memory: { targetPages: 3 * 256 },
    });
    const read = async (path: string) =>
      (await service.request('GET', `/v1/xenstore/local/domain/${json.domid}/${path}`)).json.value;
    expect(await read('cpu/1/availability')).toBe('online');
    expect(await read('memory/target')).toBe('3072');
    expect(await read('memory/static-max')).toBe('6144');
    expect(await read('name')).toBe('renamed');
    const { domains } = (await service.request('GET', '/v1/domains')).json;
    expect(domains.map(({ name }: { name: string }) => name)).toEqual(['renamed']);
    expect((await service.request('PATCH', '/v1/domains/renamed', { name: 'hello' })).status).toBe(
      200,
    );
  });
});

describe('an image that cannot be booted is refused with the field', () => {
  const elf = (): Buffer => readFileSync(join(IMAGES, 'hello.elf'));
  const changed = (at: number, ...bytes: number[]): Buffer => {
    const image = elf();
    image.set(bytes, at);
    return image;
  };

  // biome-ignore format: one row per image
  test.each<[string, () => Buffer]>([
    ['nothing at all',                  () => Buffer.alloc(0)],
    ['text',                            () => Buffer.from('#!/bin/sh\necho no kernel\n')],
    ['a cut header',                    () => elf().subarray(0, 40)],
    ['a cut segment',                   () => elf().subarray(0, elf().length >> 1)],
    ['32 bits',                         () => changed(4, 1)],
    ['big endian',                      () => changed(5, 2)],
    ['another architecture (aarch64)',  () => changed(18, 0xb7, 0)],
    ['program headers out of the file', () => changed(32, 0xff, 0xff, 0xff, 0x7f)],
    ['program headers of a wrong size', () => changed(54, 1, 0)],
  ])('%s', async (_what, image) => {
    const free = await freeFrames();
    await fetch(`${service.url}/v1/images/bad`, { method: 'PUT', body: new Uint8Array(image()) });
    const answer = await create({ name: 'bad', kernel: 'bad', memory: 4 });
    expectProblem(answer, 422, '/kernel');
    expect(answer.json.detail).not.toBe('');
    expect(await freeFrames()).toBe(free);
  });

  test('one that is larger than the memory', async () => {
    const answer = await create({ ...hello, memory: 4 / 256 });
    expectProblem(answer, 422, '/memory');
  });
});

describe('paths and methods', () => {
  // biome-ignore format: one row per request
  test.each<[string, string, number]>([
    ['GET',    '/v1/nothing',                    404],
    ['GET',    '/v1/domains/999',                404],
    ['GET',    '/v1/domains/nobody',             404],
    ['DELETE', '/v1/domains/nobody',             404],
    ['GET',    '/v1/domains/nobody/console',     404],
    ['POST',   '/v1/domains/nobody/actions/pause',    404],
    ['POST',   '/v1/domains/nobody/actions/shutdown', 404],
    ['POST',   '/v1/domains/nobody/actions/explode',  404],
    ['PATCH',  '/v1/domains',                    405],
    ['PUT',    '/v1/domains/hello',              405],
    ['GET',    '/v1/domains/hello/actions/pause', 405],
    ['POST',   '/v1/host',                       405],
    ['GET',    '/v1/trace',                      426],
    ['GET',    '/v1/events?kind=none',           400],
    ['GET',    '/v1/domains?ended=maybe',        400],
    ['GET',    '/v1/domains?what=ever',          400],
    ['GET',    '/v1/domains/%ff',                400],
    ['DELETE', '/v1/images/nothing',             404],
    ['PUT',    '/v1/images/..%2fescape',         400],
    ['PUT',    '/v1/images/.hidden',             400],
  ])('%s %s: %i', async (method, path, status) => {
    expectProblem(await service.request(method, path), status);
  });

  test('a 405 names the methods there are', async () => {
    const { headers } = await service.request('PATCH', '/v1/domains');
    expect(headers.get('allow')?.split(', ')).toEqual(expect.arrayContaining(['GET', 'POST']));
  });

  test('an upload over the limit: 413', async () => {
    const body = new Uint8Array(1024 * 1024 + 1);
    const response = await fetch(`${service.url}/v1/images/big`, { method: 'PUT', body });
    expect(response.status).toBe(413);
    expect(response.headers.get('content-type')).toContain('application/problem+json');
  });
});

describe('requests that a web page elsewhere could make', () => {
  const status = (headers: Record<string, string>): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const request = httpRequest(`${service.url}/v1/domains`, { headers }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      request.on('error', reject).end();
    });

  test('a foreign Host and a foreign Origin are refused', async () => {
    expect(await status({ host: 'evil.example' })).toBe(403);
    expect(await status({ origin: 'https://evil.example' })).toBe(403);
    expect(await status({})).toBe(200);
  });

  test.each(['/v1/events', '/v1/trace', '/v1/domains/nobody/console'])(
    'no WebSocket %s from a foreign Origin',
    async (path) => {
      const headers = { origin: 'https://evil.example' };
      const socket = new TestSocket(service.url + path, { headers });
      await expect(socket.opened()).rejects.toThrow('403');
    },
  );
});

describe('WebSockets', () => {
  // biome-ignore format: one row per request
  test.each([
    ['/v1/nothing',                 '404'],
    ['/v1/domains/nobody/console',  '404'],
    ['/v1/events?since=x',          '400'],
    ['/v1/trace?format=xml',        '400'],
    ['/v1/trace?class=nonsense',    '400'],
    ['/v1/trace?call=nonsense',     '400'],
    ['/v1/trace?what=ever',         '400'],
    ['/v1/trace?filter=call%3D',    '400'],
  ])('%s is refused with %s', async (path, status) => {
    await expect(new TestSocket(service.url + path).opened()).rejects.toThrow(status);
  });

  test('a filter that cannot be read is refused with the place and what is expected there', async () => {
    const { socket } = new TestSocket(`${service.url}/v1/trace?filter=vcpu%3D0+and+what%3Dever`);
    const refusal = new Promise<string>((resolve) => {
      socket.on('unexpected-response', (_request, response) => {
        let text = '';
        response.on('data', (data: Buffer) => {
          text += data;
        });
        response.on('end', () => resolve(text));
      });
    });
    expect(JSON.parse(await refusal)).toMatchObject({
      type: '/problems/bad-value',
      errors: [
        {
          pointer: '?filter',
          detail: 'at character 12',
          expected: expect.stringContaining('a field (domain, vcpu, call'),
          found: '"what"',
        },
      ],
    });
  });
});
