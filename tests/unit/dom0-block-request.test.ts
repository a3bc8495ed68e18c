/** Names of disks, requests as guests lay them out, and what is wrong with them. */

import { describe, expect, test } from 'vitest';
import {
  type BlkAbi,
  type DiskLimits,
  decodeIndirectSegments,
  decodeRequest,
  encodeResponse,
  type Indirect,
} from '../../dom0/block/blk-request.js';
import { parseVdev } from '../../dom0/block/disk-spec.js';
import {
  BLKIF_ABI,
  BLKIF_AFTER_ID,
  BLKIF_OP,
  BLKIF_RSP,
} from '../../hypervisor/public/io/blkif.js';

// The examples of xen-vbd-interface(7), and the edges of its encodings.
// biome-ignore format: one row per name
test.each([
  ['xvda',      51712],
  ['xvdb1',     51729],
  ['xvdp15',    (202 << 8) | (15 << 4) | 15],
  ['xvdq',      (1 << 28) | (16 << 8)],
  ['xvda16',    (1 << 28) | 16],
  ['xvdtq37',   (1 << 28) | (536 << 8) | 37],
  ['d0',        51712],
  ['d1p2',      51730],
  ['d536p37',   (1 << 28) | (536 << 8) | 37],
  ['hda',       768],
  ['hdb63',     (3 << 8) | (1 << 6) | 63],
  ['hdc2',      (22 << 8) | 2],
  ['sda',       2048],
  ['sdb3',      2067],
  ['sdp15',     2303],
  ['hde',       undefined],
  ['hda64',     undefined],
  ['sdq',       undefined],
  ['sda16',     undefined],
  ['xvda256',   undefined],
  ['xvdzzzzz',  undefined],
  ['d1048576',  undefined],
  ['xvda0',     undefined],
  ['xvd',       undefined],
  ['xvdA',      undefined],
  ['vda',       undefined],
  ['../xvda',   undefined],
])('%s is virtual device %s', (name, number) => {
  expect(parseVdev(name)).toBe(number);
});

const LIMITS: DiskLimits = {
  sectors: 1000,
  readonly: false,
  canDiscard: true,
  maxIndirectSegments: 256,
};

interface Words {
  readonly operation: number;
  /** Second byte: segments, flag or indirect operation. */
  readonly second?: number;
  readonly sector?: bigint;
  /** What follows the sector number, as u32. */
  readonly tail?: readonly number[];
  /** u16 at 2: handle, or indirect segments. */
  readonly third?: number;
}

function slot(abi: BlkAbi, { operation, second = 0, third = 0, sector = 0n, tail = [] }: Words) {
  const { ID, REQUEST } = BLKIF_ABI[abi];
  const view = new DataView(new ArrayBuffer(REQUEST));
  view.setUint8(0, operation);
  view.setUint8(1, second);
  view.setUint16(2, third, true);
  view.setBigUint64(ID, 0x1122_3344_5566_7788n, true);
  view.setBigUint64(ID + BLKIF_AFTER_ID.SECTOR_NUMBER, sector, true);
  for (const [n, word] of tail.entries()) {
    view.setUint32(ID + BLKIF_AFTER_ID.SEGMENTS + n * 4, word, true);
  }
  return view;
}

/** gref and sectors, as a segment's two words. */
const segment = (gref: number, first: number, last: number): number[] => [
  gref,
  first | (last << 8),
];

const { READ, WRITE, WRITE_BARRIER, FLUSH_DISKCACHE, DISCARD, INDIRECT } = BLKIF_OP;
const decode = (words: Words, limits = LIMITS) =>
  decodeRequest(slot('x86_64-abi', words), 'x86_64-abi', limits);

