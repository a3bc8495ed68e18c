/** x87 arithmetic and comparison on the register stack. */
// Spec: SDM 1 §8.3.4 to §8.3.6; SDM 2A, the F... entries.

import {
  add,
  bitLength,
  type Context,
  compareFloats,
  divide,
  EXCEPTION,
  type Float,
  finite,
  INDEFINITE,
  infinity,
  invalid,
  isNan,
  multiply,
  negated,
  ROUND,
  round,
  roundToInteger,
  squareRoot,
  zero,
} from './soft-float.js';
import { propagate, STATUS, type X87, ZERO } from './x87-state.js';

export type Binary = (context: Context, x: Float, y: Float) => Float;

const subtract: Binary = (context, x, y) => add(context, x, negated(y));
const reversed =
  (operation: Binary): Binary =>
  (context, x, y) =>
    operation(context, y, x);

/** By the field that the opcodes use: bits 5-3 of ModRM. */
export const BINARY: Readonly<Record<string, Binary>> = {
  add,
  mul: multiply,
  sub: subtract,
  subr: reversed(subtract),
  div: divide,
  divr: reversed(divide),
};

/** Operand checks that all arithmetic begins with. @returns the result if they decide it. */
function screen(context: Context, x: Float, y: Float): Float | undefined {
  if (x.kind === 'unsupported' || y.kind === 'unsupported') return invalid(context);
  if (x.kind === 'signalling' || y.kind === 'signalling') context.flags |= EXCEPTION.INVALID;
  return propagate(x, y);
}

function noteDenormals(context: Context, ...operands: readonly Float[]): void {
  const earlier = EXCEPTION.INVALID | EXCEPTION.ZERO_DIVIDE;
  if ((context.flags & earlier) === 0 && operands.some((x) => x.denormal))
    context.flags |= EXCEPTION.DENORMAL;
}

/** ST(target) = ST(target) op y, with everything that can go wrong. @returns false if nothing may be written. */
function operate(fpu: X87, target: number, x: Float, y: Float, operation: Binary): boolean {
  const context = fpu.context(false);
  let result = screen(context, x, y);
  if (result === undefined) {
    result = operation(context, x, y);
    noteDenormals(context, x, y);
  }
  const written = fpu.conclude(context, result);
  if (written === undefined) return false;
  fpu.set(target, written);
  return true;
}

/** Stack underflow of an operation that writes ST(target). @returns true if the default NaN was written. */
export function underflowInto(fpu: X87, target: number): boolean {
  if (fpu.underflowed()) return false;
  fpu.set(target, INDEFINITE);
  return true;
}

/** FADD and the like between registers. */
export function registerOperation(
  fpu: X87,
  target: number,
  source: number,
  operation: Binary,
): boolean {
  if (fpu.isEmpty(target) || fpu.isEmpty(source)) return underflowInto(fpu, target);
  return operate(fpu, target, fpu.get(target), fpu.get(source), operation);
}

/** FADD and the like with a memory operand, already converted. */
export function memoryOperation(fpu: X87, source: Float, operation: Binary): void {
  if (fpu.isEmpty(0)) underflowInto(fpu, 0);
  else operate(fpu, 0, fpu.get(0), source, operation);
}

type Unary = (context: Context, x: Float) => Float;

/** ST(0) = f(ST(0)). */
export function unaryOperation(fpu: X87, operation: Unary, precise: boolean): void {
  if (fpu.isEmpty(0)) {
    underflowInto(fpu, 0);
    return;
  }
  const x = fpu.get(0);
  const context = fpu.context(precise);
  let result = screen(context, x, x);
  if (result === undefined) {
    result = operation(context, x);
    noteDenormals(context, x);
  }
  const written = fpu.conclude(context, result);
  if (written !== undefined) fpu.set(0, written);
}

