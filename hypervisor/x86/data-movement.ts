/** Moves that widen, choose or exchange: MOVZX MOVSX MOVSXD, CBW and its kin, CMOVcc, SETcc, XCHG, MOVNTI. */
// Spec: SDM 2A/2B, the entries of the same names.

import type { Builder, Semantics, Value } from './builder.js';
import { type Family, forms } from './define.js';
import { GPR } from './state.js';

const zeroExtended: Semantics = (b, { dst, src }) =>
  b.write(dst, b.zeroExtend(b.read(src), dst.bits));
const signExtended: Semantics = (b, { dst, src }) => {
  const value = b.read(src);
  b.write(
    dst,
    value.bits >= dst.bits ? b.truncate(value, dst.bits) : b.signExtend(value, dst.bits),
  );
};

/** The accumulator's lower half into all of it. */
const widenAccumulator =
  (from: number): Semantics =>
  (b) =>
    b.setReg(GPR.RAX, b.signExtend(b.reg(GPR.RAX, from), from * 2));

/** The accumulator's sign into RDX. */
const spreadSign =
  (bits: number): Semantics =>
  (b) =>
    b.setReg(GPR.RDX, b.shrS(b.reg(GPR.RAX, bits), bits - 1));

/** The source is read, and may fault, whatever the condition; a 32-bit destination is written either way. */
const moveIf =
  (condition: number): Semantics =>
  (b, { dst, src }) => {
    const value = b.read(src);
    b.write(dst, b.select(b.flags.test(condition), value, b.read(dst)));
  };

const byteIf =
  (condition: number): Semantics =>
  (b, { dst }) =>
    b.write(dst, b.truncate(b.flags.test(condition), 8));

const exchange: Semantics = (b, { dst, src }) => {
  const left = b.readForWrite(dst);
  const right = copy(b, b.read(src));
  b.write(src, left);
  b.write(dst, right);
};
const copy = (b: Builder, value: Value): Value => b.variable(value);

const store: Semantics = (b, { dst, src }) => b.write(dst, b.read(src));

/** In the order of their encoding: the index is the condition. */
const CONDITIONS = [
  'o',
  'no',
  'b',
  'ae',
  'e',
  'ne',
  'be',
  'a',
  's',
  'ns',
  'p',
  'np',
  'l',
  'ge',
  'le',
  'g',
];

export const dataMovement: Family = (define) => {
  const hot = { hot: [32, 64] } as const;
  define(forms('Movzx', 'r16_rm8 r32_rm8 r64_rm8 r16_rm16 r32_rm16 r64_rm16'), zeroExtended, hot);
  define(forms('Movsx', 'r16_rm8 r32_rm8 r64_rm8 r16_rm16 r32_rm16 r64_rm16'), signExtended, hot);
  define(forms('Movsxd', 'r16_rm16 r32_rm32 r64_rm32'), signExtended, hot);
  define(['Cbw'], widenAccumulator(8));
  define(['Cwde'], widenAccumulator(16));
  define(['Cdqe'], widenAccumulator(32));
  define(['Cwd'], spreadSign(16));
  define(['Cdq'], spreadSign(32));
  define(['Cqo'], spreadSign(64));
  CONDITIONS.forEach((name, condition) => {
    define(forms(`Cmov${name}`, 'r16_rm16 r32_rm32 r64_rm64'), moveIf(condition), hot);
    define([`Set${name}_rm8`], byteIf(condition));
  });
  define(forms('Xchg', 'rm8_r8 rm16_r16 rm32_r32 rm64_r64 r16_AX r32_EAX r64_RAX'), exchange);
  define(forms('Movnti', 'm32_r32 m64_r64'), store);
};
