/** Runs cases on our processor. */

import { PAGE_SIZE } from '../../hypervisor/machine/layout.js';
import { asVirtAddr, type Frame } from '../../hypervisor/machine/types.js';
import { loadImage, saveImage } from '../../hypervisor/x86/fxsave.js';
import { EXIT } from '../../hypervisor/x86/processor.js';
import type { Registers } from '../../hypervisor/x86/registers.js';
import { SEGMENT } from '../../hypervisor/x86/state.js';
import { FlatMachine, PTE } from '../support/flat-machine.js';
import {
  type Case,
  CODE,
  CODE_BYTES,
  DATA,
  DATA_BACKGROUND,
  DATA_BYTES,
  DATA_WRITABLE,
  FX_OFFSET,
  GS_BASE,
  normalise,
  type Outcome,
  RFLAGS_OFFSET,
  RIP_OFFSET,
  STATE_BYTES,
  STOPPED,
} from './format.js';
import { difference } from './vectors.js';

const INT3 = 0xcc;
const BREAKPOINT = 3;
const GENERAL_PROTECTION = 13;
const PAGE_FAULT = 14;
/** More than any case retires: the longest are string instructions. */
const BUDGET = 1_000_000;

/** The code that cases are run as: segments that end a little below 4 GiB are looked at at each access. */
export type CodeKind = 'long' | 'flat' | 'segmented';

const CODE32 = 0x23;
const DATA32 = 0x2b;
/** Flat segments as Linux has them for 32-bit programs. */
const FLAT_LIMIT = 0x000f_0000;
const SHORT_LIMIT = 0x000e_0000;
const CODE_RIGHTS = 0x00c0_fb00;
const DATA_RIGHTS = 0x00c0_f300;

/** GS gets its base afterwards. */
function enterCompatibilityMode({ segments }: Registers, limit: number): void {
  const data = { lo: 0xffff, hi: DATA_RIGHTS | limit };
  for (const segment of [SEGMENT.ES, SEGMENT.SS, SEGMENT.DS]) segments.load(segment, DATA32, data);
  segments.load(SEGMENT.GS, DATA32, { lo: 0xffff, hi: DATA_RIGHTS | FLAT_LIMIT });
  segments.enter(CODE32, { lo: 0xffff, hi: CODE_RIGHTS | limit }, data);
}

export class Interpreter {
  readonly #machine = new FlatMachine();
  readonly #kind: CodeKind;
  readonly #data: Uint8Array[] = [];
  readonly #code: { bytes: Uint8Array; frame: Frame }[] = [];
  /** A frame nobody uses, for images on their way in and out. */
  readonly #scratch: number;

  constructor(kind: CodeKind = 'long') {
    this.#kind = kind;
    const machine = this.#machine;
    const { ram } = machine;
    this.#scratch = machine.frames.allocate()! * PAGE_SIZE;
    const readOnly = (PTE.PRESENT | PTE.USER | PTE.NX) >>> 0;
    const writable = (readOnly | PTE.WRITE) >>> 0;
    for (let at = 0; at < DATA_BYTES; at += PAGE_SIZE) {
      const { frame } = machine.map(DATA + at, at < DATA_WRITABLE ? writable : readOnly);
      this.#data.push(ram.frameBytes(frame));
    }
    for (let at = 0; at < CODE_BYTES; at += PAGE_SIZE) {
      const { frame } = machine.map(CODE + at);
      const bytes = ram.frameBytes(frame);
      bytes.fill(INT3);
      this.#code.push({ bytes, frame });
    }
    this.#restoreData();
  }

  #restoreData(): void {
    this.#data.forEach((page, n) => {
      page.set(DATA_BACKGROUND.subarray(n * PAGE_SIZE, (n + 1) * PAGE_SIZE));
    });
  }

  #writeCode(rip: number, code: Uint8Array): void {
    code.forEach((byte, n) => {
      const offset = rip - CODE + n;
      const page = this.#code[Math.floor(offset / PAGE_SIZE)];
      if (page) page.bytes[offset % PAGE_SIZE] = byte;
    });
    for (const { frame } of this.#code) this.#machine.engine.frameWritten(frame);
  }

  #enter(test: Case): void {
    const { engine, ram } = this.#machine;
    const view = new DataView(test.state.buffer, test.state.byteOffset);
    const { registers } = engine;
    for (let n = 0; n < 16; n++) registers.set(n, view.getBigUint64(n * 8, true));
    registers.rip = asVirtAddr(Number(view.getBigUint64(RIP_OFFSET, true)));
    registers.rflags = view.getUint32(RFLAGS_OFFSET, true);
    if (this.#kind !== 'long')
      enterCompatibilityMode(registers, this.#kind === 'flat' ? FLAT_LIMIT : SHORT_LIMIT);
    registers.gsBase = BigInt(GS_BASE);
    ram.u8.set(test.state.subarray(FX_OFFSET), this.#scratch);
    loadImage(ram.view, this.#scratch);
    for (const { offset, bytes } of test.patches)
      bytes.forEach((byte, n) => {
        this.#data[Math.floor((offset + n) / PAGE_SIZE)]![(offset + n) % PAGE_SIZE] = byte;
      });
  }

  #leave(): Uint8Array {
    const { engine, ram } = this.#machine;
    const state = new Uint8Array(STATE_BYTES);
    const view = new DataView(state.buffer);
    for (let n = 0; n < 16; n++) view.setBigUint64(n * 8, engine.registers.get(n), true);
    view.setBigUint64(RIP_OFFSET, engine.registers.ripValue, true);
    view.setUint32(RFLAGS_OFFSET, engine.registers.rflags, true);
    ram.u8.fill(0, this.#scratch, this.#scratch + 512);
    saveImage(ram.view, this.#scratch);
    state.set(ram.u8.subarray(this.#scratch, this.#scratch + 512), FX_OFFSET);
    return normalise(state);
  }

  /** What an exit means, in the words of the native driver. */
  #ending(reason: number): Pick<Outcome, 'vector' | 'errorCode' | 'cr2'> {
    const { exit } = this.#machine.engine;
    if (reason === EXIT.INTERRUPT)
      return { vector: GENERAL_PROTECTION, errorCode: exit.vector * 8 + 2, cr2: 0n };
    if (reason === EXIT.PRIVILEGED) return { vector: GENERAL_PROTECTION, errorCode: 0, cr2: 0n };
    if (reason !== EXIT.EXCEPTION) throw new Error(`the case left with reason ${reason}`);
    const { vector, errorCode } = exit;
    if (vector === BREAKPOINT) return { vector: STOPPED, errorCode: 0, cr2: 0n };
    const cr2 = vector === PAGE_FAULT ? BigInt.asUintN(64, BigInt(exit.cr2)) : 0n;
    return { vector, errorCode, cr2 };
  }

  run(test: Case): Outcome {
    const rip = Number(
      new DataView(test.state.buffer, test.state.byteOffset).getBigUint64(RIP_OFFSET, true),
    );
    this.#writeCode(rip, test.code);
    this.#enter(test);
    const reason = this.#machine.engine.run(BUDGET);
    const ending = this.#ending(reason);
    const { registers } = this.#machine.engine;
    if (ending.vector === STOPPED) registers.rip = asVirtAddr(registers.rip - 1);
    const state = this.#leave();
    const data = new Uint8Array(DATA_BYTES);
    this.#data.forEach((page, n) => {
      data.set(page, n * PAGE_SIZE);
    });
    this.#restoreData();
    for (const { bytes } of this.#code) bytes.fill(INT3);
    return { ...ending, state, memory: difference(DATA_BACKGROUND, data) };
  }
}
