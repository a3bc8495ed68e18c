/** xenstore/protocol: the parser in all its states, the codecs, the layout of the page. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { XS, XS_ERRNO, XS_HEADER, XS_RING } from '../../hypervisor/public/io/xs-wire.js';
import { errnoNamed, failure, XenStoreError } from '../../xenstore/protocol/errors.js';
import {
  decodeLatin1,
  latin1Bytes,
  latin1ToUtf8,
  utf8ToLatin1,
} from '../../xenstore/protocol/latin1.js';
import { encodePacket, type Packet, PacketWriter } from '../../xenstore/protocol/packet.js';
import { PacketParser } from '../../xenstore/protocol/parser.js';
import { formatPermission, parsePermission } from '../../xenstore/protocol/permissions.js';

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const packet: fc.Arbitrary<Packet> = fc.record({
  type: u32,
  reqId: u32,
  txId: u32,
  body: fc
    .uint8Array({ maxLength: 4096, size: 'max' })
    .map((bytes) => decodeLatin1(bytes, 0, bytes.length)),
});

function parseAll(parser: PacketParser, chunk: Uint8Array): Packet[] {
  const packets: Packet[] = [];
  parser.push(chunk);
  while (parser.next() === 'packet') packets.push(parser.packet);
  return packets;
}

describe('parser', () => {
  test('packets come out as they went in, however the bytes are cut', () => {
    const cuts = fc.array(fc.integer({ min: 1, max: 600 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(fc.array(packet, { maxLength: 6 }), cuts, (packets, lengths) => {
        const writer = new PacketWriter(16);
        for (const { type, reqId, txId, body } of packets) writer.packet(type, reqId, txId, body);
        const bytes = writer.view();
        const parser = new PacketParser();
        const got: Packet[] = [];
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const length = lengths[i % lengths.length] ?? 1;
          // The same memory each time: the parser must have kept what it needs.
          const chunk = bytes.slice(at, at + length);
          got.push(...parseAll(parser, chunk));
          chunk.fill(0xee);
          at += length;
        }
        expect(got).toEqual(packets);
        expect(parser.pending).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  test('its states', () => {
    const parser = new PacketParser();
    const bytes = encodePacket({ type: XS.READ, reqId: 1, txId: 2, body: '/a\0' });
    expect(parser.state).toBe('header');
    expect(parseAll(parser, bytes.subarray(0, 10))).toEqual([]);
    expect(parser.state).toBe('header');
    expect(parser.pending).toBe(10);
    expect(parseAll(parser, bytes.subarray(10, 18))).toEqual([]);
    expect(parser.state).toBe('body');
    expect(parseAll(parser, bytes.subarray(18))).toHaveLength(1);
    expect(parser.state).toBe('header');
  });

  test('a payload over 4096 fails for ever', () => {
    const parser = new PacketParser();
    const bytes = encodePacket({ type: 2, reqId: 0, txId: 0, body: '' });
    new DataView(bytes.buffer).setUint32(12, 4097, true);
    parser.push(bytes);
    expect(parser.next()).toBe('too-long');
    expect(parser.state).toBe('failed');
    parser.push(encodePacket({ type: 2, reqId: 0, txId: 0, body: '' }));
    expect(parser.next()).toBe('too-long');
  });
});

test('text and bytes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      expect(latin1ToUtf8(utf8ToLatin1(text))).toBe(text);
    }),
  );
  const long = new Uint8Array(10_000).map((_, i) => i);
  expect(latin1Bytes(decodeLatin1(long, 0, long.length))).toEqual(long);
  // A byte order mark is three bytes like any others.
  const marked = Uint8Array.of(0xef, 0xbb, 0xbf, ...new Uint8Array(100).fill(0x41));
  expect(latin1Bytes(decodeLatin1(marked, 0, marked.length))).toEqual(marked);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300, size: 'max' }), (bytes) => {
      expect(latin1Bytes(decodeLatin1(bytes, 0, bytes.length))).toEqual(bytes);
    }),
  );
});

test('permissions', () => {
  expect(parsePermission('b65535')).toEqual({ access: 'b', domid: 65535 });
  for (const bad of ['', 'n', 'x1', 'n1x', 'n-1', 'n99999', 'N1']) {
    expect(parsePermission(bad), bad).toBeUndefined();
  }
  expect(formatPermission({ access: 'r', domid: 5 })).toBe('r5');
});

test('errors', () => {
  expect(failure('ENOENT')).toBe(failure('ENOENT'));
  expect(new XenStoreError('EAGAIN').errno).toBe(11);
  expect(errnoNamed('EQUOTA')).toBe('EINVAL');
  expect(errnoNamed('ENOSPC')).toBe('ENOSPC');
});

test.skipIf(!existsSync('/usr/include/xen/io/xs_wire.h') || !existsSync('/usr/bin/gcc'))(
  'numbers and offsets are those of the C header',
  () => {
    const directory = mkdtempSync(join(tmpdir(), 'xsw-'));
    const younger = ['GET_FEATURE', 'SET_FEATURE', 'GET_QUOTA', 'SET_QUOTA'];
    const types = Object.keys(XS).filter((name) => !younger.includes(name));
    const ring = Object.keys(XS_RING.offset) as (keyof typeof XS_RING.offset)[];
    const rows = [
      ...types.map((name) => `P(XS_${name})`),
      ...Object.keys(XS_ERRNO).map((name) => `P(${name})`),
      ...ring.map((name) => `P(offsetof(struct xenstore_domain_interface, ${name}))`),
      'P(sizeof(struct xsd_sockmsg))',
      'P(offsetof(struct xsd_sockmsg, tx_id))',
    ];
    const source = [
      '#include <errno.h>',
      '#include <stddef.h>',
      '#include <stdint.h>',
      '#include <stdio.h>',
      '#include <xen/io/xs_wire.h>',
      '#define P(x) printf("%d\\n", (int)(x));',
      `int main(void) { ${rows.join('\n')} return 0; }`,
    ];
    writeFileSync(join(directory, 'p.c'), source.join('\n'));
    execFileSync('/usr/bin/gcc', ['-o', join(directory, 'p'), join(directory, 'p.c')]);
    const numbers = execFileSync(join(directory, 'p'), { encoding: 'utf8' }).trim().split('\n');
    rmSync(directory, { recursive: true });
    expect(numbers.map(Number)).toEqual([
      ...types.map((name) => XS[name as keyof typeof XS]),
      ...Object.values(XS_ERRNO),
      ...ring.map((name) => XS_RING.offset[name]),
      XS_HEADER.size,
      XS_HEADER.offset.tx_id,
    ]);
  },
);
