/** A processor that runs nothing: it translates by walking the tables in use, and has the real registers. */

import { Decoder, DecoderOptions, type Instruction } from 'iced-x86';
import { STATE_SIZE } from '../../hypervisor/machine/layout.js';
import type { Ram } from '../../hypervisor/machine/ram.js';
import { asVirtAddr, type Frame, toU64, type VirtAddr } from '../../hypervisor/machine/types.js';
import type {
  AddressSpace,
  Breakpoint,
  ExitDetail,
  Processor,
} from '../../hypervisor/x86/processor.js';
import { Registers } from '../../hypervisor/x86/registers.js';
import { SLOT } from '../../hypervisor/x86/state.js';

export class FakeProcessor implements Processor {
  readonly registers: Registers;
  exit: ExitDetail = {
    vector: 0,
    errorCode: 0,
    cr2: asVirtAddr(0),
    length: 0,
    code: 0,
    debugStatus: 0,
  };
  breakpoints: readonly Breakpoint[] = [];
  readonly retired = 0;
  /** How often all translations were forgotten. */
  flushes = 0;
  readonly #ram: Ram;
  #space: AddressSpace | undefined;

  constructor(ram: Ram) {
    this.#ram = ram;
    this.registers = new Registers(ram);
  }

  run(): never {
    throw new Error('this processor runs nothing');
  }

  setAddressSpace(space: AddressSpace): void {
    this.#space = space;
  }

  flushTlb(): void {
    this.flushes++;
  }

  flushPage(): void {}

  translate(va: VirtAddr, access: number): number {
    const space = this.#space;
    if (!space) return -1;
    const { u32 } = this.#ram;
    let frame: number = space.l4;
    for (let level = 4; level >= 1; level--) {
      const slot = Math.floor(va / 2 ** (12 + 9 * (level - 1))) & 511;
      const at = frame * 1024 + slot * 2;
      const lo = u32[at]!;
      const mfn = (u32[at + 1]! & 0xf_ffff) * 2 ** 20 + (lo >>> 12);
      const needed = 5 | (access === 1 ? 2 : 0);
      if ((lo & needed) !== needed || mfn >= space.mfnLimit) return -1;
      frame = u32[(u32[(space.frameMap >>> 2) + (mfn >>> 10)]! >>> 2) + (mfn & 1023)]!;
      if (frame === 0) return -1;
    }
    return frame * 4096 + (va & 4095);
  }

  frameWritten(_frame: Frame): void {}
  forgetFrame(_frame: Frame): void {}

  setBreakpoints(breakpoints: readonly Breakpoint[]): void {
    this.breakpoints = breakpoints;
  }

  saveState(into: Uint8Array): void {
    into.set(this.#ram.u8.subarray(SLOT.GPR, SLOT.GPR + STATE_SIZE));
  }

  loadState(from: Uint8Array): void {
    this.#ram.u8.set(from, SLOT.GPR);
  }

  instructionAt(bytes: Uint8Array, rip: VirtAddr): Instruction {
    const decoder = new Decoder(64, bytes, DecoderOptions.None);
    decoder.ip = toU64(rip);
    const instruction = decoder.decode();
    decoder.free();
    return instruction;
  }
}
