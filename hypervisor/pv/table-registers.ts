/**
 * SGDT, SIDT, SLDT, STR, SMSW: instructions that anybody may execute and that tell where Xen's own tables lie. Without UMIP
 * they work (xen-abi §1.10), so a guest sees addresses in Xen's range, at which it can do nothing.
 */

import { type Instruction, Mnemonic, OpKind, Register } from 'iced-x86';
import { fromU64, type VirtAddr } from '../machine/types.js';
import type { Processor } from '../x86/processor.js';
import { MODE } from '../x86/segment-state.js';
import { readRegister, registerOperand, writeRegister } from './emulated-instruction.js';
import type { GuestAccess } from './guest-access.js';

/** Xen's GDT has 16 pages, its IDT 256 gates of 16 bytes. */
const GDT = { limit: 0xffff, base: 0xffff_8200_0000_0000n } as const;
const IDT = { limit: 0x0fff, base: 0xffff_82d0_4000_0000n } as const;
/** Selectors of Xen's task state and of the guest's LDT. */
const TASK_SELECTOR = 0xe040n;
const LDT_SELECTOR = 0xe048n;
const TABLE_BYTES = 10;
const NARROW_TABLE_BYTES = 6;

/** What the registers show. */
export interface TableState {
  readonly hasLdt: boolean;
  readonly cr0: bigint;
}

/** done · gp: an address that is not canonical · fault: the page fault is at guest.faultAddress · other: none of them */
export type StoreOutcome = 'done' | 'gp' | 'fault' | 'other';

export function storeTableRegister(
  processor: Processor,
  guest: GuestAccess,
  instruction: Instruction,
  state: TableState,
): StoreOutcome {
  switch (instruction.mnemonic) {
    case Mnemonic.Sgdt:
      return toMemory(processor, guest, instruction, tableBytes(GDT, processor));
    case Mnemonic.Sidt:
      return toMemory(processor, guest, instruction, tableBytes(IDT, processor));
    case Mnemonic.Sldt:
      return store(processor, guest, instruction, state.hasLdt ? LDT_SELECTOR : 0n);
    case Mnemonic.Str:
      return store(processor, guest, instruction, TASK_SELECTOR);
    case Mnemonic.Smsw:
      return store(processor, guest, instruction, state.cr0);
    default:
      return 'other';
  }
}

/** Limit and base, as SGDT and SIDT store them: only 32 bits of the base outside 64-bit mode. */
function tableBytes(
  { limit, base }: { limit: number; base: bigint },
  { registers }: Processor,
): Uint8Array {
  const bytes = new Uint8Array(TABLE_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, limit, true);
  view.setBigUint64(2, base, true);
  return registers.mode === MODE.LONG ? bytes : bytes.subarray(0, NARROW_TABLE_BYTES);
}

/** A register of any width, or 16 bits in memory. */
function store(
  processor: Processor,
  guest: GuestAccess,
  instruction: Instruction,
  value: bigint,
): StoreOutcome {
  if (instruction.opKind(0) !== OpKind.Register) {
    const bytes = Uint8Array.of(Number(value & 0xffn), Number((value >> 8n) & 0xffn));
    return toMemory(processor, guest, instruction, bytes);
  }
  const operand = registerOperand(instruction.opRegister(0));
  if (!operand) return 'gp';
  writeRegister(processor, operand, value);
  return 'done';
}

function toMemory(
  processor: Processor,
  guest: GuestAccess,
  instruction: Instruction,
  bytes: Uint8Array,
): StoreOutcome {
  const va = effectiveAddress(processor, instruction);
  if (va === undefined) return 'gp';
  return guest.copyTo(va, bytes) ? 'done' : 'fault';
}

/** Address of a memory operand (SDM 1 §3.7.5), undefined if it is not canonical. */
function effectiveAddress(processor: Processor, instruction: Instruction): VirtAddr | undefined {
  const part = (register: Register): bigint => {
    const operand = registerOperand(register);
    return operand ? readRegister(processor, operand) : 0n;
  };
  const index = part(instruction.memoryIndex) * BigInt(instruction.memoryIndexScale);
  // The displacement of an address relative to rip is that address already.
  let address = instruction.memoryDisplacement + part(instruction.memoryBase) + index;
  const isShort = registerOperand(instruction.memoryBase)?.size === 4;
  address = isShort ? address & 0xffff_ffffn : BigInt.asUintN(64, address);
  const { registers } = processor;
  if (instruction.segmentPrefix === Register.FS) address += registers.fsBase;
  else if (instruction.segmentPrefix === Register.GS) address += registers.gsBase;
  return fromU64(BigInt.asUintN(registers.mode === MODE.LONG ? 64 : 32, address));
}
