/**
 * Instructions after which other processors see what was stored before, ahead of what is loaded next: MFENCE, all with LOCK, and
 * XCHG with memory. There is one processor, but dom0 is another thread: it shares rings with guests, and either side must see
 * the other's index or its wish for an event. Spec: SDM 3A, 9.2.3 and 9.1.2.
 */

import { type Instruction, Mnemonic, OpKind } from 'iced-x86';

export function isFence(instruction: Instruction): boolean {
  if (instruction.hasLockPrefix) return true;
  const { mnemonic } = instruction;
  return (
    mnemonic === Mnemonic.Mfence ||
    (mnemonic === Mnemonic.Xchg && instruction.op0Kind === OpKind.Memory)
  );
}
