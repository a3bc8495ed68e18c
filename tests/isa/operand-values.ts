/** Values worth trying: the edges of every operand type, and random ones between. */

import type { Random } from './random.js';

const EDGES = [0n, 1n, 2n, 3n, 0x7fn, 0x80n, 0xffn, 0x100n, 0x7fffn, 0x8000n, 0xffffn];
const WIDE_EDGES = [
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  0x1_0000_0000n,
  0x7fff_ffff_ffff_ffffn,
  0x8000_0000_0000_0000n,
  0xffff_ffff_ffff_ffffn,
  0x5555_5555_5555_5555n,
  0xaaaa_aaaa_aaaa_aaaan,
  0x0123_4567_89ab_cdefn,
];

/** An integer of `bytes` bytes (1 to 8), an edge more often than not. */
export function integer(random: Random, bytes: number): bigint {
  const bits = bytes * 8;
  const top = 1n << BigInt(bits - 1);
  switch (random.below(8)) {
    case 0:
      return BigInt.asUintN(bits, random.pick(EDGES));
    case 1:
      return BigInt.asUintN(bits, -random.pick(EDGES));
    case 2:
      return BigInt.asUintN(bits, random.pick(WIDE_EDGES));
    case 3:
      return BigInt.asUintN(bits, top - random.pick([0n, 1n, -1n]));
    case 4:
      return BigInt.asUintN(bits, 1n << BigInt(random.below(bits)));
    case 5:
      return BigInt.asUintN(bits, BigInt(random.below(256)));
    default:
      return BigInt.asUintN(bits, random.u64());
  }
}

// biome-ignore format: one row per kind of float
const FLOAT32 = [
  0x0000_0000, 0x8000_0000, // zeros
  0x3f80_0000, 0xbf80_0000, 0x4000_0000, 0x3f00_0000, // 1, -1, 2, 0.5
  0x7f80_0000, 0xff80_0000, // infinities
  0x7fc0_0000, 0xffc0_0000, 0x7fc1_2345, 0xffe5_4321, // quiet NaNs
  0x7f80_0001, 0xff80_0001, 0x7fa1_2345, 0xffbf_ffff, // signalling NaNs
  0x0000_0001, 0x8000_0001, 0x007f_ffff, 0x807f_ffff, 0x0040_0000, // denormals
  0x0080_0000, 0x8080_0000, 0x0080_0001, // smallest normals
  0x7f7f_ffff, 0xff7f_ffff, 0x7f7f_fffe, // largest
  0x4b00_0000, 0x4b80_0000, 0x4f00_0000, 0xcf00_0000, 0x4eff_ffff, 0x5f00_0000, 0xdf00_0000, // 2^23, 2^24, 2^31, 2^63
  0x4049_0fdb, 0x3f80_0001, 0x3f7f_ffff, 0x3eaa_aaab, // pi, near 1, 1/3
];
// biome-ignore format: one row per kind of float
const FLOAT64 = [
  0x0000_0000_0000_0000n, 0x8000_0000_0000_0000n,
  0x3ff0_0000_0000_0000n, 0xbff0_0000_0000_0000n, 0x4000_0000_0000_0000n, 0x3fe0_0000_0000_0000n,
  0x7ff0_0000_0000_0000n, 0xfff0_0000_0000_0000n,
  0x7ff8_0000_0000_0000n, 0xfff8_0000_0000_0000n, 0x7ff8_1234_5678_9abcn, 0xfffc_0000_0000_4321n,
  0x7ff0_0000_0000_0001n, 0xfff0_0000_0000_0001n, 0x7ff4_1234_5678_9abcn, 0xfff7_ffff_ffff_ffffn,
  0x0000_0000_0000_0001n, 0x8000_0000_0000_0001n, 0x000f_ffff_ffff_ffffn, 0x800f_ffff_ffff_ffffn, 0x0008_0000_0000_0000n,
  0x0010_0000_0000_0000n, 0x8010_0000_0000_0000n, 0x0010_0000_0000_0001n,
  0x7fef_ffff_ffff_ffffn, 0xffef_ffff_ffff_ffffn, 0x7fef_ffff_ffff_fffen,
  0x4330_0000_0000_0000n, 0x41e0_0000_0000_0000n, 0xc1e0_0000_0000_0000n, 0x41df_ffff_ffc0_0000n, 0x41df_ffff_ffe0_0000n,
  0x43e0_0000_0000_0000n, 0xc3e0_0000_0000_0000n, 0xc1e0_0000_0020_0000n,
  0x4009_21fb_5444_2d18n, 0x3ff0_0000_0000_0001n, 0x3fef_ffff_ffff_ffffn, 0x3fd5_5555_5555_5555n,
  0x47ef_ffff_f000_0000n, 0x47ef_ffff_e000_0000n, 0x3810_0000_0000_0000n, 0x380f_ffff_ffff_ffffn, 0x36a0_0000_0000_0000n, // edges of float32
];
const HALVES = [0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 3.5, 0.75, -1.25, 1e5 + 0.5, -3e9, 1e18, 7, -100];

