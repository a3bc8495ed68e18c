/** Exact arithmetic against the host's own: doubles and singles to nearest, which JavaScript has. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  add,
  type Context,
  compareFloats,
  decode,
  divide,
  encode,
  FLOAT32,
  FLOAT64,
  type Float,
  type Format,
  isNan,
  multiply,
  ROUND,
  round,
  squareRoot,
} from '../../hypervisor/x86/soft-float.js';
import { quickLane, quickOperation } from '../../hypervisor/x86/sse-quick.js';
import { decode80, encode80 } from '../../hypervisor/x86/x87-state.js';

const cell = new DataView(new ArrayBuffer(8));
const bitsOf = (value: number): bigint => {
  cell.setFloat64(0, value);
  return cell.getBigUint64(0);
};
const numberOf = (bits: bigint): number => {
  cell.setBigUint64(0, bits);
  return cell.getFloat64(0);
};

const context = (format: Format, rounding: number = ROUND.NEAREST): Context => ({
  format,
  rounding,
  masks: 0x3f,
  flush: false,
  flags: 0,
  roundedUp: false,
});

/** Any bits: denormals, zeros and infinities as often as they come up. */
const anyDouble = fc.double({ noNaN: true });
const operations = [
  ['add', add, (x: number, y: number) => x + y],
  ['multiply', multiply, (x: number, y: number) => x * y],
  ['divide', divide, (x: number, y: number) => x / y],
  ['squareRoot', (c: Context, x: Float) => squareRoot(c, x), (x: number) => Math.sqrt(x)],
] as const;

describe('to nearest, doubles are what the host makes of them', () => {
  test.each(operations)('%s', (_, exact, native) => {
    fc.assert(
      fc.property(anyDouble, anyDouble, (x, y) => {
        const result = exact(
          context(FLOAT64),
          decode(bitsOf(x), FLOAT64),
          decode(bitsOf(y), FLOAT64),
        );
        const expected = native(x, y);
        if (Number.isNaN(expected)) expect(isNan(result)).toBe(true);
        else expect(numberOf(encode(result, FLOAT64))).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });
});

test('a double becomes the single that the host makes of it', () => {
  fc.assert(
    fc.property(anyDouble, (x) => {
      const single = round(context(FLOAT32), decode(bitsOf(x), FLOAT64));
      cell.setUint32(0, Number(encode(single, FLOAT32)));
      expect(cell.getFloat32(0)).toBe(Math.fround(x));
    }),
    { numRuns: 2000 },
  );
});

test('rounding down and up enclose the value, and differ only if it is inexact', () => {
  fc.assert(
    fc.property(anyDouble, anyDouble, (x, y) => {
      const operands = [decode(bitsOf(x), FLOAT64), decode(bitsOf(y), FLOAT64)] as const;
      const [down, up] = [context(FLOAT64, ROUND.DOWN), context(FLOAT64, ROUND.UP)];
      const [low, high] = [add(down, ...operands), add(up, ...operands)];
      if (isNan(low)) return;
      const isExact = (down.flags & 0x20) === 0;
      expect(compareFloats(low, high)).toBe(isExact ? 0 : -1);
    }),
  );
});

test('every 80-bit pattern that is a number survives decoding and encoding', () => {
  const significand = fc.bigInt({ min: 1n << 63n, max: (1n << 64n) - 1n });
  fc.assert(
    fc.property(significand, fc.integer({ min: 1, max: 0xfffe }), (bits, signExponent) => {
      fc.pre((signExponent & 0x7fff) !== 0 && (signExponent & 0x7fff) !== 0x7fff);
      const raw = { significand: bits, signExponent };
      expect(encode80(decode80(raw))).toEqual(raw);
    }),
  );
});

describe('the quick way, where it dares an answer, agrees with the exact one', () => {
  const middling = fc.double({ noNaN: true, min: -1e60, max: 1e60 });
  test.each(['addsd', 'subsd', 'mulsd', 'divsd', 'sqrtsd'])('%s', (name) => {
    const operation = quickOperation(name)!;
    const [, exact] =
      operations.find(([full]) => full.startsWith(name === 'sqrtsd' ? 'sq' : name.slice(0, 3))) ??
      operations[0];
    const sign = name === 'subsd' ? -1 : 1;
    fc.assert(
      fc.property(middling, fc.oneof(middling, fc.integer()), (x, y) => {
        const out = { value: 0, exact: false };
        if (!quickLane(operation, true, out, x, y)) return;
        const c = context(FLOAT64);
        const left = decode(bitsOf(operation.isUnary ? y : x), FLOAT64);
        const result = exact(c, left, decode(bitsOf(sign * y), FLOAT64));
        fc.pre(!isNan(result));
        expect(bitsOf(out.value)).toBe(encode(result, FLOAT64));
        expect(out.exact).toBe((c.flags & 0x20) === 0);
      }),
      { numRuns: 2000 },
    );
  });
});
