/** Gives one instruction form its operands: registers, memory wherever it may lie, immediates, and values in them. */

import {
  type Code,
  CodeExt,
  Instruction,
  MemorySize,
  MemorySizeExt,
  OpCodeOperandKind,
  OpKind,
  Register,
} from 'iced-x86';
import { type CaseBuilder, gprIndex } from './case-builder.js';
import { CODE, DATA, DATA_WRITABLE, GS_BASE } from './format.js';
import { float32, float64, float80, integer, type Lanes, vectorBytes } from './operand-values.js';

/** What a generator decides about a form before its operands are chosen. */
export interface Choices {
  readonly lanes: Lanes;
  /** Memory operands only where they do not fault, registers only those that programs may use. */
  readonly program: boolean;
  /** Memory must be aligned to this (fxsave and the like), 0 if any will do. */
  readonly alignment: number;
  /** The memory operand's address if it must be a certain one. */
  readonly address?: bigint;
  /** Largest distance of near-branch targets. */
  readonly branchTarget?: bigint;
}

/** An operand as it was chosen. */
export interface Operand {
  readonly kind: 'gpr' | 'memory' | 'vector' | 'mmx' | 'st' | 'immediate' | 'branch' | 'other';
  readonly size: number;
  readonly register: Register;
  readonly address: bigint;
  value: bigint;
}

const K = OpCodeOperandKind;

// biome-ignore format: one row per kind: registers, and whether memory may stand instead
const REGISTER_KINDS = new Map<OpCodeOperandKind, readonly [first: Register, size: number, memory: boolean]>([
  [K.r8_or_mem, [Register.AL, 1, true]], [K.r8_reg, [Register.AL, 1, false]], [K.r8_opcode, [Register.AL, 1, false]],
  [K.r16_or_mem, [Register.AX, 2, true]], [K.r16_reg, [Register.AX, 2, false]], [K.r16_rm, [Register.AX, 2, false]], [K.r16_opcode, [Register.AX, 2, false]],
  [K.r32_or_mem, [Register.EAX, 4, true]], [K.r32_reg, [Register.EAX, 4, false]], [K.r32_rm, [Register.EAX, 4, false]], [K.r32_opcode, [Register.EAX, 4, false]],
  [K.r64_or_mem, [Register.RAX, 8, true]], [K.r64_reg, [Register.RAX, 8, false]], [K.r64_rm, [Register.RAX, 8, false]], [K.r64_opcode, [Register.RAX, 8, false]],
  [K.xmm_or_mem, [Register.XMM0, 16, true]], [K.xmm_reg, [Register.XMM0, 16, false]], [K.xmm_rm, [Register.XMM0, 16, false]],
  [K.mm_or_mem, [Register.MM0, 8, true]], [K.mm_reg, [Register.MM0, 8, false]], [K.mm_rm, [Register.MM0, 8, false]],
  [K.sti_opcode, [Register.ST0, 10, false]],
]);

const FIXED_REGISTERS = new Map<OpCodeOperandKind, Register>([
  [K.al, Register.AL],
  [K.cl, Register.CL],
  [K.ax, Register.AX],
  [K.dx, Register.DX],
  [K.eax, Register.EAX],
  [K.rax, Register.RAX],
  [K.st0, Register.ST0],
  [K.fs, Register.FS],
  [K.gs, Register.GS],
]);

type SetImmediate = (instruction: Instruction, value: bigint) => void;
const signed8 = (value: bigint) => BigInt.asIntN(8, value);
const setImmediate8: SetImmediate = (i, value) => {
  i.immediate8 = Number(value);
};

// biome-ignore format: one row per kind of immediate: how iced-x86 stores it, how many bytes it has in the code
const IMMEDIATES = new Map<OpCodeOperandKind, readonly [OpKind, number, SetImmediate]>([
  [K.imm8,         [OpKind.Immediate8, 1, setImmediate8]],
  [K.imm8_const_1, [OpKind.Immediate8, 1, setImmediate8]],
  [K.imm8sex16,    [OpKind.Immediate8to16, 1, (i, value) => { i.immediate8to16 = Number(signed8(value)); }]],
  [K.imm8sex32,    [OpKind.Immediate8to32, 1, (i, value) => { i.immediate8to32 = Number(signed8(value)); }]],
  [K.imm8sex64,    [OpKind.Immediate8to64, 1, (i, value) => { i.immediate8to64 = signed8(value); }]],
  [K.imm16,        [OpKind.Immediate16, 2, (i, value) => { i.immediate16 = Number(value); }]],
  [K.imm32,        [OpKind.Immediate32, 4, (i, value) => { i.immediate32 = Number(value); }]],
  [K.imm32sex64,   [OpKind.Immediate32to64, 4, (i, value) => { i.immediate32to64 = BigInt.asIntN(32, value); }]],
  [K.imm64,        [OpKind.Immediate64, 8, (i, value) => { i.immediate64 = value; }]],
]);

