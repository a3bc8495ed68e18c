/** JMP, LOOP, CALL, RET within 64-bit code. Spec: SDM 2A, 2B. */

import type { Builder, Semantics, Value } from './builder.js';
import type { Family } from './define.js';
import { VECTOR } from './processor.js';
import { pushValue } from './stack.js';
import { GPR } from './state.js';

const jump: Semantics = (b) => b.branchNear();

/** A target that is not canonical is a #GP of the branch itself: nothing has happened yet. */
const isOutside = (b: Builder, target: Value): Value => b.ne(b.shrS(b.shl(target, 16), 16), target);
const requireCanonical = (b: Builder, target: Value): void =>
  b.raiseIf(isOutside(b, target), VECTOR.GP);

const jumpTo: Semantics = (b, { dst }) => {
  const target = b.read(dst);
  requireCanonical(b, target);
  b.branch(target);
};

const call: Semantics = (b) => {
  pushValue(b, b.nextRip());
  b.branchNear();
};

const callTo: Semantics = (b, { dst }) => {
  const target = b.read(dst);
  b.if(isOutside(b, target), () => {
    // a stack that cannot take the return address is found first
    b.translateWrite(b.sub(b.reg(GPR.RSP, 64), b.const(64, 8)), 8, 'stack');
    b.raise(VECTOR.GP);
  });
  pushValue(b, b.nextRip());
  b.branch(target);
};

/** Returns, releasing so many bytes besides the return address. */
function returnBy(b: Builder, released: Value): void {
  const top = b.reg(GPR.RSP, 64);
  const target = b.load(top, 64, 'stack');
  requireCanonical(b, target);
  b.setReg(GPR.RSP, b.add(top, released));
  b.branch(target);
}

const ret: Semantics = (b) => returnBy(b, b.const(64, 8));

const retAndRelease: Semantics = (b, { dst }) =>
  returnBy(b, b.add(b.zeroExtend(b.read(dst), 64), b.const(64, 8)));

/** Counts rcx (or ecx) down. @returns its new value. */
function countDown(b: Builder, bits: number): Value {
  const count = b.sub(b.reg(GPR.RCX, bits), b.const(bits, 1));
  b.setReg(GPR.RCX, count);
  return count;
}

const isNotZero = (b: Builder, value: Value): Value => b.ne(value, b.const(value.bits, 0));

const loop =
  (bits: number): Semantics =>
  (b) =>
    b.branchIf(isNotZero(b, countDown(b, bits)));

const loopWhile =
  (bits: number, condition: number): Semantics =>
  (b) =>
    b.branchIf(b.and(isNotZero(b, countDown(b, bits)), b.flags.test(condition)));

const jumpIfZero =
  (bits: number): Semantics =>
  (b) =>
    b.branchIf(b.isZero(b.reg(GPR.RCX, bits)));

export const branch: Family = (define) => {
  const target = { hot: [64], ends: true, last: true } as const;
  define(['Jmp_rel8_64', 'Jmp_rel32_64'], jump, target);
  define(['Jmp_rm64'], jumpTo, target);
  define(['Call_rel32_64'], call, target);
  define(['Call_rm64'], callTo, target);
  define(['Retnq'], ret, { hot: [0], ends: true, last: true });
  define(['Retnq_imm16'], retAndRelease, { ends: true, last: true });
  for (const [bits, register] of [
    [64, 'RCX'],
    [32, 'ECX'],
  ] as const) {
    define([`Loop_rel8_64_${register}`], loop(bits), { ends: true });
    define([`Loope_rel8_64_${register}`], loopWhile(bits, 4), { ends: true });
    define([`Loopne_rel8_64_${register}`], loopWhile(bits, 5), { ends: true });
  }
  define(['Jrcxz_rel8_64'], jumpIfZero(64), { ends: true });
  define(['Jecxz_rel8_64'], jumpIfZero(32), { ends: true });
};
