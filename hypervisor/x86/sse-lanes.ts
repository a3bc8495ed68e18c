/** What each SSE floating-point operation does to one lane, exactly: flags, rounding, NaNs, denormals. */
// Spec: SDM 1 §11.5 (SSE exceptions), §4.8.3.5 (NaNs), table 11-1.

import {
  add,
  type Context,
  compareFloats,
  decode,
  divide,
  EXCEPTION,
  encode,
  FLOAT32,
  FLOAT64,
  type Float,
  type Format,
  finite,
  isNan,
  multiply,
  negated,
  quieted,
  ROUND,
  round,
  roundToInteger,
  squareRoot,
  zero,
} from './soft-float.js';

/** SSE's context: the rounding one, and whether denormal operands count as zero. */
export interface SseContext extends Context {
  readonly denormalsAreZero: boolean;
}

/** Bits of one lane of both operands in, of the result out. */
export type Lane = (context: SseContext, left: bigint, right: bigint, immediate: number) => bigint;

const operand = (context: SseContext, bits: bigint, format: Format): Float => {
  const value = decode(bits, format);
  return value.denormal && context.denormalsAreZero ? zero(value.sign) : value;
};

/** The NaN that an operation on these gives; the first operand's wins. */
function propagate(context: SseContext, x: Float, y: Float): Float {
  if (x.kind === 'signalling' || y.kind === 'signalling') context.flags |= EXCEPTION.INVALID;
  return quieted(isNan(x) ? x : y);
}

const noteDenormals = (context: SseContext, ...operands: readonly Float[]): void => {
  if (operands.some((x) => x.denormal)) context.flags |= EXCEPTION.DENORMAL;
};

const binary =
  (format: Format, operation: (context: Context, x: Float, y: Float) => Float): Lane =>
  (context, left, right) => {
    const x = operand(context, left, format);
    const y = operand(context, right, format);
    if (isNan(x) || isNan(y)) return encode(propagate(context, x, y), format);
    const result = operation(context, x, y);
    // Invalid operations and divisions by zero come before denormal operands.
    if ((context.flags & (EXCEPTION.INVALID | EXCEPTION.ZERO_DIVIDE)) === 0)
      noteDenormals(context, x, y);
    return encodeFitting(context, result, format);
  };

/** An unmasked overflow or underflow leaves a number that does not fit: it traps, nobody sees the result. */
const encodeFitting = (context: Context, x: Float, format: Format): bigint =>
  context.flags & ~context.masks ? 0n : encode(x, format);

const subtract = (context: Context, x: Float, y: Float): Float => add(context, x, negated(y));

const root =
  (format: Format): Lane =>
  (context, _, right) => {
    const x = operand(context, right, format);
    if (isNan(x)) return encode(propagate(context, x, x), format);
    const result = squareRoot(context, x);
    if ((context.flags & EXCEPTION.INVALID) === 0) noteDenormals(context, x);
    return encodeFitting(context, result, format);
  };

/** MIN and MAX give the second operand unless the first is strictly less, or greater: also for NaNs and zeros. */
const extreme =
  (format: Format, wanted: -1 | 1): Lane =>
  (context, left, right) => {
    const x = operand(context, left, format);
    const y = operand(context, right, format);
    if (isNan(x) || isNan(y)) {
      context.flags |= EXCEPTION.INVALID;
      return encode(y, format);
    }
    noteDenormals(context, x, y);
    return encode(compareFloats(x, y) === wanted ? x : y, format);
  };

const SIGNALLING_PREDICATES = 0b0110_0110; // LT, LE, NLT, NLE

function holds(predicate: number, order: number | undefined): boolean {
  const base = [order === 0, order === -1, order !== undefined && order <= 0, order === undefined];
  const result = base[predicate & 3] ?? false;
  return predicate & 4 ? !result : result;
}

