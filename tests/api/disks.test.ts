/** `/v1/disks`: images on the host over real HTTP, as streams; nothing outside of the disk directories. */

import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestService, type TestService } from '../support/service.js';

const MIB = 1024 * 1024;
const folder = mkdtempSync(join(tmpdir(), 'disks-'));
const first = join(folder, 'first');
const second = join(folder, 'second');
let service: TestService;
beforeAll(async () => {
  mkdirSync(second);
  writeFileSync(join(second, 'old.img'), Buffer.alloc(512));
  writeFileSync(join(folder, 'secret'), 'not a disk');
  symlinkSync(join(folder, 'secret'), join(second, 'link'));
  service = await startTestService({ memory: 64, disks: [first, second], diskLimit: 8 * MIB });
});
afterAll(async () => {
  await service.close();
  rmSync(folder, { recursive: true, force: true });
});

const disks = async () => (await service.request('GET', '/v1/disks')).json.disks;
const put = (name: string, body: Uint8Array<ArrayBuffer>) =>
  fetch(`${service.url}/v1/disks/${name}`, { method: 'PUT', body });

describe('disk images', () => {
  test('are made blank, listed, uploaded, downloaded and removed', async () => {
    const size = 1024 * MIB;
    const made = await service.request('POST', '/v1/disks', { name: 'blank.img', size });
    expect(made.status, made.text).toBe(201);
    expect(made.json).toEqual({
      name: 'blank.img',
      path: join(first, 'blank.img'),
      bytes: size,
      usedBytes: 0,
      inUse: false,
    });
    const bytes = new Uint8Array(randomBytes(5 * MIB));
    expect((await put('data', bytes)).status).toBe(201);
    expect((await disks()).map(({ name }: { name: string }) => name)).toEqual([
      'blank.img',
      'data',
      'old.img',
    ]);
    const answer = await fetch(`${service.url}/v1/disks/data`);
    expect(answer.headers.get('content-length')).toBe(String(bytes.length));
    const digest = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');
    expect(digest(new Uint8Array(await answer.arrayBuffer()))).toBe(digest(bytes));
    for (const name of ['blank.img', 'data', 'old.img']) {
      expect((await service.request('DELETE', `/v1/disks/${name}`)).status).toBe(204);
    }
    expect(await disks()).toEqual([]);
    expect(readdirSync(first)).toEqual([]);
  });

  test('are not overwritten', async () => {
    await service.request('POST', '/v1/disks', { name: 'taken', size: 512 });
    const again = await service.request('POST', '/v1/disks', { name: 'taken', size: 512 });
    expect(again).toMatchObject({ status: 409, json: { errors: [{ pointer: '/name' }] } });
    expect((await put('taken', new Uint8Array(512))).status).toBe(409);
    await service.request('DELETE', '/v1/disks/taken');
  });

  test('of which more comes than is allowed are refused, and nothing stays', async () => {
    const answer = await put('large', new Uint8Array(8 * MIB + 1)).catch(() => undefined);
    // Whoever goes on sending may find the connection closed before the answer.
    if (answer !== undefined) expect(answer.status).toBe(413);
    expect(readdirSync(first)).toEqual([]);
  });

  test('whose upload breaks off leave nothing', async () => {
    await new Promise<void>((resolve) => {
      const request = httpRequest(`${service.url}/v1/disks/cut`, { method: 'PUT' });
      request.on('error', () => resolve());
      request.write(Buffer.alloc(MIB), () => request.destroy());
    });
    await expect.poll(() => readdirSync(first), { timeout: 60_000 }).toEqual([]);
  });

  // biome-ignore format: one row per request
  test.each<[string, string, unknown, number, string?]>([
    ['POST',   '/v1/disks',               { name: 'x' },                       400, '/size'],
    ['POST',   '/v1/disks',               { name: 'x', size: 100 },            400, '/size'],
    ['POST',   '/v1/disks',               { name: 'x', size: -512 },           400, '/size'],
    ['POST',   '/v1/disks',               { name: 'x', size: 2 ** 60 },        400, '/size'],
    ['POST',   '/v1/disks',               { name: '../x', size: 512 },         400, '/name'],
    ['POST',   '/v1/disks',               { name: '.x', size: 512 },           400, '/name'],
    ['POST',   '/v1/disks',               { name: 'x', size: 512, path: '/' }, 400, '/path'],
    ['GET',    '/v1/disks/nothing',       undefined,                           404],
    ['GET',    '/v1/disks/link',          undefined,                           404],
    ['GET',    '/v1/disks/..%2fsecret',   undefined,                           404],
    ['DELETE', '/v1/disks/link',          undefined,                           404],
    ['DELETE', '/v1/disks/..%2fsecret',   undefined,                           404],
    ['PUT',    '/v1/disks/..%2fsecret',   undefined,                           400, ':name'],
  ])('%s %s %j is refused', async (method, path, body, status, pointer) => {
    const answer = await service.request(method, path, body);
    expect(answer.status, answer.text).toBe(status);
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
    if (pointer) expect(answer.json.errors).toContainEqual(expect.objectContaining({ pointer }));
  });
});
