/**
 * Writes to read-only page tables: a kernel that stores into an L1 table of its own, mapped read-only as all tables are,
 * faults, and Xen makes the checked update it meant. Known as ptwr, or writable page tables. Spec: xen-abi §1.5.
 */

import { type Instruction, MemorySizeExt, Mnemonic, OpKind } from 'iced-x86';
import { asVirtAddr, type VirtAddr } from '../machine/types.js';
import type { Processor } from '../x86/processor.js';
import { GPR, RFLAGS } from '../x86/state.js';
import {
  bitsOf,
  type InstructionFetch,
  maskOf,
  readOperand,
  registerOperand,
  writeRegister,
} from './emulated-instruction.js';
import { PGT } from './page-types.js';
import { ENTRY_SIZE, PTE, pteMfn, tableSlot } from './pte.js';
import type { PvVcpu } from './pv-vcpu.js';

const { CF, PF, AF, ZF, SF, OF } = RFLAGS;
const ALL_FLAGS = CF | PF | AF | ZF | SF | OF;

/** What an instruction does to the bytes in memory. */
interface Effect {
  readonly value: bigint;
  /** Stores what else it changes: a register, flags. Only once the update was accepted. */
  readonly commit: () => void;
}

const nothing = () => {};

export class ReadOnlyPageFault {
  readonly #processor: Processor;
  readonly #fetch: InstructionFetch;

  constructor(processor: Processor, fetch: InstructionFetch) {
    this.#processor = processor;
    this.#fetch = fetch;
  }

  /**
   * @param va the address of the fault: a write to a page that is present.
   * @returns true if the write was carried out, false if the guest is to have its page fault.
   */
  handle(v: PvVcpu, va: VirtAddr): boolean {
    const table = this.#tableAt(v, va);
    if (table === 0) return false;
    const instruction = this.#fetch.fetch();
    if (!instruction || !this.#carryOut(v, va, table, instruction)) return false;
    const { registers } = this.#processor;
    registers.rip = asVirtAddr(registers.rip + instruction.length);
    return true;
  }

  /** MFN of the L1 table that a read-only mapping at this address leads to, 0 if it leads elsewhere. */
  #tableAt(v: PvVcpu, va: VirtAddr): number {
    const { pv } = v;
    const through = pv.l1Table(v.kernelTable, va);
    if (through === 0) return 0;
    const slot = tableSlot(va, 1);
    const lo = pv.tables.low(through, slot);
    if ((lo & (PTE.PRESENT | PTE.RW)) !== PTE.PRESENT) return 0;
    const mfn = pteMfn(lo, pv.tables.high(through, slot));
    return pv.types.is(mfn, PGT.L1) ? mfn : 0;
  }

