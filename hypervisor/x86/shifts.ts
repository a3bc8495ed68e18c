/** Shifts and rotates: SHL SHR SAR, ROL ROR RCL RCR, SHLD SHRD. */
// Spec: SDM 2B, SAL/SAR/SHL/SHR, RCL/RCR/ROL/ROR; SDM 2B, SHLD, SHRD. The count is taken modulo 32, or 64 for 64-bit operands.

import type { Builder, Operand, Operands, Semantics, Value } from './builder.js';
import { type Define, type Family, forms } from './define.js';
import { GPR } from './state.js';

/** What a shift gives, with the count known not to be zero: CF and OF, or both in one word (see Flags.resultTop). */
type Shifted =
  | { readonly result: Value; readonly carry: Value; readonly overflow: Value }
  | { readonly result: Value; readonly top: Value };
/** @param count the masked count, i32, 1 to 31 (63 for 64-bit operands). */
type Shift = (b: Builder, value: Value, count: Value) => Shifted;

const maskedCount = (b: Builder, count: Value, bits: number): Value =>
  b.and(b.zeroExtend(count, 32), b.const(32, bits === 64 ? 63 : 31));
/** Bit 0 as an i32: 32 bits wide, whatever the value is, for shifts within its own width would lose it. */
const lowBit = (b: Builder, value: Value): Value =>
  b.and(as32(b, b.truncate(value, 32)), b.const(32, 1));
const as32 = (b: Builder, value: Value): Value => b.zeroExtend(value, 32);
/** Bit `position` (i32) of a value as an i32 0 or 1. */
const bitAt = (b: Builder, value: Value, position: Value): Value =>
  lowBit(b, value.bits === 64 ? b.shrU(value, position) : b.shrU(as32(b, value), position));
const width = (b: Builder, value: Value): Value => b.const(32, value.bits);
const top = (b: Builder, value: Value): Value => as32(b, b.signBit(value));
/** XOR of the two top bits. */
const topTwo = (b: Builder, value: Value): Value => b.xor(top(b, value), top(b, b.shl(value, 1)));

/** The upper half of a 64-bit value, or all of a 32-bit one. */
const upper32 = (b: Builder, value: Value): Value =>
  value.bits === 64 ? b.truncate(b.shrU(value, 32), 32) : value;

const shiftLeft: Shift = (b, value, count) => {
  const result = b.shl(value, count);
  if (value.bits >= 32) {
    // the two bits at width - count and below it: CF, and the sign of the result, which is CF ^ OF
    const pair = b.shrU(value, b.sub(b.const(32, value.bits - 1), count));
    return { result, top: b.shl(b.truncate(pair, 32), 30) };
  }
  // a count beyond the width leaves CF undefined: position -n reads as some bit, never traps
  const carry = bitAt(b, value, b.sub(width(b, value), count));
  return { result, carry, overflow: b.xor(top(b, result), carry) };
};

const shiftRight: Shift = (b, value, count) => {
  const result = b.shrU(value, count);
  const carry = bitAt(b, value, b.sub(count, b.const(32, 1)));
  return { result, carry, overflow: topTwo(b, result) };
};

const shiftArithmetic: Shift = (b, value, count) => {
  const wide = value.bits === 64 ? value : b.signExtend(value, 32);
  const result = b.truncate(b.shrS(wide, count), value.bits);
  const carry = lowBit(b, b.shrS(wide, b.sub(count, b.const(32, 1))));
  return { result, top: b.shrS(b.shl(carry, 31), 1) }; // OF = 0
};

/** Rotates have an operation of their own only at 32 and 64 bits. */
function rotate(b: Builder, value: Value, left: Value): Value {
  if (value.bits === 64) return b.op('i64.rotl', value, b.zeroExtend(left, 64));
  if (value.bits === 32) return b.op('i32.rotl', value, left);
  const count = b.and(left, b.const(32, value.bits - 1));
  const wide = as32(b, value);
  const high = b.shl(wide, count);
  const low = b.shrU(wide, b.sub(b.const(32, value.bits), count));
  return b.truncate(b.or(high, low), value.bits);
}

