/** x87 transcendental functions and constants. Functions are exact to far more bits than a register holds. */
// Spec: SDM 1 §8.3.5 to §8.3.7; SDM 2A: F2XM1, FYL2X, FYL2XP1, FPTAN, FPATAN, FSIN, FCOS, FSINCOS, FLD1 ...

import {
  arcTangent,
  cosine,
  expMinusOne,
  FRACTION_BITS,
  LN_2,
  logPlusOne,
  ONE,
  PI,
  product,
  quotient,
  sine,
} from './fixed-point.js';
import {
  bitLength,
  type Context,
  compareFloats,
  EXCEPTION,
  type Float,
  finite,
  INDEFINITE,
  infinity,
  invalid,
  isNan,
  quieted,
  round,
  zero,
} from './soft-float.js';
import { encode80, propagate, STATUS, type X87 } from './x87-state.js';

/** Constants with 64 bits more than a register holds: the rounding mode decides the last bit. */
// biome-ignore format: one row per constant, in the order of the opcodes D9 E8 to D9 EE
const CONSTANTS: readonly Float[] = [
  finite(0, 1n, 0),
  finite(0, 0xd49a784bcd1b8afe_492bf6ff4dafdb4cn, -126), // log2(10)
  finite(0, 0xb8aa3b295c17f0bb_be87fed0691d3e88n, -127), // log2(e)
  finite(0, 0xc90fdaa22168c234_c4c6628b80dc1cd1n, -126), // pi
  finite(0, 0x9a209a84fbcff798_8f8959ac0b7c9178n, -129), // log10(2)
  finite(0, 0xb17217f7d1cf79ab_c9e3b39803f2f6afn, -128), // ln(2)
  finite(0, 0n, 0),
];

export function pushConstant(fpu: X87, index: number): void {
  const context = fpu.context(true);
  fpu.push(encode80(round(context, CONSTANTS[index] ?? INDEFINITE)));
}

/** Below this exponent of the leading bit a function is its first term times a series in the argument, which is near 1. */
const TINY = -40;
const leading = (x: Float): number => x.exponent + bitLength(x.significand);
const isTiny = (x: Float): boolean => leading(x) < TINY;

/** A finite number in fixed point, bits below that dropped; its magnitude is to be at most 2^64. */
function toFixed(x: Float): bigint {
  const by = BigInt(x.exponent + FRACTION_BITS);
  const magnitude = by >= 0n ? x.significand << by : x.significand >> -by;
  return x.sign ? -magnitude : magnitude;
}

const fromFixed = (value: bigint): Float =>
  finite(value < 0n ? 1 : 0, value < 0n ? -value : value, -FRACTION_BITS);

/** The exact product of two finite numbers. */
const times = (x: Float, y: Float): Float =>
  finite(x.sign ^ y.sign, x.significand * y.significand, x.exponent + y.exponent);

function inexact(context: Context, value: Float): Float {
  context.flags |= EXCEPTION.INEXACT;
  return round(context, value);
}

// ---- trigonometry

/** Half of the processor's pi, which has 66 bits (SDM 1 §8.3.8). */
const HALF_PI = 0xc90fdaa22168c234cn << BigInt(FRACTION_BITS - 67);

interface Reduced {
  readonly quadrant: number;
  /** In [-pi/4, pi/4]. */
  readonly rest: bigint;
}

/** The magnitude of an angle as quadrant and rest. */
function reduce(x: Float): Reduced {
  const angle = toFixed({ ...x, sign: 0 });
  const turns = (angle + HALF_PI / 2n) / HALF_PI;
  return { quadrant: Number(turns & 3n), rest: angle - turns * HALF_PI };
}

/** sin(x + quarter * pi/2) of a finite number that is not tiny. */
function sineOf(x: Float, quarter: number): Float {
  const { quadrant, rest } = reduce(x);
  const turned = (quadrant + quarter) & 3;
  const value = turned & 1 ? cosine(rest) : sine(rest);
  const positive = turned < 2 ? value : -value;
  return fromFixed(quarter === 0 && x.sign ? -positive : positive);
}

/** x * (1 + x^2 * n/d): sine, tangent and arc tangent of a tiny argument. */
function tinyOdd(x: Float, numerator: bigint, denominator: bigint): Float {
  const square = product(toFixed(x), toFixed(x));
  return times(x, fromFixed(ONE + (square * numerator) / denominator));
}

const sineValue = (x: Float): Float => (isTiny(x) ? tinyOdd(x, -1n, 6n) : sineOf(x, 0));
const cosineValue = (x: Float): Float => sineOf(x, 1);

function tangent(context: Context, x: Float): Float {
  if (isTiny(x)) return inexact(context, tinyOdd(x, 1n, 3n));
  const [sin, cos] = [sineOf(x, 0), sineOf(x, 1)];
  return inexact(context, ratio(sin, cos));
}

