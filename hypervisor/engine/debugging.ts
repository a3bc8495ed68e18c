/**
 * Running with care: single-stepping (TF), breakpoints of the debug registers, alignment checks (AC).
 *
 * Nothing of this costs anything while it is off, and little while it is on:
 *   pages with an execution breakpoint never enter the execute TLB: there, instructions are run one by one
 *   pages with a data breakpoint never enter the read and write TLB: whoever hits one leaves, and is run again alone
 *   with AC no page enters the read and write TLB, so that every access is looked at (guard.ts)
 *
 * Spec: SDM 3B §17.2, §17.3; SDM 3A §6.8.3 (SS and RSP).
 */

import type { Ram } from '../machine/ram.js';
import { asVirtAddr, toU64, type VirtAddr } from '../machine/types.js';
import { BREAKPOINT, type Breakpoint, EXIT, type ExitReason, VECTOR } from '../x86/processor.js';
import type { Registers } from '../x86/registers.js';
import { RFLAGS, SLOT } from '../x86/state.js';
import { INTERNAL } from './record.js';

/** What of the engine this needs. */
export interface SteppedEngine {
  readonly registers: Registers;
  /** Instructions left of the budget. */
  readonly left: number;
  /** Runs the interpreter. @returns a reason of EXIT or INTERNAL. */
  runFor(budget: number): number;
  /** Serves what the interpreter asks for, or completes an exit. @returns undefined to go on. */
  serve(reason: number): ExitReason | undefined;
  flushTlb(): void;
  /** Up to 15 bytes of code at rip. */
  code(): Uint8Array;
}

const PAGE = 4096;
const BREAKPOINTS = 4;
const MAX_INSTRUCTION = 15;
/** DR6.BS. */
const SINGLE_STEP = 1 << 14;
/** A page that no address lies in, and the first byte of a breakpoint that no access reaches. */
const NO_PAGE = 1n;
const NOWHERE = 1n << 47n;
/** Instructions in a row that load SS and so keep #DB waiting: more of them give up that right. */
const MAX_SHADOWS = 16;

const word = (slot: number): number => slot >>> 2;

export class Debugging {
  /** A breakpoint is set. */
  isArmed = false;
  readonly #ram: Ram;
  readonly #engine: SteppedEngine;
  readonly #executes: Breakpoint[] = [];

  constructor(ram: Ram, engine: SteppedEngine) {
    this.#ram = ram;
    this.#engine = engine;
    this.#writeSlots([]);
  }

  set(breakpoints: readonly Breakpoint[]): void {
    if (!this.isArmed && breakpoints.length === 0) return;
    this.isArmed = breakpoints.length > 0;
    this.#executes.length = 0;
    for (const item of breakpoints) {
      if (item.kind === BREAKPOINT.EXECUTE) this.#executes.push(item);
    }
    this.#writeSlots(breakpoints);
    this.#engine.flushTlb();
  }

  /**
   * Runs up to the budget, or less, while TF, RF, AC or a breakpoint wants more than that.
   * @returns undefined to go on.
   */
  run(): ExitReason | undefined {
    const { u32 } = this.#ram;
    const { rip } = this.#engine.registers;
    const flags = this.#flags;
    const isResuming = (flags & RFLAGS.RF) !== 0;
    if (isResuming) u32[word(SLOT.SYSTEM_FLAGS)] = flags & ~RFLAGS.RF;
    if (!isResuming && this.#executes.length > 0) {
      const hits = this.#executionHits(rip);
      if (hits !== 0) return this.#raise(hits);
    }
    if (flags & RFLAGS.AC) this.#engine.flushTlb();
    u32[word(SLOT.CAREFUL)] = this.isArmed || flags & (RFLAGS.TF | RFLAGS.AC) ? 1 : 0;
    const isAlone = (flags & RFLAGS.TF) !== 0 || this.#isNearBreakpoint(rip);
    const outcome = isAlone ? this.#step() : this.#runOn();
    u32[word(SLOT.CAREFUL)] = 0;
    return outcome;
  }

  /** At full speed, until something comes up. */
  #runOn(): ExitReason | undefined {
    const engine = this.#engine;
    const reason = engine.runFor(engine.left);
    if (reason === INTERNAL.WATCH) return this.#step();
    const wantsCode = reason === INTERNAL.DECODE || reason === INTERNAL.STRADDLE;
    if (wantsCode && this.#isNearBreakpoint(engine.registers.rip)) return undefined;
    return engine.serve(reason);
  }

  /** One instruction, or several if they load SS. Then #DB for what it hit and for TF. */
  #step(): ExitReason | undefined {
    const { u32 } = this.#ram;
    let hits = 0;
    for (let n = 0; n < MAX_SHADOWS; n++) {
      const isStepping = (this.#flags & RFLAGS.TF) !== 0;
      const outcome = this.#runAlone();
      if (outcome !== undefined) return outcome;
      hits |= u32[word(SLOT.HITS)] ?? 0;
      if (u32[word(SLOT.SHADOW)] !== 0) continue;
      const status = hits | (isStepping ? SINGLE_STEP : 0);
      return status === 0 ? undefined : this.#raise(status);
    }
    return undefined;
  }

