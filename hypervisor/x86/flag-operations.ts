/** Instructions on single flags: CLC STC CMC, CLD STD, LAHF SAHF. */
// Spec: SDM 2A/2B, the entries of the same names. POPF, which may set TF, stands with the system instructions.

import type { Builder, Semantics, Value } from './builder.js';
import type { Family } from './define.js';
import { RFLAGS, SLOT } from './state.js';

const AH = SLOT.GPR + 1;
/** The flags that AH holds. */
const IN_AH = RFLAGS.CF | RFLAGS.PF | RFLAGS.AF | RFLAGS.ZF | RFLAGS.SF;

const setDirection =
  (change: (b: Builder, flags: Value) => Value): Semantics =>
  (b) =>
    b.setState(SLOT.SYSTEM_FLAGS, change(b, b.state(SLOT.SYSTEM_FLAGS, 'i32')));

const loadAh: Semantics = (b) => {
  const image = b.or(b.and(b.flags.status(), b.const(32, IN_AH)), b.const(32, RFLAGS.FIXED));
  b.setState(AH, image, 1);
};

/** OF stays. */
const storeAh: Semantics = (b) => {
  const kept = b.and(b.flags.status(), b.const(32, RFLAGS.OF));
  const taken = b.and(b.state(AH, 'i32', 1), b.const(32, IN_AH));
  b.flags.load(b.or(kept, taken));
};

export const flagOperations: Family = (define) => {
  // biome-ignore format: one row per instruction
  const rows: readonly (readonly [name: string, body: Semantics])[] = [
    ['Clc',  (b) => b.flags.setCarry(b.const(32, 0))],
    ['Stc',  (b) => b.flags.setCarry(b.const(32, 1))],
    ['Cmc',  (b) => b.flags.setCarry(b.isZero(b.flags.carry()))],
    ['Cld',  setDirection((b, flags) => b.and(flags, b.const(32, ~RFLAGS.DF)))],
    ['Std',  setDirection((b, flags) => b.or(flags, b.const(32, RFLAGS.DF)))],
    ['Lahf', loadAh],
    ['Sahf', storeAh],
  ];
  for (const [name, body] of rows) define([name], body);
};
