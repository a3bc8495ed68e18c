/** Writes decoded instructions as records. */

import { type Instruction, OpKind, Register } from 'iced-x86';
import { PAGE_SIZE } from '../machine/layout.js';
import type { Ram } from '../machine/ram.js';
import { registerSlot } from '../x86/register-slots.js';
import { MODE, type Mode, segmentEntry } from '../x86/segment-state.js';
import { SLOT } from '../x86/state.js';
import { type CodeEntry, SHAPE } from './cases.js';
import { RECORD } from './record.js';

const INT32_MAX = 0x7fff_ffff;
const INT32_MIN = -0x8000_0000;
/** Half the width of addresses in 64-bit code, and in other code. */
const is32Bit = (register: Register): boolean =>
  register === Register.EIP || (register >= Register.EAX && register <= Register.R15D);

/**
 * An instruction was decoded with rip = its offset in the page, so that branch targets and rip-relative addresses
 * come out relative to the page.
 */
export class RecordWriter {
  /** Of the code whose instructions are written. */
  mode: Mode = MODE.LONG;
  readonly #ram: Ram;

  constructor(ram: Ram) {
    this.#ram = ram;
  }

  /** Fills the record at `at`. @param isLinkable branches within the page may be linked. */
  write(at: number, instruction: Instruction, entry: CodeEntry, isLinkable: boolean): void {
    const { u16, u32, u8 } = this.#ram;
    u32.fill(0, at / 4, (at + RECORD.SIZE) / 4);
    u16[(at + RECORD.OFFSET) / 2] = Number(instruction.ip) | (instruction.length << 12);
    u8[at + RECORD.COUNT] = 1;
    let shape = this.#writeOperands(at, instruction, entry);
    if (entry.isString) shape = stringForm(instruction, this.mode);
    else if (entry.kinds[0]?.kind === 'target') shape = isLinkable ? SHAPE.NEAR : SHAPE.CROSS;
    u16[(at + RECORD.OP) / 2] = entry.cases[shape] ?? 0;
  }