  /** Retires one instruction. @returns undefined if nothing else happened. */
  #runAlone(): ExitReason | undefined {
    const { u32 } = this.#ram;
    const engine = this.#engine;
    const { left } = engine;
    const { rip } = engine.registers;
    u32[word(SLOT.HITS)] = 0;
    u32[word(SLOT.SHADOW)] = 0;
    u32[word(SLOT.ALONE)] = 1;
    let outcome: ExitReason | undefined;
    while (outcome === undefined && engine.left === left) outcome = engine.serve(engine.runFor(1));
    u32[word(SLOT.ALONE)] = 0;
    if (engine.left < left && this.#isNextFault(outcome)) outcome = undefined;
    if (this.#executes.length > 0) engine.flushTlb();
    if (outcome === undefined && engine.registers.rip === rip) this.#resumeRepetition();
    return outcome;
  }

  /** A fault after an instruction was retired is that of fetching the next: it will be found again. */
  #isNextFault(outcome: ExitReason | undefined): boolean {
    const vector = this.#ram.u32[word(SLOT.EXIT_VECTOR)];
    return outcome === EXIT.EXCEPTION && (vector === VECTOR.PF || vector === VECTOR.GP);
  }

  /** Between two elements of a string the instruction is not new to the breakpoint at it (SDM 3B §17.3.1.1). */
  #resumeRepetition(): void {
    if (isRepeatedString(this.#engine.code())) {
      this.#ram.u32[word(SLOT.SYSTEM_FLAGS)] = this.#flags | RFLAGS.RF;
    }
  }

  #raise(status: number): ExitReason {
    const { u32 } = this.#ram;
    u32[word(SLOT.EXIT_REASON)] = EXIT.EXCEPTION;
    u32[word(SLOT.EXIT_VECTOR)] = VECTOR.DB;
    u32[word(SLOT.EXIT_ERROR)] = 0;
    u32[word(SLOT.DEBUG_STATUS)] = status;
    return EXIT.EXCEPTION;
  }

  /** Bits B0 to B3 for the execution breakpoints at an address. */
  #executionHits(rip: VirtAddr): number {
    let hits = 0;
    for (const { address, index } of this.#executes) if (address === rip) hits |= 1 << index;
    return hits;
  }

  /** May code from rip on touch a page with an execution breakpoint? */
  #isNearBreakpoint(rip: VirtAddr): boolean {
    const first = Math.floor(rip / PAGE);
    const last = Math.floor((rip + MAX_INSTRUCTION - 1) / PAGE);
    for (const { address } of this.#executes) {
      const page = Math.floor(address / PAGE);
      if (page === first || page === last) return true;
    }
    return false;
  }

  #writeSlots(breakpoints: readonly Breakpoint[]): void {
    const { u32 } = this.#ram;
    for (let n = 0; n < BREAKPOINTS; n++) {
      this.#writeWide(SLOT.WATCH_FIRST + n * 8, NOWHERE);
      this.#writeWide(SLOT.WATCH_LAST + n * 8, 0n);
      this.#writeWide(SLOT.BREAK_PAGE + n * 8, NO_PAGE);
      u32[word(SLOT.WATCH_READS) + n] = 0;
    }
    for (const { index, address, bytes, kind } of breakpoints) {
      const at = asVirtAddr(address);
      if (kind === BREAKPOINT.EXECUTE) {
        this.#writeWide(SLOT.BREAK_PAGE + index * 8, toU64(asVirtAddr(at - (at & (PAGE - 1)))));
        continue;
      }
      this.#writeWide(SLOT.WATCH_FIRST + index * 8, toU64(at));
      this.#writeWide(SLOT.WATCH_LAST + index * 8, toU64(asVirtAddr(at + bytes - 1)));
      u32[word(SLOT.WATCH_READS) + index] = kind === BREAKPOINT.ACCESS ? 1 : 0;
    }
    u32[word(SLOT.BREAKS)] = this.#executes.length;
    u32[word(SLOT.WATCHES)] = breakpoints.length - this.#executes.length;
  }

  #writeWide(slot: number, value: bigint): void {
    this.#ram.u64[slot / 8] = value;
  }

  get #flags(): number {
    return this.#ram.u32[word(SLOT.SYSTEM_FLAGS)] ?? 0;
  }
}

/** Prefixes that may stand before REX (SDM 2A §2.1.1), and those that repeat. */
const PREFIXES: ReadonlySet<number> = new Set([
  0xf0, 0xf2, 0xf3, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65, 0x66, 0x67,
]);
const isRepeat = (byte: number): boolean => byte === 0xf2 || byte === 0xf3;
const isRex = (byte: number): boolean => byte >= 0x40 && byte <= 0x4f;
/** MOVS, CMPS, STOS, LODS, SCAS. */
const isString = (byte: number): boolean =>
  (byte >= 0xa4 && byte <= 0xa7) || (byte >= 0xaa && byte <= 0xaf);

function isRepeatedString(code: Uint8Array): boolean {
  let repeats = false;
  let at = 0;
  for (; PREFIXES.has(code[at] ?? 0); at++) repeats ||= isRepeat(code[at] ?? 0);
  if (isRex(code[at] ?? 0)) at++;
  return repeats && isString(code[at] ?? 0);
}
