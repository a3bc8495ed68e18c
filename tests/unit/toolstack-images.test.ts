/** The image folders: what can be named, what cannot be reached, what compressed images may grow to. */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { Images } from '../../toolstack/domains/images.js';

const root = mkdtempSync(join(tmpdir(), 'images-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

mkdirSync(join(root, 'images', 'sub'), { recursive: true });
writeFileSync(join(root, 'secret'), 'not for guests');
writeFileSync(join(root, 'images', 'hello.elf'), 'hello');
writeFileSync(join(root, 'images', 'README.md'), 'no image');
writeFileSync(join(root, 'images', 'sub', 'kernel'), 'below');
writeFileSync(join(root, 'images', 'packed.gz'), gzipSync('unpacked'));
writeFileSync(join(root, 'images', 'cut.gz'), gzipSync('unpacked').subarray(0, 15));
writeFileSync(join(root, 'images', 'bomb.gz'), gzipSync(Buffer.alloc(1_000_000)));
symlinkSync(join(root, 'secret'), join(root, 'images', 'link'));

const images = new Images({
  images: join(root, 'images'),
  uploads: join(root, 'uploads'),
  cache: join(root, 'cache'),
  unpackedLimit: 100_000,
  cacheLimit: 1_000_000,
});
const load = async (name: string): Promise<string> =>
  Buffer.from((await images.load(name, 'kernel')).bytes).toString();

describe('an image', () => {
  // biome-ignore format: one row per name
  test.each([
    ['hello.elf',  'hello'],
    ['hello',      'hello'],
    ['sub/kernel', 'below'],
    ['packed.gz',  'unpacked'],
  ])('%s is found', async (name, content) => {
    expect(await load(name)).toBe(content);
  });

  test('has the name of its content; a RAM disk is handed on as it is', async () => {
    const kernel = await images.load('packed.gz', 'kernel');
    const ramdisk = await images.load('packed.gz', 'ramdisk');
    expect(Buffer.from(ramdisk.bytes)).toEqual(readFileSync(join(root, 'images', 'packed.gz')));
    expect(ramdisk.name).not.toBe(kernel.name);
    writeFileSync(join(root, 'images', 'same'), readFileSync(join(root, 'images', 'packed.gz')));
    expect((await images.load('same', 'kernel')).name).toBe(kernel.name);
    expect((await images.load('hello', 'kernel')).name).not.toBe(kernel.name);
    rmSync(join(root, 'images', 'same'));
  });

  test('that was written to, or replaced by an upload of the same size, is read anew', async () => {
    writeFileSync(join(root, 'images', 'edited'), 'first');
    const first = await images.load('edited', 'kernel');
    writeFileSync(join(root, 'images', 'edited'), 'later');
    expect(await load('edited')).toBe('later');
    expect((await images.load('edited', 'kernel')).name).not.toBe(first.name);
    await images.save('edited', Buffer.from('third'));
    expect(await load('edited')).toBe('third');
    await images.save('edited', Buffer.from('again'));
    expect(await load('edited')).toBe('again');
    await images.delete('edited');
    rmSync(join(root, 'images', 'edited'));
  });

  // biome-ignore format: one row per name
  test.each([
    ['../secret',                'leaves the image directory'],
    ['sub/../../secret',         'leaves the image directory'],
    [join(root, 'secret'),       'leaves the image directory'],
    ['..\\secret',               'leaves the image directory'],
    ['hello.elf\0',              'leaves the image directory'],
    ['link',                     'is no image here'],
    ['sub',                      'is no image here'],
    ['.',                        'is no image here'],
    ['nothing',                  'is no image here'],
  ])('%j is refused', async (name, detail) => {
    await expect(images.load(name, 'kernel')).rejects.toMatchObject({
      code: 'bad-value',
      facts: { errors: [{ pointer: '/kernel', detail }] },
    });
  });

  test.each([
    ['cut.gz', 'cannot be unpacked'],
    ['bomb.gz', 'more than 100000 bytes'],
  ])('%s is refused', async (name, detail) => {
    await expect(images.load(name, 'kernel')).rejects.toMatchObject({
      code: 'bad-image',
      message: expect.stringContaining(detail),
    });
  });

  test('that is uploaded hides one of the same name until it is removed', async () => {
    await images.save('hello.elf', Buffer.from('uploaded'));
    expect(await load('hello')).toBe('uploaded');
    expect(await images.list()).toContainEqual({ name: 'hello.elf', bytes: 8, uploaded: true });
    await images.delete('hello.elf');
    expect(await load('hello')).toBe('hello');
    await expect(images.delete('hello.elf')).rejects.toMatchObject({ code: 'no-such-image' });
  });

  test('is listed by name; links out of the folder and notes are not', async () => {
    expect((await images.list()).map(({ name }) => name)).toEqual([
      'bomb.gz',
      'cut.gz',
      'hello.elf',
      'packed.gz',
      'sub/kernel',
    ]);
  });
});
