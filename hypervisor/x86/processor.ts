/** What a processor is to the rest of the hypervisor: run it, learn why it stopped, look at its state. */

import type { Instruction } from 'iced-x86';
import type { Frame, HostAddr, VirtAddr } from '../machine/types.js';
import type { Registers } from './registers.js';

/** Why `run` returned. */
// biome-ignore format: one row per reason
export const EXIT = {
  BUDGET:     1, // all instructions of the budget are retired; rip at the next
  EXCEPTION:  2, // exit.vector, errorCode, cr2; rip at the faulting instruction, after it for traps (#BP, #DB)
  SYSCALL:    3, // SYSCALL: rip after it; rcx, r11, rsp and rflags untouched
  INTERRUPT:  4, // INT n: exit.vector; rip at it, exit.length bytes
  SYSENTER:   6, // SYSENTER of code that is not 64-bit code: rip after it, nothing else changed
  PRIVILEGED: 5, // needs CPL 0 or IOPL 3: rip at it, exit.length bytes, exit.code
} as const;
export type ExitReason = (typeof EXIT)[keyof typeof EXIT];

/** Exception vectors (SDM 3A §6.15). */
// biome-ignore format: one row
export const VECTOR = { DE: 0, DB: 1, BP: 3, OF: 4, BR: 5, UD: 6, NM: 7, DF: 8, TS: 10, NP: 11, SS: 12, GP: 13, PF: 14, MF: 16, AC: 17, XM: 19 } as const;

/** Bits of a page-fault error code (SDM 3A §4.7). */
// biome-ignore format: one row
export const PAGE_FAULT = { PRESENT: 1, WRITE: 2, USER: 4, RESERVED: 8, FETCH: 16 } as const;

/** Kinds of access to memory. */
export const ACCESS = { READ: 0, WRITE: 1, EXECUTE: 2 } as const;

/** Details of the last exit; one object, overwritten by the next. */
export interface ExitDetail {
  readonly vector: number;
  /** The error code the hardware would push, 0 where it pushes none. */
  readonly errorCode: number;
  /** The address of a page fault. */
  readonly cr2: VirtAddr;
  /** Bytes of the exiting instruction. */
  readonly length: number;
  /** Its `Code` of iced-x86, for EXIT.PRIVILEGED. */
  readonly code: number;
  /** What a #DB says in DR6: breakpoints B0 to B3, BS. */
  readonly debugStatus: number;
}

/** Kinds of breakpoints as DR7 has them (SDM 3B §17.2.4); those on I/O are not the processor's. */
export const BREAKPOINT = { EXECUTE: 0, WRITE: 1, ACCESS: 3 } as const;

/** An enabled breakpoint. */
export interface Breakpoint {
  /** Which debug register it is in, 0 to 3. */
  readonly index: number;
  readonly address: VirtAddr;
  /** 1, 2, 4 or 8 bytes; the address is aligned to it, but for execution. */
  readonly bytes: number;
  readonly kind: (typeof BREAKPOINT)[keyof typeof BREAKPOINT];
}

export interface AddressSpace {
  readonly l4: Frame;
  /** `FrameMap.root`: byte address of the first of 1024 leaf addresses. */
  readonly frameMap: HostAddr;
  /** First machine frame number that the domain does not have. */
  readonly mfnLimit: number;
}

export interface Processor {
  readonly registers: Registers;
  readonly exit: ExitDetail;
  /** Guest instructions retired since the processor was made: exact. */
  readonly retired: number;
  /** Runs until something happens that the hypervisor must decide. @param budget instructions, 1 to 2^31 - 1. */
  run(budget: number): ExitReason;
  /** Changes the page tables, and with them the frame map; forgets all cached translations. */
  setAddressSpace(space: AddressSpace): void;
  flushTlb(): void;
  flushPage(va: VirtAddr): void;
  /**
   * Translates as an access of the guest would, accessed and dirty bits included.
   * @returns the byte address in RAM, good to the end of the page; -1 for a page fault described in `exit`.
   */
  translate(va: VirtAddr, access: number): number;
  /** To be called after a write by the host that may have hit decoded code: drops it. Cheap if the frame holds none. */
  frameWritten(frame: Frame): void;
  /** To be called when a frame is freed or given another use. */
  forgetFrame(frame: Frame): void;
  /** Copies the state of the vCPU out, STATE_SIZE bytes. */
  saveState(into: Uint8Array): void;
  /** Copies the state of another vCPU in. Its address space is for the caller to set. */
  loadState(from: Uint8Array): void;
  /**
   * Arms these breakpoints and no others. One for execution gives #DB before the instruction unless RF is set, one for data
   * after it. There is no cost to what lies in other pages.
   */
  setBreakpoints(breakpoints: readonly Breakpoint[]): void;
  /** Decodes one instruction, as code of the mode that the processor is in. The caller frees the result. */
  instructionAt(bytes: Uint8Array, rip: VirtAddr): Instruction;
}

/** What a processor asks of its surroundings. */
export interface ProcessorHost {
  cpuid(
    leaf: number,
    subleaf: number,
  ): readonly [eax: number, ebx: number, ecx: number, edx: number];
  /** The time-stamp counter, an exact integer below 2^53. */
  readTsc(): number;
  /** Fills some bytes at random, for RDRAND and RDSEED. */
  random(into: Uint8Array): void;
  /** @returns the page-aligned byte address that backs an address in the hypervisor's range, -1 for a page fault. */
  hypervisorRange(va: VirtAddr, access: number): number;
  /** The machine frame is about to be written to and is shared: afterwards it is the domain's own. */
  unshare(mfn: number): void;
  /** @returns the descriptor a selector names, undefined if it lies outside its table. */
  readDescriptor(selector: number): { readonly lo: number; readonly hi: number } | undefined;
}