/** The quotient of two finite numbers, to more bits than any rounding looks at. */
function ratio(x: Float, y: Float): Float {
  const by = 2 * FRACTION_BITS;
  const significand = ((x.significand << BigInt(by)) / y.significand) | 1n;
  return finite(x.sign ^ y.sign, significand, x.exponent - y.exponent - by);
}

const TOO_LARGE = 63;
const isTooLarge = (x: Float) =>
  x.kind === 'finite' && x.exponent + bitLength(x.significand) > TOO_LARGE;

type Outcome = { readonly values: readonly Float[] } | 'reduce';
type Angle = (context: Context, x: Float) => readonly Float[];

const UNIT = finite(0, 1n, 0);
const sin: Angle = (context, x) => [x.kind === 'zero' ? x : inexact(context, sineValue(x))];
const cos: Angle = (context, x) => [x.kind === 'zero' ? UNIT : inexact(context, cosineValue(x))];
const tan: Angle = (context, x) => [x.kind === 'zero' ? x : tangent(context, x), UNIT];
const sincos: Angle = (context, x) => [...sin(context, x), ...cos(context, x)];
export const ANGLES = { sin, cos, tan, sincos } as const;

function angle(context: Context, x: Float, operation: Angle, pushes: boolean): Outcome {
  const both = (value: Float) => ({ values: pushes ? [value, value] : [value] });
  if (x.kind === 'unsupported' || x.kind === 'infinity') return both(invalid(context));
  if (isNan(x)) {
    if (x.kind === 'signalling') context.flags |= EXCEPTION.INVALID;
    return both(quieted(x));
  }
  if (isTooLarge(x)) return 'reduce';
  if (x.denormal) context.flags |= EXCEPTION.DENORMAL;
  return { values: operation(context, x) };
}

/** FSIN, FCOS, FPTAN, FSINCOS: C2 = 1 if the argument is out of range. */
export function angleOperation(fpu: X87, operation: Angle, pushes: boolean): void {
  fpu.status &= ~STATUS.C2;
  if (fpu.isEmpty(0) || (pushes && !fpu.isEmpty(7))) {
    const stopped = fpu.isEmpty(0) ? fpu.underflowed() : fpu.overflowed();
    if (stopped) return;
    fpu.set(0, INDEFINITE);
    if (pushes) {
      fpu.top -= 1;
      fpu.set(0, INDEFINITE);
    }
    return;
  }
  const context = fpu.context(true);
  const outcome = angle(context, fpu.get(0), operation, pushes);
  if (outcome === 'reduce') {
    fpu.status |= STATUS.C2;
    fpu.setC1(false);
    return;
  }
  const [first, second] = outcome.values;
  const written = first && fpu.conclude(context, first);
  if (!written) return;
  fpu.set(0, written);
  if (!second) return;
  fpu.top -= 1;
  fpu.set(0, second);
}

// ---- logarithms and powers

/** ln 2 and its inverse. */
const LN_2_FLOAT = fromFixed(LN_2);
const LOG2_E = fromFixed(quotient(ONE, LN_2));

/** 2^x - 1 for -1 <= x <= 1; outside the result is undefined. */
export function exponential(context: Context, x: Float): Float {
  if (x.kind === 'infinity') return x.sign ? finite(1, 1n, 0) : x;
  if (x.kind === 'zero') return x;
  if (x.significand === 1n << BigInt(bitLength(x.significand) - 1) && leading(x) === 1) {
    return finite(x.sign, 1n, x.sign ? -1 : 0); // of 1 and -1, exactly
  }
  if (leading(x) > 1) return x; // what a processor may do outside of its domain
  if (!isTiny(x)) return inexact(context, fromFixed(expMinusOne(product(toFixed(x), LN_2))));
  const t = product(toFixed(x), LN_2);
  const series = fromFixed(ONE + t / 2n + product(t, t) / 6n);
  return inexact(context, times(times(x, LN_2_FLOAT), series));
}

/** 1 / sqrt(2): where the mantissa is taken from the next power of two. */
const HALF_SQRT = 0xb504f333f9de6484n << BigInt(FRACTION_BITS - 64);

/** The logarithm to base 2 of a positive finite number, exact for powers of two. */
function log2(x: Float): Float {
  const length = bitLength(x.significand);
  const mantissa = toFixed({ ...x, sign: 0, exponent: -length });
  const isLow = mantissa < HALF_SQRT;
  const exponent = BigInt(x.exponent + length - (isLow ? 1 : 0));
  const natural = logPlusOne((isLow ? 2n * mantissa : mantissa) - ONE);
  return fromFixed(exponent * ONE + quotient(natural, LN_2));
}

type PopOperation = (context: Context, y: Float, x: Float) => Float;

