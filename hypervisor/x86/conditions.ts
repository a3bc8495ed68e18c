/** What depends on the flags: Jcc, SETcc, CMOVcc. Spec: SDM 1 appendix B; SDM 2A, 2B. */

import { WIDE } from './arithmetic.js';
import { branchWordIf } from './branch.js';
import type { Semantics } from './builder.js';
import { type Family, forms } from './define.js';

/** The conditions as iced-x86 spells them, in the order of their encoding. */
// biome-ignore format: one row
const CONDITIONS = ['o', 'no', 'b', 'ae', 'e', 'ne', 'be', 'a', 's', 'ns', 'p', 'np', 'l', 'ge', 'le', 'g'] as const;

const jump =
  (condition: number): Semantics =>
  (b) =>
    b.branchIf(b.flags.test(condition));

/** The source is read, and may fault, whatever the condition; a 32-bit destination is written either way. */
const move =
  (condition: number): Semantics =>
  (b, { dst, src }) => {
    const value = b.read(src);
    b.write(dst, b.select(b.flags.test(condition), value, b.read(dst)));
  };

const set =
  (condition: number): Semantics =>
  (b, { dst }) =>
    b.write(dst, b.truncate(b.flags.test(condition), 8));

export const conditional: Family = (define) => {
  const cold = { hot: WIDE, coldMemory: true } as const;
  CONDITIONS.forEach((suffix, condition) => {
    const near = 'rel8_64 rel32_64 rel8_32 rel32_32';
    define(forms(`J${suffix}`, near), jump(condition), { hot: [64], ends: true });
    const holds = branchWordIf((b) => b.flags.test(condition));
    define(forms(`J${suffix}`, 'rel8_16 rel16'), holds, { ends: true });
    define(forms(`Cmov${suffix}`, 'r16_rm16 r32_rm32 r64_rm64'), move(condition), cold);
    define([`Set${suffix}_rm8`], set(condition), { hot: [8], coldMemory: true });
  });
};