describe.each(['x86_64-abi', 'x86_32-abi'] as const)('in %s', (abi) => {
  test('a read names its segments', () => {
    const tail = [...segment(8, 0, 7), ...segment(9, 2, 2)];
    const view = slot(abi, { operation: READ, second: 2, sector: 10n, tail });
    expect(decodeRequest(view, abi, LIMITS)).toEqual({
      kind: 'read',
      id: 0x1122_3344_5566_7788n,
      operation: READ,
      position: 5120,
      length: 4096 + 512,
      segments: [
        { ref: 8, offset: 0, length: 4096 },
        { ref: 9, offset: 1024, length: 512 },
      ],
    });
  });

  test('a discard names its sectors', () => {
    const view = slot(abi, { operation: DISCARD, sector: 2n, tail: [6, 0] });
    expect(decodeRequest(view, abi, LIMITS)).toMatchObject({ position: 1024, length: 3072 });
  });

  test('an indirect request names pages, and the pages its segments', () => {
    // The handle, then the references: 20 behind the id.
    const view = slot(abi, { operation: INDIRECT, second: WRITE, third: 200, tail: [0, 77, 78] });
    const indirect = decodeRequest(view, abi, { ...LIMITS, sectors: 10_000 }) as Indirect;
    expect(indirect).toMatchObject({ kind: 'indirect', operation: WRITE, pages: [77], count: 200 });
    const page = Uint32Array.from({ length: 200 }, (_, n) => n).map((n) => n);
    const words = new Uint32Array(400);
    for (const n of page) words.set(segment(1000 + n, 0, 7), 2 * n);
    const request = decodeIndirectSegments(indirect, new DataView(words.buffer), {
      ...LIMITS,
      sectors: 10_000,
    });
    expect(request).toMatchObject({ kind: 'write', operation: WRITE, length: 200 * 4096 });
    expect(request).toHaveProperty('segments.199', { ref: 1199, offset: 0, length: 4096 });
  });

  test('a response says what was asked and what came of it', () => {
    const bytes = encodeResponse({ id: 5n, operation: DISCARD }, BLKIF_RSP.EOPNOTSUPP, abi);
    expect([...bytes.subarray(0, 12)]).toEqual([5, 0, 0, 0, 0, 0, 0, 0, DISCARD, 0, 0xfe, 0xff]);
    expect(bytes).toHaveLength(BLKIF_ABI[abi].RESPONSE);
  });
});

const READONLY = { ...LIMITS, readonly: true };
const one = segment(8, 0, 7);
const { ERROR, EOPNOTSUPP } = BLKIF_RSP;

// biome-ignore format: one row per mistake
test.each<[what: string, words: Words, status: number, limits?: DiskLimits]>([
  ['an unknown operation',            { operation: 4, second: 1, tail: one },                              EOPNOTSUPP],
  ['another unknown operation',       { operation: 255 },                                                  EOPNOTSUPP],
  ['more segments than there can be', { operation: READ, second: 12, tail: one },                          ERROR],
  ['no segments',                     { operation: READ, second: 0 },                                      ERROR],
  ['no segments to write',            { operation: WRITE_BARRIER, second: 0 },                             ERROR],
  ['a segment that ends early',       { operation: READ, second: 1, tail: segment(8, 5, 4) },              ERROR],
  ['a segment beyond its page',       { operation: READ, second: 1, tail: segment(8, 0, 8) },              ERROR],
  ['a sector beyond the end',         { operation: READ, second: 1, sector: 993n, tail: one },             ERROR],
  ['a sector far beyond the end',     { operation: WRITE, second: 1, sector: 2n ** 64n - 1n, tail: one },  ERROR],
  ['a sum that wraps',                { operation: READ, second: 1, sector: 2n ** 64n - 8n, tail: one },   ERROR],
  ['a write where one may only read', { operation: WRITE, second: 1, tail: one },                          ERROR, READONLY],
  ['a barrier there',                 { operation: WRITE_BARRIER, second: 1, tail: one },                  ERROR, READONLY],
  ['a flush with data there',         { operation: FLUSH_DISKCACHE, second: 1, tail: one },                ERROR, READONLY],
  ['a discard that is not offered',   { operation: DISCARD, tail: [1, 0] },                                EOPNOTSUPP, { ...LIMITS, canDiscard: false }],
  ['a discard beyond the end',        { operation: DISCARD, sector: 999n, tail: [2, 0] },                  ERROR],
  ['a discard of everything',         { operation: DISCARD, tail: [0xffff_ffff, 0xffff_ffff] },            ERROR],
  ['an indirect flush',               { operation: INDIRECT, second: FLUSH_DISKCACHE, third: 1 },          ERROR],
  ['indirect indirection',            { operation: INDIRECT, second: INDIRECT, third: 1 },                 ERROR],
  ['no indirect segments',            { operation: INDIRECT, second: READ, third: 0 },                     ERROR],
  ['too many indirect segments',      { operation: INDIRECT, second: READ, third: 257 },                   ERROR],
])('%s is refused', (_what, words, status, limits) => {
  expect(decode(words, limits)).toMatchObject({ kind: 'refused', status });
});

test('a flush needs no data, and may have some', () => {
  expect(decode({ operation: FLUSH_DISKCACHE, sector: 5000n }, READONLY)).toMatchObject({
    length: 0,
  });
  expect(decode({ operation: FLUSH_DISKCACHE, second: 1, tail: one })).toMatchObject({
    length: 4096,
  });
});

test('the last sectors can be read', () => {
  const words = { operation: READ, second: 1, sector: 992n, tail: one };
  expect(decode(words)).toMatchObject({ kind: 'read', position: 992 * 512 });
});
