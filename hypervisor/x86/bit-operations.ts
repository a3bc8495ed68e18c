/** Single bits and counts of bits: BT BTS BTR BTC, BSF BSR, POPCNT. */
// Spec: SDM 2A, BT, BTC, BTR, BTS, BSF, BSR; SDM 2B, POPCNT.

import type { Builder, Operands, Semantics, Value } from './builder.js';
import { type Family, forms } from './define.js';
import { ACCESS } from './processor.js';
import { RFLAGS } from './state.js';

/** What becomes of the bit: `mask` has just it set. Undefined: it is only tested. */
type Change = ((b: Builder, value: Value, mask: Value) => Value) | undefined;

const setBit: Change = (b, value, mask) => b.or(value, mask);
const clearBit: Change = (b, value, mask) => b.and(value, b.not(mask));
const flipBit: Change = (b, value, mask) => b.xor(value, mask);

const one = (b: Builder, bits: number): Value => b.const(bits, 1);

/** The bit's position within the operand (i32), and the bit of `value` there into CF. */
function testBit(b: Builder, value: Value, index: Value): Value {
  const position = b.and(b.truncate(b.zeroExtend(index, 64), 32), b.const(32, value.bits - 1));
  const bit = b.truncate(b.shrU(b.zeroExtend(value, 64), position), 32);
  b.flags.setCarry(b.and(bit, b.const(32, 1)));
  return position;
}

/** The operand itself: a register, or memory with an immediate index. */
const inOperand =
  (change: Change): Semantics =>
  (b, { dst, src }) => {
    const index = b.read(src);
    const value = change ? b.readForWrite(dst) : b.read(dst);
    const position = testBit(b, value, index);
    if (change) b.write(dst, change(b, value, b.shl(one(b, value.bits), position)));
  };

/** Memory with a register index: the index reaches beyond the operand, by its signed value. */
function inBitString(b: Builder, { dst, src }: Operands, change: Change): void {
  const index = b.signExtend(b.read(src), 64);
  const bytes = dst.bits / 8;
  const unit = b.shrS(index, Math.log2(dst.bits));
  const access = change ? ACCESS.WRITE : ACCESS.READ;
  const address = b.address(dst, b.mul(unit, b.const(64, bytes)), access);
  if (!change) {
    testBit(b, b.load(address, dst.bits), index);
    return;
  }
  const host = b.translateWrite(address, bytes);
  const type = dst.bits === 64 ? 'i64' : 'i32';
  const value = { ...b.hostLoad(host, type, bytes), bits: dst.bits };
  const position = testBit(b, value, index);
  b.hostStore(host, change(b, value, b.shl(one(b, dst.bits), position)), bytes);
  b.commit(host);
}

const byRegister =
  (change: Change): Semantics =>
  (b, o) =>
    o.dst.kind === 'memory' ? inBitString(b, o, change) : inOperand(change)(b, o);

/** A source of 0 sets ZF and leaves the destination alone; the other flags are undefined. */
const scan =
  (position: (b: Builder, value: Value) => Value): Semantics =>
  (b, { dst, src }) => {
    const value = b.read(src);
    b.flags.logic(value);
    b.if(b.ne(value, b.const(value.bits, 0)), () => b.write(dst, position(b, value)));
  };

const lowest = (b: Builder, value: Value): Value =>
  value.bits === 64 ? b.op('i64.ctz', value) : { ...b.op('i32.ctz', value), bits: value.bits };
const highest = (b: Builder, value: Value): Value =>
  value.bits === 64
    ? b.sub(b.const(64, 63), b.op('i64.clz', value))
    : { ...b.op('i32.sub', b.const(32, 31), b.op('i32.clz', value)), bits: value.bits };

const countBits: Semantics = (b, { dst, src }) => {
  const value = b.read(src);
  const count =
    value.bits === 64
      ? b.op('i64.popcnt', value)
      : { ...b.op('i32.popcnt', value), bits: value.bits };
  b.write(dst, count);
  b.flags.load(b.select(b.isZero(value), b.const(32, RFLAGS.ZF), b.const(32, 0)));
};

const BY_REGISTER = 'rm16_r16 rm32_r32 rm64_r64';
const BY_IMMEDIATE = 'rm16_imm8 rm32_imm8 rm64_imm8';
const SCAN = 'r16_rm16 r32_rm32 r64_rm64';

export const bitOperations: Family = (define) => {
  // biome-ignore format: one row per instruction
  const tests: readonly (readonly [name: string, change: Change])[] = [
    ['Bt',  undefined],
    ['Bts', setBit],
    ['Btr', clearBit],
    ['Btc', flipBit],
  ];
  for (const [name, change] of tests) {
    define(forms(name, BY_REGISTER), byRegister(change));
    define(forms(name, BY_IMMEDIATE), inOperand(change));
  }
  // TZCNT and LZCNT are not announced: their prefix is ignored, as on processors without them
  define(forms('Popcnt', SCAN), countBits);
  // biome-ignore format: one row per instruction
  const rows: readonly (readonly [names: string[], body: Semantics])[] = [
    [[...forms('Bsf', SCAN), ...forms('Tzcnt', SCAN)], scan(lowest)],
    [[...forms('Bsr', SCAN), ...forms('Lzcnt', SCAN)], scan(highest)],
  ];
  for (const [names, body] of rows) define(names, body, { hot: [32, 64], coldMemory: true });
};
