/**
 * Lazy flags: arithmetic leaves its result and one word of carries behind, and only who asks pays for a flag.
 *
 *   FRES  the result, sign-extended from the operand size to 64 bits
 *   FAUX  bit 31 CF, bit 30 CF ^ OF, bits 15-8 parity delta, bit 3 AF, bit 0 sign delta
 *
 *   ZF = FRES is 0         SF = sign of FRES ^ sign delta         PF = even parity of (low byte of FRES ^ parity delta)
 *
 * The deltas are zero after arithmetic; they make any combination of flags expressible (POPF).
 */

import { AUX, RFLAGS } from './state.js';

/** Even parity of a byte. */
function evenParity(byte: number): boolean {
  const folded = byte ^ (byte >>> 4);
  return ((0x9669 >>> (folded & 15)) & 1) === 1;
}

/** The six status flags in their places in RFLAGS. */
export function statusFlags(resultLow: number, resultHigh: number, aux: number): number {
  const carry = aux >>> 31;
  const overflow = carry ^ ((aux >>> 30) & 1);
  const sign = (resultHigh >>> 31) ^ (aux & AUX.SIGN_DELTA);
  const parity = evenParity((resultLow ^ (aux >>> AUX.PARITY_SHIFT)) & 0xff);
  return (
    (carry ? RFLAGS.CF : 0) |
    (parity ? RFLAGS.PF : 0) |
    (aux & AUX.AF ? RFLAGS.AF : 0) |
    ((resultLow | resultHigh) === 0 ? RFLAGS.ZF : 0) |
    (sign ? RFLAGS.SF : 0) |
    (overflow ? RFLAGS.OF : 0)
  );
}

/** FRES for given flags: 0 or 1 (the sign and the parity come from the deltas). */
export const resultOfStatus = (rflags: number): number => (rflags & RFLAGS.ZF ? 0 : 1);

/** FAUX for given flags, with FRES as `resultOfStatus` gives it. */
export function auxOfStatus(rflags: number): number {
  const carry = rflags & 1;
  const overflow = (rflags >>> 11) & 1;
  const result = resultOfStatus(rflags);
  const parity = rflags & RFLAGS.PF ? 0 : 1; // number of odd bits wanted
  return (
    ((carry << 31) |
      ((carry ^ overflow) << 30) |
      ((result ^ parity) << AUX.PARITY_SHIFT) |
      (rflags & RFLAGS.AF ? AUX.AF : 0) |
      (rflags & RFLAGS.SF ? AUX.SIGN_DELTA : 0)) >>>
    0
  );
}
