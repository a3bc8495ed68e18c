/** Numbers of WebAssembly instructions. Spec: WebAssembly core, §5.4. */

import type { Type } from '../x86/builder.js';

export const OPCODE = {
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  end: 0x0b,
  br: 0x0c,
  brIf: 0x0d,
  brTable: 0x0e,
  return: 0x0f,
  call: 0x10,
  callIndirect: 0x11,
  select: 0x1b,
  localGet: 0x20,
  localSet: 0x21,
  i32Const: 0x41,
  i64Const: 0x42,
  f32Const: 0x43,
  f64Const: 0x44,
  simd: 0xfd,
  v128Const: 12,
  shuffle: 13,
  memory: 0xfc,
  memoryCopy: 10,
  memoryFill: 11,
  atomic: 0xfe,
  atomicFence: 3,
} as const;
export const NO_RESULT = 0x40;
export const LETTER: Readonly<Record<string, Type>> = {
  i: 'i32',
  l: 'i64',
  f: 'f32',
  d: 'f64',
  v: 'v128',
};

/** Load and store opcodes by type and bytes; the SIMD ones are behind the prefix. */
// biome-ignore format: one row per access
export const LOADS: Readonly<Record<string, readonly [opcode: number, prefix?: number]>> = {
  i32_1: [0x2d], i32_2: [0x2f], i32_4: [0x28], i32_1s: [0x2c], i32_2s: [0x2e],
  i64_1: [0x31], i64_2: [0x33], i64_4: [0x35], i64_8: [0x29], i64_1s: [0x30], i64_2s: [0x32], i64_4s: [0x34],
  f32_4: [0x2a], f64_8: [0x2b], v128_16: [0, 0xfd], v128_4: [92, 0xfd], v128_8: [93, 0xfd],
};
// biome-ignore format: one row per access
export const STORES: Readonly<Record<string, readonly [opcode: number, prefix?: number]>> = {
  i32_1: [0x3a], i32_2: [0x3b], i32_4: [0x36], i64_1: [0x3c], i64_2: [0x3d], i64_4: [0x3e], i64_8: [0x37],
  f32_4: [0x38], f64_8: [0x39], v128_16: [11, 0xfd],
};
// biome-ignore format: one row
export const NATURAL_BYTES: Readonly<Record<Type, number>> = { i32: 4, i64: 8, f32: 4, f64: 8, v128: 16 };
