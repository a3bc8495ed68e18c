/**
 * Entering a guest's kernel: exception frames, callbacks, and the toggle between kernel and user mode.
 *
 *   stack grows down; 16-byte aligned before the frame      low → high:
 *   [ds es fs gs]  rcx  r11  [error code]  rip  cs | saved upcall mask << 32  rflags  rsp  ss
 *
 * The privilege bits of the pushed cs are 0 if the kernel was interrupted, 3 if an application was: both run in ring 3.
 * Spec: xen-abi §1.9.
 */

import type { Ram } from '../machine/ram.js';
import { asFrame, asVirtAddr, type VirtAddr } from '../machine/types.js';
import { FLAT, TI } from '../public/arch-x86.js';
import { vcpuInfo } from '../public/xen.js';
import { ACCESS, PAGE_FAULT, type Processor, VECTOR } from '../x86/processor.js';
import { GPR, RFLAGS, SLOT } from '../x86/state.js';
import type { GuestAccess } from './guest-access.js';
import type { Callback, PvVcpu } from './pv-vcpu.js';

/** Vectors whose frame has an error code: #DF #TS #NP #SS #GP #PF #AC (SDM 3A §6.13). */
const HAS_ERROR_CODE: ReadonlySet<number> = new Set([8, 10, 11, 12, 13, 14, 17]);

/** #DB #BP #OF: others push RF as 1, so that the instruction that faulted is not stopped by its breakpoint (SDM 3B §17.3.1.1). */
const IS_TRAP: ReadonlySet<number> = new Set([1, 3, 4]);

// biome-ignore format: one row
const VECTOR_NAMES: Readonly<Record<number, string>> = { 0: '#DE', 1: '#DB', 2: 'NMI', 3: '#BP', 4: '#OF', 5: '#BR', 6: '#UD', 7: '#NM', 8: '#DF', 10: '#TS', 11: '#NP', 12: '#SS', 13: '#GP', 14: '#PF', 16: '#MF', 17: '#AC', 18: '#MC', 19: '#XM' };

/** Flags that are off in a handler (SDM 3A §6.12.1.3, and AC as Xen does). */
const CLEARED = RFLAGS.AC | RFLAGS.VM | RFLAGS.RF | RFLAGS.NT | RFLAGS.TF;
const FRAME_WORDS = 12;

const SYSTEM_FLAGS = SLOT.SYSTEM_FLAGS >>> 2;
const RIP = SLOT.RIP >>> 2;
const RSP = (SLOT.GPR >>> 2) + GPR.RSP * 2;
const RCX = (SLOT.GPR >>> 2) + GPR.RCX * 2;
const R11 = (SLOT.GPR >>> 2) + GPR.R11 * 2;
const GS_BASE = SLOT.GS_BASE >>> 2;
const KERNEL_GS_BASE = SLOT.KERNEL_GS_BASE >>> 2;

const hex = (va: number) => `0x${BigInt.asUintN(64, BigInt(va)).toString(16)}`;
const vectorName = (vector: number) => VECTOR_NAMES[vector] ?? `vector ${vector}`;

/** Words of a frame without error code and segments. */
const PLAIN_WORDS = 7;
const SEGMENT_WORDS = 4;
/** No error code is pushed. */
const NO_CODE = -1;

const NO_HANDLER = 'the trap table has none for it';

export class Traps {
  readonly #processor: Processor;
  readonly #ram: Ram;
  readonly #guest: GuestAccess;
  readonly #words = new Uint32Array(FRAME_WORDS * 2);
  readonly #bytes = new Uint8Array(this.#words.buffer);

  constructor(processor: Processor, ram: Ram, guest: GuestAccess) {
    this.#processor = processor;
    this.#ram = ram;
    this.#guest = guest;
  }

  /** Gives a hardware exception to the guest. The error code is as the hardware gives it in ring 3. */
  injectException(v: PvVcpu, vector: number, errorCode = 0): void {
    const address = v.trapAddress[vector] ?? 0;
    if (address === 0) {
      this.crash(
        v,
        `Unhandled: vec ${vector}, ${vectorName(vector)}[${pad(errorCode)}]: ${NO_HANDLER}`,
      );
      return;
    }
    const maskEvents = ((v.trapFlags[vector] ?? 0) & TI.IF) !== 0;
    if (!IS_TRAP.has(vector)) {
      this.#ram.u32[SYSTEM_FLAGS] = (this.#ram.u32[SYSTEM_FLAGS] as number) | RFLAGS.RF;
    }
    const code = HAS_ERROR_CODE.has(vector) ? errorCode : NO_CODE;
    this.#enter(v, vectorName(vector), address, maskEvents, code, false);
  }