function popResult(context: Context, y: Float, x: Float, operation: PopOperation): Float {
  if (x.kind === 'unsupported' || y.kind === 'unsupported') return invalid(context);
  if (x.kind === 'signalling' || y.kind === 'signalling') context.flags |= EXCEPTION.INVALID;
  const nan = propagate(y, x);
  if (nan) return nan;
  const result = operation(context, y, x);
  const earlier = context.flags & (EXCEPTION.INVALID | EXCEPTION.ZERO_DIVIDE);
  if (!earlier && (x.denormal || y.denormal)) context.flags |= EXCEPTION.DENORMAL;
  return result;
}

/** ST(1) = f(ST(1), ST(0)), then pop. */
export function popOperation(fpu: X87, operation: PopOperation): void {
  if (fpu.isEmpty(0) || fpu.isEmpty(1)) {
    if (fpu.underflowed()) return;
    fpu.set(1, INDEFINITE);
    fpu.pop();
    return;
  }
  const context = fpu.context(true);
  const result = popResult(context, fpu.get(1), fpu.get(0), operation);
  const written = fpu.conclude(context, result);
  if (written === undefined) return;
  fpu.set(1, written);
  fpu.pop();
}

/** y * logarithm; either may be zero or infinite. */
function scaled(context: Context, y: Float, factor: Float): Float {
  const kinds = [y.kind, factor.kind];
  const sign = y.sign ^ factor.sign;
  if (kinds.includes('infinity')) return kinds.includes('zero') ? invalid(context) : infinity(sign);
  if (kinds.includes('zero')) return zero(sign);
  return inexact(context, times(y, factor));
}

/** y * log2(x). */
export function logarithm(context: Context, y: Float, x: Float): Float {
  if (x.kind === 'zero' && y.kind === 'finite') {
    context.flags |= EXCEPTION.ZERO_DIVIDE;
    return infinity(1 - y.sign);
  }
  if (x.sign && x.kind !== 'zero') return invalid(context);
  if (x.kind === 'zero') return scaled(context, y, infinity(1));
  return scaled(context, y, x.kind === 'infinity' ? x : log2(x));
}

/** The exact sum 1 + x of a finite number that is not tiny. */
function plusOne(x: Float): Float {
  if (x.exponent > 0)
    return {
      ...x,
      significand: (x.significand << BigInt(x.exponent)) + (x.sign ? -1n : 1n),
      exponent: 0,
    };
  const one = 1n << BigInt(-x.exponent);
  const sum = x.sign ? one - x.significand : one + x.significand;
  return finite(sum < 0n ? 1 : 0, sum < 0n ? -sum : sum, x.exponent);
}

/** y * log2(x + 1). */
export function logarithmPlusOne(context: Context, y: Float, x: Float): Float {
  if (x.kind === 'zero') return scaled(context, y, x);
  if (x.kind === 'infinity') return x.sign ? invalid(context) : scaled(context, y, x);
  if (isTiny(x)) return scaled(context, y, tinyLog2(x));
  const sum = plusOne(x);
  if (sum.kind === 'zero') return scaled(context, y, infinity(1));
  return sum.sign ? invalid(context) : scaled(context, y, log2(sum));
}

/** log2(1 + x) = x / ln 2 * (1 - x/2 + x^2/3 …) */
function tinyLog2(x: Float): Float {
  const t = toFixed(x);
  return times(times(x, LOG2_E), fromFixed(ONE - t / 2n + product(t, t) / 3n));
}

/** atan2(y, x). */
export function arctangent(context: Context, y: Float, x: Float): Float {
  if (y.kind === 'zero' && !x.sign) return y;
  if (y.kind === 'finite' && x.kind === 'finite' && !x.sign) {
    const tangentOf = ratio({ ...y, denormal: false }, x);
    if (isTiny(tangentOf)) return inexact(context, tinyOdd(tangentOf, -1n, 3n));
  }
  const angle = x.sign ? PI - acute(y, x) : acute(y, x);
  return inexact(context, fromFixed(y.sign ? -angle : angle));
}

/** The angle of |y| over |x|, from 0 to pi/2, in fixed point. */
function acute(y: Float, x: Float): bigint {
  if (y.kind === 'infinity') return x.kind === 'infinity' ? PI / 4n : PI / 2n;
  if (x.kind === 'infinity' || y.kind === 'zero') return 0n;
  if (x.kind === 'zero') return PI / 2n;
  const isSteep = compareMagnitudes(y, x) > 0;
  const below = ratio(isSteep ? x : y, isSteep ? y : x);
  const angle = arcTangent(toFixed({ ...below, sign: 0 }));
  return isSteep ? PI / 2n - angle : angle;
}

const compareMagnitudes = (x: Float, y: Float): number =>
  compareFloats({ ...x, sign: 0 }, { ...y, sign: 0 });
