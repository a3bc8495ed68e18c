/** x87 transcendental functions and constants. Functions are the host's, near enough to double precision. */
// Spec: SDM 1 §8.3.5 to §8.3.7; SDM 2A: F2XM1, FYL2X, FYL2XP1, FPTAN, FPATAN, FSIN, FCOS, FSINCOS, FLD1 ...

import {
  add,
  bitLength,
  type Context,
  decode,
  divide,
  EXCEPTION,
  FLOAT64,
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

/** The nearest number of the host. */
function toNumber(x: Float): number {
  if (x.kind === 'zero') return x.sign ? -0 : 0;
  if (x.kind === 'infinity') return x.sign ? -Infinity : Infinity;
  if (x.kind !== 'finite') return Number.NaN;
  const length = bitLength(x.significand);
  const fraction = Number(x.significand) * 2 ** -length; // in [0.5, 1]
  const exponent = x.exponent + length;
  // In two steps: a denormal result must be rounded once only.
  const value =
    exponent < -1000 ? fraction * 2 ** -1000 * 2 ** (exponent + 1000) : fraction * 2 ** exponent;
  return x.sign ? -value : value;
}

const cell = new DataView(new ArrayBuffer(8));
function fromNumber(value: number): Float {
  cell.setFloat64(0, value);
  const x = decode(cell.getBigUint64(0), FLOAT64);
  return { ...x, denormal: false };
}

const inexact = (context: Context, value: number): Float => {
  context.flags |= EXCEPTION.INEXACT;
  return round(context, fromNumber(value));
};

// ---- trigonometry

const PI_BITS = 256;
/** Half of the processor's pi, which has 66 bits (SDM 1 §8.3.8), times 2^256. */
const HALF_PI = 0xc90fdaa22168c234cn << BigInt(PI_BITS - 67);

/** An angle as quadrant and rest in [-pi/4, pi/4], the rest as a number of the host. */
function reduce(x: Float): { quadrant: number; rest: number } {
  const shift = x.exponent + PI_BITS;
  const scaled = shift >= 0 ? x.significand << BigInt(shift) : x.significand >> BigInt(-shift);
  const turns = (scaled + HALF_PI / 2n) / HALF_PI;
  const rest = scaled - turns * HALF_PI;
  const small =
    turns === 0n
      ? Math.abs(toNumber(x))
      : toNumber(finite(rest < 0n ? 1 : 0, rest < 0n ? -rest : rest, -PI_BITS));
  return { quadrant: Number(turns & 3n), rest: small };
}

function sine(x: Float, quarter: number): number {
  const { quadrant, rest } = reduce(x);
  const turned = (quadrant + quarter) & 3;
  const value = turned & 1 ? Math.cos(rest) : Math.sin(rest);
  const positive = turned < 2 ? value : -value;
  return quarter === 0 && x.sign ? -positive : positive;
}

const TOO_LARGE = 63;
const isTooLarge = (x: Float) =>
  x.kind === 'finite' && x.exponent + bitLength(x.significand) > TOO_LARGE;

type Outcome = { readonly values: readonly Float[] } | 'reduce';
type Angle = (context: Context, x: Float) => readonly Float[];

const ONE = finite(0, 1n, 0);
const sin: Angle = (context, x) => [x.kind === 'zero' ? x : inexact(context, sine(x, 0))];
const cos: Angle = (context, x) => [x.kind === 'zero' ? ONE : inexact(context, sine(x, 1))];
const tan: Angle = (context, x) => [
  x.kind === 'zero' ? x : inexact(context, sine(x, 0) / sine(x, 1)),
  ONE,
];
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

/** 2^x - 1 for -1 <= x <= 1; outside the result is undefined. */
export function exponential(context: Context, x: Float): Float {
  if (x.kind === 'infinity') return x.sign ? finite(1, 1n, 0) : x;
  if (x.kind === 'zero') return x;
  const value = toNumber(x);
  if (Math.abs(value) === 1) return finite(x.sign, 1n, x.sign ? -1 : 0);
  // The product is rounded to a double, so tiny arguments keep their relative precision.
  return inexact(context, Math.expm1(value * Math.LN2));
}

function log2(x: Float): number {
  const value = toNumber(x);
  if (x.kind !== 'finite' || x.sign || value < 0.5 || value > 2) {
    const length = bitLength(x.significand);
    if (x.kind !== 'finite' || x.sign) return Math.log2(value);
    return Math.log2(Number(x.significand) * 2 ** -length) + x.exponent + length;
  }
  // Near one, log2 is all about the distance from it.
  const exact: Context = {
    format: { precision: 64, least: -16382, greatest: 16383 },
    rounding: 0,
    masks: 0x3f,
    flush: false,
    flags: 0,
    roundedUp: false,
  };
  return Math.log1p(toNumber(add(exact, { ...x, denormal: false }, finite(1, 1n, 0)))) / Math.LN2;
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

/** y * logarithm in the exponent range of a register; either may be zero or infinite. */
function scaled(context: Context, y: Float, logarithm: number): Float {
  const factor = fromNumber(logarithm);
  const kinds = [y.kind, factor.kind];
  const sign = y.sign ^ factor.sign;
  if (kinds.includes('infinity')) return kinds.includes('zero') ? invalid(context) : infinity(sign);
  if (kinds.includes('zero')) return zero(sign);
  context.flags |= EXCEPTION.INEXACT;
  const product = y.significand * factor.significand;
  return round(context, finite(sign, product, y.exponent + factor.exponent));
}

/** y * log2(x). */
export function logarithm(context: Context, y: Float, x: Float): Float {
  if (x.kind === 'zero' && y.kind === 'finite') {
    context.flags |= EXCEPTION.ZERO_DIVIDE;
    return infinity(1 - y.sign);
  }
  if (x.sign && x.kind !== 'zero') return invalid(context);
  return scaled(context, y, log2(x));
}

/** y * log2(x + 1). */
export function logarithmPlusOne(context: Context, y: Float, x: Float): Float {
  if (x.kind === 'zero') return scaled(context, y, x.sign ? -0 : 0);
  const value = toNumber(x);
  if (value < -1) return invalid(context);
  if (Math.abs(value) >= 2 ** -60) return scaled(context, y, Math.log1p(value) / Math.LN2);
  // log2(1 + x) = x / ln 2 where x is tiny, perhaps smaller than a double can be.
  if (y.kind !== 'finite') return scaled(context, y, x.sign ? -1 : 1);
  const product = finite(x.sign ^ y.sign, x.significand * y.significand, x.exponent + y.exponent);
  return scaled(context, product, 1 / Math.LN2);
}

/** A number times a power of two. */
const shifted = (x: Float, by: number): Float =>
  x.kind === 'finite' ? { ...x, exponent: x.exponent + by, denormal: false } : x;
const magnitude = (x: Float): number =>
  x.kind === 'finite' ? x.exponent + bitLength(x.significand) : -0x8000;

/** atan2(y, x). Only the ratio counts, so both are brought to where the host's numbers can hold the larger. */
export function arctangent(context: Context, y: Float, x: Float): Float {
  if (y.kind === 'zero' && !x.sign) return y;
  const by = -Math.max(magnitude(y), magnitude(x));
  const value = Math.atan2(toNumber(shifted(y, by)), toNumber(shifted(x, by)));
  if (value !== 0 || y.kind !== 'finite') return inexact(context, value);
  context.flags |= EXCEPTION.INEXACT;
  return divide(context, shifted(y, 0), shifted(x, 0)); // so small that it equals its tangent
}
