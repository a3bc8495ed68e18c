/** Decimal arithmetic and SALC: instructions that 64-bit mode has given up. */
// Spec: SDM 2A, AAA, AAD, AAM, AAS, DAA, DAS; AMD APM 3, SALC is what processors do with 0xD6.

import type { Builder, Semantics, Value } from './builder.js';
import type { Family } from './define.js';
import { VECTOR } from './processor.js';
import { GPR, RFLAGS, SLOT } from './state.js';

const AH = SLOT.GPR + 1;

const al = (b: Builder): Value => b.zeroExtend(b.reg(GPR.RAX, 8), 32);
const setAl = (b: Builder, value: Value): void => b.setReg(GPR.RAX, b.truncate(value, 8));
const n32 = (b: Builder, value: number): Value => b.const(32, value);

/** The low digit is no digit, or the last operation carried out of it. */
const needsAdjustment = (b: Builder, value: Value): Value =>
  b.or(b.ltU(n32(b, 9), b.and(value, n32(b, 15))), b.flags.adjust());

/** SF, ZF and PF of an 8-bit result, with CF and AF as given. */
function setFlags(b: Builder, result: Value, carry: Value, adjust: Value): void {
  b.flags.result(b.truncate(result, 8), carry, n32(b, 0));
  b.flags.load(b.or(b.flags.status(), b.shl(adjust, 4)));
}

/** AAA and AAS: one digit in AL, the carry into AH. */
const asciiAdjust =
  (change: 'add' | 'sub'): Semantics =>
  (b) => {
    const ax = b.zeroExtend(b.reg(GPR.RAX, 16), 32);
    const adjust = needsAdjustment(b, ax);
    // six to AL and one to AH: a carry out of AL counts for AH, too
    const changed = change === 'add' ? b.add(ax, n32(b, 0x106)) : b.sub(ax, n32(b, 0x106));
    const result = b.select(adjust, changed, ax);
    b.setReg(GPR.RAX, b.truncate(b.and(result, n32(b, 0xff0f)), 16));
    const both = RFLAGS.AF | RFLAGS.CF;
    const kept = b.and(b.flags.status(), n32(b, ~both));
    b.flags.load(b.or(kept, b.select(adjust, n32(b, both), n32(b, 0))));
  };

/** DAA: two digits in AL. */
const decimalAdd: Semantics = (b) => {
  const old = al(b);
  const low = b.variable(needsAdjustment(b, old));
  const high = b.variable(b.or(b.ltU(n32(b, 0x99), old), b.flags.carry()));
  const six = b.add(old, b.select(low, n32(b, 6), n32(b, 0)));
  const result = b.and(b.add(six, b.select(high, n32(b, 0x60), n32(b, 0))), n32(b, 0xff));
  setAl(b, result);
  setFlags(b, result, high, low);
};

/** DAS: a borrow of the low digit is one of the whole. */
const decimalSubtract: Semantics = (b) => {
  const old = al(b);
  const low = b.variable(needsAdjustment(b, old));
  const high = b.variable(b.or(b.ltU(n32(b, 0x99), old), b.flags.carry()));
  const borrow = b.variable(b.or(high, b.and(low, b.ltU(old, n32(b, 6)))));
  const six = b.sub(old, b.select(low, n32(b, 6), n32(b, 0)));
  const result = b.and(b.sub(six, b.select(high, n32(b, 0x60), n32(b, 0))), n32(b, 0xff));
  setAl(b, result);
  setFlags(b, result, borrow, low);
};

/** AAM: the digits of AL in any base, the high one in AH. */
const splitDigits: Semantics = (b, { dst }) => {
  const base = b.zeroExtend(b.read(dst), 32);
  b.raiseIf(b.isZero(base), VECTOR.DE);
  const value = al(b);
  const low = b.op('i32.rem_u', value, base);
  b.setState(AH, b.op('i32.div_u', value, base), 1);
  setAl(b, low);
  setFlags(b, low, n32(b, 0), n32(b, 0));
};

/** AAD: the digits in AH and AL as a number. */
const joinDigits: Semantics = (b, { dst }) => {
  const base = b.zeroExtend(b.read(dst), 32);
  const high = b.mul(b.state(AH, 'i32', 1), base);
  const result = b.and(b.add(al(b), high), n32(b, 0xff));
  b.setReg(GPR.RAX, b.truncate(result, 16));
  setFlags(b, result, n32(b, 0), n32(b, 0));
};

/** SALC: AL becomes all carry. */
const carryToAl: Semantics = (b) => setAl(b, b.sub(n32(b, 0), b.flags.carry()));

export const decimal: Family = (define) => {
  // biome-ignore format: one row per instruction
  const rows: readonly (readonly [name: string, body: Semantics])[] = [
    ['Aaa',      asciiAdjust('add')],
    ['Aas',      asciiAdjust('sub')],
    ['Daa',      decimalAdd],
    ['Das',      decimalSubtract],
    ['Aam_imm8', splitDigits],
    ['Aad_imm8', joinDigits],
    ['Salc',     carryToAl],
  ];
  for (const [name, body] of rows) define([name], body);
};