  #carryOut(v: PvVcpu, va: VirtAddr, table: number, instruction: Instruction): boolean {
    const size = MemorySizeExt.size(instruction.memorySize);
    const offset = va & 4095;
    if (![1, 2, 4, 8].includes(size) || offset % size !== 0) return false;
    const slot = Math.floor(offset / ENTRY_SIZE);
    const { types, tables } = v.pv;
    const entry = (BigInt(tables.high(table, slot)) << 32n) | BigInt(tables.low(table, slot));
    const shift = BigInt((offset % ENTRY_SIZE) * 8);
    const mask = maskOf(size);
    const effect = this.#effect(instruction, size, (entry >> shift) & mask);
    if (!effect) return false;
    const changed = (entry & ~(mask << shift)) | ((effect.value & mask) << shift);
    const lo = Number(changed & 0xffff_ffffn);
    types.work = Number.POSITIVE_INFINITY;
    if (tables.modify(table, PGT.L1, slot, lo, Number(changed >> 32n)) !== 0) return false;
    effect.commit();
    return true;
  }

  /** @returns undefined for an instruction that is not known to write page tables. */
  #effect(instruction: Instruction, size: number, old: bigint): Effect | undefined {
    switch (instruction.mnemonic) {
      case Mnemonic.Mov:
      case Mnemonic.Movnti: {
        const value = readOperand(this.#processor, instruction, 1);
        return value === undefined ? undefined : { value, commit: nothing };
      }
      case Mnemonic.Xchg:
        return this.#exchange(instruction, old);
      case Mnemonic.Cmpxchg:
        return this.#compareExchange(instruction, size, old);
      case Mnemonic.Cmpxchg8b:
        return this.#compareExchange8(old);
      case Mnemonic.Stosb:
      case Mnemonic.Stosw:
      case Mnemonic.Stosd:
      case Mnemonic.Stosq:
        return this.#store(instruction, size);
      case Mnemonic.Btr:
      case Mnemonic.Bts:
      case Mnemonic.Btc:
        return this.#bit(instruction, size, old);
      default:
        return this.#arithmetic(instruction, size, old);
    }
  }

  #exchange(instruction: Instruction, old: bigint): Effect | undefined {
    // The memory operand may stand on either side.
    const n = instruction.opKind(0) === OpKind.Register ? 0 : 1;
    const operand = registerOperand(instruction.opRegister(n));
    const value = readOperand(this.#processor, instruction, n);
    if (!operand || value === undefined) return undefined;
    return { value, commit: () => writeRegister(this.#processor, operand, old) };
  }

  #compareExchange(instruction: Instruction, size: number, old: bigint): Effect | undefined {
    const wanted = readOperand(this.#processor, instruction, 1);
    if (wanted === undefined) return undefined;
    const accumulator = { number: GPR.RAX, size, shift: 0 } as const;
    const expected = this.#processor.registers.get(GPR.RAX) & maskOf(size);
    const equal = expected === old;
    const flags = subtractFlags(expected, old, size);
    return {
      value: equal ? wanted : old,
      commit: () => {
        if (!equal) writeRegister(this.#processor, accumulator, old);
        this.#setFlags(flags, ALL_FLAGS);
      },
    };
  }

  #compareExchange8(old: bigint): Effect {
    const { registers } = this.#processor;
    const pair = (high: number, low: number) =>
      (BigInt(registers.lo(high)) << 32n) | BigInt(registers.lo(low));
    const equal = pair(GPR.RDX, GPR.RAX) === old;
    return {
      value: equal ? pair(GPR.RCX, GPR.RBX) : old,
      commit: () => {
        this.#setFlags(equal ? ZF : 0, ZF);
        if (equal) return;
        registers.set(GPR.RAX, old & 0xffff_ffffn);
        registers.set(GPR.RDX, old >> 32n);
      },
    };
  }

  /** One turn of STOS. With REP the instruction is executed again for the next. */
  #store(instruction: Instruction, size: number): Effect {
    const { registers } = this.#processor;
    const step = BigInt(registers.rflags & RFLAGS.DF ? -size : size);
    const repeats = instruction.hasRepPrefix;
    const { length } = instruction;
    return {
      value: registers.get(GPR.RAX),
      commit: () => {
        registers.set(GPR.RDI, registers.get(GPR.RDI) + step);
        if (!repeats) return;
        registers.set(GPR.RCX, registers.get(GPR.RCX) - 1n);
        // handle() moves rip behind the instruction: undo that until the count is used up.
        if (registers.get(GPR.RCX) !== 0n) registers.rip = asVirtAddr(registers.rip - length);
      },
    };
  }

  #bit(instruction: Instruction, size: number, old: bigint): Effect | undefined {
    const offset = readOperand(this.#processor, instruction, 1);
    if (offset === undefined) return undefined;
    const bit = 1n << (offset & BigInt(bitsOf(size) - 1));
    const { mnemonic } = instruction;
    const others = old & ~bit;
    const set = mnemonic === Mnemonic.Bts || (mnemonic === Mnemonic.Btc && (old & bit) === 0n);
    return {
      value: set ? others | bit : others,
      commit: () => this.#setFlags(old & bit ? CF : 0, CF),
    };
  }

  #arithmetic(instruction: Instruction, size: number, old: bigint): Effect | undefined {
    const { mnemonic } = instruction;
    const unary = UNARY[mnemonic];
    const operand = unary ? unary.operand : readOperand(this.#processor, instruction, 1);
    const row = unary ?? BINARY[mnemonic];
    if (!row || operand === undefined) return undefined;
    const right = operand & maskOf(size);
    const value = row.compute(old, right) & maskOf(size);
    const flags = row.flags(old, right, size, value);
    const exchanged =
      mnemonic === Mnemonic.Xadd ? registerOperand(instruction.opRegister(1)) : undefined;
    return {
      value,
      commit: () => {
        this.#setFlags(flags, row.affected);
        if (exchanged) writeRegister(this.#processor, exchanged, old);
      },
    };
  }

  #setFlags(flags: number, affected: number): void {
    const { registers } = this.#processor;
    registers.rflags = (registers.rflags & ~affected) | (flags & affected);
  }
}

