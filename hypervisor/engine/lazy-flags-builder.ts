/** Emits the lazy flags of x86/lazy-flags.ts. */

import type { Condition, Flags, Value } from '../x86/builder.js';
import { AUX, RFLAGS } from '../x86/state.js';
import type { IntegerBuilder } from './integer-builder.js';

/** Where the two words of the lazy flags are: locals in the interpreter's loop, memory elsewhere. */
export interface FlagStore {
  result(): Value;
  setResult(value: Value): void;
  aux(): Value;
  setAux(value: Value): void;
}

/** What the last instruction computed, if it is still in locals: then a condition is a plain comparison. */
interface Known {
  readonly kind: 'sub' | 'logic' | 'other';
  readonly left: Value;
  readonly right: Value;
  readonly result: Value;
}

/** Where FAUX keeps CF and CF ^ OF. */
const TOP_BITS = AUX.CF | AUX.PARTIAL;

export class LazyFlags implements Flags {
  readonly #b: IntegerBuilder;
  readonly #store: FlagStore;
  #known: Known | undefined;

  constructor(builder: IntegerBuilder, store: FlagStore) {
    this.#b = builder;
    this.#store = store;
  }

  /** To be called where control flow joins: nothing is known there. */
  forget(): void {
    this.#known = undefined;
  }

