/** ADD, ADC, SUB, SBB, CMP, INC, DEC, NEG. Spec: SDM 2A, 2B. */

import type { Builder, Semantics, Value } from './builder.js';
import { type Family, forms } from './define.js';

/** The operand forms that all two-operand ALU instructions have. */
export const ALU_FORMS =
  'rm8_r8 rm16_r16 rm32_r32 rm64_r64 r8_rm8 r16_rm16 r32_rm32 r64_rm64 AL_imm8 AX_imm16 EAX_imm32 RAX_imm32 ' +
  'rm8_imm8 rm16_imm16 rm32_imm32 rm64_imm32 rm16_imm8 rm32_imm8 rm64_imm8 rm8_imm8_82';
/** Widths that are worth a place in the interpreter's loop. */
export const HOT = [8, 32, 64];
export const WIDE = [32, 64];

/** The carry flag as an integer of a width. */
const carryAs = (b: Builder, bits: number): Value =>
  bits < 32 ? b.truncate(b.flags.carry(), bits) : b.zeroExtend(b.flags.carry(), bits);

const add: Semantics = (b, { dst, src }) => {
  const right = b.read(src);
  const left = b.readForWrite(dst);
  const sum = b.add(left, right);
  b.write(dst, sum);
  b.flags.add(left, right, sum);
};

const adc: Semantics = (b, { dst, src, size }) => {
  const right = b.read(src);
  const left = b.readForWrite(dst);
  const sum = b.add(b.add(left, right), carryAs(b, size));
  b.write(dst, sum);
  b.flags.add(left, right, sum);
};

const sub: Semantics = (b, { dst, src }) => {
  const right = b.read(src);
  const left = b.readForWrite(dst);
  const difference = b.sub(left, right);
  b.write(dst, difference);
  b.flags.sub(left, right, difference);
};

const sbb: Semantics = (b, { dst, src, size }) => {
  const right = b.read(src);
  const left = b.readForWrite(dst);
  const difference = b.sub(b.sub(left, right), carryAs(b, size));
  b.write(dst, difference);
  b.flags.sub(left, right, difference);
};

const cmp: Semantics = (b, { dst, src }) => {
  const left = b.read(dst);
  const right = b.read(src);
  b.flags.sub(left, right, b.sub(left, right));
};

const inc: Semantics = (b, { dst, size }) => {
  const sum = b.add(b.readForWrite(dst), b.const(size, 1));
  b.write(dst, sum);
  b.flags.inc(sum);
};

const dec: Semantics = (b, { dst, size }) => {
  const difference = b.sub(b.readForWrite(dst), b.const(size, 1));
  b.write(dst, difference);
  b.flags.dec(difference);
};

const neg: Semantics = (b, { dst, size }) => {
  const value = b.readForWrite(dst);
  const zero = b.const(size, 0);
  const negated = b.sub(zero, value);
  b.write(dst, negated);
  b.flags.sub(zero, value, negated);
};

export const arithmetic: Family = (define) => {
  const one = 'rm8 rm16 rm32 rm64';
  const step = `${one} r16 r32`;
  define(forms('Add', ALU_FORMS), add, { hot: HOT });
  define(forms('Adc', ALU_FORMS), adc, { hot: WIDE, coldMemory: true });
  define(forms('Sub', ALU_FORMS), sub, { hot: HOT });
  define(forms('Sbb', ALU_FORMS), sbb, { hot: WIDE, coldMemory: true });
  define(forms('Cmp', ALU_FORMS), cmp, { hot: [8, 16, 32, 64] });
  define(forms('Inc', step), inc, { hot: WIDE });
  define(forms('Dec', step), dec, { hot: WIDE });
  define(forms('Neg', one), neg, { hot: WIDE, coldMemory: true });
};
