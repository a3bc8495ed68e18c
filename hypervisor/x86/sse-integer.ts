/** Packed integers, SSE2 and MMX: each operation written once on vectors, MMX being the low half of one. */
// Spec: SDM 2A and 2B, the P... entries.

import type { Builder, Semantics, Value } from './builder.js';
import type { Family } from './define.js';
import type { Op } from './ops.js';
import { mmx, sse } from './sse-moves.js';
import { enterMmx, readMmx, splat64, writeMmx, zeroVector } from './sse-vector.js';

type Combine = (b: Builder, left: Value, right: Value) => Value;

/** Lanes of a shuffle in units of `bytes`: index n of the left vector, count + n of the right one. */
const lanes = (bytes: number, order: readonly number[]): number[] =>
  order.flatMap((lane) => Array.from({ length: bytes }, (_, n) => lane * bytes + n));
const interleave = (bytes: number, first: number): number[] => {
  const count = 16 / bytes;
  return lanes(
    bytes,
    Array.from({ length: count }, (_, n) => first + (n >> 1) + (n & 1) * count),
  );
};
const low = (bytes: number): Combine => {
  const order = interleave(bytes, 0);
  return (b, left, right) => b.shuffle(left, right, order);
};
const high = (bytes: number): Combine => {
  const order = interleave(bytes, 8 / bytes);
  return (b, left, right) => b.shuffle(left, right, order);
};
const plain =
  (op: Op): Combine =>
  (b, left, right) =>
    b.op(op, left, right);
/** ANDN inverts its first operand, WebAssembly's its second. */
const andNot: Combine = (b, left, right) => b.op('v128.andnot', right, left);

const HIGH_WORDS = lanes(2, [1, 3, 5, 7, 9, 11, 13, 15]);
const multiplyHigh =
  (sign: 's' | 'u'): Combine =>
  (b, left, right) => {
    const lower = b.op(`i32x4.extmul_low_i16x8_${sign}`, left, right);
    const upper = b.op(`i32x4.extmul_high_i16x8_${sign}`, left, right);
    return b.shuffle(lower, upper, HIGH_WORDS);
  };

const EVEN_DWORDS = lanes(4, [0, 2, 0, 2]);
const multiplyEven: Combine = (b, left, right) =>
  b.op(
    'i64x2.extmul_low_i32x4_u',
    b.shuffle(left, left, EVEN_DWORDS),
    b.shuffle(right, right, EVEN_DWORDS),
  );

/** Sums of eight absolute differences, in the low word of each quadword. */
const absoluteDifferences: Combine = (b, left, right) => {
  const difference = b.op(
    'i8x16.sub',
    b.op('i8x16.max_u', left, right),
    b.op('i8x16.min_u', left, right),
  );
  const pairs = b.op('i16x8.extadd_pairwise_i8x16_u', difference);
  const fours = b.op('i32x4.extadd_pairwise_i16x8_u', pairs);
  const odd = b.op('i64x2.shr_u', fours, b.const(32, 32));
  const even = b.op('v128.and', fours, splat64(b, 0xffff_ffffn));
  return b.op('i64x2.add', even, odd);
};

const ssePacked = (combine: Combine): Semantics =>
  sse((b, { dst, src }) => {
    const right = b.readAligned(src);
    b.write(dst, combine(b, b.readAs(dst, 'v128'), right));
  });

const mmxPacked = (combine: Combine): Semantics =>
  mmx((b, { dst, src }) => {
    const right = src.bits === 32 ? readDword(b, src) : readMmx(b, src);
    enterMmx(b);
    writeMmx(b, dst, combine(b, readMmx(b, dst), right));
  });
const readDword = (b: Builder, operand: Parameters<typeof readMmx>[1]): Value =>
  b.op('i32x4.replace_lane', zeroVector(b), b.readAs(operand, 'i32'), 0);

/** MMX unpacks the upper half of 64 bits: it is the upper half of what unpacking the low halves gives. */
const upperHalf =
  (combine: Combine): Combine =>
  (b, left, right) => {
    const both = combine(b, left, right);
    return b.shuffle(both, both, lanes(8, [1, 1]));
  };
/** MMX packs two 64-bit operands as one vector. */
const joined =
  (op: Op): Combine =>
  (b, left, right) => {
    const both = b.shuffle(left, right, lanes(8, [0, 2]));
    return b.op(op, both, both);
  };

type Row = readonly [mnemonic: string, combine: Combine, mmxCombine?: Combine | 'none'];

