/** An instruction that Xen carries out for a guest: fetched at rip, with its register and immediate operands. */

import { type Instruction, OpKind, Register } from 'iced-x86';
import type { Ram } from '../machine/ram.js';
import { asVirtAddr, type VirtAddr } from '../machine/types.js';
import { ACCESS, type Processor } from '../x86/processor.js';
import type { Mode } from '../x86/segment-state.js';
import type { GuestAccess } from './guest-access.js';

const MAX_LENGTH = 15;
const PAGE = 4096;

/** Decoded instructions that are kept: those that a kernel's page-table code uses are few. */
const KEPT = 256;

interface Kept {
  readonly bytes: Uint8Array;
  readonly mode: Mode;
  readonly instruction: Instruction;
}

/** Fetches the instruction at rip. Decoding costs microseconds, so decoded ones are kept and compared with the bytes. */
export class InstructionFetch {
  readonly #processor: Processor;
  readonly #guest: GuestAccess;
  readonly #ram: Ram;
  readonly #kept = new Map<number, Kept>();

  constructor(processor: Processor, guest: GuestAccess, ram: Ram) {
    this.#processor = processor;
    this.#guest = guest;
    this.#ram = ram;
  }

  /** @returns the instruction at rip, good until the next fetch; undefined if it cannot be read or is none. */
  fetch(): Instruction | undefined {
    const { codeAddress: rip, mode } = this.#processor.registers;
    const kept = this.#kept.get(rip);
    if (kept?.mode === mode && this.#isSame(kept.bytes, rip)) return kept.instruction;
    const bytes = fetchBytes(this.#guest, rip, MAX_LENGTH);
    if (!bytes) return undefined;
    const instruction = this.#processor.instructionAt(bytes, rip);
    const { length } = instruction;
    if (length === 0 || length > bytes.length || instruction.isInvalid) {
      instruction.free();
      return undefined;
    }
    if (this.#kept.size >= KEPT) this.#forget();
    this.#kept.get(rip)?.instruction.free();
    this.#kept.set(rip, { bytes: bytes.slice(0, length), mode, instruction });
    return instruction;
  }

  #isSame(bytes: Uint8Array, rip: VirtAddr): boolean {
    const host = this.#guest.hostAddress(rip, bytes.length, ACCESS.READ);
    if (host < 0) return false;
    for (let n = 0; n < bytes.length; n++) {
      if (bytes[n] !== this.#ram.u8[host + n]) return false;
    }
    return true;
  }

  #forget(): void {
    for (const { instruction } of this.#kept.values()) instruction.free();
    this.#kept.clear();
  }
}

/** @returns up to `length` bytes of code: fewer if the page ends and the next is not there. */
export function fetchBytes(
  guest: GuestAccess,
  rip: VirtAddr,
  length: number,
): Uint8Array | undefined {
  const first = Math.min(length, PAGE - (rip & (PAGE - 1)));
  const head = guest.copyFrom(rip, first);
  if (!head || first === length) return head;
  const tail = guest.copyFrom(asVirtAddr(rip + first), length - first);
  if (!tail) return head;
  const bytes = new Uint8Array(length);
  bytes.set(head);
  bytes.set(tail, first);
  return bytes;
}

/** A general-purpose register as an operand: its number, its bytes, and which byte it starts at (ah, ch, dh, bh: 1). */
export interface RegisterOperand {
  readonly number: number;
  readonly size: number;
  readonly shift: 0 | 1;
}

/** @returns undefined for a register that is none of the general-purpose ones. */
export function registerOperand(register: Register): RegisterOperand | undefined {
  if (register >= Register.RAX && register <= Register.R15) {
    return { number: register - Register.RAX, size: 8, shift: 0 };
  }
  if (register >= Register.EAX && register <= Register.R15D) {
    return { number: register - Register.EAX, size: 4, shift: 0 };
  }
  if (register >= Register.AX && register <= Register.R15W) {
    return { number: register - Register.AX, size: 2, shift: 0 };
  }
  if (register >= Register.AL && register <= Register.BL) {
    return { number: register - Register.AL, size: 1, shift: 0 };
  }
  if (register >= Register.AH && register <= Register.BH) {
    return { number: register - Register.AH, size: 1, shift: 1 };
  }
  if (register >= Register.SPL && register <= Register.R15L) {
    return { number: register - Register.SPL + 4, size: 1, shift: 0 };
  }
  return undefined;
}

export const bitsOf = (size: number): number => size * 8;
export const maskOf = (size: number): bigint => (1n << BigInt(size * 8)) - 1n;

/** The value of a register operand. */
export function readRegister(processor: Processor, operand: RegisterOperand): bigint {
  const value = processor.registers.get(operand.number) >> BigInt(operand.shift * 8);
  return value & maskOf(operand.size);
}

/** Writes as the processor does: 32 bits clear the high half, fewer keep the rest. */
export function writeRegister(processor: Processor, operand: RegisterOperand, value: bigint): void {
  const { registers } = processor;
  const bits = value & maskOf(operand.size);
  if (operand.size >= 4) {
    registers.set(operand.number, bits);
    return;
  }
  const shift = BigInt(operand.shift * 8);
  const kept = registers.get(operand.number) & ~(maskOf(operand.size) << shift);
  registers.set(operand.number, kept | (bits << shift));
}

/** The value of a register or immediate operand, undefined for any other. */
export function readOperand(
  processor: Processor,
  instruction: Instruction,
  n: number,
): bigint | undefined {
  if (instruction.opKind(n) === OpKind.Register) {
    const operand = registerOperand(instruction.opRegister(n));
    return operand && readRegister(processor, operand);
  }
  return isImmediate(instruction.opKind(n)) ? instruction.immediate(n) : undefined;
}

const isImmediate = (kind: OpKind): boolean =>
  kind >= OpKind.Immediate8 && kind <= OpKind.Immediate32to64;
