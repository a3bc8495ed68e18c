/** SSE and MMX instructions with an immediate or a count: shuffles, shifts, insert and extract. */
// Spec: SDM 2B, PSHUF..., SHUF..., PSLL..., PSRA..., PSRL..., PINSRW, PEXTRW.

import type { Builder, Operand, Semantics, Value } from './builder.js';
import type { Family } from './define.js';
import type { Op } from './ops.js';
import { mmx, sse } from './sse-moves.js';
import { enterMmx, readMmx, writeMmx, zeroVector } from './sse-vector.js';

const BYTES = Array.from({ length: 16 }, (_, n) => n);

/** Two or one bits of the immediate that choose lane `n`, as an i32. */
const selector = (b: Builder, imm: Value, n: number, bits: number): Value =>
  b.and(b.shrU(b.zeroExtend(imm, 32), n * bits), b.const(32, (1 << bits) - 1));

/** Byte indices for a swizzle: lane n of `op` reads the dword that the immediate chooses. */
function dwordIndices(b: Builder, imm: Value, order: readonly number[]): Value {
  return order.reduce((indices, field, lane) => {
    const chosen = selector(b, imm, field, 2);
    const bytes = b.add(b.mul(chosen, b.const(32, 0x0404_0404)), b.const(32, 0x0302_0100));
    return b.op('i32x4.replace_lane', indices, bytes, lane);
  }, zeroVector(b));
}

/** Byte indices that leave all words alone but four, from word `first`, which the immediate permutes. */
function wordIndices(b: Builder, imm: Value, first: 0 | 4): Value {
  let indices = b.v128(BYTES);
  for (let n = 0; n < 4; n++) {
    const chosen = b.add(selector(b, imm, n, 2), b.const(32, first));
    const bytes = b.add(b.mul(chosen, b.const(32, 0x0202)), b.const(32, 0x0100));
    indices = b.op('i16x8.replace_lane', indices, bytes, first + n);
  }
  return indices;
}

const shuffleDwords: Semantics = (b, { dst, src, third }) =>
  b.write(
    dst,
    b.op('i8x16.swizzle', b.readAligned(src), dwordIndices(b, b.read(third), [0, 1, 2, 3])),
  );
const shuffleWords =
  (first: 0 | 4): Semantics =>
  (b, { dst, src, third }) =>
    b.write(dst, b.op('i8x16.swizzle', b.readAligned(src), wordIndices(b, b.read(third), first)));
const shuffleMmx: Semantics = (b, { dst, src, third }) => {
  const value = readMmx(b, src);
  enterMmx(b);
  writeMmx(b, dst, b.op('i8x16.swizzle', value, wordIndices(b, b.read(third), 0)));
};

const LOW_FROM_LEFT = [...BYTES.slice(0, 8), ...BYTES.slice(0, 8).map((n) => n + 16)];
/** SHUFPS: two lanes chosen from the first operand, two from the second. */
const shuffleSingles: Semantics = (b, { dst, src, third }) => {
  const right = b.readAligned(src);
  const imm = b.read(third);
  const lower = b.op('i8x16.swizzle', b.readAs(dst, 'v128'), dwordIndices(b, imm, [0, 1]));
  const upper = b.op('i8x16.swizzle', right, dwordIndices(b, imm, [2, 3]));
  b.write(dst, b.shuffle(lower, upper, LOW_FROM_LEFT));
};
/** SHUFPD: a lane from each operand. */
const shuffleDoubles: Semantics = (b, { dst, src, third }) => {
  const right = b.readAligned(src);
  const imm = b.read(third);
  const left = b.readAs(dst, 'v128');
  const choose = (vector: Value, n: number) =>
    b.select(
      selector(b, imm, n, 1),
      b.op('i64x2.extract_lane', vector, 1),
      b.op('i64x2.extract_lane', vector, 0),
    );
  const lower = b.op('i64x2.splat', choose(left, 0));
  b.write(dst, b.op('i64x2.replace_lane', lower, choose(right, 1), 1));
};

type Shift = (b: Builder, value: Value, count: Value) => Value;

/** A logical shift: a count of `width` or more (an i64, unsigned) gives zero. */
const logical =
  (op: Op, width: number): Shift =>
  (b, value, count) => {
    const small = b.ltU(count, b.const(64, width));
    return b.select(small, b.op(op, value, b.truncate(count, 32)), zeroVector(b));
  };
/** An arithmetic shift: a large count leaves the sign everywhere. */
const arithmetic =
  (op: Op, width: number): Shift =>
  (b, value, count) => {
    const small = b.ltU(count, b.const(64, width));
    const bounded = b.select(small, b.truncate(count, 32), b.const(32, width - 1));
    return b.op(op, value, bounded);
  };

// biome-ignore format: one row per instruction
const SHIFTS: readonly (readonly [mnemonic: string, shift: Shift])[] = [
  ['Psllw', logical('i16x8.shl', 16)],
  ['Pslld', logical('i32x4.shl', 32)],
  ['Psllq', logical('i64x2.shl', 64)],
  ['Psrlw', logical('i16x8.shr_u', 16)],
  ['Psrld', logical('i32x4.shr_u', 32)],
  ['Psrlq', logical('i64x2.shr_u', 64)],
  ['Psraw', arithmetic('i16x8.shr_s', 16)],
  ['Psrad', arithmetic('i32x4.shr_s', 32)],
];

/** The count is the low half of the second operand, all 64 bits of it. */
function vectorCount(b: Builder, src: Operand): Value {
  return b.op('i64x2.extract_lane', b.readAligned(src), 0);
}
const immediateCount = (b: Builder, src: Operand): Value => b.zeroExtend(b.read(src), 64);