export const sqrt: Unary = squareRoot;
export const roundInteger: Unary = (context, x) => {
  if (x.kind !== 'finite') return x;
  const { value, inexact, up } = roundToInteger(x, context.rounding);
  if (inexact) context.flags |= EXCEPTION.INEXACT;
  context.roundedUp = up;
  return finite(x.sign, value, 0);
};

/** FSCALE: ST(0) * 2^trunc(ST(1)). */
const scale: Binary = (context, x, y) => {
  if (y.kind === 'infinity') {
    if (y.sign ? x.kind === 'infinity' : x.kind === 'zero') return invalid(context);
    return y.sign ? zero(x.sign) : infinity(x.sign);
  }
  if (x.kind !== 'finite') return x;
  const { value } = roundToInteger(y, ROUND.ZERO);
  const limit = 0x1_0000n;
  const by = Number(value > limit ? limit : value) * (y.sign ? -1 : 1);
  return round(context, { ...x, exponent: x.exponent + by, denormal: false });
};

/** A two-operand function of ST(0) and ST(1) at full precision that replaces ST(0). */
export function scaleOperation(fpu: X87): void {
  if (fpu.isEmpty(0) || fpu.isEmpty(1)) {
    underflowInto(fpu, 0);
    return;
  }
  const [x, y] = [fpu.get(0), fpu.get(1)];
  const context = fpu.context(true);
  let result = screen(context, x, y);
  if (result === undefined) {
    result = scale(context, x, y);
    noteDenormals(context, x, y);
  }
  const written = fpu.conclude(context, result);
  if (written !== undefined) fpu.set(0, written);
}

/** FXTRACT: exponent into ST(0), significand pushed. */
export function extract(fpu: X87): void {
  if (fpu.isEmpty(0)) {
    if (!underflowInto(fpu, 0)) return;
    fpu.top -= 1;
    fpu.set(0, INDEFINITE);
    return;
  }
  if (!fpu.isEmpty(7)) {
    if (fpu.overflowed()) return;
    fpu.set(0, INDEFINITE);
    fpu.top -= 1;
    fpu.set(0, INDEFINITE);
    return;
  }
  const x = fpu.get(0);
  const context = fpu.context(true);
  let parts: readonly [exponent: Float, significand: Float];
  const nan = screen(context, x, x);
  if (nan !== undefined) parts = [nan, nan];
  else if (x.kind === 'infinity') parts = [infinity(0), x];
  else if (x.kind === 'zero') {
    context.flags |= EXCEPTION.ZERO_DIVIDE;
    parts = [infinity(1), x];
  } else {
    const length = bitLength(x.significand);
    const exponent = x.exponent + length - 1;
    parts = [
      finite(exponent < 0 ? 1 : 0, BigInt(Math.abs(exponent)), 0),
      finite(x.sign, x.significand, 1 - length),
    ];
    noteDenormals(context, x);
  }
  if (fpu.conclude(context, parts[0]) === undefined) return;
  fpu.set(0, parts[0]);
  fpu.top -= 1;
  fpu.set(0, parts[1]);
}

/** From this exponent distance on FPREM reduces only partly (SDM 2A, FPREM). */
const COMPLETE = 64;
/** By how many bits it reduces then: 32 to 63, so that what is left is a multiple of 32. */
const partialBits = (distance: number): number => 32 + (distance & 31);

interface Remainder {
  readonly value: Float;
  readonly quotient: bigint;
  /** False if the reduction was a partial one. */
  readonly complete: boolean;
}

function remainder(x: Float, y: Float, nearest: boolean): Remainder {
  const distance = x.exponent + bitLength(x.significand) - y.exponent - bitLength(y.significand);
  if (distance < (nearest ? -1 : 0)) return { value: x, quotient: 0n, complete: true };
  const complete = distance < COMPLETE;
  const drop = complete ? 0 : distance - partialBits(distance);
  const exponent = Math.min(x.exponent, y.exponent + drop);
  const dividend = x.significand << BigInt(x.exponent - exponent);
  const divisor = y.significand << BigInt(y.exponent + drop - exponent);
  let quotient = dividend / divisor;
  let rest = dividend - quotient * divisor;
  if (nearest && complete && (2n * rest > divisor || (2n * rest === divisor && quotient & 1n))) {
    quotient += 1n;
    rest -= divisor;
  }
  const sign = rest < 0n ? 1 - x.sign : x.sign;
  const value = rest === 0n ? zero(x.sign) : finite(sign, rest < 0n ? -rest : rest, exponent);
  return { value, quotient, complete };
}

