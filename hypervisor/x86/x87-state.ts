/** The x87 register stack in RAM: registers, tags, control and status words, and what exceptions do to them. */
// Spec: SDM 1 §8.1 (registers), §8.5 (exceptions and their masked and unmasked responses).

import {
  bitLength,
  type Context,
  EXCEPTION,
  FLOAT80,
  type Float,
  finite,
  INDEFINITE,
  infinity,
  isNan,
  normalise,
  quieted,
  zero,
} from './soft-float.js';
import { SLOT } from './state.js';

/** Bits of the status word. */
// biome-ignore format: one row per field
export const STATUS = {
  STACK_FAULT: 0x0040, SUMMARY: 0x0080, BUSY: 0x8000, TOP: 0x3800, TOP_SHIFT: 11,
  C0: 0x0100, C1: 0x0200, C2: 0x0400, C3: 0x4000, CONDITIONS: 0x4700,
} as const;
const EXCEPTIONS = 0x3f;
const PRECISIONS = [24, 64, 53, 64];
/** What an unmasked overflow or underflow moves the exponent by, to a register (SDM 1 §8.5.4). */
const EXPONENT_BIAS = 24576;

const INTEGER_BIT = 1n << 63n;
const FRACTION = INTEGER_BIT - 1n;
const QUIET_BIT = 1n << 62n;
const SPECIAL = 0x7fff;

/** The 80 bits of a register: significand with its integer bit, sign and exponent. */
export interface Raw {
  readonly significand: bigint;
  readonly signExponent: number;
}

export function decode80({ significand, signExponent }: Raw): Float {
  const sign = signExponent >> 15;
  const biased = signExponent & SPECIAL;
  const integer = (significand & INTEGER_BIT) !== 0n;
  if (biased === 0) {
    const value = finite(sign, significand, FLOAT80.least - 63);
    return { ...value, denormal: significand !== 0n };
  }
  if (!integer) return { ...INDEFINITE, kind: 'unsupported' };
  if (biased !== SPECIAL) return finite(sign, significand, biased - FLOAT80.greatest - 63);
  const fraction = significand & FRACTION;
  if (fraction === 0n) return infinity(sign);
  const kind = fraction & QUIET_BIT ? 'quiet' : 'signalling';
  return { kind, sign, exponent: 0, significand: fraction, denormal: false };
}

export function encode80(x: Float): Raw {
  const sign = x.sign << 15;
  switch (x.kind) {
    case 'zero':
      return { significand: 0n, signExponent: sign };
    case 'infinity':
      return { significand: INTEGER_BIT, signExponent: sign | SPECIAL };
    case 'finite': {
      const [significand, biased] = normalise(x, FLOAT80);
      return { significand, signExponent: sign | biased };
    }
    default:
      return { significand: x.significand | INTEGER_BIT, signExponent: sign | SPECIAL };
  }
}

/** The NaN that an x87 operation on these gives (SDM 1 table 4-7). @returns undefined if neither is one. */
export function propagate(x: Float, y: Float): Float | undefined {
  if (!isNan(x)) return isNan(y) ? quieted(y) : undefined;
  if (!isNan(y)) return quieted(x);
  if (x.kind !== y.kind) return quieted(x.kind === 'quiet' ? x : y);
  if (x.significand === y.significand) return quieted(x.sign ? y : x);
  return quieted(x.significand > y.significand ? x : y);
}

export class X87 {
  readonly #view: DataView;
  status: number;
  control: number;
  tags: number;

  constructor(view: DataView) {
    this.#view = view;
    this.status = view.getUint16(SLOT.FPU_STATUS, true);
    this.control = view.getUint16(SLOT.FPU_CONTROL, true);
    this.tags = view.getUint8(SLOT.FPU_TAGS);
  }

  /** Puts control, status and tag words back. */
  store(): void {
    this.#view.setUint16(SLOT.FPU_STATUS, this.status, true);
    this.#view.setUint16(SLOT.FPU_CONTROL, this.control, true);
    this.#view.setUint8(SLOT.FPU_TAGS, this.tags);
  }

  get top(): number {
    return (this.status & STATUS.TOP) >> STATUS.TOP_SHIFT;
  }
  set top(value: number) {
    this.status = (this.status & ~STATUS.TOP) | ((value & 7) << STATUS.TOP_SHIFT);
  }
  get masks(): number {
    return this.control & EXCEPTIONS;
  }
  get rounding(): number {
    return (this.control >> 10) & 3;
  }

