/** bzImages: the kernel inside is found by the setup header, and a damaged one names what is wrong. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import lzma from 'lzma-native';
import { afterAll, describe, expect, test } from 'vitest';
import { ImageCache } from '../../toolstack/domains/image-cache.js';
import { ImageFacts } from '../../toolstack/domains/image-facts.js';
import { Images } from '../../toolstack/domains/images.js';
import { unpack } from '../../toolstack/domains/unpack.js';
import { UnpackedImages } from '../../toolstack/domains/unpacked-images.js';
import { openState } from '../../toolstack/state/state.js';
import { bzImage, withSize } from '../support/bzimage.js';
import { testWithPeer } from '../support/peer.js';

const KERNEL = Buffer.from('\x7fELF and the rest of a kernel'.repeat(100), 'latin1');
const LIMIT = 100_000;
const PAYLOAD_AT = bzImage(Buffer.alloc(0)).indexOf('more');

const folder = mkdtempSync(join(tmpdir(), 'cache-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const xz = (bytes = KERNEL): Promise<Buffer> =>
  new Promise((resolve) => lzma.compress(bytes, {}, resolve));

describe('a bzImage', () => {
  test('with each payload that can be unpacked', async () => {
    for (const payload of [gzipSync(KERNEL), withSize(await xz(), KERNEL.length), KERNEL]) {
      expect(Buffer.from(await unpack(bzImage(payload), LIMIT))).toEqual(KERNEL);
    }
  });

  test('that is damaged names its fault', async () => {
    const packed = withSize(await xz(), KERNEL.length);
    const cut = bzImage(packed).subarray(0, PAYLOAD_AT + 20);
    const broken = Buffer.from(packed);
    broken.fill(0x55, 40, 60);
    const shorter = withSize((await xz()).subarray(0, -30), KERNEL.length);
    // biome-ignore format: one row per fault
    const faults = [
      [cut,                                             /payload_offset and payload_length/],
      [bzImage(packed, 0x207),                          /boot protocol 0x207/],
      [bzImage(Buffer.from('894c5a4f0000', 'hex')),     /packed with lzo/],
      [bzImage(withSize(Buffer.from('28b52ffd00', 'hex'), 9)), /zstd payload that cannot be unpacked/],
      [bzImage(Buffer.from('000102030405', 'hex')),     /packed with bytes 00010203/],
      [bzImage(broken),                                 /cannot be unpacked/],
      [bzImage(shorter),                                /cannot be unpacked/],
      [bzImage(withSize(await xz(), 7)),                /xz payload that cannot be unpacked: more comes out/],
      [bzImage(withSize(await xz(), LIMIT + 1)),        /more than 100000 bytes/],
    ] as const;
    for (const [bytes, message] of faults) {
      await expect(unpack(bytes, LIMIT), String(message)).rejects.toMatchObject({
        name: 'UnpackError',
        message: expect.stringMatching(message),
      });
    }
  });

  test('that lies about its size is stopped at the limit', async () => {
    const bomb = await xz(Buffer.alloc(10 * LIMIT));
    await expect(unpack(bzImage(withSize(bomb, 5)), LIMIT)).rejects.toMatchObject({
      message: expect.stringContaining('more comes out than it says'),
    });
  });
});

/** As the kernel's build packs it, from standard input to standard output. */
// biome-ignore format: one row per format
const PACKERS = [
  ['gzip',  'gzip',      'gzip -n -9'],
  ['xz',    'xz-utils',  'xz --check=crc32 --x86 --lzma2=dict=32MiB'],
  ['lzma',  'xz-utils',  'xz --format=lzma -9'],
  ['zstd',  'zstd',      'zstd -19'],
  ['lz4',   'lz4',       'lz4 -l -9'],
  ['bzip2', 'bzip2',     'bzip2 -9'],
] as const;