const rotateLeft: Shift = (b, value, count) => {
  const result = rotate(b, value, count);
  // CF is the lowest bit of the result, CF ^ OF the highest
  if (value.bits === 64) {
    return { result, top: upper32(b, b.op('i64.rotr', result, b.const(64, 1))) };
  }
  if (value.bits === 32) return { result, top: b.op('i32.rotr', result, b.const(32, 1)) };
  const carry = lowBit(b, result);
  return { result, carry, overflow: b.xor(top(b, result), carry) };
};

const rotateRight: Shift = (b, value, count) => {
  const result = rotate(b, value, b.sub(b.const(32, 0), count));
  // CF is the highest bit of the result, CF ^ OF the next
  if (value.bits >= 32) return { result, top: upper32(b, result) };
  return { result, carry: top(b, result), overflow: topTwo(b, result) };
};

/** Of `bits` + 1 positions: how far a rotate through carry goes. */
function throughCarryCount(b: Builder, count: Value, bits: number): Value {
  if (bits >= 32) return count;
  return b.op('i32.rem_u', count, b.const(32, bits + 1));
}

const carryLeft: Shift = (b, value, masked) => {
  const n = value.bits;
  const count = throughCarryCount(b, masked, n);
  const carryIn = b.flags.carry();
  if (n === 64) {
    const fromCarry = b.shl(b.zeroExtend(carryIn, 64), b.sub(count, b.const(32, 1)));
    const low = b.shrU(b.shrU(value, 1), b.sub(b.const(32, 64), count));
    const result = b.or(b.or(b.shl(value, count), fromCarry), low);
    const carry = bitAt(b, value, b.sub(b.const(32, 64), count));
    return { result, carry, overflow: b.xor(top(b, result), carry) };
  }
  // carry and value as one number of n + 1 bits
  const whole = b.or(b.zeroExtend(value, 64), b.shl(b.zeroExtend(carryIn, 64), n));
  const turned = b.or(b.shl(whole, count), b.shrU(whole, b.sub(b.const(32, n + 1), count)));
  const result = b.truncate(turned, n);
  const carry = lowBit(b, b.shrU(turned, n));
  return { result, carry, overflow: b.xor(top(b, result), carry) };
};

const carryRight: Shift = (b, value, masked) => {
  const n = value.bits;
  const count = throughCarryCount(b, masked, n);
  const carryIn = b.flags.carry();
  if (n === 64) {
    const fromCarry = b.shl(b.zeroExtend(carryIn, 64), b.sub(b.const(32, 64), count));
    const high = b.shl(b.shl(value, 1), b.sub(b.const(32, 64), count));
    const result = b.or(b.or(b.shrU(value, count), fromCarry), high);
    const carry = bitAt(b, value, b.sub(count, b.const(32, 1)));
    return { result, carry, overflow: topTwo(b, result) };
  }
  const whole = b.or(b.zeroExtend(value, 64), b.shl(b.zeroExtend(carryIn, 64), n));
  const turned = b.or(b.shrU(whole, count), b.shl(whole, b.sub(b.const(32, n + 1), count)));
  const result = b.truncate(turned, n);
  const carry = lowBit(b, b.shrU(turned, n));
  return { result, carry, overflow: topTwo(b, result) };
};

/**
 * Writes what `perform` gives and sets flags from it, if the masked count is not 0. A count of 0 changes no flag; a 32-bit
 * register is written all the same, which clears its upper half.
 */
function byCount<Outcome extends { readonly result: Value }>(
  b: Builder,
  dst: Operand,
  readCount: () => Value,
  perform: (value: Value, count: Value) => Outcome,
  setFlags: (outcome: Outcome, value: Value) => void,
): void {
  const value = b.readForWrite(dst);
  const count = maskedCount(b, readCount(), value.bits);
  const result = b.variable(value);
  b.if(count, () => {
    const outcome = perform(value, count);
    b.assign(result, outcome.result);
    setFlags(outcome, value);
  });
  b.write(dst, result);
}

const shift =
  (perform: Shift): Semantics =>
  (b, { dst, src }) =>
    byCount(
      b,
      dst,
      () => b.read(src),
      (value, count) => perform(b, value, count),
      (shifted) => {
        if ('top' in shifted) b.flags.resultTop(shifted.result, shifted.top);
        else b.flags.result(shifted.result, shifted.carry, shifted.overflow);
      },
    );

