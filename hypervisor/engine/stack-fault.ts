/** Tells #SS from #GP: both say "not canonical", one of an address that is relative to the stack. */
// Spec: SDM 3A §6.15, interrupt 12; SDM 1 §3.7.4 (RBP and RSP imply the stack segment).

import { type Instruction, MemorySizeExt, Mnemonic, OpKind, Register } from 'iced-x86';
import type { Registers } from '../x86/registers.js';

const STACK_BASES: readonly Register[] = [Register.RSP, Register.RBP, Register.ESP, Register.EBP];
const OVERRIDES: readonly Register[] = [Register.FS, Register.GS];

/** General registers are numbered alike in both widths. */
function valueIn(register: Register, registers: Registers): bigint {
  if (register >= Register.RAX && register <= Register.R15)
    return registers.get(register - Register.RAX);
  if (register >= Register.EAX && register <= Register.R15D)
    return registers.get(register - Register.EAX) & 0xffff_ffffn;
  return 0n;
}

const isCanonical = (address: bigint): boolean =>
  BigInt.asIntN(48, address) === BigInt.asIntN(64, address);

/** Operands of 16 bytes and more must be aligned, but for these. */
const UNALIGNED: readonly Mnemonic[] = [
  Mnemonic.Movups,
  Mnemonic.Movupd,
  Mnemonic.Movdqu,
  Mnemonic.Fnsave,
  Mnemonic.Frstor,
  Mnemonic.Fnstenv,
  Mnemonic.Fldenv,
];

function hasMemoryOperand(instruction: Instruction): boolean {
  for (let n = 0; n < instruction.opCount; n++)
    if (instruction.opKind(n) === OpKind.Memory) return true;
  return false;
}

/** Whether a #GP(0) of this instruction, with these registers, is an #SS(0) in truth. */
export function isStackFault(instruction: Instruction, registers: Registers): boolean {
  const { memoryBase, memoryIndex, segmentPrefix } = instruction;
  if (!STACK_BASES.includes(memoryBase) || OVERRIDES.includes(segmentPrefix)) return false;
  if (!hasMemoryOperand(instruction) || memoryBase < Register.RAX) return false;
  const index = valueIn(memoryIndex, registers) * BigInt(instruction.memoryIndexScale);
  const start = valueIn(memoryBase, registers) + index + instruction.memoryDisplacement;
  const size = MemorySizeExt.size(instruction.memorySize);
  // A misaligned operand is a #GP wherever it lies.
  if (size >= 16 && (start & 15n) !== 0n && !UNALIGNED.includes(instruction.mnemonic)) return false;
  const end = start + BigInt(Math.max(size, 1) - 1);
  return !isCanonical(start) || !isCanonical(end);
}