describe('a payload that the real tool has packed', () => {
  const elf = readFileSync(new URL('../../guests/images/hello.elf', import.meta.url));
  // More than a block of LZ4 (8 MiB) and of bzip2 (900 kB), repetitive and not.
  const kernel = Buffer.concat([elf, Buffer.alloc(9_000_000), elf, Buffer.alloc(3, 7), elf]);
  const limit = 2 * kernel.length;
  const pack = (command: string, bytes: Buffer): Buffer => {
    const [program = '', ...args] = command.split(' ');
    return execFileSync(program, args, { input: bytes, maxBuffer: limit });
  };
  const payload = (format: string, stream: Buffer): Buffer =>
    format === 'gzip' ? stream : withSize(stream, kernel.length);

  for (const [format, debianPackage, command] of PACKERS) {
    const files = [`/usr/bin/${command.split(' ', 1)[0]}`];
    testWithPeer(
      debianPackage,
      files,
      `with ${format} is unpacked, and refused if damaged`,
      async () => {
        const stream = pack(command, kernel);
        const whole = await unpack(bzImage(payload(format, stream)), limit);
        expect(Buffer.compare(whole, kernel)).toBe(0);
        const cut = stream.subarray(0, stream.length >> 1);
        const flipped = Buffer.from(stream);
        flipped[stream.length >> 1] = (flipped[stream.length >> 1] ?? 0) ^ 0xff;
        for (const damaged of [withSize(cut, kernel.length), payload(format, flipped)]) {
          const image = await unpack(bzImage(damaged), limit).catch((error: unknown) => error);
          // LZ4 as Linux uses it has no checksum: what is not noticed is at least not more than it should be.
          if (format === 'lz4' && image instanceof Uint8Array)
            expect(image).toHaveLength(kernel.length);
          else {
            const message = expect.stringMatching(
              `^has a ${format} payload that cannot be unpacked`,
            );
            expect(image).toMatchObject({ name: 'UnpackError', message });
            expect(image).toHaveProperty(
              'expected',
              expect.stringContaining(`whole ${format} stream`),
            );
          }
        }
        const lies = bzImage(payload(format, stream));
        lies.writeUInt32LE(kernel.length - 1, lies.length - 'more'.length - 4);
        await expect(unpack(lies, limit)).rejects.toThrow(
          `${format} payload that cannot be unpacked`,
        );
      },
    );
  }

  testWithPeer('lzop', ['/usr/bin/lzop'], 'with lzo is refused by name', async () => {
    const image = bzImage(withSize(pack('lzop -9', kernel), kernel.length));
    await expect(unpack(image, limit)).rejects.toThrow('packed with lzo');
  });
});

describe('unpacked images', () => {
  const packed = bzImage(gzipSync(KERNEL));
  const cacheIn = (name: string, limit = LIMIT) => new ImageCache(join(folder, name), limit);

  test('are unpacked once', async () => {
    const images = new UnpackedImages(cacheIn('once'));
    const first = await images.of(packed, LIMIT);
    const second = await images.of(Buffer.from(packed), LIMIT);
    expect(second.bytes).toBe(first.bytes);
    expect(second.hash).toBe(first.hash);
    const broken = bzImage(Buffer.from('no payload'));
    await expect(images.of(broken, LIMIT)).rejects.toThrow('packed with');
    await expect(images.of(broken, LIMIT)).rejects.toThrow('packed with');
  });

  test('are found on disk after a restart, and not if the disk has changed them', async () => {
    const before = new UnpackedImages(cacheIn('disk'));
    const { hash } = await before.of(packed, LIMIT);
    await before.written;
    expect(readdirSync(join(folder, 'disk'))).toEqual([hash]);
    // Nothing but the cache can know this one.
    const other = await cacheIn('disk').read(hash);
    expect(Buffer.from(other ?? [])).toEqual(KERNEL);
    const path = join(folder, 'disk', hash);
    const damaged = readFileSync(path);
    damaged[1000] = (damaged[1000] ?? 0) ^ 1;
    writeFileSync(path, damaged);
    expect(await cacheIn('disk').read(hash)).toBeUndefined();
    const after = new UnpackedImages(cacheIn('disk'));
    expect(Buffer.from((await after.of(packed, LIMIT)).bytes)).toEqual(KERNEL);
  });

  test('on disk stay within their limit: what was not used for longest goes', async () => {
    const cache = cacheIn('bounded', 2500);
    for (const [n, hash] of ['a', 'b', 'c'].entries()) {
      await cache.write(hash, Buffer.alloc(1000, hash));
      const then = new Date(1_000_000 + n * 1000);
      utimesSync(join(folder, 'bounded', hash), then, then);
      if (hash === 'b') expect(await cache.read('a')).toBeDefined();
    }
    expect(readdirSync(join(folder, 'bounded')).sort()).toEqual(['a', 'c']);
    await cache.write('d', Buffer.alloc(10_000));
    expect(readdirSync(join(folder, 'bounded'))).toEqual(['d']);
  });

  test('do without a disk that fails', async () => {
    writeFileSync(join(folder, 'file'), '');
    const images = new UnpackedImages(cacheIn('file'));
    expect(Buffer.from((await images.of(packed, LIMIT)).bytes)).toEqual(KERNEL);
    await images.written;
  });
});

const debian = readdirSync('/boot').find((name) => /^vmlinuz-.*-amd64$/.test(name));
const path = `/boot/${debian ?? 'vmlinuz-amd64'}`;
testWithPeer('linux-image-amd64', [path], 'Debian’s kernel, packed with XZ and BCJ', async () => {
  const folders = {
    images: '/boot',
    uploads: join(folder, 'uploads'),
    cache: join(folder, 'kernels'),
    unpackedLimit: 512 * 1024 * 1024,
    cacheLimit: 512 * 1024 * 1024,
  };
  const state = await openState(undefined, () => undefined);
  const images = new Images(folders, new ImageFacts(state.imageFacts));
  const { bytes } = await images.load(basename(path), 'kernel');
  await images.settled;
  await state.close();
  const kernel = Buffer.from(bytes.buffer);
  expect(kernel.toString('latin1', 0, 4)).toBe('\x7fELF');
  expect(kernel.length).toBeGreaterThan(30_000_000);
  expect(kernel.includes('Linux version 6.')).toBe(true);
});