/** @returns how the operands compare, undefined if unordered. */
function order(
  context: SseContext,
  x: Float,
  y: Float,
  quietIsInvalid: boolean,
): number | undefined {
  if (isNan(x) || isNan(y)) {
    const signals = quietIsInvalid || x.kind === 'signalling' || y.kind === 'signalling';
    if (signals) context.flags |= EXCEPTION.INVALID;
    return undefined;
  }
  noteDenormals(context, x, y);
  return compareFloats(x, y);
}

const compare =
  (format: Format, bits: number): Lane =>
  (context, left, right, immediate) => {
    const predicate = immediate & 7;
    const signals = ((SIGNALLING_PREDICATES >> predicate) & 1) === 1;
    const x = operand(context, left, format);
    const y = operand(context, right, format);
    return holds(predicate, order(context, x, y, signals)) ? (1n << BigInt(bits)) - 1n : 0n;
  };

/** COMIS and UCOMIS: the result is RFLAGS (ZF 6, PF 2, CF 0). */
const compareToFlags =
  (format: Format, quietIsInvalid: boolean): Lane =>
  (context, left, right) => {
    const result = order(
      context,
      operand(context, left, format),
      operand(context, right, format),
      quietIsInvalid,
    );
    if (result === undefined) return 0x45n;
    return result === 0 ? 0x40n : result < 0 ? 1n : 0n;
  };

/** To a signed integer; what does not fit gives the integer indefinite. */
const toInteger =
  (format: Format, bits: number, truncate: boolean): Lane =>
  (context, _, right) => {
    const x = operand(context, right, format);
    const indefinite = 1n << BigInt(bits - 1);
    const { value, inexact } = roundToInteger(x, truncate ? ROUND.ZERO : context.rounding);
    const finiteOperand = x.kind === 'finite' || x.kind === 'zero';
    const fits = x.sign ? value <= indefinite : value < indefinite;
    if (!finiteOperand || !fits) {
      context.flags |= EXCEPTION.INVALID;
      return indefinite;
    }
    if (inexact) context.flags |= EXCEPTION.INEXACT;
    return BigInt.asUintN(bits, x.sign ? -value : value);
  };

const fromInteger =
  (format: Format, bits: number): Lane =>
  (context, _, right) => {
    const value = BigInt.asIntN(bits, right);
    const magnitude = value < 0n ? -value : value;
    return encode(round(context, finite(value < 0n ? 1 : 0, magnitude, 0)), format);
  };

const reformat =
  (from: Format, to: Format): Lane =>
  (context, _, right) => {
    const x = operand(context, right, from);
    if (isNan(x)) return encode(propagate(context, x, x), to);
    noteDenormals(context, x);
    return encodeFitting(context, round(context, x), to);
  };

/** RCP and RSQRT: no flags; denormals count as zero, results too small become zero. */
const approximate =
  (operation: (x: number) => number): Lane =>
  (_, __, right) => {
    const x = decode(right, FLOAT32);
    if (isNan(x)) return encode(quieted(x), FLOAT32);
    const cell = new DataView(new ArrayBuffer(4));
    cell.setUint32(0, x.denormal ? x.sign << 31 : Number(right));
    const result = operation(cell.getFloat32(0));
    if (Number.isNaN(result)) return 0xffc0_0000n;
    cell.setFloat32(0, Math.abs(result) < 2 ** FLOAT32.least ? 0 * result : result);
    return BigInt(cell.getUint32(0));
  };

/** One operation: how wide its lanes are, how many it has, and how it rounds. */
export interface SseOperation {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly lanes: number;
  /** The format rounded to. */
  readonly format: Format;
  readonly lane: Lane;
}

const row = (name: string, from: number, to: number, lanes: number, lane: Lane): SseOperation => ({
  name,
  from,
  to,
  lanes,
  format: to === 32 ? FLOAT32 : FLOAT64,
  lane,
});

/** The four forms of an operation: ss, sd, ps, pd. */
const four = (stem: string, make: (format: Format, bits: number) => Lane): SseOperation[] => [
  row(`${stem}ss`, 32, 32, 1, make(FLOAT32, 32)),
  row(`${stem}sd`, 64, 64, 1, make(FLOAT64, 64)),
  row(`${stem}ps`, 32, 32, 4, make(FLOAT32, 32)),
  row(`${stem}pd`, 64, 64, 2, make(FLOAT64, 64)),
];

