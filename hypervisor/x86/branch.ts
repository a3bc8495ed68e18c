/** JMP, LOOP, CALL, RET within a code segment. Spec: SDM 2A, 2B. */

import type { Builder, Semantics, Value } from './builder.js';
import type { Family } from './define.js';
import { ACCESS, VECTOR } from './processor.js';
import {
  loadStack,
  pushValue,
  setStackPointer,
  stackAddress,
  stackBelow,
  stackPointer,
} from './stack.js';
import { GPR, SLOT } from './state.js';

const jump: Semantics = (b) => b.branchNear();

/**
 * A target that is not canonical, or beyond the limit of the code segment, is a #GP of the branch itself: nothing has
 * happened yet. Flat 32-bit code can go anywhere.
 */
function isOutside(b: Builder, target: Value): Value | undefined {
  if (b.mode.isSegmented) return b.isZero(b.ltU(target, b.state(SLOT.CODE_END, 'i64')));
  return b.mode.bits === 64 ? b.ne(b.shrS(b.shl(target, 16), 16), target) : undefined;
}

/** A target as an offset in the code segment (i64), good to go to. */
function requireInside(b: Builder, value: Value): Value {
  const target = b.zeroExtend(value, 64);
  const outside = isOutside(b, target);
  if (outside) b.raiseIf(outside, VECTOR.GP);
  return target;
}

const jumpTo: Semantics = (b, { dst }) => b.branch(requireInside(b, b.read(dst)));

const returnAddress = (b: Builder, bits: number): Value => b.truncate(b.nextRip(), bits);

const call: Semantics = (b) => {
  pushValue(b, returnAddress(b, b.mode.bits));
  b.branchNear();
};

const callTo: Semantics = (b, { dst }) => {
  const target = b.zeroExtend(b.read(dst), 64);
  const outside = isOutside(b, target);
  if (outside) {
    b.if(outside, () => {
      // a stack that cannot take the return address is found first
      const bytes = dst.bits / 8;
      const top = stackBelow(b, stackPointer(b), bytes);
      b.translateWrite(stackAddress(b, top, bytes, ACCESS.WRITE), bytes, 'stack');
      b.raise(VECTOR.GP);
    });
  }
  pushValue(b, returnAddress(b, dst.bits));
  b.branch(target);
};

/** Returns, releasing so many bytes besides the return address. */
function returnBy(b: Builder, bits: number, released: Value): void {
  const top = stackPointer(b);
  const target = requireInside(b, loadStack(b, top, bits));
  setStackPointer(b, b.add(top, released));
  b.branch(target);
}

const ret =
  (bits: number): Semantics =>
  (b) =>
    returnBy(b, bits, b.const(64, bits / 8));

const retAndRelease =
  (bits: number): Semantics =>
  (b, { dst }) =>
    returnBy(b, bits, b.add(b.zeroExtend(b.read(dst), 64), b.const(64, bits / 8)));

/** Counts rcx (or ecx, cx) down. @returns its new value. */
function countDown(b: Builder, bits: number): Value {
  const count = b.sub(b.reg(GPR.RCX, bits), b.const(bits, 1));
  b.setReg(GPR.RCX, count);
  return count;
}

const isNotZero = (b: Builder, value: Value): Value => b.ne(value, b.const(value.bits, 0));

type Test = (b: Builder) => Value;

const loop =
  (bits: number): Test =>
  (b) =>
    isNotZero(b, countDown(b, bits));

const loopWhile =
  (bits: number, condition: number): Test =>
  (b) =>
    b.and(isNotZero(b, countDown(b, bits)), b.flags.test(condition));

const isCountZero =
  (bits: number): Test =>
  (b) =>
    b.isZero(b.reg(GPR.RCX, bits));

const branchIf =
  (test: Test): Semantics =>
  (b) =>
    b.branchIf(test(b));

// ---- branches with 16-bit operands: the operand is the distance, and the upper half of EIP becomes 0

const wordTarget = (b: Builder, distance: Value): Value =>
  b.and(b.add(b.nextRip(), b.signExtend(distance, 64)), b.const(64, 0xffff));

export const branchWordIf =
  (test: Test): Semantics =>
  (b, { dst }) =>
    b.if(test(b), () => b.branch(requireInside(b, wordTarget(b, b.read(dst)))));

const jumpWord: Semantics = (b, { dst }) => b.branch(requireInside(b, wordTarget(b, b.read(dst))));

const callWord: Semantics = (b, { dst }) => {
  const target = requireInside(b, wordTarget(b, b.read(dst)));
  pushValue(b, returnAddress(b, 16));
  b.branch(target);
};

const COUNTERS = [
  [64, 'RCX'],
  [32, 'ECX'],
  [16, 'CX'],
] as const;

export const branch: Family = (define) => {
  const target = { hot: [64], ends: true, last: true } as const;
  const other = { ends: true, last: true } as const;
  define(['Jmp_rel8_64', 'Jmp_rel32_64', 'Jmp_rel8_32', 'Jmp_rel32_32'], jump, target);
  define(['Jmp_rm64'], jumpTo, target);
  define(['Jmp_rm32'], jumpTo, { ...target, hot: [32] });
  define(['Jmp_rm16'], jumpTo, other);
  define(['Jmp_rel8_16', 'Jmp_rel16'], jumpWord, other);
  define(['Call_rel32_64', 'Call_rel32_32'], call, target);
  define(['Call_rm64'], callTo, target);
  define(['Call_rm32'], callTo, { ...target, hot: [32] });
  define(['Call_rm16'], callTo, other);
  define(['Call_rel16'], callWord, other);
  define(['Retnq'], ret(64), { hot: [0], ends: true, last: true });
  define(['Retnd'], ret(32), { hot: [0], ends: true, last: true });
  define(['Retnw'], ret(16), other);
  define(['Retnq_imm16'], retAndRelease(64), other);
  define(['Retnd_imm16'], retAndRelease(32), other);
  define(['Retnw_imm16'], retAndRelease(16), other);
  for (const [bits, register] of COUNTERS) {
    for (const width of bits === 64 ? ['64'] : bits === 32 ? ['64', '32'] : ['32']) {
      const suffix = `rel8_${width}_${register}`;
      define([`Loop_${suffix}`], branchIf(loop(bits)), { ends: true });
      define([`Loope_${suffix}`], branchIf(loopWhile(bits, 4)), { ends: true });
      define([`Loopne_${suffix}`], branchIf(loopWhile(bits, 5)), { ends: true });
    }
  }
  for (const [bits, register] of [COUNTERS[1], COUNTERS[2]]) {
    define([`Loop_rel8_16_${register}`], branchWordIf(loop(bits)), { ends: true });
    define([`Loope_rel8_16_${register}`], branchWordIf(loopWhile(bits, 4)), { ends: true });
    define([`Loopne_rel8_16_${register}`], branchWordIf(loopWhile(bits, 5)), { ends: true });
  }
  define(['Jrcxz_rel8_64'], branchIf(isCountZero(64)), { ends: true });
  define(['Jecxz_rel8_64', 'Jecxz_rel8_32'], branchIf(isCountZero(32)), { ends: true });
  define(['Jcxz_rel8_32'], branchIf(isCountZero(16)), { ends: true });
  define(['Jecxz_rel8_16'], branchWordIf(isCountZero(32)), { ends: true });
  define(['Jcxz_rel8_16'], branchWordIf(isCountZero(16)), { ends: true });
};
