/** Small things that all SSE and MMX semantics share: vectors made of parts, and MMX's hold on the x87 registers. */

import type { Builder, Operand, Value } from './builder.js';
import { SLOT } from './state.js';

const ZERO = Array.from({ length: 16 }, () => 0);
/** Bits 79 to 64 of an x87 register after a write to its MMX alias (SDM 1 §9.5.1). */
const MMX_EXPONENT = 0xffff;
const TOP_MASK = 0x3800;

export const zeroVector = (b: Builder): Value => b.v128(ZERO);

/** A vector with an i64 in its low half, zero above. */
export const fromLow64 = (b: Builder, low: Value): Value =>
  b.op('i64x2.replace_lane', zeroVector(b), low, 0);

/** A vector with an i32 in its low lane, zero above. */
export const fromLow32 = (b: Builder, low: Value): Value =>
  b.op('i32x4.replace_lane', zeroVector(b), low, 0);

/** A vector of the same i64 twice. */
export const splat64 = (b: Builder, value: bigint): Value =>
  b.op('i64x2.splat', b.const(64, value));

/** A vector of the same i32 four times. */
export const splat32 = (b: Builder, value: number): Value =>
  b.op('i32x4.splat', b.const(32, value));

/** What every MMX instruction but EMMS does to the x87 state: TOP = 0, all registers valid (SDM 1 §9.5.1). */
export function enterMmx(b: Builder): void {
  const status = b.state(SLOT.FPU_STATUS, 'i32', 2);
  b.setState(SLOT.FPU_STATUS, b.and(status, b.const(32, 0xffff & ~TOP_MASK)), 2);
  b.setState(SLOT.FPU_TAGS, b.const(32, 0xff), 1);
}

/** Writes the low half of a vector to an MMX register, or to memory. */
export function writeMmx(b: Builder, operand: Operand, vector: Value): void {
  if (operand.kind === 'memory') b.writeAs(operand, b.op('i64x2.extract_lane', vector, 0));
  else b.writeAs(operand, b.op('i64x2.replace_lane', vector, b.const(64, MMX_EXPONENT), 1));
}

/** An MMX register or 64 bits of memory as the low half of a vector. */
export const readMmx = (b: Builder, operand: Operand): Value =>
  fromLow64(b, b.readAs(operand, 'i64'));
