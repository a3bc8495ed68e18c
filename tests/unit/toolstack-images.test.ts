/** The image folders: what can be named, what cannot be reached, what compressed images may grow to. */

import { createHash } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { ImageFacts } from '../../toolstack/domains/image-facts.js';
import { kindOf } from '../../toolstack/domains/image-kind.js';
import { Images } from '../../toolstack/domains/images.js';
import { openState } from '../../toolstack/state/state.js';
import { temporaryName } from '../../toolstack/state/temporary-files.js';

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

const state = await openState(undefined, () => undefined);
afterAll(() => state.close());
const folders = {
  images: join(root, 'images'),
  uploads: join(root, 'uploads'),
  cache: join(root, 'cache'),
  unpackedLimit: 100_000,
  cacheLimit: 1_000_000,
};
const images = new Images(folders, new ImageFacts(state.imageFacts));
const sha256 = (bytes: string | Uint8Array): string =>
  createHash('sha256').update(bytes).digest('hex');
const save = (name: string, text: string) => images.save(name, Buffer.from(text), sha256(text));
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
    await save('edited', 'third');
    expect(await load('edited')).toBe('third');
    await save('edited', 'again');
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
    await save('hello.elf', 'uploaded');
    expect(await load('hello')).toBe('uploaded');
    const facts = { bytes: 8, sha256: sha256('uploaded'), kind: 'other' };
    expect(await images.list()).toContainEqual({ name: 'hello.elf', ...facts, uploaded: true });
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

describe('facts of an image', () => {
  /** Written long enough ago to be trusted to stay as it is. */
  const writeOld = (name: string, text: string): void => {
    const path = join(root, 'images', name);
    writeFileSync(path, text);
    utimesSync(path, new Date(1e12), new Date(1e12));
  };
  const listed = async (from: Images, name: string) =>
    (await from.list()).find((image) => image.name === name);

  test('are found out once, and known to the next service as well', async () => {
    writeOld('old', 'first');
    expect(await listed(images, 'old')).toMatchObject({ bytes: 5, sha256: sha256('first') });
    await save('saved', 'second');
    const mark = { sha256: 'as it was remembered' };
    for (const { path } of state.imageFacts.list()) {
      const key = sha256(path);
      await state.imageFacts.change(key, (kept) => kept && { ...kept, ...mark });
    }
    const next = new Images(folders, new ImageFacts(state.imageFacts));
    expect(await listed(next, 'old')).toMatchObject(mark);
    expect(await listed(next, 'saved')).toMatchObject(mark);
    writeOld('old', 'later');
    expect(await listed(next, 'old')).toMatchObject({ sha256: sha256('later') });
    await images.delete('saved');
    rmSync(join(root, 'images', 'old'));
    await images.sweep();
    const paths = state.imageFacts.list().map(({ path }) => path);
    expect(paths.filter((path) => /(old|saved)$/.test(path))).toEqual([]);
  });

  test('are those of its present content, however lately it was written to', async () => {
    for (const text of ['one', 'two', 'six', 'ten']) {
      writeFileSync(join(root, 'images', 'busy'), text);
      expect(await listed(images, 'busy')).toMatchObject({ sha256: sha256(text) });
    }
    rmSync(join(root, 'images', 'busy'));
  });
});

test('what a service that was killed has left of uploads is swept, what is under way is not', async () => {
  const uploads = join(root, 'uploads');
  mkdirSync(uploads, { recursive: true });
  const mine = join(uploads, temporaryName());
  const names = [`.temporary-${process.pid}-another`, '.temporary-4194303-x', '.other'];
  for (const name of names) writeFileSync(join(uploads, name), '');
  writeFileSync(mine, '');
  await images.sweep();
  expect(
    readdirSync(uploads)
      .map((name) => join(uploads, name))
      .sort(),
  ).toEqual([join(uploads, '.other'), mine].sort());
});

const at = (offset: number, magic: string): Buffer => {
  const bytes = Buffer.alloc(offset + magic.length + 100);
  bytes.write(magic, offset, 'latin1');
  return bytes;
};

// biome-ignore format: one row per content
test.each([
  ['an ELF',                     at(0, '\x7fELF'),                               'kernel'],
  ['a gzip file of an ELF',      gzipSync(at(0, '\x7fELF')),                     'kernel'],
  ['a bzImage, which has an MBR', Buffer.concat([at(510, '\x55\xaaxxHdrS')]),    'kernel'],
  ['a cpio archive',             at(0, '070701'),                                'ramdisk'],
  ['a gzip file of one',         gzipSync(Buffer.concat([at(0, '070701'), Buffer.alloc(1e6, 'random')])), 'ramdisk'],
  ['a zstd stream',              at(0, '\x28\xb5\x2f\xfd'),                     'ramdisk'],
  ['an xz stream',               at(0, '\xfd7zXZ\0'),                           'ramdisk'],
  ['an ext4 file system',        at(0x438, '\x53\xef'),                         'disk'],
  ['a disk with partitions',     at(510, '\x55\xaa'),                           'disk'],
  ['a CD-ROM',                   at(0x8001, 'CD001'),                            'disk'],
  ['a gzip file of a disk',      gzipSync(at(510, '\x55\xaa')),                 'other'],
  ['a gzip file cut off',        gzipSync('x').subarray(0, 5),                   'other'],
  ['text',                       Buffer.from('text'),                            'other'],
  ['nothing',                    Buffer.alloc(0),                                'other'],
])('%s is told by its content', (_what, bytes, kind) => {
  expect(kindOf(bytes)).toBe(kind);
});

test('the images that come with the installation are kernels', async () => {
  const images = join(import.meta.dirname, '../../guests/images');
  const all = await new Images({ ...folders, images }, new ImageFacts(state.imageFacts)).list();
  expect(all.filter(({ uploaded, kind }) => !uploaded && kind !== 'kernel')).toEqual([]);
});
