/** JMP, LOOP, CALL, RET within 64-bit code. Spec: SDM 2A, 2B. */

import type { Builder, Semantics, Value } from './builder.js';
import type { Family } from './define.js';
import { popValue, pushValue } from './stack.js';
import { GPR } from './state.js';

const jump: Semantics = (b) => b.branchNear();

const jumpTo: Semantics = (b, { dst }) => b.branch(b.read(dst));

const call: Semantics = (b) => {
  pushValue(b, b.nextRip());
  b.branchNear();
};

const callTo: Semantics = (b, { dst }) => {
  const target = b.read(dst);
  pushValue(b, b.nextRip());
  b.branch(target);
};

const ret: Semantics = (b) => b.branch(popValue(b, 64));

const retAndRelease: Semantics = (b, { dst }) => {
  const target = popValue(b, 64);
  b.setReg(GPR.RSP, b.add(b.reg(GPR.RSP, 64), b.zeroExtend(b.read(dst), 64)));
  b.branch(target);
};

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