/** The low bits of the quotient in C0, C3, C1, or C2 if there is more to do. */
function quotientConditions({ quotient, complete }: Remainder): number {
  if (!complete) return STATUS.C2;
  const q = Number(quotient & 7n);
  return (q & 4 ? STATUS.C0 : 0) | (q & 2 ? STATUS.C3 : 0) | (q & 1 ? STATUS.C1 : 0);
}

/** FPREM and FPREM1. */
export function partialRemainder(fpu: X87, nearest: boolean): void {
  fpu.status &= ~STATUS.C2;
  if (fpu.isEmpty(0) || fpu.isEmpty(1)) {
    underflowInto(fpu, 0);
    return;
  }
  const [x, y] = [fpu.get(0), fpu.get(1)];
  const context = fpu.context(true);
  let conditions: number | undefined;
  let result = screen(context, x, y);
  if (result === undefined) {
    if (x.kind === 'infinity' || y.kind === 'zero') result = invalid(context);
    else if (x.kind === 'zero' || y.kind === 'infinity') {
      result = x;
      conditions = 0;
    } else {
      const found = remainder(x, y, nearest);
      result = round(context, { ...found.value, denormal: false });
      conditions = quotientConditions(found);
    }
    noteDenormals(context, x, y);
  }
  const written = fpu.conclude(context, result);
  if (written === undefined) return;
  fpu.set(0, written);
  if (conditions !== undefined) fpu.setConditions(conditions);
}

/** How a comparison came out. */
export interface Order {
  /** -1, 0, 1; undefined if unordered. */
  readonly order: number | undefined;
  /** An exception that is not masked: the outcome is told, but nothing is popped. */
  readonly stopped: boolean;
}

export function compareOperands(fpu: X87, x: Float, y: Float, quiet: boolean): Order {
  const unordered = isNan(x) || isNan(y) || x.kind === 'unsupported' || y.kind === 'unsupported';
  const signals =
    !quiet ||
    [x, y].some((operand) => operand.kind === 'signalling' || operand.kind === 'unsupported');
  fpu.setC1(false);
  if (unordered) return { order: undefined, stopped: signals && fpu.signal(EXCEPTION.INVALID) };
  const stopped = (x.denormal || y.denormal) && fpu.signal(EXCEPTION.DENORMAL);
  return { order: compareFloats(x, y), stopped };
}

/** C3, C2, C0 for an outcome. */
export function conditionsOf(order: number | undefined): number {
  if (order === undefined) return STATUS.C3 | STATUS.C2 | STATUS.C0;
  if (order === 0) return STATUS.C3;
  return order < 0 ? STATUS.C0 : 0;
}

/** FXAM: what ST(0) holds. */
export function examine(fpu: X87): void {
  const { signExponent } = fpu.raw(0);
  const x = fpu.get(0);
  const kinds = {
    unsupported: 0,
    quiet: STATUS.C0,
    signalling: STATUS.C0,
    finite: x.denormal ? STATUS.C3 | STATUS.C2 : STATUS.C2,
    infinity: STATUS.C2 | STATUS.C0,
    zero: STATUS.C3,
  };
  const kind = fpu.isEmpty(0) ? STATUS.C3 | STATUS.C0 : kinds[x.kind];
  fpu.setConditions(kind | (signExponent & 0x8000 ? STATUS.C1 : 0));
}

export const compareWithZero = (fpu: X87, x: Float) => compareOperands(fpu, x, ZERO, false);
