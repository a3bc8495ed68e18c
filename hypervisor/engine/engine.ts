/** The processor: runs the interpreter, feeds it with decoded code, and accounts for what it ran. */

import { Decoder, DecoderOptions, type Instruction } from 'iced-x86';
import { LAYOUT, PAGE_SIZE, STATE_SIZE } from '../machine/layout.js';
import type { Ram } from '../machine/ram.js';
import {
  asFrame,
  asVirtAddr,
  canonical,
  type Frame,
  highHalf,
  lowHalf,
  type VirtAddr,
} from '../machine/types.js';
import { OUTCOME } from '../x86/builder.js';
import type { HostImplementation, Machine } from '../x86/host-functions.js';
import { HOST_FUNCTIONS } from '../x86/instructions.js';
import {
  ACCESS,
  type AddressSpace,
  type Breakpoint,
  EXIT,
  type ExitDetail,
  type ExitReason,
  type Processor,
  type ProcessorHost,
  VECTOR,
} from '../x86/processor.js';
import { Registers } from '../x86/registers.js';
import { MODE, type Mode } from '../x86/segment-state.js';
import { RFLAGS, SLOT } from '../x86/state.js';
import { BITNESS, CodeCache } from './code-cache.js';
import { Debugging } from './debugging.js';
import { Exit } from './exit.js';
import { HYPERVISOR_RANGE } from './module.js';
import { INTERNAL, PSEUDO, RECORD, SCRATCH } from './record.js';
import { GUARD } from './runtime.js';
import { isStackFault } from './stack-fault.js';
import { type Tier, type TierExports, Tiers } from './tiers.js';

/** Indices of what each exit looks at, in units of 4 bytes. */
const SYSTEM_FLAGS_INDEX = SLOT.SYSTEM_FLAGS >>> 2;
const BUDGET_INDEX = SLOT.BUDGET >>> 2;
const CR0_INDEX = SLOT.CR0 >>> 2;
const MODE_INDEX = SLOT.MODE >>> 2;
const CR0_TS_EM = 0x0c;
/** Flags with which the processor does more than run. */
const OBSERVED = RFLAGS.TF | RFLAGS.RF | RFLAGS.AC;
const WASM_PAGE = 0x1_0000;
const MAX_INSTRUCTION = 15;
const NO_CODE = new Uint8Array(0);

export class Engine implements Processor {
  readonly registers: Registers;
  readonly exit: ExitDetail;
  readonly #ram: Ram;
  readonly #host: ProcessorHost;
  readonly #u32s: Uint32Array;
  readonly #tiers: Tiers;
  /** The walker and its companions, alike in all modules. */
  readonly #exports: TierExports;
  #tier: Tier;
  readonly #code: CodeCache;
  #retired = 0;
  /** Frames whose code a host function wrote to: dropped when the interpreter has left. */
  readonly #dropLater: Frame[] = [];
  /** Instructions left of the budget of `run`. */
  #left = 0;
  readonly #debugging: Debugging;

  constructor(ram: Ram, host: ProcessorHost) {
    this.#ram = ram;
    this.#host = host;
    this.#u32s = ram.u32;
    this.registers = new Registers(ram);
    this.exit = new Exit(ram);
    this.#tiers = new Tiers(ram.u8.length / WASM_PAGE, this.#imports(host));
    this.#tier = this.#tiers.of(MODE.LONG);
    this.#exports = this.#tier.exports;
    this.#code = new CodeCache(ram, this.#tier, () => this.flushTlb());
    this.#debugging = this.#makeDebugging();
    this.registers.reset();
    ram.u64[SLOT.ZERO / 8] = 0n;
    ram.u64[SLOT.PAGE_SIZE / 8] = BigInt(PAGE_SIZE);
    ram.u32[SLOT.TLB_LOG / 4] = SCRATCH.LOG_LIMIT; // nothing is known of the TLB yet: flush all of it
    this.flushTlb();
  }

  get retired(): number {
    return this.#retired;
  }

