/** BSWAP. Spec: SDM 2A, BSWAP; of 16 bits it is undefined, and here, as on most processors, gives zero. */

import type { Builder, Semantics, Value } from './builder.js';
import { type Family, forms } from './define.js';

/** Bytes of a 32-bit value in the other order: the pairs 3-0 and 2-1 change places by rotations. */
function reversed(b: Builder, value: Value): Value {
  const outer = b.and(b.op('i32.rotl', value, b.const(32, 8)), b.const(32, 0x00ff_00ff));
  const inner = b.and(b.op('i32.rotr', value, b.const(32, 8)), b.const(32, 0xff00_ff00 | 0));
  return b.or(outer, inner);
}

const swap: Semantics = (b, { dst, size }) => {
  const value = b.read(dst);
  if (size === 16) b.write(dst, b.const(16, 0));
  else if (size === 32) b.write(dst, reversed(b, value));
  else {
    const low = b.zeroExtend(reversed(b, b.truncate(value, 32)), 64);
    const high = b.zeroExtend(reversed(b, b.truncate(b.shrU(value, 32), 32)), 64);
    b.write(dst, b.or(b.shl(low, 32), high));
  }
};

export const byteOrder: Family = (define) => {
  define(forms('Bswap', 'r16 r32 r64'), swap);
};