const shiftVector = (shift: Shift, count: (b: Builder, src: Operand) => Value): Semantics =>
  sse((b, { dst, src }) => {
    const by = count(b, src);
    b.write(dst, shift(b, b.readAs(dst, 'v128'), by));
  });
const shiftMmx = (shift: Shift, count: (b: Builder, src: Operand) => Value): Semantics =>
  mmx((b, { dst, src }) => {
    const by = count(b, src);
    enterMmx(b);
    writeMmx(b, dst, shift(b, readMmx(b, dst), by));
  });

/** Whole-register byte shifts: indices out of range make a swizzle give zero. */
const shiftBytes = (op: 'i8x16.add' | 'i8x16.sub'): Semantics =>
  sse((b, { dst, src }) => {
    const count = b.zeroExtend(b.read(src), 32);
    const bounded = b.select(b.ltU(count, b.const(32, 16)), count, b.const(32, 16));
    const indices = b.op(op, b.v128(BYTES), b.op('i8x16.splat', bounded));
    b.write(dst, b.op('i8x16.swizzle', b.readAs(dst, 'v128'), indices));
  });

/** Byte indices that are 0xff but for the two bytes of word `n`, which hold `low` and `high`. */
function wordMask(b: Builder, word: Value): Value {
  const start = b.op('i8x16.splat', b.shl(word, 1));
  const distance = b.op('i8x16.sub', b.v128(BYTES), start);
  return b.op('i8x16.lt_u', distance, b.op('i8x16.splat', b.const(32, 2)));
}
const insertWord = (b: Builder, vector: Value, word: Value, index: Value): Value =>
  b.op('v128.bitselect', b.op('i16x8.splat', word), vector, wordMask(b, index));
/** The word at `index`, by moving it to the front. */
function extractWord(b: Builder, vector: Value, index: Value): Value {
  const front = b.op('i8x16.add', b.v128(BYTES), b.op('i8x16.splat', b.shl(index, 1)));
  return b.op('i16x8.extract_lane_u', b.op('i8x16.swizzle', vector, front), 0);
}

const wordOf = (b: Builder, src: Operand): Value =>
  src.kind === 'memory' ? b.zeroExtend(b.read(src), 32) : b.truncate(b.readAs(src, 'i32'), 32);
const indexOf = (b: Builder, imm: Operand, mask: number): Value =>
  b.and(b.zeroExtend(b.read(imm), 32), b.const(32, mask));

const insert: Semantics = (b, { dst, src, third }) => {
  const word = wordOf(b, src);
  b.write(dst, insertWord(b, b.readAs(dst, 'v128'), word, indexOf(b, third, 7)));
};
const insertMmx: Semantics = (b, { dst, src, third }) => {
  const word = wordOf(b, src);
  enterMmx(b);
  writeMmx(b, dst, insertWord(b, readMmx(b, dst), word, indexOf(b, third, 3)));
};
const extract: Semantics = (b, { dst, src, third }) => {
  const word = extractWord(b, b.readAs(src, 'v128'), indexOf(b, third, 7));
  b.write(dst, b.zeroExtend(word, dst.bits));
};
const extractMmx: Semantics = (b, { dst, src, third }) => {
  enterMmx(b);
  const word = extractWord(b, readMmx(b, src), indexOf(b, third, 3));
  b.write(dst, b.zeroExtend(word, dst.bits));
};

// biome-ignore format: one row per body
export const sseShuffles: Family = (define) => {
  const OFTEN = { hot: [128], coldMemory: true } as const;
  define(['Pshufd_xmm_xmmm128_imm8'],                              sse(shuffleDwords), OFTEN);
  define(['Pshuflw_xmm_xmmm128_imm8'],                             sse(shuffleWords(0)));
  define(['Pshufhw_xmm_xmmm128_imm8'],                             sse(shuffleWords(4)));
  define(['Shufps_xmm_xmmm128_imm8'],                              sse(shuffleSingles));
  define(['Shufpd_xmm_xmmm128_imm8'],                              sse(shuffleDoubles));
  define(['Pshufw_mm_mmm64_imm8'],                                 mmx(shuffleMmx));
  define(['Psrldq_xmm_imm8'],                                      shiftBytes('i8x16.add'));
  define(['Pslldq_xmm_imm8'],                                      shiftBytes('i8x16.sub'));
  define(['Pinsrw_xmm_r32m16_imm8', 'Pinsrw_xmm_r64m16_imm8'],     sse(insert));
  define(['Pinsrw_mm_r32m16_imm8', 'Pinsrw_mm_r64m16_imm8'],       mmx(insertMmx));
  define(['Pextrw_r32_xmm_imm8', 'Pextrw_r64_xmm_imm8'],           sse(extract));
  define(['Pextrw_r32_mm_imm8', 'Pextrw_r64_mm_imm8'],             mmx(extractMmx));
  for (const [mnemonic, shift] of SHIFTS) {
    define([`${mnemonic}_xmm_xmmm128`], shiftVector(shift, vectorCount));
    define([`${mnemonic}_xmm_imm8`],    shiftVector(shift, immediateCount), /^Ps[lr]l[dq]$/.test(mnemonic) ? OFTEN : {});
    define([`${mnemonic}_mm_mmm64`],    shiftMmx(shift, (b, src) => b.readAs(src, 'i64')));
    define([`${mnemonic}_mm_imm8`],     shiftMmx(shift, immediateCount));
  }
};