const comparison = (name: string, bits: number, quietIsInvalid: boolean): SseOperation => ({
  ...row(name, bits, 32, 1, compareToFlags(bits === 32 ? FLOAT32 : FLOAT64, quietIsInvalid)),
  from: bits,
});

// biome-ignore format: one row per operation
export const SSE_OPERATIONS: readonly SseOperation[] = [
  ...four('add',  (format) => binary(format, add)),
  ...four('sub',  (format) => binary(format, subtract)),
  ...four('mul',  (format) => binary(format, multiply)),
  ...four('div',  (format) => binary(format, divide)),
  ...four('sqrt', root),
  ...four('min',  (format) => extreme(format, -1)),
  ...four('max',  (format) => extreme(format, 1)),
  ...four('cmp',  compare),
  comparison('ucomiss', 32, false),
  comparison('ucomisd', 64, false),
  comparison('comiss',  32, true),
  comparison('comisd',  64, true),
  row('cvtsi2ss32', 32, 32, 1, fromInteger(FLOAT32, 32)),
  row('cvtsi2ss64', 64, 32, 1, fromInteger(FLOAT32, 64)),
  row('cvtsi2sd64', 64, 64, 1, fromInteger(FLOAT64, 64)),
  row('cvtss2si32', 32, 32, 1, toInteger(FLOAT32, 32, false)),
  row('cvtss2si64', 32, 64, 1, toInteger(FLOAT32, 64, false)),
  row('cvtsd2si32', 64, 32, 1, toInteger(FLOAT64, 32, false)),
  row('cvtsd2si64', 64, 64, 1, toInteger(FLOAT64, 64, false)),
  row('cvttss2si32', 32, 32, 1, toInteger(FLOAT32, 32, true)),
  row('cvttss2si64', 32, 64, 1, toInteger(FLOAT32, 64, true)),
  row('cvttsd2si32', 64, 32, 1, toInteger(FLOAT64, 32, true)),
  row('cvttsd2si64', 64, 64, 1, toInteger(FLOAT64, 64, true)),
  row('cvtss2sd', 32, 64, 1, reformat(FLOAT32, FLOAT64)),
  row('cvtsd2ss', 64, 32, 1, reformat(FLOAT64, FLOAT32)),
  row('cvtps2pd', 32, 64, 2, reformat(FLOAT32, FLOAT64)),
  row('cvtpd2ps', 64, 32, 2, reformat(FLOAT64, FLOAT32)),
  row('cvtdq2ps', 32, 32, 4, fromInteger(FLOAT32, 32)),
  row('cvtps2dq', 32, 32, 4, toInteger(FLOAT32, 32, false)),
  row('cvttps2dq', 32, 32, 4, toInteger(FLOAT32, 32, true)),
  row('cvtpd2dq', 64, 32, 2, toInteger(FLOAT64, 32, false)),
  row('cvttpd2dq', 64, 32, 2, toInteger(FLOAT64, 32, true)),
  row('cvtpi2ps', 32, 32, 2, fromInteger(FLOAT32, 32)),
  row('cvtps2pi', 32, 32, 2, toInteger(FLOAT32, 32, false)),
  row('cvttps2pi', 32, 32, 2, toInteger(FLOAT32, 32, true)),
  row('rcpss', 32, 32, 1, approximate((x) => 1 / x)),
  row('rcpps', 32, 32, 4, approximate((x) => 1 / x)),
  row('rsqrtss', 32, 32, 1, approximate((x) => 1 / Math.sqrt(x))),
  row('rsqrtps', 32, 32, 4, approximate((x) => 1 / Math.sqrt(x))),
];

/** The number of an operation, as generated code passes it. @throws if there is none of the name. */
export function sseOperation(name: string): number {
  const index = SSE_OPERATIONS.findIndex((operation) => operation.name === name);
  if (index < 0) throw new Error(`no SSE operation ${name}`);
  return index;
}