  add(left: Value, right: Value, result: Value): void {
    const b = this.#b;
    // A carry out of a bit: both addends had it, or one had and the sum has not.
    const both = b.and(left, right);
    const carries = b.or(both, b.and(b.or(left, right), this.#inverse(result)));
    this.#setResult(result);
    this.#store.setAux(this.#aligned(carries, result.bits));
    this.#known = { kind: 'other', left, right, result };
  }

  sub(left: Value, right: Value, result: Value): void {
    const b = this.#b;
    const inverse = this.#inverse(left);
    const borrows = b.or(b.and(inverse, right), b.and(b.xor(inverse, right), result));
    this.#setResult(result);
    this.#store.setAux(this.#aligned(borrows, result.bits));
    this.#known = { kind: 'sub', left, right, result };
  }

  logic(result: Value): void {
    this.#setResult(result);
    this.#store.setAux(this.#b.const(32, 0));
    this.#known = { kind: 'logic', left: result, right: result, result };
  }

  inc(result: Value): void {
    const { bits } = result;
    const lowest = bits === 64 ? -(1n << 63n) : bits === 32 ? -0x8000_0000 : 1 << (bits - 1);
    this.#step(result, this.#b.const(bits, lowest), 0);
  }

  dec(result: Value): void {
    const { bits } = result;
    const highest = bits === 64 ? (1n << 63n) - 1n : 2 ** (bits - 1) - 1;
    this.#step(result, this.#b.const(bits, highest), 15);
  }

  result(result: Value, carry: Value, overflow: Value): void {
    this.#setResult(result);
    this.#store.setAux(this.#carryBits(carry, overflow));
    this.#known = undefined;
  }

  resultTop(result: Value, top: Value): void {
    const b = this.#b;
    this.#setResult(result);
    this.#store.setAux(b.and(top, b.const(32, TOP_BITS)));
    this.#known = undefined;
  }

  top(top: Value): void {
    const b = this.#b;
    const rest = b.and(this.#store.aux(), b.const(32, ~TOP_BITS));
    this.#store.setAux(b.or(rest, b.and(top, b.const(32, TOP_BITS))));
    this.#known = undefined;
  }

  carryOverflow(carry: Value, overflow: Value): void {
    const b = this.#b;
    const rest = b.and(this.#store.aux(), b.const(32, ~(AUX.CF | AUX.PARTIAL)));
    this.#store.setAux(b.or(rest, this.#carryBits(carry, overflow)));
    this.#known = undefined;
  }

  setCarry(carry: Value): void {
    this.carryOverflow(carry, this.overflow());
  }

  setZero(zero: Value): void {
    const b = this.#b;
    const wanted = b.select(zero, b.const(32, RFLAGS.ZF), b.const(32, 0));
    this.load(b.or(b.and(this.status(), b.const(32, ~RFLAGS.ZF)), wanted));
  }

  load(rflags: Value): void {
    const b = this.#b;
    const bit = (n: number): Value => b.and(b.shrU(rflags, n), b.const(32, 1));
    const result = b.xor(bit(6), b.const(32, 1));
    const parity = b.xor(bit(2), b.const(32, 1));
    const deltas = b.or(
      b.shl(b.xor(result, parity), AUX.PARITY_SHIFT),
      b.or(b.shl(bit(4), 3), bit(7)),
    );
    const aux = b.or(this.#carryBits(bit(0), bit(11)), deltas);
    this.#store.setResult(b.zeroExtend(result, 64));
    this.#store.setAux(aux);
    this.#known = undefined;
  }

  carry(): Value {
    return this.#b.shrU(this.#store.aux(), 31);
  }
  zero(): Value {
    return this.#b.isZero(this.#store.result());
  }
  sign(): Value {
    const b = this.#b;
    return b.xor(b.signBit(this.#store.result()), b.and(this.#store.aux(), b.const(32, 1)));
  }
  overflow(): Value {
    const b = this.#b;
    const aux = this.#store.aux();
    return b.shrU(b.xor(aux, b.shl(aux, 1)), 31);
  }
  parity(): Value {
    const b = this.#b;
    const low = b.truncate(this.#store.result(), 32);
    const byte = b.and(b.xor(low, b.shrU(this.#store.aux(), AUX.PARITY_SHIFT)), b.const(32, 0xff));
    const odd = b.and(b.op('i32.popcnt', byte), b.const(32, 1));
    return b.xor(odd, b.const(32, 1));
  }
  adjust(): Value {
    return this.#b.and(this.#b.shrU(this.#store.aux(), 3), this.#b.const(32, 1));
  }

  status(): Value {
    const b = this.#b;
    const at = (flag: Value, n: number): Value => b.shl(flag, n);
    const low = b.or(this.carry(), b.or(at(this.parity(), 2), at(this.adjust(), 4)));
    const high = b.or(at(this.zero(), 6), b.or(at(this.sign(), 7), at(this.overflow(), 11)));
    return b.or(low, high);
  }

  test(condition: Condition): Value {
    const positive = this.#fromKnown(condition & ~1) ?? this.#positive(condition & ~1);
    return condition & 1 ? this.#b.isZero(positive) : positive;
  }

  /** The conditions with even encoding. */
  #positive(condition: Condition): Value {
    const b = this.#b;
    const less = (): Value => b.xor(this.sign(), this.overflow());
    // biome-ignore format: one row per condition
    switch (condition) {
      case 0:  return this.overflow();
      case 2:  return this.carry();
      case 4:  return this.zero();
      case 6:  return b.or(this.carry(), this.zero());
      case 8:  return this.sign();
      case 10: return this.parity();
      case 12: return less();
      default: return b.or(this.zero(), less());
    }
  }

  #fromKnown(condition: Condition): Value | undefined {
    const known = this.#known;
    if (!known) return undefined;
    if (condition === 4) return this.#b.isZero(known.result);
    if (condition === 8) return this.#b.signBit(known.result);
    if (known.kind === 'sub') return this.#afterSub(condition, known);
    return known.kind === 'logic' ? this.#afterLogic(condition, known) : undefined;
  }

  #afterSub(condition: Condition, { left, right }: Known): Value | undefined {
    const b = this.#b;
    // biome-ignore format: one row per condition
    switch (condition) {
      case 2:  return b.ltU(left, right);
      case 6:  return b.isZero(b.ltU(right, left));
      case 12: return b.ltS(left, right);
      case 14: return b.isZero(b.ltS(right, left));
      default: return undefined;
    }
  }

  #afterLogic(condition: Condition, { result }: Known): Value | undefined {
    const b = this.#b;
    const zero = b.const(result.bits, 0);
    // biome-ignore format: one row per condition
    switch (condition) {
      case 0:  return b.const(32, 0);
      case 2:  return b.const(32, 0);
      case 6:  return b.isZero(result);
      case 12: return b.signBit(result);
      case 14: return b.isZero(b.ltS(zero, result));
      default: return undefined;
    }
  }

  /** INC and DEC: overflow at one result, a carry out of bit 3 at one low digit, CF as it was. */
  #step(result: Value, overflowAt: Value, digit: number): void {
    const b = this.#b;
    const carry = b.shrU(this.#store.aux(), 31);
    const overflow = b.eq(result, overflowAt);
    const low = b.and(b.truncate(result, 32), b.const(32, 15));
    const adjust = b.op('i32.eq', low, b.const(32, digit));
    this.#setResult(result);
    this.#store.setAux(b.or(this.#carryBits(carry, overflow), b.shl(adjust, 3)));
    this.#known = { kind: 'other', left: result, right: result, result };
  }

  #carryBits(carry: Value, overflow: Value): Value {
    const b = this.#b;
    return b.or(b.shl(carry, 31), b.shl(b.xor(carry, overflow), 30));
  }

  #inverse(value: Value): Value {
    const b = this.#b;
    const ones = b.const(value.bits === 64 ? 64 : 32, -1);
    return b.xor(value, ones);
  }

  /** The two top carries in bits 31 and 30, the carry out of bit 3 in bit 3. */
  #aligned(carries: Value, bits: number): Value {
    const b = this.#b;
    if (bits === 32) return b.and(carries, b.const(32, AUX.CARRY_MASK));
    const low = bits === 64 ? b.truncate(carries, 32) : { ...carries, bits: 32 };
    const top = bits === 64 ? b.truncate(b.shrU(carries, 32), 32) : b.shl(low, 32 - bits);
    return b.or(b.and(top, b.const(32, AUX.CF | AUX.PARTIAL)), b.and(low, b.const(32, AUX.AF)));
  }

  #setResult(result: Value): void {
    this.#store.setResult(this.#b.signExtend(result, 64));
  }
}
