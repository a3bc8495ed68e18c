/** What the switch does for receivers that cannot: checksums completed, long segments cut, and nothing for others. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addToSum, checksumOf } from '../../dom0/network/checksum.js';
import type { Frame, PortCapabilities } from '../../dom0/network/port.js';
import { LearningSwitch } from '../../dom0/network/switch.js';
import { FakeHost, Station } from '../support/network.js';
import { ethernet, ip, ip6, ipv4, ipv6, naiveChecksum, tcp, udp } from '../support/packets.js';

const A = '00:16:3e:00:00:0a';
const B = '00:16:3e:00:00:0b';
const FROM = '10.0.2.15';
const TO = '192.168.1.30';
const FROM6 = 'fe80::1';
const TO6 = '2001:db8::2';
const ALL_OF_IT: Partial<PortCapabilities> = { checksum: true, gsoTcp4: true, gsoTcp6: true };

const FIN = 0x01;
const PSH = 0x08;
const ACK = 0x10;
const CWR = 0x80;

const pattern = (length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => i * 7 + (i >> 8));

/** Sends a frame through a switch to a receiver that can do that much. */
function through(frame: Frame, can: Partial<PortCapabilities> = {}) {
  const network = new LearningSwitch('xenbr0', new FakeHost());
  const receiver = new Station('b', can);
  const to = network.attach(receiver, { antiSpoof: true, mac: B });
  network.attach(new Station('a'), { antiSpoof: false }).send(frame);
  return { frames: receiver.take(), drops: to.counters.drops };
}

interface Shape {
  readonly version: 4 | 6;
  readonly options?: readonly number[];
  readonly vlan?: boolean;
}

function tcpFrame(shape: Shape, flags: number, data: Uint8Array, seq = 0xffff_ff00, id = 0xfffe) {
  const addresses = shape.version === 4 ? [...ip(FROM), ...ip(TO)] : [...ip6(FROM6), ...ip6(TO6)];
  const fields = { from: 1234, to: 80, seq, ack: 77, flags, options: shape.options ?? [] };
  const segment = tcp(addresses, fields, data);
  const [type, packet] =
    shape.version === 4
      ? ([0x0800, ipv4({ from: FROM, to: TO, protocol: 6, id }, segment)] as const)
      : ([0x86dd, ipv6(FROM6, TO6, 6, segment)] as const);
  if (!shape.vlan) return ethernet(B, A, type, packet);
  return ethernet(B, A, 0x8100, [0, 5, type >> 8, type & 0xff, ...packet]);
}

/** The frame with another value in its TCP checksum field, as a guest leaves it. */
function blank(bytes: Uint8Array, field: number): Uint8Array {
  const copy = bytes.slice();
  copy.set([0x12, 0x34], field);
  return copy;
}

describe('the sum', () => {
  test('is the slow and obvious one, at any length and offset', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(9), (bytes, skip) => {
        const range = bytes.subarray(Math.min(skip, bytes.length));
        const from = bytes.length - range.length;
        expect(checksumOf(addToSum(0, bytes, from, bytes.length))).toBe(naiveChecksum(range));
      }),
    );
  });

  // biome-ignore format: one row per range
  test.each([
    ['RFC 1071 §3',          [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7], 0x220d],
    ['nothing',              [],                                               0xffff],
    ['an odd byte',          [0xab],                                           0x54ff],
    ['ones only',            Array.from({ length: 65_535 }, () => 0xff),       0x00ff],
  ] as const)('of %s', (_what, bytes, checksum) => {
    expect(checksumOf(addToSum(0, Uint8Array.from(bytes), 0, bytes.length))).toBe(checksum);
  });
});