// biome-ignore format: one row per instruction; the third column where MMX differs or does not exist
const PACKED: readonly Row[] = [
  ['Paddb',      plain('i8x16.add')],
  ['Paddw',      plain('i16x8.add')],
  ['Paddd',      plain('i32x4.add')],
  ['Paddq',      plain('i64x2.add')],
  ['Psubb',      plain('i8x16.sub')],
  ['Psubw',      plain('i16x8.sub')],
  ['Psubd',      plain('i32x4.sub')],
  ['Psubq',      plain('i64x2.sub')],
  ['Paddsb',     plain('i8x16.add_sat_s')],
  ['Paddsw',     plain('i16x8.add_sat_s')],
  ['Paddusb',    plain('i8x16.add_sat_u')],
  ['Paddusw',    plain('i16x8.add_sat_u')],
  ['Psubsb',     plain('i8x16.sub_sat_s')],
  ['Psubsw',     plain('i16x8.sub_sat_s')],
  ['Psubusb',    plain('i8x16.sub_sat_u')],
  ['Psubusw',    plain('i16x8.sub_sat_u')],
  ['Pmullw',     plain('i16x8.mul')],
  ['Pmulhw',     multiplyHigh('s')],
  ['Pmulhuw',    multiplyHigh('u')],
  ['Pmuludq',    multiplyEven],
  ['Pmaddwd',    plain('i32x4.dot_i16x8_s')],
  ['Psadbw',     absoluteDifferences],
  ['Pavgb',      plain('i8x16.avgr_u')],
  ['Pavgw',      plain('i16x8.avgr_u')],
  ['Pminub',     plain('i8x16.min_u')],
  ['Pmaxub',     plain('i8x16.max_u')],
  ['Pminsw',     plain('i16x8.min_s')],
  ['Pmaxsw',     plain('i16x8.max_s')],
  ['Pcmpeqb',    plain('i8x16.eq')],
  ['Pcmpeqw',    plain('i16x8.eq')],
  ['Pcmpeqd',    plain('i32x4.eq')],
  ['Pcmpgtb',    plain('i8x16.gt_s')],
  ['Pcmpgtw',    plain('i16x8.gt_s')],
  ['Pcmpgtd',    plain('i32x4.gt_s')],
  ['Pand',       plain('v128.and')],
  ['Pandn',      andNot],
  ['Por',        plain('v128.or')],
  ['Pxor',       plain('v128.xor')],
  ['Packsswb',   plain('i8x16.narrow_i16x8_s'), joined('i8x16.narrow_i16x8_s')],
  ['Packuswb',   plain('i8x16.narrow_i16x8_u'), joined('i8x16.narrow_i16x8_u')],
  ['Packssdw',   plain('i16x8.narrow_i32x4_s'), joined('i16x8.narrow_i32x4_s')],
  ['Punpcklbw',  low(1)],
  ['Punpcklwd',  low(2)],
  ['Punpckldq',  low(4)],
  ['Punpcklqdq', low(8),  'none'],
  ['Punpckhbw',  high(1), upperHalf(low(1))],
  ['Punpckhwd',  high(2), upperHalf(low(2))],
  ['Punpckhdq',  high(4), upperHalf(low(4))],
  ['Punpckhqdq', high(8), 'none'],
];

// biome-ignore format: one row per instruction: the floating-point names of the same
const FLOAT_NAMED: readonly (readonly [names: readonly string[], combine: Combine])[] = [
  [['Andps', 'Andpd'],   plain('v128.and')],
  [['Andnps', 'Andnpd'], andNot],
  [['Orps', 'Orpd'],     plain('v128.or')],
  [['Xorps', 'Xorpd'],   plain('v128.xor')],
  [['Unpcklps'],         low(4)],
  [['Unpckhps'],         high(4)],
  [['Unpcklpd'],         low(8)],
  [['Unpckhpd'],         high(8)],
];

/** MMX unpacks of the low half read only 32 bits of memory. */
const mmxSource = (mnemonic: string): string => (/^Punpckl/.test(mnemonic) ? 'mmm32' : 'mmm64');
/** Inlined in the interpreter: what compiled code is full of. */
const OFTEN = /^(Pxor|Por|Pand|Paddd|Paddq|Psubd|Psubq|Pcmpeqb|Pcmpeqd|Xorps|Andps|Andpd)$/;

export const sseInteger: Family = (define) => {
  for (const [mnemonic, combine, mmxCombine = combine] of PACKED) {
    const options = OFTEN.test(mnemonic) ? { hot: [128] } : {};
    define([`${mnemonic}_xmm_xmmm128`], ssePacked(combine), options);
    if (mmxCombine !== 'none')
      define([`${mnemonic}_mm_${mmxSource(mnemonic)}`], mmxPacked(mmxCombine));
  }
  for (const [names, combine] of FLOAT_NAMED) {
    const options = names.some((name) => OFTEN.test(name)) ? { hot: [128] } : {};
    define(
      names.map((name) => `${name}_xmm_xmmm128`),
      ssePacked(combine),
      options,
    );
  }
};
