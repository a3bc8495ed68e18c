/** `/v1/images` over real HTTP: what is known of an image, its bytes as they lie there, and what keeps it from being removed. */

import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestService, type TestService, uploadImage } from '../support/service.js';

const folder = mkdtempSync(join(tmpdir(), 'xenolith-images-'));
mkdirSync(join(folder, 'sub'));
writeFileSync(join(folder, 'sub', 'kernel'), '\x7fELF below');
writeFileSync(join(folder, 'empty'), '');
let service: TestService;
beforeAll(async () => {
  service = await startTestService({ memory: 16, images: folder });
});
afterAll(async () => {
  await service.close();
  rmSync(folder, { recursive: true, force: true });
});

const BYTES = Buffer.from('070701 a RAM disk of some bytes'.repeat(10_000));
const hash = (bytes: Uint8Array, encoding: 'hex' | 'base64'): string =>
  createHash('sha256').update(bytes).digest(encoding);
const get = (name: string, init: RequestInit = {}) =>
  fetch(`${service.url}/v1/images/${encodeURIComponent(name)}`, init);

describe('an image', () => {
  test('is listed with its size, SHA-256 and kind, uploaded or not', async () => {
    await uploadImage(service, 'ramdisk', BYTES);
    const { images } = (await service.request('GET', '/v1/images')).json;
    const facts = { sha256: hash(BYTES, 'hex'), bytes: BYTES.length, kind: 'ramdisk' };
    expect(images).toMatchObject([
      { name: 'empty', bytes: 0, kind: 'other', uploaded: false },
      { name: 'ramdisk', ...facts, uploaded: true },
      { name: 'sub/kernel', kind: 'kernel', uploaded: false },
    ]);
  });

  test('is answered as it lies there, with length, ETag and digest; HEAD tells them alone', async () => {
    const put = await get('whole', { method: 'PUT', body: new Uint8Array(BYTES) });
    const [whole, head] = [await get('whole'), await get('whole', { method: 'HEAD' })];
    const digest = `sha-256=:${hash(BYTES, 'base64')}:`;
    for (const { status, headers } of [whole, head]) {
      expect(status).toBe(200);
      expect(headers.get('content-length')).toBe(String(BYTES.length));
      expect(headers.get('etag')).toBe(`"${hash(BYTES, 'hex')}"`);
      expect(headers.get('etag')).toBe(put.headers.get('etag'));
      expect(headers.get('repr-digest')).toBe(digest);
    }
    expect(whole.headers.get('content-digest')).toBe(digest);
    expect(Buffer.from(await whole.arrayBuffer())).toEqual(BYTES);
    expect(await head.text()).toBe('');
    // What it answers is what an upload is checked by.
    const headers = { 'content-digest': digest };
    const again = await get('again', { method: 'PUT', headers, body: new Uint8Array(BYTES) });
    expect(again.status).toBe(201);
  });

  test('is not sent to who has it; one that is replaced is another', async () => {
    await uploadImage(service, 'changing', Buffer.from('first'));
    const tag = (await get('changing')).headers.get('etag') ?? '';
    const same = await get('changing', { headers: { 'if-none-match': tag } });
    expect([same.status, same.headers.get('etag'), await same.text()]).toEqual([304, tag, '']);
    await uploadImage(service, 'changing', Buffer.from('other'));
    const other = await get('changing', { headers: { 'if-none-match': tag } });
    expect([other.status, await other.text()]).toEqual([200, 'other']);
  });

  test('of the image directory is answered by its path, an empty one, too', async () => {
    expect(await (await get('sub/kernel')).text()).toBe('\x7fELF below');
    const empty = await get('empty');
    expect([empty.status, empty.headers.get('content-length'), await empty.text()]).toEqual([
      200,
      '0',
      '',
    ]);
  });

  test.each(['nothing', 'sub', '../../etc/passwd', '.hidden', 'a\0b'])(
    '%j is none, to GET and HEAD',
    async (name) => {
      const { status, headers } = await get(name);
      expect(status).toBe(404);
      expect(headers.get('content-type')).toMatch(/^application\/problem\+json/);
      expect((await get(name, { method: 'HEAD' })).status).toBe(404);
    },
  );
});

describe('an upload that a definition names', () => {
  const define = (name: string, more: object) =>
    service.request('PUT', `/v1/definitions/${name}`, {
      config: { name, kernel: 'sub/kernel', ...more },
    });
  const remove = (name: string, query = '') =>
    service.request('DELETE', `/v1/images/${name}${query}`);

  test('is removed by force only', async () => {
    for (const name of ['used.elf', 'initrd']) await uploadImage(service, name, BYTES);
    await define('one', { kernel: 'used' });
    await define('two', { ramdisk: 'initrd' });
    const refused = await remove('used.elf');
    expect(refused).toMatchObject({ status: 409, json: { type: '/problems/image-in-use' } });
    expect(refused.json.detail).toContain('in use by the definition "one"');
    expect((await remove('initrd')).json.detail).toContain('"two"');
    expect((await remove('used.elf', '?force=true')).status).toBe(204);
    expect((await get('used.elf')).status).toBe(404);
    await service.request('DELETE', '/v1/definitions/two');
    expect((await remove('initrd')).status).toBe(204);
  });

  test('may be removed once another one is meant', async () => {
    await uploadImage(service, 'mine', BYTES);
    await define('three', { kernel: 'mine' });
    await service.request('PATCH', '/v1/definitions/three', { config: { kernel: 'empty' } });
    expect((await remove('mine')).status).toBe(204);
    expect((await remove('mine')).status).toBe(404);
  });
});