interface Arithmetic {
  readonly compute: (left: bigint, right: bigint) => bigint;
  readonly flags: (left: bigint, right: bigint, size: number, value: bigint) => number;
  readonly affected: number;
}

const ADD: Arithmetic = { compute: (a, b) => a + b, flags: addFlags, affected: ALL_FLAGS };
const SUB: Arithmetic = {
  compute: (a, b) => a - b,
  flags: (a, b, size) => subtractFlags(a, b, size),
  affected: ALL_FLAGS,
};
const logic = (compute: Arithmetic['compute']): Arithmetic => ({
  compute,
  flags: (_a, _b, size, value) => resultFlags(value, size),
  affected: ALL_FLAGS,
});

// biome-ignore format: one row per instruction
const BINARY: Readonly<Record<number, Arithmetic>> = {
  [Mnemonic.And]:  logic((a, b) => a & b),
  [Mnemonic.Or]:   logic((a, b) => a | b),
  [Mnemonic.Xor]:  logic((a, b) => a ^ b),
  [Mnemonic.Add]:  ADD,
  [Mnemonic.Sub]:  SUB,
  [Mnemonic.Xadd]: ADD,
};

// biome-ignore format: one row per instruction
const UNARY: Readonly<Record<number, Arithmetic & { readonly operand: bigint }>> = {
  [Mnemonic.Inc]:  { ...ADD, operand: 1n, affected: ALL_FLAGS & ~CF },
  [Mnemonic.Dec]:  { ...SUB, operand: 1n, affected: ALL_FLAGS & ~CF },
  [Mnemonic.Not]:  { ...logic((a) => ~a), operand: 0n, affected: 0 },
  [Mnemonic.Neg]:  { compute: (a) => -a, flags: (a, _b, size) => subtractFlags(0n, a, size), affected: ALL_FLAGS, operand: 0n },
};

/** SF, ZF, PF of a result (SDM 1 §3.4.3.1). */
function resultFlags(value: bigint, size: number): number {
  const sign = (value >> BigInt(bitsOf(size) - 1)) & 1n ? SF : 0;
  let ones = 0;
  for (let low = Number(value & 0xffn); low; low &= low - 1) ones++;
  return sign | (value === 0n ? ZF : 0) | (ones % 2 === 0 ? PF : 0);
}

function addFlags(a: bigint, b: bigint, size: number): number {
  const value = (a + b) & maskOf(size);
  const top = BigInt(bitsOf(size) - 1);
  const overflow = ((a ^ value) & (b ^ value)) >> top ? OF : 0;
  const half = (a ^ b ^ value) & 0x10n ? AF : 0;
  return resultFlags(value, size) | (a + b > maskOf(size) ? CF : 0) | overflow | half;
}

function subtractFlags(a: bigint, b: bigint, size: number): number {
  const value = (a - b) & maskOf(size);
  const top = BigInt(bitsOf(size) - 1);
  const overflow = ((a ^ b) & (a ^ value)) >> top ? OF : 0;
  const half = (a ^ b ^ value) & 0x10n ? AF : 0;
  return resultFlags(value, size) | (a < b ? CF : 0) | overflow | half;
}