/** In programs R15 points into data, R14 is a small index, RSP the stack: none of them is a destination. */
const PROGRAM_REGISTERS = [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13];
export const PROGRAM_BASE = 15;
export const PROGRAM_INDEX = 14;

const WINDOW = BigInt(DATA);
const READ_ONLY = BigInt(DATA + DATA_WRITABLE);
const END = READ_ONLY + 0x1000n;

/** An address for an operand of `size` bytes: mostly plain data, sometimes an edge of it. */
export function place(c: CaseBuilder, size: number, alignment: number): bigint {
  const { random } = c;
  const before = BigInt(random.below(Math.max(size, 2)));
  switch (random.below(24)) {
    case 0:
    case 1:
      return WINDOW + 0x1000n - before;
    case 2:
      return READ_ONLY + BigInt(random.below(0x1000 - size) & -Math.max(alignment, 1));
    case 3:
      return END + BigInt(random.below(64) & -Math.max(alignment, 1));
    case 4:
      return END - before;
    case 5:
      return READ_ONLY - before;
    case 6:
      return WINDOW - before;
    case 7:
      return random.oneIn(2) ? 0x9000_0000_0000n + before : random.u64() | (1n << 62n);
    default: {
      const unit = random.oneIn(4)
        ? Math.max(alignment, 1)
        : Math.max(alignment, Math.min(size, 16));
      const room = Math.floor((DATA_WRITABLE - size) / unit);
      return WINDOW + BigInt(random.below(room) * unit);
    }
  }
}

const fitsInt32 = (value: bigint) => BigInt.asIntN(32, value) === value;

function chooseBase(c: CaseBuilder, taken: readonly number[]): number {
  for (;;) {
    const base = c.random.below(16);
    if (!taken.includes(base) || c.random.oneIn(16)) return base;
  }
}

/** An address without registers that can change: RIP-relative, or absolute. @returns whether one was made. */
function fixedAddress(c: CaseBuilder, instruction: Instruction, ea: bigint): boolean {
  const way = c.random.below(8);
  if (way > 1 || ea < 0n || !fitsInt32(ea)) return false;
  if (way === 0 && instruction.segmentPrefix !== Register.None) return false;
  if (way === 0) instruction.memoryBase = Register.RIP;
  instruction.memoryDisplacement = ea;
  instruction.memoryDisplSize = way === 0 ? 8 : 4;
  return true;
}

/** Adds an index register some of the time. @returns what it contributes to the address. */
function addIndex(
  c: CaseBuilder,
  instruction: Instruction,
  first: Register,
  taken: readonly number[],
): bigint {
  const { random } = c;
  const index = chooseBase(c, taken);
  if (!random.oneIn(3) || index === RSP || taken.at(-1) === index) return 0n;
  const scale = random.pick([1, 2, 4, 8]);
  const value = random.oneIn(2) ? random.u64() : BigInt(random.below(512) - 256);
  instruction.memoryIndex = first + index;
  instruction.memoryIndexScale = scale;
  c.setGpr(index, value);
  return value * BigInt(scale);
}

const RSP = 4;

/** Makes the memory operand of `instruction` mean `target`, by one of the many ways there are. */
export function address(
  c: CaseBuilder,
  instruction: Instruction,
  target: bigint,
  taken: readonly number[],
): void {
  const { random } = c;
  let ea = target;
  if (random.oneIn(10)) {
    instruction.segmentPrefix = Register.GS;
    ea = BigInt.asUintN(64, ea - BigInt(GS_BASE));
  }
  if (fixedAddress(c, instruction, ea)) return;
  const short = random.oneIn(16) && ea >= 0n && fitsInt32(ea);
  const first = short ? Register.EAX : Register.RAX;
  const base = chooseBase(c, taken);
  const range = random.oneIn(2) ? 256 : 1 << 20;
  const displacement = random.oneIn(3) ? 0n : BigInt(random.below(range)) - 128n;
  instruction.memoryBase = first + base;
  instruction.memoryDisplacement = BigInt.asUintN(64, displacement);
  instruction.memoryDisplSize = displacement === 0n ? 0 : short ? 4 : 8;
  const rest = ea - displacement - addIndex(c, instruction, first, [...taken, base]);
  // With 32-bit addresses the upper half of the register is junk that must not matter.
  const upper = short ? random.u64() & ~0xffff_ffffn : 0n;
  c.setGpr(base, short ? upper | BigInt.asUintN(32, rest) : rest);
}

