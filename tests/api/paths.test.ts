/** Names that try to lead out of the folders of the service, as they come over the wire: nothing outside is read, written or removed. */

import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RawConnection, rawRequest } from '../support/raw-request.js';
import { startTestService, type TestService } from '../support/service.js';

const SECRET = 'what nobody may read';
const UPGRADE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';

let service: TestService;
/** Beside the folders of the service. */
let secret: string;
const KINDS = ['images', 'disks', 'cores', 'saves', 'recordings'] as const;

beforeAll(async () => {
  service = await startTestService({ memory: 64 });
  secret = join(service.folder, 'secret');
  writeFileSync(secret, SECRET);
  for (const kind of KINDS) {
    mkdirSync(join(service.folder, kind), { recursive: true });
    symlinkSync(secret, join(service.folder, kind, 'link'));
    symlinkSync(service.folder, join(service.folder, kind, 'folder'));
  }
  symlinkSync(secret, join(service.folder, 'disks', 'led.overlay'));
  writeFileSync(join(service.folder, 'disks', 'base.img'), Buffer.alloc(512));
});
afterAll(() => service.close());

/** Everything that is there, and what the secret says. */
const outside = () => ({
  names: readdirSync(service.folder).sort(),
  secret: readFileSync(secret, 'utf8'),
});

// biome-ignore format: one row per way out
const NAMES: readonly (readonly [what: string, name: string])[] = [
  ['dots',                           '../secret'],
  ['an encoded slash',               '..%2fsecret'],
  ['encoded dots',                   '%2e%2e/secret'],
  ['encoded dots and slash',         '%2e%2e%2fsecret'],
  ['dots encoded twice',             '%252e%252e%252fsecret'],
  ['a backslash',                    '..%5csecret'],
  ['a bare backslash',               '..\\secret'],
  ['a NUL',                          'link%00.img'],
  ['a NUL and dots',                 '..%2fsecret%00'],
  ['an overlong slash',              '..%c0%afsecret'],
  ['an overlong dot',                '%c0%ae%c0%ae%2fsecret'],
  ['a lone surrogate',               '%ed%a0%80'],
  ['half an escape',                 '..%2'],
  ['an absolute path',               '%2fetc%2fpasswd'],
  ['two slashes',                    '%2f%2fetc%2fpasswd'],
  ['many dots',                      '..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd'],
  ['dots in the middle',             'a%2f..%2f..%2fsecret'],
  ['a link that leads out',          'link'],
  ['a file in a folder that does',   'folder%2fsecret'],
  ['a hidden file',                  '.hidden'],
  ['the folder itself',              '.'],
  ['the folder above',               '..'],
  ['the folder above, encoded',      '%2e%2e'],
];

describe.each(KINDS)('/v1/%s is not left by', (kind) => {
  test.each(NAMES)('%s', async (_what, name) => {
    const before = outside();
    for (const method of ['GET', 'DELETE']) {
      const { status, text } = await rawRequest(service.url, method, `/v1/${kind}/${name}`);
      expect({ method, status }).toEqual({ method, status: expect.toBeOneOf([400, 404, 405]) });
      expect(text).not.toContain(SECRET);
      expect(text).not.toContain('root:');
    }
    expect(outside()).toEqual(before);
  });

  test.each(NAMES.filter(([, name]) => name !== 'link'))('an upload to %s', async (_what, name) => {
    const before = outside();
    const { status } = await rawRequest(service.url, 'PUT', `/v1/${kind}/${name}`, 'mine');
    expect(status).toBeOneOf([400, 404, 405]);
    expect(outside()).toEqual(before);
  });
});

test.each(NAMES)('/v1/trace plays no recording by the name of %s', async (_what, name) => {
  const connection = new RawConnection(service.url);
  const head = `GET /v1/trace?recording=${name} HTTP/1.1\r\nHost: localhost\r\n${UPGRADE}`;
  connection.send(`${head}\r\n\r\n`);
  await connection.ended;
  expect(connection.statuses()).toEqual([expect.toBeOneOf([400, 404])]);
  expect(connection.received).not.toContain(SECRET);
});

