/**
 * Floating point in exact integers: every format, rounding mode and exception flag of SSE and x87.
 *
 * The slow path behind the processor's own arithmetic (WebAssembly's, always to nearest), and all of x87.
 * A finite number is significand * 2^exponent with an integer significand, so nothing is lost before `round`.
 */
// Spec: SDM 1 §4.8 (formats, rounding), §4.9 (exceptions and their priority).

/** A binary format: bits of its significand, exponents of its smallest and largest normal numbers. */
export interface Format {
  readonly precision: number;
  readonly least: number;
  readonly greatest: number;
}
export const FLOAT32: Format = { precision: 24, least: -126, greatest: 127 };
export const FLOAT64: Format = { precision: 53, least: -1022, greatest: 1023 };
export const FLOAT80: Format = { precision: 64, least: -16382, greatest: 16383 };

/** Exceptions as in MXCSR bits 5-0 and the x87 status word. */
// biome-ignore format: one row
export const EXCEPTION = { INVALID: 1, DENORMAL: 2, ZERO_DIVIDE: 4, OVERFLOW: 8, UNDERFLOW: 16, INEXACT: 32 } as const;

/** Rounding control as encoded in MXCSR and the x87 control word. */
export const ROUND = { NEAREST: 0, DOWN: 1, UP: 2, ZERO: 3 } as const;

export type Kind = 'zero' | 'finite' | 'infinity' | 'quiet' | 'signalling' | 'unsupported';

export interface Float {
  readonly kind: Kind;
  /** 1 = negative. */
  readonly sign: number;
  readonly exponent: number;
  /** Of a NaN: its fraction, aligned to 63 bits so that formats convert. */
  readonly significand: bigint;
  /** Denormal (or pseudo-denormal) as an operand. */
  readonly denormal: boolean;
}

/** How to round, and what came of it. */
export interface Context {
  readonly format: Format;
  readonly rounding: number;
  /** Exception masks, bit = 1: masked. */
  readonly masks: number;
  /** Flush masked underflows to zero. */
  readonly flush: boolean;
  /** Exceptions so far. */
  flags: number;
  /** The last rounding went away from zero: C1 of x87. */
  roundedUp: boolean;
}

const QUIET_BIT = 1n << 62n;
const FRACTION_63 = (1n << 63n) - 1n;

/** Bits of a non-negative integer. */
export function bitLength(value: bigint): number {
  let rest = value;
  let bits = 0;
  for (; rest >= 0x1_0000_0000n; rest >>= 32n) bits += 32;
  return bits + 32 - Math.clz32(Number(rest));
}

const make = (kind: Kind, sign: number, exponent = 0, significand = 0n): Float => ({
  kind,
  sign,
  exponent,
  significand,
  denormal: false,
});
export const zero = (sign: number): Float => make('zero', sign);
export const infinity = (sign: number): Float => make('infinity', sign);
export const finite = (sign: number, significand: bigint, exponent: number): Float =>
  significand === 0n ? zero(sign) : make('finite', sign, exponent, significand);
/** The default NaN: negative, quiet, no payload. */
export const INDEFINITE: Float = make('quiet', 1, 0, QUIET_BIT);

export const isNan = (x: Float): boolean => x.kind === 'quiet' || x.kind === 'signalling';

/** The number in the bits of a float32 (24) or float64 (53). */
export function decode(bits: bigint, format: Format): Float {
  const fractionBits = BigInt(format.precision - 1);
  const fraction = bits & ((1n << fractionBits) - 1n);
  const biased = Number((bits >> fractionBits) & BigInt(2 * format.greatest + 1));
  const sign =
    Number(bits >> (fractionBits + BigInt(bitLength(BigInt(2 * format.greatest + 1))))) & 1;
  if (biased === 2 * format.greatest + 1) {
    if (fraction === 0n) return infinity(sign);
    const payload = fraction << (63n - fractionBits);
    return make(payload & QUIET_BIT ? 'quiet' : 'signalling', sign, 0, payload);
  }
  if (biased === 0) {
    if (fraction === 0n) return zero(sign);
    const exponent = format.least - format.precision + 1;
    return { ...make('finite', sign, exponent, fraction), denormal: true };
  }
  const exponent = biased - format.greatest - format.precision + 1;
  return make('finite', sign, exponent, fraction | (1n << fractionBits));
}

/** The bits of a float32 or float64. A finite number must fit the format exactly: see `round`. */
export function encode(x: Float, format: Format): bigint {
  const fractionBits = BigInt(format.precision - 1);
  const special = BigInt(2 * format.greatest + 1);
  const sign = BigInt(x.sign) << (fractionBits + BigInt(bitLength(special)));
  switch (x.kind) {
    case 'zero':
      return sign;
    case 'infinity':
      return sign | (special << fractionBits);
    case 'finite': {
      const [significand, biased] = normalise(x, format);
      return sign | (BigInt(biased) << fractionBits) | (significand & ((1n << fractionBits) - 1n));
    }
    default:
      return sign | (special << fractionBits) | (x.significand >> (63n - fractionBits));
  }
}