  // ---- registers
  isEmpty(st: number): boolean {
    return ((this.tags >> ((this.top + st) & 7)) & 1) === 0;
  }
  raw(st: number): Raw {
    const at = SLOT.FPU + ((this.top + st) & 7) * 16;
    return {
      significand: this.#view.getBigUint64(at, true),
      signExponent: this.#view.getUint16(at + 8, true),
    };
  }
  setRaw(st: number, { significand, signExponent }: Raw): void {
    const physical = (this.top + st) & 7;
    this.#view.setBigUint64(SLOT.FPU + physical * 16, significand, true);
    this.#view.setUint16(SLOT.FPU + physical * 16 + 8, signExponent, true);
    this.tags |= 1 << physical;
  }
  get(st: number): Float {
    return decode80(this.raw(st));
  }
  set(st: number, value: Float): void {
    this.setRaw(st, encode80(value));
  }
  free(st: number): void {
    this.tags &= ~(1 << ((this.top + st) & 7));
  }
  pop(): void {
    this.free(0);
    this.top += 1;
  }

  // ---- exceptions
  /** Sets sticky flags; an unmasked one is pending for the next waiting instruction. @returns true if one is not masked. */
  signal(flags: number): boolean {
    this.status |= flags;
    const unmasked = (flags & EXCEPTIONS & ~this.masks) !== 0;
    if (unmasked) this.status |= STATUS.SUMMARY | STATUS.BUSY;
    return unmasked;
  }
  /** Brings the summary bit in line with flags and masks. */
  summarise(): void {
    const pending = (this.status & EXCEPTIONS & ~this.masks) !== 0;
    this.status &= ~(STATUS.SUMMARY | STATUS.BUSY);
    if (pending) this.status |= STATUS.SUMMARY | STATUS.BUSY;
  }
  setC1(on: boolean): void {
    this.status = (this.status & ~STATUS.C1) | (on ? STATUS.C1 : 0);
  }
  setConditions(bits: number): void {
    this.status = (this.status & ~STATUS.CONDITIONS) | bits;
  }
  /** @returns true if the invalid exception is not masked: nothing may be written then. */
  underflowed(): boolean {
    this.setC1(false);
    return this.signal(EXCEPTION.INVALID | STATUS.STACK_FAULT);
  }
  overflowed(): boolean {
    this.setC1(true);
    return this.signal(EXCEPTION.INVALID | STATUS.STACK_FAULT);
  }

  /** A context to compute in. @param precise true: 64 bits whatever the precision control says. */
  context(precise: boolean): Context {
    const precision = precise ? 64 : (PRECISIONS[(this.control >> 8) & 3] ?? 64);
    return {
      format: { ...FLOAT80, precision },
      rounding: this.rounding,
      masks: this.masks,
      flush: false,
      flags: 0,
      roundedUp: false,
    };
  }

  /**
   * Takes note of what a computation signalled.
   * @returns the result to write, undefined if an unmasked exception forbids it.
   */
  conclude(context: Context, result: Float): Float | undefined {
    const before = EXCEPTION.INVALID | EXCEPTION.DENORMAL | EXCEPTION.ZERO_DIVIDE;
    const stopped = (context.flags & before & ~this.masks) !== 0;
    const flags = stopped ? context.flags & before : context.flags;
    this.setC1(!stopped && context.roundedUp);
    this.signal(flags);
    if (stopped) return undefined;
    const unmasked = flags & ~this.masks;
    if (result.kind !== 'finite') return result;
    if (unmasked & EXCEPTION.OVERFLOW) return this.#rebiased(result, -EXPONENT_BIAS);
    if (unmasked & EXCEPTION.UNDERFLOW) return this.#rebiased(result, EXPONENT_BIAS);
    return result;
  }

  /** What an unmasked overflow or underflow leaves in a register; FSCALE can exceed even that. */
  #rebiased(result: Float, bias: number): Float {
    const exponent = result.exponent + bias;
    const leading = exponent + bitLength(result.significand) - 1;
    if (leading >= FLOAT80.least && leading <= FLOAT80.greatest) return { ...result, exponent };
    this.signal(EXCEPTION.INEXACT);
    this.setC1(bias < 0);
    return bias < 0 ? infinity(result.sign) : zero(result.sign);
  }

  /** Pushes a value, or the default NaN if the stack is full. */
  push(value: Raw): void {
    if (!this.isEmpty(7)) {
      if (this.overflowed()) return;
      this.top -= 1;
      this.set(0, INDEFINITE);
      return;
    }
    this.setC1(false);
    this.top -= 1;
    this.setRaw(0, value);
  }
}

export const ZERO = zero(0);