  /** A #DB. @param status what it adds to DR6: breakpoints, single step. */
  injectDebug(v: PvVcpu, status: number): void {
    v.debug[6] = (v.debug[6] ?? 0n) | BigInt(status);
    this.injectException(v, VECTOR.DB);
  }

  /** Gives a page fault to the guest; it finds the address in vcpu_info, and USER set only if it was an application's. */
  injectPageFault(v: PvVcpu, cr2: VirtAddr, errorCode: number): void {
    v.cr2 = BigInt.asUintN(64, BigInt(cr2));
    const at = v.vcpu.infoAddress + vcpuInfo.offset.archCr2;
    this.#ram.view.setUint32(at, cr2 >>> 0, true);
    this.#ram.view.setUint32(at + 4, Math.floor(cr2 / 0x1_0000_0000) >>> 0, true);
    const user = v.inKernel ? 0 : PAGE_FAULT.USER;
    if (v.trapAddress[VECTOR.PF] === 0) {
      const code = pad((errorCode & ~PAGE_FAULT.USER) | user);
      this.crash(v, `Unhandled: vec 14, #PF[${code}] at ${hex(cr2)}: ${NO_HANDLER}`);
      return;
    }
    this.injectException(v, VECTOR.PF, (errorCode & ~PAGE_FAULT.USER) | user);
  }

  /** A software interrupt that the guest allows: a trap without error code. */
  injectInterrupt(v: PvVcpu, vector: number): void {
    const address = v.trapAddress[vector] ?? 0;
    const maskEvents = ((v.trapFlags[vector] ?? 0) & TI.IF) !== 0;
    this.#enter(v, vectorName(vector), address, maskEvents, NO_CODE, false);
  }

  /** The event upcall. Events are masked from here until the guest's IRET. */
  enterEventCallback(v: PvVcpu): void {
    this.#enterCallback(v, 'event callback', v.eventCallback, true, false);
  }

  /** The callback for a segment register or return frame that does not hold. */
  enterFailsafe(v: PvVcpu): void {
    const callback = v.failsafeCallback;
    this.#enterCallback(v, 'failsafe callback', callback, callback?.maskEvents ?? false, true);
  }

  /** A system call of an application: SYSCALL, with rcx and r11 as it leaves them, or SYSENTER. */
  enterSyscallCallback(v: PvVcpu, callback: Callback): void {
    this.#enterCallback(v, 'syscall callback', callback, callback.maskEvents, false);
  }

  enterNmiCallback(v: PvVcpu, address: VirtAddr): void {
    v.nmiPending = false;
    v.nmiMasked = true;
    this.#enterCallback(v, 'NMI callback', { address, maskEvents: true }, true, false);
  }