/** Significand with `precision` bits and biased exponent; exponent 0 for what is denormal in the format. */
export function normalise(x: Float, format: Format): [significand: bigint, biased: number] {
  const shift = format.precision - bitLength(x.significand);
  const exponent = x.exponent - shift + format.precision - 1;
  if (exponent >= format.least)
    return [shiftLeft(x.significand, shift), exponent + format.greatest];
  return [shiftLeft(x.significand, x.exponent - (format.least - format.precision + 1)), 0];
}

const shiftLeft = (value: bigint, by: number): bigint =>
  by >= 0 ? value << BigInt(by) : value >> BigInt(-by);

/** A NaN as an operation hands it on: quiet. */
export const quieted = (x: Float): Float => ({
  ...x,
  kind: 'quiet',
  significand: (x.significand | QUIET_BIT) & FRACTION_63,
});

/** An invalid operation: raises the flag, gives the default NaN. */
export function invalid(context: Context): Float {
  context.flags |= EXCEPTION.INVALID;
  return INDEFINITE;
}

/** Drops `shift` low bits of a magnitude, rounding. `inexact` says whether they held anything. */
function dropBits(
  significand: bigint,
  shift: number,
  sign: number,
  rounding: number,
): { value: bigint; inexact: boolean; up: boolean } {
  if (shift <= 0) return { value: significand << BigInt(-shift), inexact: false, up: false };
  const count = BigInt(shift);
  const value = significand >> count;
  const rest = significand - (value << count);
  if (rest === 0n) return { value, inexact: false, up: false };
  const half = 1n << (count - 1n);
  const tie = rest === half;
  const up =
    rounding === ROUND.NEAREST
      ? rest > half || (tie && (value & 1n) === 1n)
      : rounding === (sign ? ROUND.DOWN : ROUND.UP);
  return { value: up ? value + 1n : value, inexact: true, up };
}

function overflow(context: Context, sign: number): Float {
  const { format, rounding } = context;
  context.flags |= EXCEPTION.OVERFLOW | EXCEPTION.INEXACT;
  const toInfinity = rounding === ROUND.NEAREST || rounding === (sign ? ROUND.DOWN : ROUND.UP);
  context.roundedUp = toInfinity;
  if (toInfinity) return infinity(sign);
  const significand = (1n << BigInt(format.precision)) - 1n;
  return finite(sign, significand, format.greatest - format.precision + 1);
}

/** A result below the normal numbers: flushed, or rounded to a denormal (SDM 1 §4.9.1.5). */
function underflow(context: Context, x: Float): Float {
  const { format, rounding } = context;
  if (context.flush) {
    context.flags |= EXCEPTION.UNDERFLOW | EXCEPTION.INEXACT;
    return zero(x.sign);
  }
  const exponent = format.least - format.precision + 1;
  const { value, inexact, up } = dropBits(x.significand, exponent - x.exponent, x.sign, rounding);
  if (inexact) context.flags |= EXCEPTION.UNDERFLOW | EXCEPTION.INEXACT;
  context.roundedUp = up;
  return finite(x.sign, value, exponent);
}

/** Rounds a finite number to the format: overflow, underflow and inexact are raised here. */
export function round(context: Context, x: Float): Float {
  if (x.kind !== 'finite') return x;
  const { precision, least, greatest } = context.format;
  const shift = bitLength(x.significand) - precision;
  const { value, inexact, up } = dropBits(x.significand, shift, x.sign, context.rounding);
  const exponent = x.exponent + shift;
  const leading = exponent + bitLength(value) - 1;
  const rounded = finite(x.sign, value, exponent);
  // Tininess is detected after rounding, as if the exponent were unbounded.
  const trouble =
    leading < least ? EXCEPTION.UNDERFLOW : leading > greatest ? EXCEPTION.OVERFLOW : 0;
  if (trouble & context.masks)
    return trouble === EXCEPTION.UNDERFLOW ? underflow(context, x) : overflow(context, x.sign);
  context.roundedUp = up;
  context.flags |= trouble | (inexact ? EXCEPTION.INEXACT : 0);
  return rounded; // out of range only if that exception is not masked
}

/** Rounds to an integer value. */
export function roundToInteger(
  x: Float,
  rounding: number,
): { value: bigint; inexact: boolean; up: boolean } {
  if (x.kind !== 'finite') return { value: 0n, inexact: false, up: false };
  // Far below one, only "not zero" matters; the shift must stay small.
  const shift = Math.min(-x.exponent, bitLength(x.significand) + 2);
  return dropBits(x.significand, shift, x.sign, rounding);
}

/** More bits than any rounding looks at: what lies further below is only "something". */
const FAR = 140;