  run(budget: number): ExitReason {
    this.#left = budget;
    for (;;) {
      const isObserved = ((this.#u32s[SYSTEM_FLAGS_INDEX] as number) & OBSERVED) !== 0;
      const outcome =
        isObserved || this.#debugging.isArmed
          ? this.#debugging.run()
          : this.#serve(this.#runFor(this.#left));
      if (outcome !== undefined) return outcome;
      if (this.#left <= 0) return EXIT.BUDGET;
    }
  }

  /** The execute TLB names offset maps, and each mode has its own. */
  #changeMode(mode: Mode): void {
    this.#tier = this.#tiers.of(mode);
    this.#code.use(this.#tier);
    this.flushTlb();
  }

  /** CR0 changes only while the interpreter is not running. */
  #interpret(budget: number): number {
    const isOff = ((this.#u32s[CR0_INDEX] as number) & CR0_TS_EM) !== 0;
    const { exports } = this.#tier;
    return isOff ? exports.runWithoutFpu(budget) : exports.run(budget);
  }

  /** Runs the interpreter until it leaves, but never beyond a number of instructions. */
  #runFor(budget: number): number {
    const mode = this.#u32s[MODE_INDEX] as Mode;
    if (mode !== this.#tier.mode) this.#changeMode(mode);
    let reason = this.#interpret(budget);
    if (reason === INTERNAL.SHORT) reason = this.#finishBlock();
    const used = budget - (this.#u32s[BUDGET_INDEX] as number);
    this.#left -= used;
    this.#retired += used;
    if (this.#dropLater.length > 0) this.#dropWritten();
    return reason;
  }

  #dropWritten(): void {
    for (const frame of this.#dropLater) this.#code.drop(frame);
    this.#dropLater.length = 0;
  }

  setAddressSpace({ l4, frameMap, mfnLimit }: AddressSpace): void {
    this.#setU32(SLOT.WALK_L4, l4 * PAGE_SIZE);
    this.#setU32(SLOT.WALK_MAP, frameMap);
    this.#setU32(SLOT.WALK_LIMIT, mfnLimit);
    this.flushTlb();
  }

  flushTlb(): void {
    this.#exports.flush();
  }

  flushPage(va: VirtAddr): void {
    this.#exports.flushPage(lowHalf(va), highHalf(va));
  }

  translate(va: VirtAddr, access: number): number {
    for (;;) {
      const host = this.#exports.translate(lowHalf(va), highHalf(va), access) >>> 0;
      if (host !== 0) return host;
      if (this.#u32(SLOT.EXIT_REASON) !== INTERNAL.UNSHARE) return -1;
      this.#unshare();
    }
  }

  frameWritten(frame: Frame): void {
    this.#code.drop(frame);
  }

  forgetFrame(frame: Frame): void {
    this.#code.drop(frame);
  }

  setBreakpoints(breakpoints: readonly Breakpoint[]): void {
    this.#debugging.set(breakpoints);
  }

  saveState(into: Uint8Array): void {
    into.set(this.#ram.u8.subarray(LAYOUT.STATE, LAYOUT.STATE + STATE_SIZE));
  }

  loadState(from: Uint8Array): void {
    this.#ram.u8.set(from.subarray(0, STATE_SIZE), LAYOUT.STATE);
  }

  instructionAt(bytes: Uint8Array, rip: VirtAddr): Instruction {
    const decoder = new Decoder(BITNESS[this.registers.mode], bytes, DecoderOptions.None);
    decoder.ip = BigInt.asUintN(64, BigInt(rip));
    const instruction = decoder.decode();
    decoder.free();
    return instruction;
  }

  // ---- what the interpreter asks for

  /** @returns a reason to leave, or undefined to go on at rip. */
  #serve(reason: number): ExitReason | undefined {
    if (reason < INTERNAL.DECODE) return this.#detailed(reason as ExitReason);
    if (reason === INTERNAL.DECODE) return this.#decode();
    if (reason === INTERNAL.STRADDLE) return this.#decodeStraddling();
    if (reason === INTERNAL.CODE_HIT) return this.#writeOverCode();
    if (reason === INTERNAL.UNSHARE) this.#unshare();
    return undefined; // STOP, RESYNC, UNSHARE, WATCH
  }

  #unshare(): void {
    this.#host.unshare(this.#u32(SLOT.EXIT_FRAME));
    this.flushTlb();
  }

  #decode(): ExitReason | undefined {
    const { codeAddress: rip } = this.registers;
    const frame = this.#fetchFrame(rip);
    if (frame === undefined) return EXIT.EXCEPTION;
    if (this.#code.isFull) this.#code.dropAll();
    if (this.#code.decode(frame, lowHalf(rip) & (PAGE_SIZE - 1))) return undefined;
    return this.#decodeStraddling();
  }

  /** The instruction at rip reaches into the next page: decodes it with a guard, or gives the page fault. */
  #decodeStraddling(): ExitReason | undefined {
    const { codeAddress: rip } = this.registers;
    const offset = lowHalf(rip) & (PAGE_SIZE - 1);
    const first = this.#fetchFrame(rip);
    const second = this.#fetchFrame(asVirtAddr(rip - offset + PAGE_SIZE));
    if (first === undefined || second === undefined) return EXIT.EXCEPTION;
    if (this.#code.isFull) this.#code.dropAll();
    this.#code.decodeStraddling(first, offset, second, this.#bytesAt(first, offset, second));
    return undefined;
  }

  /**
   * The instruction at rip writes to decoded code. Drops that code and runs the instruction alone, from a record
   * that no write can hit; it may hit the code of another frame, or fault.
   */
  #writeOverCode(): ExitReason | undefined {
    const written = asFrame(this.#u32(SLOT.EXIT_FRAME));
    this.#code.drop(written);
    const { codeAddress: rip } = this.registers;
    const offset = lowHalf(rip) & (PAGE_SIZE - 1);
    const frame = this.#fetchFrame(rip);
    if (frame === undefined) return EXIT.EXCEPTION;
    const needsSecond = offset > PAGE_SIZE - MAX_INSTRUCTION;
    const second = needsSecond ? this.#fetchFrame(asVirtAddr(rip - offset + PAGE_SIZE)) : undefined;
    const old = this.#code.record(frame, offset);
    const once = this.#code.decodeOneShot(offset, this.#bytesAt(frame, offset, second));
    this.#code.setRecord(frame, offset, once);
    const reason = this.#runFor(1);
    if (this.#code.holdsCode(frame)) this.#code.setRecord(frame, offset, old);
    return reason < INTERNAL.DECODE ? (reason as ExitReason) : undefined;
  }

  /**
   * The budget ends within the block at rip: lays a STOP over the record where it ends.
   * @returns the reason for which the interpreter left.
   */
  #finishBlock(): number {
    const left = this.#u32(SLOT.BUDGET);
    if (left === 0) return INTERNAL.STOP;
    const { u8, u16 } = this.#ram;
    const first = this.#u32(SLOT.EXIT_RECORD);
    let stop = first;
    for (let skipped = 0; skipped < left; stop += RECORD.SIZE) {
      if ((u16[stop / 2] ?? 0) >= PSEUDO.COUNT) skipped += 1;
    }
    const before = stop - RECORD.SIZE;
    const [stopOp, beforeOp] = [u16[stop / 2] ?? 0, u16[before / 2] ?? 0];
    u16[stop / 2] = PSEUDO.STOP;
    u16[before / 2] = this.#tier.unfused.get(beforeOp) ?? beforeOp;
    const unpaid = u8[stop + RECORD.COUNT] ?? 0;
    const reason = this.#interpret(left + unpaid);
    u16[stop / 2] = stopOp;
    u16[before / 2] = beforeOp;
    this.#setU32(SLOT.BUDGET, this.#u32(SLOT.BUDGET) - unpaid);
    return reason;
  }

  /** The frame that is executed at an address; undefined after recording the page fault. */
  #fetchFrame(va: VirtAddr): Frame | undefined {
    const host = this.translate(va, ACCESS.EXECUTE);
    return host < 0 ? undefined : asFrame(Math.floor(host / PAGE_SIZE));
  }

  /** Up to 15 bytes from an offset of a frame on. */
  #bytesAt(frame: Frame, offset: number, second: Frame | undefined): Uint8Array {
    const bytes = new Uint8Array(MAX_INSTRUCTION);
    const head = this.#ram.frameBytes(frame).subarray(offset, offset + MAX_INSTRUCTION);
    bytes.set(head);
    if (second === undefined) return bytes.subarray(0, head.length);
    bytes.set(this.#ram.frameBytes(second).subarray(0, MAX_INSTRUCTION - head.length), head.length);
    return bytes;
  }

  // ---- imports

  #imports(host: ProcessorHost): Record<string, WebAssembly.ImportValue> {
    const machine: Machine = {
      ram: this.#ram,
      registers: this.registers,
      host,
      translate: (va, access) => this.translate(va, access),
      mayAccess: (va, bytes, access) => this.#mayAccess(va, bytes, access),
      written: (at) => {
        const frame = asFrame(Math.floor(at / PAGE_SIZE));
        if (this.#code.holdsCode(frame)) this.#dropLater.push(frame);
      },
      resync: () => {
        this.#setU32(SLOT.EXIT_REASON, INTERNAL.RESYNC);
        return OUTCOME.EXIT_AT;
      },
      resyncAfter: () => {
        this.#setU32(SLOT.EXIT_REASON, INTERNAL.RESYNC);
        return OUTCOME.EXIT_AFTER;
      },
      raise: (vector, errorCode) => {
        this.#recordException(vector, errorCode);
        return OUTCOME.EXIT_BEFORE;
      },
    };
    const imports: Record<string, WebAssembly.ImportValue> = {
      memory: this.#ram.memory,
      [HYPERVISOR_RANGE]: (low: number, high: number, access: number): number => {
        const va = canonical(low >>> 0, high >>> 0);
        return va === undefined ? 0 : Math.max(host.hypervisorRange(va, access), 0);
      },
    };
    for (const item of HOST_FUNCTIONS as readonly HostImplementation[]) {
      imports[item.name] = item.implement(machine);
    }
    return imports;
  }

  #makeDebugging(): Debugging {
    const left = () => this.#left;
    return new Debugging(this.#ram, {
      registers: this.registers,
      get left() {
        return left();
      },
      runFor: (budget) => this.#runFor(budget),
      serve: (reason) => this.#serve(reason),
      flushTlb: () => this.flushTlb(),
      code: () => this.#codeAtRip() ?? NO_CODE,
    });
  }

  #mayAccess(va: VirtAddr, bytes: number, access: number): boolean {
    if (this.#u32(SLOT.CAREFUL) === 0) return true;
    return this.#exports.guard(BigInt(va), bytes, access) !== GUARD.LEAVE;
  }

  /** Adds to an exit what only the instruction itself tells. */
  #detailed(reason: ExitReason): ExitReason {
    const isLong = this.registers.mode === MODE.LONG;
    const isProtection = isLong && reason === EXIT.EXCEPTION && this.exit.vector === VECTOR.GP;
    const instruction = isProtection || reason === EXIT.PRIVILEGED ? this.#exiting() : undefined;
    if (!instruction) return reason;
    if (!isProtection) this.#setU32(SLOT.EXIT_CODE, instruction.code);
    else if (isStackFault(instruction, this.registers)) this.#recordException(VECTOR.SS, 0);
    instruction.free();
    return reason;
  }

  /** The instruction that made us leave: decoded again, for this is rare. */
  #exiting(): Instruction | undefined {
    const bytes = this.#codeAtRip();
    return bytes && this.instructionAt(bytes, this.registers.rip);
  }

  /** Bytes of the instruction at rip, whose length is known from the exit. */
  #codeAtRip(): Uint8Array | undefined {
    const { codeAddress: rip } = this.registers;
    const offset = lowHalf(rip) & (PAGE_SIZE - 1);
    const first = this.#fetchFrame(rip);
    if (first === undefined) return undefined;
    const crosses = offset + this.exit.length > PAGE_SIZE;
    const second = crosses ? this.#fetchFrame(asVirtAddr(rip - offset + PAGE_SIZE)) : undefined;
    return this.#bytesAt(first, offset, second);
  }

  #recordException(vector: number, errorCode: number): void {
    this.#setU32(SLOT.EXIT_REASON, EXIT.EXCEPTION);
    this.#setU32(SLOT.EXIT_VECTOR, vector);
    this.#setU32(SLOT.EXIT_ERROR, errorCode);
  }

  #u32(slot: number): number {
    return this.#ram.u32[slot / 4] ?? 0;
  }

  #setU32(slot: number, value: number): void {
    this.#ram.u32[slot / 4] = value;
  }
}
