/** Memory operands of x87 instructions: from bits to numbers and, rounding, back. */
// Spec: SDM 1 §8.1.2 (formats), §4.7 (packed decimal), §8.3.3 (loads and stores).

import {
  type Context,
  decode,
  EXCEPTION,
  encode,
  FLOAT32,
  FLOAT64,
  type Float,
  finite,
  isNan,
  quieted,
  ROUND,
  round,
  roundToInteger,
} from './soft-float.js';
import { decode80, type Raw } from './x87-state.js';

/** What a memory operand is; the number is passed by generated code. */
// biome-ignore format: one row
export const X87_FORMAT = { NONE: 0, F32: 1, F64: 2, I16: 3, I32: 4, I64: 5, F80: 6, BCD: 7 } as const;

const WIDTH: Readonly<Record<number, number>> = {
  [X87_FORMAT.I16]: 16,
  [X87_FORMAT.I32]: 32,
  [X87_FORMAT.I64]: 64,
};

const readBits = (view: DataView, at: number, bits: number): bigint =>
  bits === 64
    ? view.getBigUint64(at, true)
    : BigInt(bits === 32 ? view.getUint32(at, true) : view.getUint16(at, true));

export const readRaw = (view: DataView, at: number): Raw => ({
  significand: view.getBigUint64(at, true),
  signExponent: view.getUint16(at + 8, true),
});
export function writeRaw(view: DataView, at: number, { significand, signExponent }: Raw): void {
  view.setBigUint64(at, significand, true);
  view.setUint16(at + 8, signExponent, true);
}

const signed = (value: bigint): Float => finite(value < 0n ? 1 : 0, value < 0n ? -value : value, 0);

function readDecimal(view: DataView, at: number): Float {
  let value = 0n;
  for (let byte = 8; byte >= 0; byte--) {
    const pair = view.getUint8(at + byte);
    value = value * 100n + BigInt((pair >> 4) * 10 + (pair & 15));
  }
  return finite(view.getUint8(at + 9) >> 7, value, 0);
}

/** The number in memory. Integers and decimals are exact. */
export function readOperand(view: DataView, at: number, format: number): Float {
  const width = WIDTH[format];
  if (width !== undefined) return signed(BigInt.asIntN(width, readBits(view, at, width)));
  if (format === X87_FORMAT.F32) return decode(readBits(view, at, 32), FLOAT32);
  if (format === X87_FORMAT.F64) return decode(readBits(view, at, 64), FLOAT64);
  return format === X87_FORMAT.BCD ? readDecimal(view, at) : decode80(readRaw(view, at));
}

function storeFloat(view: DataView, at: number, context: Context, x: Float, wide: boolean): void {
  const format = wide ? FLOAT64 : FLOAT32;
  const rounding = { ...context, format };
  let result = x;
  if (x.kind === 'unsupported' || x.kind === 'signalling') rounding.flags |= EXCEPTION.INVALID;
  if (isNan(x) || x.kind === 'unsupported') result = quieted(x);
  else result = round(rounding, { ...x, denormal: false });
  // What cannot be stored at all is not said to be inexact.
  const refused = (rounding.flags & ~context.masks & ~EXCEPTION.INEXACT) !== 0;
  context.flags = refused ? rounding.flags & ~EXCEPTION.INEXACT : rounding.flags;
  context.roundedUp = !refused && rounding.roundedUp;
  if (refused) return;
  if (wide) view.setBigUint64(at, encode(result, format), true);
  else view.setUint32(at, Number(encode(result, format)), true);
}

const LARGEST_DECIMAL = 10n ** 18n;

function storeDecimal(
  view: DataView,
  at: number,
  x: Float,
  magnitude: bigint,
  fits: boolean,
): void {
  if (!fits) {
    // Packed BCD indefinite.
    view.setBigUint64(at, 0xc000_0000_0000_0000n, true);
    view.setUint16(at + 8, 0xffff, true);
    return;
  }
  let rest = magnitude;
  for (let byte = 0; byte < 9; byte++) {
    const pair = Number(rest % 100n);
    view.setUint8(at + byte, (Math.floor(pair / 10) << 4) | (pair % 10));
    rest /= 100n;
  }
  view.setUint8(at + 9, x.sign << 7);
}

/** Whether a rounded magnitude fits the format. */
function fitsFormat(x: Float, magnitude: bigint, format: number): boolean {
  if (x.kind !== 'finite' && x.kind !== 'zero') return false;
  const width = WIDTH[format];
  if (width === undefined) return magnitude < LARGEST_DECIMAL;
  const limit = 1n << BigInt(width - 1);
  return x.sign ? magnitude <= limit : magnitude < limit;
}

function writeInteger(view: DataView, at: number, width: number, value: bigint): void {
  const bits = BigInt.asUintN(width, value);
  if (width === 64) view.setBigUint64(at, bits, true);
  else if (width === 32) view.setUint32(at, Number(bits), true);
  else view.setUint16(at, Number(bits), true);
}

function storeInteger(
  view: DataView,
  at: number,
  context: Context,
  x: Float,
  format: number,
  rounding: number,
): void {
  const { value, inexact, up } = roundToInteger(x, rounding);
  const fits = fitsFormat(x, value, format);
  if (!fits) context.flags |= EXCEPTION.INVALID;
  else if (inexact) context.flags |= EXCEPTION.INEXACT;
  context.roundedUp = fits && up;
  const width = WIDTH[format];
  if (width === undefined) storeDecimal(view, at, x, value, fits);
  else if (fits) writeInteger(view, at, width, x.sign ? -value : value);
  else writeInteger(view, at, width, 1n << BigInt(width - 1)); // the integer indefinite
}

/** Converts a number to a memory format and leaves the bits at `at`; exceptions go to the context. */
export function writeOperand(
  view: DataView,
  at: number,
  context: Context,
  x: Float,
  format: number,
  truncate: boolean,
): void {
  if (format === X87_FORMAT.F32 || format === X87_FORMAT.F64)
    storeFloat(view, at, context, x, format === X87_FORMAT.F64);
  else storeInteger(view, at, context, x, format, truncate ? ROUND.ZERO : context.rounding);
}
