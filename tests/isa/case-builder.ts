/** Builds one case: sets registers and memory, encodes instructions at its code address. */

import { Encoder, type Instruction, Register, RegisterExt } from 'iced-x86';
import {
  type Case,
  DATA,
  DATA_BACKGROUND,
  FCW_OFFSET,
  MXCSR_OFFSET,
  RFLAGS_OFFSET,
  RIP_OFFSET,
  ST_OFFSET,
  stateBackground,
  TOLERANCE,
  type Tolerance,
  XMM_OFFSET,
} from './format.js';
import { Random } from './random.js';
import { difference } from './vectors.js';

/** Index of a general register in the state, from any of its names; AH to BH give 0 to 3. */
export const gprIndex = (register: Register): number =>
  register >= Register.AH && register <= Register.BH
    ? register - Register.AH
    : RegisterExt.fullRegister(register) - Register.RAX;

export class CaseBuilder {
  readonly random: Random;
  readonly seed: number;
  readonly state: Uint8Array;
  readonly view: DataView;
  readonly data = DATA_BACKGROUND.slice();
  readonly dataView = new DataView(this.data.buffer);
  undefinedFlags = 0;
  tolerance: Tolerance = TOLERANCE.EXACT;
  #code: number[] = [];

  constructor(seed: number) {
    this.seed = seed >>> 0;
    this.random = new Random(seed ^ 0x5eed);
    this.state = stateBackground(seed);
    this.view = new DataView(this.state.buffer);
  }

  /** Address of the next instruction. */
  get rip(): bigint {
    return this.view.getBigUint64(RIP_OFFSET, true) + BigInt(this.#code.length);
  }

  /** Moves the whole case elsewhere in the code pages; only before the first instruction. */
  startAt(address: number): void {
    this.view.setBigUint64(RIP_OFFSET, BigInt(address), true);
  }

  getGpr(index: number): bigint {
    return this.view.getBigUint64(index * 8, true);
  }

  setGpr(index: number, value: bigint): void {
    this.view.setBigUint64(index * 8, BigInt.asUintN(64, value), true);
  }

  /** Sets the part of a register that its name means, leaving the rest. */
  setRegister(register: Register, value: bigint): void {
    const index = gprIndex(register);
    const shift = register >= Register.AH && register <= Register.BH ? 8n : 0n;
    const mask = ((1n << BigInt(RegisterExt.size(register) * 8)) - 1n) << shift;
    this.setGpr(index, (this.getGpr(index) & ~mask) | ((value << shift) & mask));
  }

  setFlags(flags: number): void {
    this.view.setUint32(RFLAGS_OFFSET, 0x202 | flags, true);
  }

  get flags(): number {
    return this.view.getUint32(RFLAGS_OFFSET, true);
  }

  setXmm(index: number, bytes: Uint8Array): void {
    this.state.set(bytes, XMM_OFFSET + index * 16);
  }

  setMxcsr(value: number): void {
    this.view.setUint32(MXCSR_OFFSET, value, true);
  }

  get mxcsr(): number {
    return this.view.getUint32(MXCSR_OFFSET, true);
  }

  setX87(control: number, status: number, tags: number): void {
    this.view.setUint16(FCW_OFFSET, control, true);
    this.view.setUint16(FCW_OFFSET + 2, status, true);
    this.view.setUint16(FCW_OFFSET + 4, tags, true);
  }

  /** ST(index), which is also MM(index) when the stack's top is 0. */
  setSt(index: number, value: bigint): void {
    this.view.setBigUint64(ST_OFFSET + index * 16, BigInt.asUintN(64, value), true);
    this.view.setUint16(ST_OFFSET + index * 16 + 8, Number(value >> 64n), true);
  }

  /** Puts bytes at a data address, as far as they lie in mapped data. */
  setMemory(address: bigint, bytes: Uint8Array): void {
    const offset = Number(BigInt.asIntN(64, address)) - DATA;
    for (const [at, byte] of bytes.entries())
      if (offset + at >= 0 && offset + at < this.data.length) this.data[offset + at] = byte;
  }

  setMemoryInteger(address: bigint, value: bigint, size: number): void {
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size; at++) bytes[at] = Number((value >> BigInt(8 * at)) & 0xffn);
    this.setMemory(address, bytes);
  }

  emitBytes(bytes: Iterable<number>): void {
    this.#code.push(...bytes);
  }

  /** @throws Error if the instruction cannot be encoded so (AH with REX and the like). */
  emit(instruction: Instruction): void {
    const encoder = new Encoder(64);
    try {
      encoder.encode(instruction, this.rip);
      this.emitBytes(encoder.takeBuffer());
    } finally {
      encoder.free();
    }
  }

  finish(): Case {
    return {
      code: Uint8Array.from(this.#code),
      state: this.state,
      patches: difference(DATA_BACKGROUND, this.data),
      seed: this.seed,
      undefinedFlags: this.undefinedFlags,
      tolerance: this.tolerance,
    };
  }
}
