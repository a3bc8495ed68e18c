/** bzImages: the kernel inside is found by the setup header, and a damaged one names what is wrong. */

import { readdirSync, readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import lzma from 'lzma-native';
import { describe, expect, test } from 'vitest';
import { unpack } from '../../toolstack/domains/unpack.js';
import { UnpackedImages } from '../../toolstack/domains/unpacked-images.js';
import { testWithPeer } from '../support/peer.js';

const KERNEL = Buffer.from('\x7fELF and the rest of a kernel'.repeat(100), 'latin1');
const LIMIT = 100_000;
/** One setup sector, then eight bytes of unpacker, then the payload. */
const PAYLOAD_AT = 2 * 512 + 8;

function bzImage(payload: Uint8Array, version = 0x20f): Buffer {
  const head = Buffer.alloc(PAYLOAD_AT);
  head.writeUInt8(1, 0x1f1);
  head.write('HdrS', 0x202);
  head.writeUInt16LE(version, 0x206);
  head.writeUInt32LE(8, 0x248);
  head.writeUInt32LE(payload.length, 0x24c);
  return Buffer.concat([head, payload, Buffer.from('more')]);
}

/** The stream and the size behind it, as Linux's build writes them. */
const withSize = (stream: Uint8Array, size = KERNEL.length): Buffer => {
  const tail = Buffer.alloc(4);
  tail.writeUInt32LE(size);
  return Buffer.concat([stream, tail]);
};
const xz = (bytes = KERNEL): Promise<Buffer> =>
  new Promise((resolve) => lzma.compress(bytes, {}, resolve));

describe('a bzImage', () => {
  test('with each payload that can be unpacked', async () => {
    for (const payload of [gzipSync(KERNEL), withSize(await xz()), KERNEL]) {
      expect(Buffer.from(await unpack(bzImage(payload), LIMIT))).toEqual(KERNEL);
    }
  });

  test('that is damaged names its fault', async () => {
    const packed = withSize(await xz());
    const cut = bzImage(packed).subarray(0, PAYLOAD_AT + 20);
    const broken = Buffer.from(packed);
    broken.fill(0x55, 40, 60);
    const shorter = withSize((await xz()).subarray(0, -30));
    // biome-ignore format: one row per fault
    const faults = [
      [cut,                                             /payload_offset and payload_length/],
      [bzImage(packed, 0x207),                          /boot protocol 0x207/],
      [bzImage(Buffer.from('28b52ffd0000', 'hex')),     /packed with zstd/],
      [bzImage(Buffer.from('000102030405', 'hex')),     /packed with bytes 00010203/],
      [bzImage(broken),                                 /cannot be unpacked/],
      [bzImage(shorter),                                /cannot be unpacked/],
      [bzImage(withSize(await xz(), 7)),                /unpacks to \d+ bytes/],
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
      message: 'unpacks to more than 100000 bytes',
    });
  });
});

test('an image is unpacked once', async () => {
  const images = new UnpackedImages();
  const packed = bzImage(gzipSync(KERNEL));
  const first = await images.of(packed, LIMIT);
  expect(await images.of(Buffer.from(packed), LIMIT)).toBe(first);
  const broken = bzImage(Buffer.from('no payload'));
  await expect(images.of(broken, LIMIT)).rejects.toThrow('packed with');
  await expect(images.of(broken, LIMIT)).rejects.toThrow('packed with');
});

const debian = readdirSync('/boot').find((name) => /^vmlinuz-.*-amd64$/.test(name));
const path = `/boot/${debian ?? 'vmlinuz-amd64'}`;
testWithPeer('linux-image-amd64', [path], 'Debian’s kernel, packed with XZ and BCJ', async () => {
  const kernel = Buffer.from(await unpack(readFileSync(path), 512 * 1024 * 1024));
  expect(kernel.toString('latin1', 0, 4)).toBe('\x7fELF');
  expect(kernel.length).toBeGreaterThan(30_000_000);
  expect(kernel.includes('Linux version 6.')).toBe(true);
});