describe('an upload to a link that leads out', () => {
  test('takes the place of the link among images', async () => {
    const { status } = await rawRequest(service.url, 'PUT', '/v1/images/link', 'mine');
    expect(status).toBe(201);
    expect(readFileSync(secret, 'utf8')).toBe(SECRET);
    expect(readFileSync(join(service.folder, 'images', 'link'), 'utf8')).toBe('mine');
  });

  test.each(['disks', 'saves'])('is refused among %s', async (kind) => {
    const { status } = await rawRequest(service.url, 'PUT', `/v1/${kind}/link`, 'mine');
    expect(status).toBe(409);
    expect(readFileSync(secret, 'utf8')).toBe(SECRET);
  });
});

test.each(KINDS)('/v1/%s does not list what links lead to', async (kind) => {
  const { json } = await service.request('GET', `/v1/${kind}`);
  const names = json[kind].map(({ name }: { name: string }) => name);
  for (const name of names) expect(name).not.toMatch(/^folder|secret|led/);
});

describe('POST /v1/domains is not led out by', () => {
  // biome-ignore format: one row per way out
  const TARGETS = [
    '../secret', '../../secret', '/etc/passwd', '//etc/passwd', 'folder/secret', 'a/../../secret', './../secret',
    '..\\secret', 'secret\0.elf', '../secret\0', '\0', '%2e%2e/secret', '..%2fsecret', '.', '..', '/', '/dev/zero', '/proc/self/environ',
  ];
  const refused = async (body: object, pointer: string) => {
    const { status, json, text } = await service.request('POST', '/v1/domains', {
      name: 'led',
      kernel: 'hello',
      memory: 4,
      ...body,
    });
    expect(status).toBe(400);
    expect(json.errors).toMatchObject([{ pointer }]);
    expect(text).not.toContain(SECRET);
  };

  test.each(TARGETS)('the kernel %j', (kernel) => refused({ kernel }, '/kernel'));
  test.each(TARGETS)('the RAM disk %j', (ramdisk) => refused({ ramdisk }, '/ramdisk'));
  test.each([...TARGETS, 'link'])('the disk %j', (target) =>
    refused({ disks: [{ vdev: 'xvda', target }] }, '/disks/0/target'),
  );
  test.each(TARGETS)('the overlay %j', (overlay) =>
    refused({ disks: [{ vdev: 'xvda', target: 'base.img', overlay }] }, '/disks/0/overlay'),
  );

  test('a link among the overlays', async () => {
    const disk = { vdev: 'xvda', target: 'base.img', overlay: 'led' };
    await refused({ disks: [disk] }, '/overlay');
    expect(readFileSync(secret, 'utf8')).toBe(SECRET);
  });
});

test.each(['core', 'save'])('a %s is written to its folder only', async (kind) => {
  await service.request('POST', '/v1/domains', { name: kind, kernel: 'hello', memory: 4 });
  const action = kind === 'core' ? 'dump-core' : 'save';
  const before = outside();
  for (const name of ['../out', '/tmp/out', 'a/b', '..', '.x', 'a\0b', '..\\x', 'link']) {
    const path = `/v1/domains/${kind}/actions/${action}`;
    const headers = { prefer: 'wait' };
    const { status, json } = await service.request('POST', path, { name }, headers);
    // What a link stands for is found by the task.
    if (name === 'link') expect(json.problem.status).toBe(409);
    else expect(status).toBe(400);
  }
  expect(outside()).toEqual(before);
});

// biome-ignore format: one row per path
test.each([
  '/docs/static/..%2f..%2f..%2fpackage.json', '/docs/static/%2e%2e/%2e%2e/package.json', '/docs/static/..\\..\\package.json',
  '/dashboard/..%2fservice.ts', '/dashboard/../service.ts', '/dashboard/%2e%2e%2fservice.ts', '//etc/passwd', '/../../etc/passwd',
  '/v1/domains/..%2f..%2fetc%2fpasswd/console', '/v1/xenstore/..%2f..%2fetc%2fpasswd', '/v1/xenstore/%00', '/v1/tasks/..%2fx',
])('%s is no file of the host', async (path) => {
  const { status, text } = await rawRequest(service.url, 'GET', path);
  expect(status).toBeOneOf([400, 403, 404]);
  expect(text).not.toMatch(/root:|startService|"devDependencies"/);
});
