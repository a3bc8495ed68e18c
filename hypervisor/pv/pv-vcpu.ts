/** What a 64-bit PV guest adds to a vCPU: virtual IDT, callbacks, kernel stack, descriptor tables, page-table roots. */

import type { Vcpu } from '../common/domain.js';
import type { VirtAddr } from '../machine/types.js';
import type { PvDomain } from './pv-domain.js';

/** Where the kernel is entered, and whether events are masked there. */
export interface Callback {
  readonly address: VirtAddr;
  readonly maskEvents: boolean;
}

/** Registers and tables a vCPU starts with: from the domain builder or VCPUOP_initialise, applied when it first runs. */
export interface InitialContext {
  /** General-purpose registers by their number in an instruction encoding. */
  readonly gpr: readonly bigint[];
  readonly rip: VirtAddr;
  readonly rflags: number;
  readonly cs: number;
  readonly ss: number;
  readonly ds: number;
  readonly es: number;
  readonly fs: number;
  readonly gs: number;
  readonly fsBase: bigint;
  readonly gsBaseKernel: bigint;
  readonly gsBaseUser: bigint;
  readonly cr0: number;
  readonly cr4: number;
  /** An FXSAVE image, undefined for the state after FNINIT. */
  readonly fpu: Uint8Array | undefined;
}

export const VECTORS = 256;

export class PvVcpu {
  readonly vcpu: Vcpu;
  readonly pv: PvDomain;

  /** The virtual IDT, by vector: address (0: no handler) and flags (TI.*). */
  readonly trapAddress = new Float64Array(VECTORS);
  readonly trapFlags = new Uint8Array(VECTORS);
  readonly trapCs = new Uint16Array(VECTORS);

  eventCallback: Callback | undefined;
  failsafeCallback: Callback | undefined;
  syscallCallback: Callback | undefined;
  syscall32Callback: Callback | undefined;
  sysenterCallback: Callback | undefined;
  nmiCallback: VirtAddr | undefined;
  nmiPending = false;
  /** An NMI is being handled: the next waits for IRET. */
  nmiMasked = false;

  /** The stack on which the kernel is entered from user mode; undefined if it is no canonical address. */
  kernelSp: VirtAddr | undefined;
  kernelSs = 0;

  /** Runs the kernel, not an application: which page tables are in use, whether SYSCALL is a hypercall. */
  inKernel = true;
  /** MFN of the top-level page table of the kernel, and of applications (0: none). */
  kernelTable = 0;
  userTable = 0;

  /** MFNs of the GDT's pages, each with a reference as seg_desc. */
  gdtFrames: readonly number[] = [];
  gdtEntries = 0;
  ldtBase: VirtAddr | undefined;
  ldtEntries = 0;
  /** MFNs of the LDT's pages seen so far, by page: each with a reference as seg_desc. */
  readonly ldtPages = new Map<number, number>();

  readonly debug: bigint[] = [0n, 0n, 0n, 0n, 0n, 0n, 0xffff_0ff0n, 0x400n];
  /** A system call with TF set is over: #DB comes before the next instruction. */
  isStepDue = false;
  /** Bits of CR4 that the guest may have for itself (CR4.*). */
  cr4Bits = 0;
  /** CR2 as the guest last wrote or was shown it. */
  cr2: bigint = 0n;
  /** Virtual I/O privilege level, 0 to 3. */
  iopl = 0;
  ioBitmap: VirtAddr | undefined;
  ioBitmapPorts = 0;

  /** To be applied when the vCPU is next put on the processor. */
  pendingContext: InitialContext | undefined;

  constructor(vcpu: Vcpu, pv: PvDomain) {
    this.vcpu = vcpu;
    this.pv = pv;
  }

  /** MFN of the top-level page table in use. */
  get currentTable(): number {
    return this.inKernel ? this.kernelTable : this.userTable;
  }

  /** Name in log lines: d1v0. */
  get name(): string {
    return `d${this.vcpu.domain.id}v${this.vcpu.id}`;
  }
}
