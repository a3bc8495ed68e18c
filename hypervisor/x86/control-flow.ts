/** Near transfers of control: CALL, RET, JMP, LOOP, JRCXZ, and INT n, INT3, SYSCALL, UD. */
// Spec: SDM 2A/2B, the entries of the same names. Jcc stands with the conditions.

import type { Builder, Semantics, Value } from './builder.js';
import { type Family, forms } from './define.js';
import { EXIT, VECTOR } from './processor.js';
import { pushValue } from './stack.js';
import { GPR } from './state.js';

const callNear: Semantics = (b) => {
  pushValue(b, b.nextRip());
  b.branchNear();
};

const callIndirect: Semantics = (b, { dst }) => {
  const target = b.variable(b.read(dst));
  pushValue(b, b.nextRip());
  b.branch(target);
};

const jumpNear: Semantics = (b) => b.branchNear();
const jumpIndirect: Semantics = (b, { dst }) => b.branch(b.read(dst));

function returnNear(b: Builder, release: Value | undefined): void {
  const top = b.reg(GPR.RSP, 64);
  const target = b.variable(b.load(top, 64, 'stack'));
  const above = b.add(top, b.const(64, 8));
  b.setReg(GPR.RSP, release ? b.add(above, b.zeroExtend(release, 64)) : above);
  b.branch(target);
}

/** Counts down RCX (or ECX), branches while it is not 0 and the condition holds; flags stay. */
const loop =
  (bits: number, condition?: (b: Builder) => Value): Semantics =>
  (b) => {
    const count = b.sub(b.reg(GPR.RCX, bits), b.const(bits, 1));
    b.setReg(GPR.RCX, count);
    const more = b.ne(count, b.const(bits, 0));
    b.branchIf(condition ? b.and(more, condition(b)) : more);
  };

const jumpIfZero =
  (bits: number): Semantics =>
  (b) =>
    b.branchIf(b.isZero(b.reg(GPR.RCX, bits)));

const whileEqual = (b: Builder): Value => b.flags.zero();
const whileNotEqual = (b: Builder): Value => b.isZero(b.flags.zero());

/** What the gate allows is for the owner of the trap table to decide. */
const interrupt: Semantics = (b, { dst }) =>
  b.exitBefore(EXIT.INTERRUPT, b.zeroExtend(b.read(dst), 32));

export const controlFlow: Family = (define) => {
  const ends = { ends: true } as const;
  const last = { ends: true, last: true } as const;
  define(['Call_rel32_64'], callNear, { hot: [64], ...last });
  define(['Call_rm64'], callIndirect, { hot: [64], ...last });
  define(forms('Jmp', 'rel8_64 rel32_64'), jumpNear, { hot: [64], ...last });
  define(['Jmp_rm64'], jumpIndirect, { hot: [64], ...last });
  define(['Retnq'], (b) => returnNear(b, undefined), { hot: [0, 64], ...last });
  define(['Retnq_imm16'], (b, { dst }) => returnNear(b, b.read(dst)), last);
  // biome-ignore format: one row per instruction
  const rows: readonly (readonly [names: string[], body: Semantics])[] = [
    [['Loop_rel8_64_RCX'],   loop(64)],
    [['Loop_rel8_64_ECX'],   loop(32)],
    [['Loope_rel8_64_RCX'],  loop(64, whileEqual)],
    [['Loope_rel8_64_ECX'],  loop(32, whileEqual)],
    [['Loopne_rel8_64_RCX'], loop(64, whileNotEqual)],
    [['Loopne_rel8_64_ECX'], loop(32, whileNotEqual)],
    [['Jrcxz_rel8_64'],      jumpIfZero(64)],
    [['Jecxz_rel8_64'],      jumpIfZero(32)],
  ];
  for (const [names, body] of rows) define(names, body, ends);
  define(['Int_imm8'], interrupt, last);
  define(['Int3'], (b) => b.raiseTrap(VECTOR.BP), last);
  define(['Int1'], (b) => b.raiseTrap(VECTOR.DB), last);
  define(['Syscall'], (b) => b.exitAfter(EXIT.SYSCALL), last);
  define(
    [
      'Ud2',
      'Ud0',
      ...forms('Ud0', 'r16_rm16 r32_rm32 r64_rm64'),
      ...forms('Ud1', 'r16_rm16 r32_rm32 r64_rm64'),
    ],
    (b) => b.raise(VECTOR.UD),
    last,
  );
};
