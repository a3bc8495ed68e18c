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
import { asVirtAddr, type VirtAddr } from '../machine/types.js';
import { FLAT, TI } from '../public/arch-x86.js';
import { vcpuInfo } from '../public/xen.js';
import { PAGE_FAULT, type Processor, VECTOR } from '../x86/processor.js';
import { GPR, RFLAGS, SLOT } from '../x86/state.js';
import type { GuestAccess } from './guest-access.js';
import type { Callback, PvVcpu } from './pv-vcpu.js';

/** Vectors whose frame has an error code: #DF #TS #NP #SS #GP #PF #AC (SDM 3A §6.13). */
const HAS_ERROR_CODE: ReadonlySet<number> = new Set([8, 10, 11, 12, 13, 14, 17]);

// biome-ignore format: one row
const VECTOR_NAMES: Readonly<Record<number, string>> = { 0: '#DE', 1: '#DB', 2: 'NMI', 3: '#BP', 4: '#OF', 5: '#BR', 6: '#UD', 7: '#NM', 8: '#DF', 10: '#TS', 11: '#NP', 12: '#SS', 13: '#GP', 14: '#PF', 16: '#MF', 17: '#AC', 18: '#MC', 19: '#XM' };

/** Flags that are off in a handler (SDM 3A §6.12.1.3, and AC as Xen does). */
const CLEARED = RFLAGS.AC | RFLAGS.VM | RFLAGS.RF | RFLAGS.NT | RFLAGS.TF;
const FRAME_WORDS = 12;

const RIP = SLOT.RIP >>> 2;
const RSP = (SLOT.GPR >>> 2) + GPR.RSP * 2;
const RCX = (SLOT.GPR >>> 2) + GPR.RCX * 2;
const R11 = (SLOT.GPR >>> 2) + GPR.R11 * 2;
const GS_BASE = SLOT.GS_BASE >>> 2;
const KERNEL_GS_BASE = SLOT.KERNEL_GS_BASE >>> 2;

const hex = (va: number) => `0x${BigInt.asUintN(64, BigInt(va)).toString(16)}`;
const vectorName = (vector: number) => VECTOR_NAMES[vector] ?? `vector ${vector}`;

/** What is pushed and where it leads. */
interface Entry {
  readonly what: string;
  readonly address: number;
  readonly maskEvents: boolean;
  readonly errorCode: number | undefined;
  readonly failsafe: boolean;
}

export class Traps {
  readonly #processor: Processor;
  readonly #ram: Ram;
  readonly #guest: GuestAccess;
  readonly #words = new Uint32Array(FRAME_WORDS * 2);
  readonly #bytes = new Uint8Array(this.#words.buffer);
  /** Halves of the frame filled so far. */
  #filled = 0;

  constructor(processor: Processor, ram: Ram, guest: GuestAccess) {
    this.#processor = processor;
    this.#ram = ram;
    this.#guest = guest;
  }