function programAddress(
  c: CaseBuilder,
  instruction: Instruction,
  size: number,
  align: number,
): bigint {
  const unit = Math.max(align, c.random.oneIn(4) ? 1 : Math.min(size, 16));
  const offset = BigInt(c.random.below(Math.floor(0x400 / unit)) * unit);
  const origin = c.getGpr(PROGRAM_BASE);
  instruction.memoryBase = Register.R15;
  instruction.memoryDisplacement = offset;
  instruction.memoryDisplSize = 8;
  if (align <= 1 && c.random.oneIn(3)) {
    instruction.memoryIndex = Register.R14;
    instruction.memoryIndexScale = c.random.pick([1, 2, 4, 8]);
    return origin + offset + c.getGpr(PROGRAM_INDEX) * BigInt(instruction.memoryIndexScale);
  }
  return origin + offset;
}

function chooseGpr(c: CaseBuilder, first: Register, program: boolean): Register {
  if (first === Register.AL) {
    // AL..R15L follow AH..BH in iced's order; high bytes only encode without REX.
    if (c.random.oneIn(4)) return Register.AH + c.random.below(4);
    const index = program ? c.random.pick(PROGRAM_REGISTERS) : c.random.below(16);
    return index < 4 ? Register.AL + index : Register.SPL + index - 4;
  }
  return first + (program ? c.random.pick(PROGRAM_REGISTERS) : c.random.below(16));
}

const toBigInt = (bytes: Uint8Array): bigint =>
  bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);

function memoryValue(c: CaseBuilder, lanes: Lanes, size: number, isFloat: boolean): bigint {
  if (size === 10) return float80(c.random);
  if (isFloat && size === 4) return float32(c.random);
  if (isFloat && size === 8 && lanes !== 'float32') return float64(c.random);
  if (size <= 8 && lanes === 'integer') return integer(c.random, Math.max(size, 1));
  return toBigInt(vectorBytes(c.random, lanes, Math.min(size, 16)));
}

/** Picks operands for `code` and fills them with values. */
export class Operands {
  readonly instruction: Instruction;
  readonly list: Operand[] = [];
  readonly #c: CaseBuilder;
  readonly #choices: Choices;
  #immediates = 0;

  constructor(c: CaseBuilder, code: Code, choices: Choices) {
    this.#c = c;
    this.#choices = choices;
    this.instruction = Instruction.create(code);
    const info = CodeExt.opCode(code);
    // Registers first: the memory operand then avoids, or knowingly uses, what they took.
    const kinds = Array.from({ length: info.opCount }, (_, n) => info.opKind(n));
    const memoryTurn = kinds.map((kind) => this.#wantsMemory(kind));
    for (const [n, kind] of kinds.entries())
      if (!memoryTurn[n]) this.list[n] = this.#other(n, kind);
    for (const [n, kind] of kinds.entries())
      if (memoryTurn[n]) this.list[n] = this.#memory(n, kind);
    info.free();
  }

  #wantsMemory(kind: OpCodeOperandKind): boolean {
    const row = REGISTER_KINDS.get(kind);
    if (row !== undefined) return row[2] && this.#c.random.below(20) < 9;
    return kind === K.mem || kind === K.mem_offs;
  }

