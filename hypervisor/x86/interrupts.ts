/** Instructions that interrupt: INT n, INT3, INT1, INTO, BOUND, SYSCALL, SYSENTER, and the undefined ones. */
// Spec: SDM 2A, INT n; SDM 2B, SYSCALL, UD.

import type { Semantics } from './builder.js';
import { type Family, forms } from './define.js';
import { EXIT, VECTOR } from './processor.js';
import { SLOT } from './state.js';

/** What the gate allows is for the owner of the trap table to decide. */
const interrupt: Semantics = (b, { dst }) =>
  b.exitBefore(EXIT.INTERRUPT, b.zeroExtend(b.read(dst), 32));

/** INT1 (ICEBP): a #DB that DR6 says nothing about. */
const debugTrap: Semantics = (b) => {
  b.setState(SLOT.DEBUG_STATUS, b.const(32, 0));
  b.raiseTrap(VECTOR.DB);
};

/** BOUND: an index that is not between two signed bounds in memory is #BR. */
const bound: Semantics = (b, { dst, src }) => {
  const index = b.read(dst);
  const address = b.address(src);
  const lower = b.load(address, dst.bits);
  const upper = b.load(b.add(address, b.const(64, dst.bits / 8)), dst.bits);
  b.raiseIf(b.or(b.ltS(index, lower), b.ltS(upper, index)), VECTOR.BR);
};

/** Only for 32-bit programs: 64-bit code has SYSCALL. */
const sysenter: Semantics = (b) =>
  b.mode.bits === 64 ? b.raise(VECTOR.UD) : b.exitAfter(EXIT.SYSENTER);

export const interrupts: Family = (define) => {
  const last = { ends: true, last: true } as const;
  define(['Int_imm8'], interrupt, last);
  define(['Int3'], (b) => b.raiseTrap(VECTOR.BP), last);
  define(['Int1'], debugTrap, last);
  define(['Syscall'], (b) => b.exitAfter(EXIT.SYSCALL), { hot: [0], ends: true });
  define(['Into'], (b) => b.if(b.flags.overflow(), () => b.raiseTrap(VECTOR.OF)), { ends: true });
  define(forms('Bound', 'r16_m1616 r32_m3232'), bound);
  define(['Sysenter'], sysenter, last);
  define(
    [
      'INVALID',
      'Ud2',
      'Ud0',
      ...forms('Ud0', 'r16_rm16 r32_rm32 r64_rm64'),
      ...forms('Ud1', 'r16_rm16 r32_rm32 r64_rm64'),
    ],
    (b) => b.raise(VECTOR.UD),
    last,
  );
};
