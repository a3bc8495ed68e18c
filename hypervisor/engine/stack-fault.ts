/** Tells #SS from #GP: both say "not canonical", one of an address that is relative to the stack. */
// Spec: SDM 3A §6.15, interrupt 12; SDM 1 §3.7.4 (RBP and RSP imply the stack segment).

import { type Instruction, MemorySizeExt, Mnemonic, OpKind, Register, RegisterExt } from 'iced-x86';
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

const BIT_TESTS: readonly Mnemonic[] = [Mnemonic.Bt, Mnemonic.Bts, Mnemonic.Btr, Mnemonic.Btc];

/** How far from its operand a bit test by register looks (SDM 2A, BT). */
function bitDisplacement(instruction: Instruction, registers: Registers, size: number): bigint {
  const isByRegister = instruction.opKind(1) === OpKind.Register;
  if (!BIT_TESTS.includes(instruction.mnemonic) || !isByRegister) return 0n;
  const full = RegisterExt.fullRegister(instruction.opRegister(1));
  const bits = BigInt.asIntN(size * 8, valueIn(full, registers));
  return (bits >> BigInt(Math.log2(size * 8))) * BigInt(size);
}

/** Whether a #GP(0) of this instruction, with these registers, is an #SS(0) in truth. */
export function isStackFault(instruction: Instruction, registers: Registers): boolean {
  const { memoryBase, memoryIndex, segmentPrefix } = instruction;
  if (!STACK_BASES.includes(memoryBase) || OVERRIDES.includes(segmentPrefix)) return false;
  if (!hasMemoryOperand(instruction) || memoryBase < Register.RAX) return false;
  const index = valueIn(memoryIndex, registers) * BigInt(instruction.memoryIndexScale);
  const size = Math.max(MemorySizeExt.size(instruction.memorySize), 1);
  const start =
    valueIn(memoryBase, registers) +
    index +
    instruction.memoryDisplacement +
    bitDisplacement(instruction, registers, size);
  // A misaligned operand is a #GP wherever it lies.
  if (size >= 16 && (start & 15n) !== 0n && !UNALIGNED.includes(instruction.mnemonic)) return false;
  return !isCanonical(start) || !isCanonical(start + BigInt(size - 1));
}