  /** Gives a hardware exception to the guest. The error code is as the hardware gives it in ring 3. */
  injectException(v: PvVcpu, vector: number, errorCode = 0): void {
    const address = v.trapAddress[vector] ?? 0;
    if (address === 0) {
      this.crash(v, `Unhandled: vec ${vector}, ${vectorName(vector)}[${pad(errorCode)}]`);
      return;
    }
    this.#enter(v, {
      what: vectorName(vector),
      address,
      maskEvents: ((v.trapFlags[vector] ?? 0) & TI.IF) !== 0,
      errorCode: HAS_ERROR_CODE.has(vector) ? errorCode : undefined,
      failsafe: false,
    });
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
      this.crash(v, `Unhandled: vec 14, #PF[${code}] at ${hex(cr2)}`);
      return;
    }
    this.injectException(v, VECTOR.PF, (errorCode & ~PAGE_FAULT.USER) | user);
  }

  /** A software interrupt that the guest allows: a trap without error code. */
  injectInterrupt(v: PvVcpu, vector: number): void {
    const address = v.trapAddress[vector] ?? 0;
    const maskEvents = ((v.trapFlags[vector] ?? 0) & TI.IF) !== 0;
    const what = vectorName(vector);
    this.#enter(v, { what, address, maskEvents, errorCode: undefined, failsafe: false });
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

  /** A system call of an application. rcx and r11 hold what SYSCALL leaves there. */
  enterSyscallCallback(v: PvVcpu): void {
    const callback = v.syscallCallback;
    this.#enterCallback(v, 'syscall callback', callback, callback?.maskEvents ?? false, false);
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
    const address = callback?.address ?? 0;
    this.#enter(v, { what, address, maskEvents, errorCode: undefined, failsafe });
  }

  #enter(v: PvVcpu, entry: Entry): void {
    if (entry.address === 0) {
      this.crash(v, `Null handler for ${entry.what}`);
      return;
    }
    const { registers } = this.#processor;
    const wasKernel = v.inKernel;
    // The interrupted state goes into the frame before the toggle changes anything of it.
    const words = this.#fill(v, entry, wasKernel);
    if (!wasKernel) this.toggleMode(v);
    const stack = wasKernel ? registers.address(GPR.RSP) : v.kernelSp;
    if (stack === undefined) {
      this.crash(v, `Kernel stack pointer is not canonical on entry to ${entry.what}`);
      return;
    }
    const top = stack - (stack & 15);
    const frame = asVirtAddr(top - words * 8);
    if (!this.#guest.copyTo(frame, this.#bytes.subarray(0, words * 8))) {
      const at = hex(this.#guest.faultAddress);
      this.crash(
        v,
        `Fault at ${at} writing the frame of ${entry.what}: kernel stack ${hex(stack)}`,
      );
      return;
    }
    registers.setAddress(GPR.RSP, frame);
    registers.rip = asVirtAddr(entry.address);
    registers.cs = FLAT.RING3_CS64;
    registers.ss = FLAT.RING3_SS64;
    registers.rflags = (registers.rflags & ~CLEARED) | RFLAGS.IF;
    if (entry.maskEvents) v.vcpu.upcallMask = true;
  }

  /** @returns how many words of the frame are filled, the lowest address first. */
  #fill(v: PvVcpu, entry: Entry, wasKernel: boolean): number {
    const { registers } = this.#processor;
    this.#filled = 0;
    if (entry.failsafe) {
      for (const selector of [registers.ds, registers.es, registers.fs, registers.gs]) {
        this.#push(selector, 0);
      }
    }
    this.#pushSlot(RCX);
    this.#pushSlot(R11);
    if (entry.errorCode !== undefined) this.#push(entry.errorCode, 0);
    this.#pushSlot(RIP);
    const masked = v.vcpu.upcallMask;
    const { cs } = registers;
    this.#push(wasKernel ? cs & ~3 : cs | 3, masked ? 1 : 0);
    this.#push(this.#guestFlags(v, masked), 0);
    this.#pushSlot(RSP);
    this.#push(registers.ss, 0);
    return this.#filled / 2;
  }

  // No closures: each would cost a microsecond where the code is run by tsx, which names every function it makes.
  #push(lo: number, hi: number): void {
    this.#words[this.#filled++] = lo;
    this.#words[this.#filled++] = hi;
  }

  #pushSlot(slot: number): void {
    const { u32 } = this.#ram;
    this.#push(u32[slot] as number, u32[slot + 1] as number);
  }

  /** RFLAGS as the guest is to see them: IF is the event mask, IOPL the virtual one if it asked for that. */
  #guestFlags(v: PvVcpu, masked: boolean): number {
    const flags = this.#processor.registers.rflags & ~(RFLAGS.IF | RFLAGS.IOPL);
    const iopl = v.pv.hasArchitecturalIopl ? v.iopl << 12 : 0;
    return flags | iopl | (masked ? 0 : RFLAGS.IF);
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