const bits64 = new DataView(new ArrayBuffer(8));

function ordinary(random: Random): number {
  if (random.oneIn(4)) return random.pick(HALVES);
  return (random.u32() / 0x8000_0000 - 1) * 2 ** (random.below(60) - 30);
}

/** The bits of a float32. */
export function float32(random: Random): bigint {
  const kind = random.below(8);
  if (kind < 4) return BigInt(random.pick(FLOAT32));
  if (kind === 4) return BigInt(random.u32());
  bits64.setFloat32(0, ordinary(random));
  return BigInt(bits64.getUint32(0));
}

/** The bits of a float64. */
export function float64(random: Random): bigint {
  const kind = random.below(8);
  if (kind < 4) return random.pick(FLOAT64);
  if (kind === 4) return random.u64();
  bits64.setFloat64(0, ordinary(random));
  return bits64.getBigUint64(0);
}

const INTEGER_BIT = 1n << 63n;
const FLOAT80_SIGNIFICANDS = [
  INTEGER_BIT,
  INTEGER_BIT | 1n,
  INTEGER_BIT | 0x3ffn,
  INTEGER_BIT | 0x400n,
  INTEGER_BIT | 0x7ffn,
  INTEGER_BIT | (1n << 62n),
  0xffff_ffff_ffff_ffffn,
  0xffff_ffff_ffff_fc00n,
];
const FLOAT80_EXPONENTS = [0x3fff, 0x3ffe, 0x4000, 1, 0x7ffe, 0x3c01, 0x43fe, 0x3f81, 0x407e];

/** The bits of a float80: sign and exponent in bits 79 to 64. */
export function float80(random: Random): bigint {
  const sign = BigInt(random.below(2)) << 79n;
  const significand = random.oneIn(2)
    ? random.pick(FLOAT80_SIGNIFICANDS)
    : random.u64() | INTEGER_BIT;
  switch (random.below(10)) {
    case 0:
      return sign;
    case 1:
      return sign | (0x7fffn << 64n) | INTEGER_BIT; // infinity
    case 2:
      return sign | (0x7fffn << 64n) | significand; // NaNs, mostly
    case 3:
      return sign | (significand & ~INTEGER_BIT); // denormal
    case 4:
      return sign | (BigInt(random.pick(FLOAT80_EXPONENTS)) << 64n) | significand;
    default:
      return sign | (BigInt(0x3fff + random.below(80) - 40) << 64n) | significand;
  }
}

/** How the 16 bytes of an XMM register are to be read. */
export type Lanes = 'float32' | 'float64' | 'integer';

/** The bytes of a vector: its lanes edges or random. */
export function vectorBytes(random: Random, lanes: Lanes, bytes: number): Uint8Array {
  const result = new Uint8Array(16);
  const view = new DataView(result.buffer);
  if (lanes === 'float32')
    for (let at = 0; at < 16; at += 4) view.setUint32(at, Number(float32(random)), true);
  else if (lanes === 'float64')
    for (let at = 0; at < 16; at += 8) view.setBigUint64(at, float64(random), true);
  else {
    const width = random.pick([1, 2, 4, 8]);
    for (let at = 0; at < 16; at += width) {
      const value = integer(random, width);
      for (let i = 0; i < width; i++) result[at + i] = Number((value >> BigInt(8 * i)) & 0xffn);
    }
  }
  return result.subarray(0, bytes);
}