  /** @returns the shape of the memory operand, REGISTER if there is none. */
  #writeOperands(at: number, instruction: Instruction, entry: CodeEntry): number {
    let shape: number = SHAPE.REGISTER;
    for (let i = 0; i < entry.kinds.length; i++) {
      const { kind } = entry.kinds[i] ?? {};
      const opKind = instruction.opKind(i);
      const mayBeMemory = kind === 'either' || kind === 'memory' || kind === 'string-source';
      if (mayBeMemory && opKind !== OpKind.Register) {
        shape = this.#writeMemory(at, instruction, opKind);
      } else this.#writeOperand(at, instruction, entry, i);
    }
    return shape;
  }

  /** An operand that is not memory in the usual forms. */
  #writeOperand(at: number, instruction: Instruction, entry: CodeEntry, i: number): void {
    switch (entry.kinds[i]?.kind) {
      case 'implied':
      case 'string-target':
        return;
      case 'target':
        this.#writeImmediate(at, branchTarget(instruction, this.mode));
        return;
      case 'immediate':
        if (i === 1 && entry.kinds[0]?.kind === 'immediate')
          this.#writeSecondImmediate(at, instruction.immediate(i));
        else this.#placeImmediate(at, i, instruction.immediate(i));
        return;
      case 'stack-index':
        this.#placeImmediate(at, i, BigInt(instruction.opRegister(i) - Register.ST0));
        return;
      case 'distance':
        this.#writeImmediate(at, branchDistance(instruction));
        return;
      case 'far-pointer':
        this.#writeImmediate(at, farPointer(instruction));
        return;
      case 'absolute':
        this.#writeImmediate(at, instruction.memoryDisplacement);
        this.#ram.u16[(at + RECORD.SEGMENT) / 2] = this.#segment(instruction);
        return;
      default:
        this.#writeRegister(at, registerSlot(instruction.opRegister(i)), entry, i);
    }
  }

  #writeRegister(at: number, slot: number, entry: CodeEntry, i: number): void {
    const { u16, u32 } = this.#ram;
    if (i === 0) u16[(at + RECORD.DST) / 2] = slot;
    else if (u32[(at + RECORD.SRC) / 4] === 0) u32[(at + RECORD.SRC) / 4] = slot;
    else if (entry.kinds[0]?.kind === 'string-source') u16[(at + RECORD.DST) / 2] = slot;
  }

  /** The second immediate, where the first operand is one too (ENTER): no memory operand needs DISP then. */
  #writeSecondImmediate(at: number, value: bigint): void {
    const { u32, i32 } = this.#ram;
    i32[(at + RECORD.DISP) / 4] = Number(BigInt.asIntN(32, value));
    u32[(at + RECORD.SRC) / 4] = at + RECORD.DISP;
  }

  /** The first immediate lies in IMM; as the second operand it looks like a register. */
  #placeImmediate(at: number, operand: number, value: bigint): void {
    const { u32 } = this.#ram;
    const isFree = u32[(at + RECORD.SRC) / 4] === 0;
    this.#writeImmediate(at, value);
    if (operand === 1 && isFree) u32[(at + RECORD.SRC) / 4] = at + RECORD.IMM;
  }

  #writeImmediate(at: number, value: bigint): void {
    this.#ram.u64[(at + RECORD.IMM) / 8] = BigInt.asUintN(64, value);
  }

  #writeMemory(at: number, instruction: Instruction, opKind: OpKind): number {
    if (opKind !== OpKind.Memory) return this.#writeStringSource(at, instruction, opKind);
    if (this.mode !== MODE.LONG) return this.#writeMemory32(at, instruction);
    const { u16, u8, i32 } = this.#ram;
    const { memoryBase } = instruction;
    const isIpRelative = instruction.isIpRelMemoryOperand;
    const { index, displacement, isNarrow } = indexAndDisplacement(instruction);
    const segment = segmentSlot(instruction);
    u16[(at + RECORD.BASE) / 2] = isIpRelative ? SLOT.PAGE_VA : registerSlot(memoryBase);
    u16[(at + RECORD.INDEX) / 2] = index;
    u8[at + RECORD.SCALE] = Math.log2(instruction.memoryIndexScale || 1);
    i32[(at + RECORD.DISP) / 4] = displacement | 0;
    u16[(at + RECORD.SEGMENT) / 2] = segment;
    u8[at + RECORD.NARROW] = isNarrow ? 1 : 0;
    if (isNarrow || segment !== SLOT.ZERO) return SHAPE.FULL;
    return index === SLOT.ZERO ? SHAPE.BASE : SHAPE.INDEX;
  }

  /** Addresses of 32 or 16 bits. In flat segments only FS, GS and the code segment are looked at. */
  #writeMemory32(at: number, instruction: Instruction): number {
    const { u16, u8, i32 } = this.#ram;
    const { memoryBase, memoryIndex, memorySegment } = instruction;
    const index = memoryIndex === Register.AL ? SLOT.ZERO : registerSlot(memoryIndex);
    const isNarrow = usesWordAddress(instruction);
    u16[(at + RECORD.BASE) / 2] = registerSlot(memoryBase);
    u16[(at + RECORD.INDEX) / 2] = index;
    u8[at + RECORD.SCALE] = Math.log2(instruction.memoryIndexScale || 1);
    i32[(at + RECORD.DISP) / 4] = Number(BigInt.asIntN(32, instruction.memoryDisplacement));
    u16[(at + RECORD.SEGMENT) / 2] = segmentEntryOf(memorySegment);
    u8[at + RECORD.NARROW] = isNarrow ? 1 : 0;
    const isPlain = this.mode === MODE.FLAT && FLAT_SEGMENTS.includes(memorySegment);
    if (!isPlain || isNarrow) return SHAPE.FULL;
    return index === SLOT.ZERO ? SHAPE.BASE : SHAPE.INDEX;
  }

  #segment(instruction: Instruction): number {
    if (this.mode === MODE.LONG) return segmentSlot(instruction);
    return segmentEntryOf(instruction.memorySegment);
  }

  /** rSI of a string instruction, rDI of MASKMOVDQU. */
  #writeStringSource(at: number, instruction: Instruction, opKind: OpKind): number {
    const { u16, u8 } = this.#ram;
    const isDestination = DESTINATIONS.includes(opKind);
    const isNarrow = narrowKinds(this.mode).includes(opKind);
    u16[(at + RECORD.BASE) / 2] = registerSlot(isDestination ? Register.RDI : Register.RSI);
    u16[(at + RECORD.INDEX) / 2] = SLOT.ZERO;
    u16[(at + RECORD.SEGMENT) / 2] = this.#segment(instruction);
    u8[at + RECORD.NARROW] = isNarrow ? 1 : 0;
    return SHAPE.FULL;
  }
}