  #operand(kind: Operand['kind'], size: number, value: bigint, register: Register): Operand {
    return { kind, size, value, register, address: 0n };
  }

  #other(n: number, kind: OpCodeOperandKind): Operand {
    const row = REGISTER_KINDS.get(kind);
    if (row !== undefined) return this.#register(n, row[0], row[1]);
    const fixed = FIXED_REGISTERS.get(kind);
    if (fixed !== undefined) return this.#fixed(n, fixed);
    return this.#implied(n, kind) ?? this.#immediate(n, kind);
  }

  #fixed(n: number, register: Register): Operand {
    this.instruction.setOpKind(n, OpKind.Register);
    this.instruction.setOpRegister(n, register);
    if (register === Register.ST0) return this.#operand('st', 10, 0n, register);
    if (register > Register.R15) return this.#operand('other', 2, 0n, register);
    return this.#setGpr(
      register,
      { AL: 1, CL: 1, AX: 2, DX: 2, EAX: 4 }[Register[register] as 'AL'] ?? 8,
    );
  }

  #setGpr(register: Register, size: number): Operand {
    const value = integer(this.#c.random, size);
    // Programs keep what earlier instructions left there.
    if (!this.#choices.program) this.#c.setRegister(register, value);
    return this.#operand('gpr', size, value, register);
  }

  #register(n: number, first: Register, size: number): Operand {
    const c = this.#c;
    this.instruction.setOpKind(n, OpKind.Register);
    if (first === Register.XMM0 || first === Register.MM0 || first === Register.ST0) {
      const index = c.random.below(first === Register.XMM0 ? 16 : 8);
      this.instruction.setOpRegister(n, first + index);
      if (first === Register.ST0) return this.#operand('st', 10, 0n, first + index);
      const bytes = vectorBytes(c.random, this.#choices.lanes, size);
      if (!this.#choices.program) {
        if (first === Register.XMM0) c.setXmm(index, bytes);
        else c.setSt(index, toBigInt(bytes) | (0xffffn << 64n));
      }
      const kind = first === Register.XMM0 ? 'vector' : 'mmx';
      return this.#operand(kind, size, toBigInt(bytes), first + index);
    }
    const register = chooseGpr(c, first, this.#choices.program);
    this.instruction.setOpRegister(n, register);
    return this.#setGpr(register, size);
  }

  #memory(n: number, kind: OpCodeOperandKind): Operand {
    const c = this.#c;
    const { instruction } = this;
    instruction.setOpKind(n, OpKind.Memory);
    const size = MemorySizeExt.size(instruction.memorySize);
    const element = MemorySizeExt.elementType(instruction.memorySize);
    const isFloat = /float/i.test(MemorySize[element]);
    const { alignment } = this.#choices;
    const taken = this.list.filter((o) => o.kind === 'gpr').map((o) => gprIndex(o.register));
    let at: bigint;
    if (this.#choices.program) at = programAddress(c, instruction, size, alignment);
    else {
      at = this.#choices.address ?? place(c, size, alignment);
      if (kind === K.mem_offs) {
        instruction.memoryDisplacement = at;
        instruction.memoryDisplSize = 8;
      } else address(c, instruction, at, [...taken, 0, 1, 2]);
    }
    const value = memoryValue(c, this.#choices.lanes, size, isFloat);
    if (!this.#choices.program || c.random.oneIn(2))
      c.setMemoryInteger(at, value, Math.min(size, 16));
    return { kind: 'memory', size, register: Register.None, address: at, value };
  }

  /** Operands that need no choice: string pointers and branch targets. */
  #implied(n: number, kind: OpCodeOperandKind): Operand | undefined {
    const { instruction } = this;
    const other = this.#operand('other', 0, 0n, Register.None);
    switch (kind) {
      case K.seg_rSI:
        instruction.setOpKind(n, OpKind.MemorySegRSI);
        return other;
      case K.es_rDI:
        instruction.setOpKind(n, OpKind.MemoryESRDI);
        return other;
      case K.seg_rDI:
        instruction.setOpKind(n, OpKind.MemorySegRDI);
        return other;
      case K.seg_rBX_al:
        instruction.setOpKind(n, OpKind.Memory);
        instruction.memoryBase = Register.RBX;
        instruction.memoryIndex = Register.AL;
        return other;
      case K.br64_1:
      case K.br64_4:
        instruction.setOpKind(n, OpKind.NearBranch64);
        instruction.nearBranch64 =
          this.#choices.branchTarget ?? this.#c.rip + BigInt(this.#c.random.below(60)) + 32n;
        return this.#operand('branch', 8, instruction.nearBranch64, Register.None);
      default:
        return undefined;
    }
  }

  #immediate(n: number, kind: OpCodeOperandKind): Operand {
    const row = IMMEDIATES.get(kind);
    if (!row) throw new Error(`operand kind ${K[kind]} is not generated`);
    const [opKind, size, set] = row;
    const value = kind === K.imm8_const_1 ? 1n : integer(this.#c.random, size);
    if (opKind === OpKind.Immediate8 && this.#immediates > 0) {
      this.instruction.setOpKind(n, OpKind.Immediate8_2nd);
      this.instruction.immediate8_2nd = Number(value);
    } else {
      this.instruction.setOpKind(n, opKind);
      set(this.instruction, value);
    }
    this.#immediates++;
    return this.#operand('immediate', size, value, Register.None);
  }
}

/** An address to jump to: mostly an INT3 of the code pages. */
export function jumpTarget(c: CaseBuilder): bigint {
  const { random } = c;
  if (random.oneIn(12)) return BigInt(DATA + random.below(0x3000)); // not executable
  if (random.oneIn(12)) return 0x8000_0000_0000n + BigInt(random.below(100)); // not canonical
  if (random.oneIn(12)) return BigInt(CODE + 0x2000 + random.below(100)); // not mapped
  return BigInt(CODE + 0x800 + random.below(0x1000));
}