/** Rotates change CF and OF only. */
const rotation =
  (perform: Shift): Semantics =>
  (b, { dst, src }) =>
    byCount(
      b,
      dst,
      () => b.read(src),
      (value, count) => perform(b, value, count),
      (rotated) => {
        if ('top' in rotated) b.flags.top(rotated.top);
        else b.flags.carryOverflow(rotated.carry, rotated.overflow);
      },
    );

/** The count of a double shift: an immediate, or CL, which is no operand of its own. */
const doubleCount = (b: Builder, o: Operands): Value =>
  o.count === 3 ? b.read(o.third) : b.reg(GPR.RCX, 8);

type Double = (
  b: Builder,
  value: Value,
  fill: Value,
  count: Value,
) => { result: Value; carry: Value };

const doubleLeft: Double = (b, value, fill, count) => {
  const n = value.bits;
  if (n === 16) {
    // value:fill:fill, so that counts above 16 (undefined) shift in the fill again, as AMD's processors do
    const whole = b.or(
      b.shl(b.zeroExtend(value, 64), 32),
      b.or(b.shl(b.zeroExtend(fill, 64), 16), b.zeroExtend(fill, 64)),
    );
    const moved = b.shl(whole, count);
    return { result: b.truncate(b.shrU(moved, 32), 16), carry: lowBit(b, b.shrU(moved, 48)) };
  }
  const low = b.shrU(fill, b.sub(b.const(32, n), count));
  return {
    result: b.or(b.shl(value, count), low),
    carry: bitAt(b, value, b.sub(b.const(32, n), count)),
  };
};

const doubleRight: Double = (b, value, fill, count) => {
  const n = value.bits;
  const before = b.sub(count, b.const(32, 1));
  if (n === 16) {
    const whole = b.or(
      b.shl(b.zeroExtend(fill, 64), 32),
      b.or(b.shl(b.zeroExtend(fill, 64), 16), b.zeroExtend(value, 64)),
    );
    return {
      result: b.truncate(b.shrU(whole, count), 16),
      carry: lowBit(b, b.shrU(whole, before)),
    };
  }
  const high = b.shl(fill, b.sub(b.const(32, n), count));
  return { result: b.or(b.shrU(value, count), high), carry: bitAt(b, value, before) };
};

const doubleShift =
  (perform: Double): Semantics =>
  (b, o) =>
    byCount(
      b,
      o.dst,
      () => doubleCount(b, o),
      (value, count) => perform(b, value, b.read(o.src), count),
      ({ result, carry }, value) =>
        b.flags.result(result, carry, b.xor(top(b, value), top(b, result))),
    );

const BY_COUNT =
  'rm8_imm8 rm16_imm8 rm32_imm8 rm64_imm8 rm8_1 rm16_1 rm32_1 rm64_1 rm8_CL rm16_CL rm32_CL rm64_CL';
const DOUBLE = 'rm16_r16_imm8 rm32_r32_imm8 rm64_r64_imm8 rm16_r16_CL rm32_r32_CL rm64_r64_CL';

export const shifts: Family = (define: Define) => {
  const hot = { hot: [32, 64], coldMemory: true } as const;
  // biome-ignore format: one row per instruction
  const rows: readonly (readonly [names: string[], body: Semantics, hot: boolean])[] = [
    [[...forms('Shl', BY_COUNT), ...forms('Sal', BY_COUNT)], shift(shiftLeft),       true],
    [forms('Shr', BY_COUNT),                                 shift(shiftRight),      true],
    [forms('Sar', BY_COUNT),                                 shift(shiftArithmetic), true],
    [forms('Rol', BY_COUNT),                                 rotation(rotateLeft),   true],
    [forms('Ror', BY_COUNT),                                 rotation(rotateRight),  true],
    [forms('Rcl', BY_COUNT),                                 rotation(carryLeft),    false],
    [forms('Rcr', BY_COUNT),                                 rotation(carryRight),   false],
    [forms('Shld', DOUBLE),                                  doubleShift(doubleLeft),  false],
    [forms('Shrd', DOUBLE),                                  doubleShift(doubleRight), false],
  ];
  for (const [names, body, isHot] of rows) define(names, body, isHot ? hot : {});
};