/** Address of the index register, displacement as far as 32 bits hold it, and whether addresses are of 32 bits. */
function indexAndDisplacement(instruction: Instruction): {
  index: number;
  displacement: number;
  isNarrow: boolean;
} {
  const { memoryBase, memoryIndex, isIpRelMemoryOperand } = instruction;
  // without registers iced-x86 tells the address size by that of the displacement
  const isBare = memoryBase === Register.None && memoryIndex === Register.None;
  const isNarrow =
    is32Bit(memoryBase) || is32Bit(memoryIndex) || (isBare && instruction.memoryDisplSize === 4);
  const index = memoryIndex === Register.AL ? SLOT.ZERO : registerSlot(memoryIndex); // XLAT adds AL itself
  const address = isIpRelMemoryOperand
    ? instruction.ipRelMemoryAddress
    : instruction.memoryDisplacement;
  const displacement = Number(BigInt.asIntN(64, address));
  if (displacement <= INT32_MAX && displacement >= INT32_MIN) {
    return { index, displacement, isNarrow };
  }
  // beyond 32 bits: a rip-relative operand just over, or an address of 32 bits
  return isIpRelMemoryOperand
    ? { index: SLOT.PAGE_SIZE, displacement: displacement - PAGE_SIZE, isNarrow }
    : { index, displacement, isNarrow: true };
}

/** Only FS and GS have a base in 64-bit mode (SDM 1 §3.4.4). */
function segmentSlot(instruction: Instruction): number {
  const segment = instruction.memorySegment;
  if (segment === Register.FS) return SLOT.FS_BASE;
  return segment === Register.GS ? SLOT.GS_BASE : SLOT.ZERO;
}

/** Segments that have no say while they are flat. */
const FLAT_SEGMENTS: readonly Register[] = [Register.DS, Register.SS, Register.ES];
const SEGMENTS: readonly Register[] = [
  Register.ES,
  Register.CS,
  Register.SS,
  Register.DS,
  Register.FS,
  Register.GS,
];
const segmentEntryOf = (segment: Register): number =>
  segmentEntry(Math.max(SEGMENTS.indexOf(segment), 0));

const is16Bit = (register: Register): boolean =>
  register >= Register.AX && register <= Register.R15W;

function usesWordAddress(instruction: Instruction): boolean {
  const { memoryBase, memoryIndex } = instruction;
  const isBare = memoryBase === Register.None && memoryIndex === Register.None;
  return (
    is16Bit(memoryBase) || is16Bit(memoryIndex) || (isBare && instruction.memoryDisplSize === 2)
  );
}

/** Relative to the page, as the instruction's address was. */
const branchTarget = (instruction: Instruction, mode: Mode): bigint =>
  BigInt.asIntN(mode === MODE.LONG ? 64 : 32, instruction.nearBranchTarget);

/** From the next instruction on, for branches with 16-bit operands. */
const branchDistance = (instruction: Instruction): bigint =>
  BigInt.asIntN(16, instruction.nearBranchTarget - instruction.nextIP);

function farPointer(instruction: Instruction): bigint {
  const isWide = instruction.opKind(0) === OpKind.FarBranch32;
  const offset = isWide ? instruction.farBranch32 : instruction.farBranch16;
  return BigInt(offset) | (BigInt(instruction.farBranchSelector) << 32n);
}

function stringForm(instruction: Instruction, mode: Mode): number {
  const repeat = instruction.hasRepPrefix ? 1 : instruction.hasRepnePrefix ? 2 : 0;
  return repeat * 2 + (usesNarrowAddresses(instruction, mode) ? 1 : 0);
}

/** Pointers of 32 bits, and of 16. */
const EXTENDED: readonly OpKind[] = [OpKind.MemorySegESI, OpKind.MemorySegEDI, OpKind.MemoryESEDI];
const WORDS: readonly OpKind[] = [OpKind.MemorySegSI, OpKind.MemorySegDI, OpKind.MemoryESDI];
const DESTINATIONS: readonly OpKind[] = [
  OpKind.MemorySegRDI,
  OpKind.MemorySegEDI,
  OpKind.MemorySegDI,
];
const narrowKinds = (mode: Mode): readonly OpKind[] => (mode === MODE.LONG ? EXTENDED : WORDS);

function usesNarrowAddresses(instruction: Instruction, mode: Mode): boolean {
  for (let i = 0; i < instruction.opCount; i++) {
    if (narrowKinds(mode).includes(instruction.opKind(i))) return true;
  }
  return false;
}