describe('a blank checksum', () => {
  const addresses = [...ip(FROM), ...ip(TO)];
  const inIpv4 = (protocol: number, payload: Uint8Array) =>
    ethernet(B, A, 0x0800, ipv4({ from: FROM, to: TO, protocol }, payload));
  const addresses6 = [...ip6(FROM6), ...ip6(TO6)];

  // biome-ignore format: one row per packet
  test.each([
    // what                   frame                                                             checksum at
    ['TCP over IPv4',         tcpFrame({ version: 4 }, ACK, pattern(101)),                      14 + 20 + 16],
    ['TCP over IPv6',         tcpFrame({ version: 6 }, ACK, pattern(100)),                      14 + 40 + 16],
    ['TCP in a VLAN',         tcpFrame({ version: 4, vlan: true }, ACK, pattern(9)),            18 + 20 + 16],
    ['UDP over IPv4',         inIpv4(17, udp(addresses, 53, 68, pattern(33))),                  14 + 20 + 6],
    ['UDP whose sum is 0',    inIpv4(17, udp(addresses, 53, 68, zeroSum())),                    14 + 20 + 6],
    ['UDP over IPv6',         ethernet(B, A, 0x86dd, ipv6(FROM6, TO6, 17, udp(addresses6, 9, 9, pattern(5)))), 14 + 40 + 6],
  ])('of %s is completed for who cannot, and left for who can', (_what, whole, field) => {
    const frame: Frame = { bytes: blank(whole, field), checksumBlank: true };
    expect(through(frame).frames.map(({ bytes }) => bytes)).toEqual([whole]);
    expect(through(frame, { checksum: true }).frames).toEqual([frame]);
  });

  test("is completed in a copy: the sender's bytes stay as they are", () => {
    const frame = {
      bytes: blank(tcpFrame({ version: 4 }, ACK, pattern(9)), 50),
      checksumBlank: true,
    };
    const before = frame.bytes.slice();
    through(frame);
    expect(frame.bytes).toEqual(before);
  });

  function zeroSum(): Uint8Array {
    const data = Uint8Array.of(0, 0);
    const plain = udp(addresses, 53, 68, data);
    return Uint8Array.of(plain[6] ?? 0, plain[7] ?? 0);
  }
});

describe('a long TCP segment', () => {
  const shapes: readonly Shape[] = [
    { version: 4 },
    { version: 6 },
    { version: 4, options: [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2] },
    { version: 6, vlan: true },
  ];

  // biome-ignore format: one row per length
  test.each([
    // data   size  segments
    [65_000,  1448, 45],
    [2_896,   1448, 2],
    [2_897,   1448, 3],
    [1_000,   1448, 1],
    [0,       1448, 1],
    [1_000,   48,   21],
  ])('of %i bytes is cut every %i bytes into %i segments', (length, size, count) => {
    for (const shape of shapes) {
      const data = pattern(length);
      const flags = FIN | PSH | ACK | CWR;
      const kind = shape.version === 4 ? 'tcpv4' : 'tcpv6';
      const bytes = blank(tcpFrame(shape, flags, data), checksumAt(shape));
      const frame: Frame = { bytes, checksumBlank: true, gso: { kind, size } };
      const { frames } = through(frame, { maxFrame: 1600 });
      const expected = Array.from({ length: count }, (_, i) => {
        const last = i === count - 1;
        const own = (last ? flags : ACK | CWR) & (i === 0 ? 0xff : ~CWR);
        const part = data.subarray(i * size, (i + 1) * size);
        return tcpFrame(shape, own, part, (0xffff_ff00 + i * size) >>> 0, (0xfffe + i) & 0xffff);
      });
      expect(frames.map(({ bytes }) => bytes)).toEqual(expected);
    }
  });

  // biome-ignore format: one row per receiver
  test.each([
    // receiver                                          version  whole
    ['takes it whole',   ALL_OF_IT,                      4,       true],
    ['takes it whole',   ALL_OF_IT,                      6,       true],
    ['has it cut',       { ...ALL_OF_IT, gsoTcp4: false }, 4,     false],
    ['has it cut',       { ...ALL_OF_IT, gsoTcp6: false }, 6,     false],
    ['has it cut',       { ...ALL_OF_IT, checksum: false }, 4,    false],
  ] as const)('a receiver %s that can do %o over IPv%i', (_what, can, version, whole) => {
    const kind = version === 4 ? 'tcpv4' : 'tcpv6';
    const frame: Frame = {
      bytes: tcpFrame({ version }, ACK, pattern(5000)),
      checksumBlank: true,
      gso: { kind, size: 1400 },
    };
    expect(through(frame, can).frames.length).toBe(whole ? 1 : 4);
  });

  test("is cut smaller where the receiver's frames are", () => {
    const frame: Frame = {
      bytes: tcpFrame({ version: 4 }, ACK, pattern(2000)),
      gso: { kind: 'tcpv4', size: 1460 },
    };
    const { frames } = through(frame, { maxFrame: 1054 });
    expect(frames.map(({ bytes }) => bytes.length)).toEqual([1054, 1054]);
  });

  // biome-ignore format: one row per lie
  test.each([
    ['no TCP at all',        ethernet(B, A, 0x88b5, pattern(3000)),                 'tcpv4', 1460],
    ['the other version',    tcpFrame({ version: 6 }, ACK, pattern(3000)),          'tcpv4', 1460],
    ['a size of nothing',    tcpFrame({ version: 4 }, ACK, pattern(3000)),          'tcpv4', 0],
    ['a tiny size',          tcpFrame({ version: 4 }, ACK, pattern(3000)),          'tcpv4', 47],
    ['a size that is none',  tcpFrame({ version: 4 }, ACK, pattern(3000)),          'tcpv4', Number.NaN],
    ['a header too long',    withByte(tcpFrame({ version: 4 }, ACK, pattern(9)), 46, 0xf0), 'tcpv4', 1460],
    ['a header too short',   withByte(tcpFrame({ version: 4 }, ACK, pattern(9)), 46, 0x40), 'tcpv4', 1460],
    ['a fragment',           withByte(tcpFrame({ version: 4 }, ACK, pattern(9)), 20, 0x20), 'tcpv4', 1460],
    ['an IP length too long', withByte(tcpFrame({ version: 4 }, ACK, pattern(9)), 16, 0xff), 'tcpv4', 1460],
  ] as const)('that is %s goes nowhere', (_what, bytes, kind, size) => {
    const { frames, drops } = through({ bytes, checksumBlank: true, gso: { kind, size } });
    expect(frames).toEqual([]);
    expect(drops.malformed).toBe(1);
  });

  function checksumAt({ version, vlan = false }: Shape): number {
    return 14 + (vlan ? 4 : 0) + (version === 4 ? 20 : 40) + 16;
  }

  function withByte(bytes: Uint8Array, at: number, value: number): Uint8Array {
    bytes[at] = value;
    return bytes;
  }
});