/** The exact sum of two finite numbers or zeros, or one that rounds alike. */
function exactSum(context: Context, x: Float, y: Float): Float {
  const [top, bottom] =
    x.exponent + bitLength(x.significand) >= y.exponent + bitLength(y.significand)
      ? [x, y]
      : [y, x];
  let exponent = Math.min(top.exponent, bottom.exponent);
  let high = top.significand;
  let lower = bottom.significand;
  if (top.exponent - bottom.exponent - bitLength(lower) > FAR) {
    exponent = top.exponent - FAR;
    high <<= BigInt(FAR);
    lower = 1n;
  } else {
    high <<= BigInt(top.exponent - exponent);
    lower <<= BigInt(bottom.exponent - exponent);
  }
  if (top.sign === bottom.sign) return finite(top.sign, high + lower, exponent);
  const difference = high - lower;
  if (difference === 0n) return zero(context.rounding === ROUND.DOWN ? 1 : 0);
  return finite(
    difference < 0n ? 1 - top.sign : top.sign,
    difference < 0n ? -difference : difference,
    exponent,
  );
}

// ---- operations on numbers that are no NaN; NaNs are the caller's, SSE and x87 choose differently

export function add(context: Context, x: Float, y: Float): Float {
  if (x.kind === 'infinity')
    return y.kind === 'infinity' && x.sign !== y.sign ? invalid(context) : x;
  if (y.kind === 'infinity') return y;
  if (x.kind === 'zero' && y.kind === 'zero')
    return zero(x.sign === y.sign ? x.sign : context.rounding === ROUND.DOWN ? 1 : 0);
  if (x.kind === 'zero') return round(context, y);
  if (y.kind === 'zero') return round(context, x);
  return round(context, exactSum(context, x, y));
}

export const negated = (x: Float): Float => ({ ...x, sign: 1 - x.sign });

export function multiply(context: Context, x: Float, y: Float): Float {
  const sign = x.sign ^ y.sign;
  if (x.kind === 'infinity' || y.kind === 'infinity')
    return x.kind === 'zero' || y.kind === 'zero' ? invalid(context) : infinity(sign);
  if (x.kind === 'zero' || y.kind === 'zero') return zero(sign);
  return round(context, finite(sign, x.significand * y.significand, x.exponent + y.exponent));
}

export function divide(context: Context, x: Float, y: Float): Float {
  const sign = x.sign ^ y.sign;
  if (x.kind === 'infinity') return y.kind === 'infinity' ? invalid(context) : infinity(sign);
  if (y.kind === 'infinity') return zero(sign);
  if (y.kind === 'zero') {
    if (x.kind === 'zero') return invalid(context);
    context.flags |= EXCEPTION.ZERO_DIVIDE;
    return infinity(sign);
  }
  if (x.kind === 'zero') return zero(sign);
  const shift = Math.max(0, 68 + bitLength(y.significand) - bitLength(x.significand));
  const dividend = x.significand << BigInt(shift);
  const quotient = dividend / y.significand;
  const sticky = dividend % y.significand === 0n ? 0n : 1n;
  return round(
    context,
    finite(sign, (quotient << 1n) | sticky, x.exponent - y.exponent - shift - 1),
  );
}

/** The integer square root. */
function integerSqrt(value: bigint): bigint {
  let root = 1n << BigInt((bitLength(value) + 1) >> 1);
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

export function squareRoot(context: Context, x: Float): Float {
  if (x.kind === 'zero') return x;
  if (x.sign) return invalid(context);
  if (x.kind === 'infinity') return x;
  let shift = Math.max(0, 136 - bitLength(x.significand));
  if ((x.exponent - shift) & 1) shift++;
  const radicand = x.significand << BigInt(shift);
  const root = integerSqrt(radicand);
  const sticky = root * root === radicand ? 0n : 1n;
  return round(context, finite(0, (root << 1n) | sticky, (x.exponent - shift) / 2 - 1));
}

/** -1, 0 or 1; neither may be a NaN. */
export function compareFloats(x: Float, y: Float): number {
  const [a, b] = [magnitudeOrder(x), magnitudeOrder(y)];
  if (x.kind === 'zero' && y.kind === 'zero') return 0;
  const [signA, signB] = [
    x.kind === 'zero' ? 0 : 1 - 2 * x.sign,
    y.kind === 'zero' ? 0 : 1 - 2 * y.sign,
  ];
  if (signA !== signB) return signA < signB ? -1 : 1;
  if (a !== b) return (a < b ? -1 : 1) * signA;
  if (x.kind !== 'finite') return 0;
  const exponent = Math.min(x.exponent, y.exponent);
  const left = x.significand << BigInt(x.exponent - exponent);
  const right = y.significand << BigInt(y.exponent - exponent);
  return left === right ? 0 : (left < right ? -1 : 1) * signA;
}
/** The exponent of the leading bit: decides most comparisons. */
function magnitudeOrder(x: Float): number {
  if (x.kind === 'zero') return Number.NEGATIVE_INFINITY;
  return x.kind === 'infinity' ? Number.POSITIVE_INFINITY : x.exponent + bitLength(x.significand);
}