  #enterCallback(
    v: PvVcpu,
    what: string,
    callback: Callback | undefined,
    maskEvents: boolean,
    failsafe: boolean,
  ): void {
    this.#enter(v, what, callback?.address ?? 0, maskEvents, NO_CODE, failsafe);
  }

  /** Pushes the frame and goes to the handler. This is hot: no object is made on the way. */
  #enter(
    v: PvVcpu,
    what: string,
    address: number,
    maskEvents: boolean,
    errorCode: number,
    failsafe: boolean,
  ): void {
    if (address === 0) {
      this.crash(v, `Null handler for ${what}: its callback was never registered`);
      return;
    }
    const { registers } = this.#processor;
    const wasKernel = v.inKernel;
    if (!wasKernel) this.toggleMode(v);
    const stack = wasKernel ? registers.address(GPR.RSP) : v.kernelSp;
    if (stack === undefined) {
      this.crash(v, `Kernel stack pointer is not canonical on entry to ${what}`);
      return;
    }
    const segments = failsafe ? SEGMENT_WORDS : 0;
    const size = (PLAIN_WORDS + segments + (errorCode === NO_CODE ? 0 : 1)) * 8;
    const frame = asVirtAddr(stack - (stack & 15) - size);
    const flags = registers.rflags;
    // Into the guest's page at once if the frame lies in one, else by way of scratch.
    const host = this.#guest.hostAddress(frame, size, ACCESS.WRITE);
    const words = host < 0 ? this.#words : this.#ram.u32;
    const at = host < 0 ? 0 : host >>> 2;
    if (failsafe) this.#pushSegments(words, at);
    this.#push(v, words, at + segments * 2, errorCode, flags, wasKernel);
    if (host >= 0) this.#processor.frameWritten(asFrame(host >>> 12));
    else if (!this.#guest.copyTo(frame, this.#bytes.subarray(0, size))) {
      const where = hex(this.#guest.faultAddress);
      this.crash(v, `Fault at ${where} writing the frame of ${what}: kernel stack ${hex(stack)}`);
      return;
    }
    registers.setAddress(GPR.RSP, frame);
    registers.rip = asVirtAddr(address);
    registers.cs = FLAT.RING3_CS64;
    registers.ss = FLAT.RING3_SS64;
    registers.rflags = (flags & ~CLEARED) | RFLAGS.IF;
    if (maskEvents) this.#ram.u8[v.vcpu.infoAddress + 1] = 1;
  }

  #pushSegments(words: Uint32Array, start: number): void {
    const { ds, es, fs, gs } = this.#processor.registers;
    let at = start;
    for (const selector of [ds, es, fs, gs]) {
      words[at] = selector;
      words[at + 1] = 0;
      at += 2;
    }
  }

  /** The frame from rcx to ss, in 64-bit words from the lowest address on. */
  #push(
    v: PvVcpu,
    words: Uint32Array,
    start: number,
    errorCode: number,
    flags: number,
    wasKernel: boolean,
  ): void {
    const { registers } = this.#processor;
    const { u32, u8 } = this.#ram;
    let at = start;
    words[at] = u32[RCX] as number;
    words[at + 1] = u32[RCX + 1] as number;
    words[at + 2] = u32[R11] as number;
    words[at + 3] = u32[R11 + 1] as number;
    at += 4;
    if (errorCode !== NO_CODE) {
      words[at] = errorCode;
      words[at + 1] = 0;
      at += 2;
    }
    const masked = u8[v.vcpu.infoAddress + 1] ? 1 : 0;
    const { cs } = registers;
    words[at] = u32[RIP] as number;
    words[at + 1] = u32[RIP + 1] as number;
    words[at + 2] = wasKernel ? cs & ~3 : cs | 3;
    words[at + 3] = masked;
    words[at + 4] = this.#guestFlags(v, flags, masked);
    words[at + 5] = 0;
    words[at + 6] = u32[RSP] as number;
    words[at + 7] = u32[RSP + 1] as number;
    words[at + 8] = registers.ss;
    words[at + 9] = 0;
  }

  /** RFLAGS as the guest is to see them: IF is the event mask, IOPL the virtual one if it asked for that. */
  #guestFlags(v: PvVcpu, flags: number, masked: number): number {
    const iopl = v.pv.hasArchitecturalIopl ? v.iopl << 12 : 0;
    return (flags & ~(RFLAGS.IF | RFLAGS.IOPL)) | iopl | (masked ? 0 : RFLAGS.IF);
  }

  /** Kernel to user or back: the other page tables, the other GS base. */
  toggleMode(v: PvVcpu): void {
    const { u32 } = this.#ram;
    for (let half = 0; half < 2; half++) {
      const active = u32[GS_BASE + half] as number;
      u32[GS_BASE + half] = u32[KERNEL_GS_BASE + half] as number;
      u32[KERNEL_GS_BASE + half] = active;
    }
    v.inKernel = !v.inKernel;
    this.loadAddressSpace(v);
  }

  /** Puts the page tables of the vCPU's mode in use. */
  loadAddressSpace(v: PvVcpu): void {
    this.#processor.setAddressSpace(v.pv.addressSpace(v.currentTable));
  }

  /** The guest broke its contract: its domain is stopped, with where and why. */
  crash(v: PvVcpu, why: string): void {
    const { registers } = this.#processor;
    const mode = v.inKernel ? 'kernel' : 'user';
    const rip = `0x${registers.ripValue.toString(16)}`;
    const rsp = `0x${registers.get(GPR.RSP).toString(16)}`;
    v.vcpu.domain.crash(`${v.name}: ${why} (${mode} mode, rip ${rip}, rsp ${rsp})`);
  }
}

const pad = (errorCode: number) => errorCode.toString(16).padStart(4, '0');