test('a frame longer than its receiver can take is dropped there, a VLAN tag not counted', () => {
  const tagged = (length: number) => ({ bytes: ethernet(B, A, 0x8100, pattern(length - 14)) });
  const plain = (length: number) => ({ bytes: ethernet(B, A, 0x88b5, pattern(length - 14)) });
  expect(through(plain(1514)).frames).toHaveLength(1);
  expect(through(plain(1515)).drops['too-long']).toBe(1);
  expect(through(tagged(1518)).frames).toHaveLength(1);
  expect(through(plain(9000), { maxFrame: 9014 }).frames).toHaveLength(1);
});

test('no bytes make the switch throw', () => {
  const seeds = [
    tcpFrame({ version: 4 }, ACK, pattern(200)),
    tcpFrame({ version: 6, vlan: true }, ACK, pattern(200)),
    ethernet(B, A, 0x0800, ipv4({ from: FROM, to: TO, protocol: 17 }, pattern(40))),
    ethernet(B, A, 0x86dd, ipv6(FROM6, TO6, 0, pattern(90))),
  ];
  const mutation = fc.record({
    seed: fc.constantFrom(...seeds),
    changes: fc.array(fc.tuple(fc.nat(79), fc.nat(255)), { maxLength: 8 }),
    length: fc.nat(300),
    size: fc.oneof(fc.nat(100), fc.double()),
    kind: fc.constantFrom('tcpv4' as const, 'tcpv6' as const),
    gso: fc.boolean(),
  });
  fc.assert(
    fc.property(mutation, ({ seed, changes, length, size, kind, gso }) => {
      const bytes = seed.slice(0, length);
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      const { frames } = through({
        bytes,
        checksumBlank: true,
        gso: gso ? { kind, size } : undefined,
      });
      for (const frame of frames) expect(frame.bytes.length).toBeLessThanOrEqual(1514);
    }),
    { numRuns: 2000 },
  );
});
