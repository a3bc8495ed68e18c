/** The state of a vCPU as a vcpu_guest_context, for a core or a debugger. Spec: arch-x86/xen.h; xen-abi §1.9. */

import type { Ram } from '../machine/ram.js';
import { toU64, type VirtAddr } from '../machine/types.js';
import { cpuUserRegs, trapInfo, VGCF, vcpuGuestContext } from '../public/arch-x86.js';
import { IMAGE, saveImage } from '../x86/fxsave.js';
import type { Processor } from '../x86/processor.js';
import type { Registers } from '../x86/registers.js';
import { GPR, RFLAGS } from '../x86/state.js';
import { CR0_FIXED, CR4_FIXED } from './control-registers.js';
import { type Callback, type PvVcpu, VECTORS } from './pv-vcpu.js';
import { loadContext } from './vcpu-context.js';

const AT = vcpuGuestContext.offset;
/** What of an FXSAVE image is the processor's to write. */
const FPU_BYTES = 416;
const PAGE_SHIFT = 12n;

/** Puts a vCPU's registers where they can be read. Nothing may be loaded: the next to run is loaded anew. */
function lookAt(processor: Processor, ram: Ram, v: PvVcpu): void {
  if (v.pendingContext) loadContext(processor, ram, v.pendingContext);
  else processor.loadState(v.vcpu.state);
}

/** @returns rip, rsp, and the general registers in one line. The processor must be empty. */
export function describeRegisters(processor: Processor, ram: Ram, v: PvVcpu): string {
  lookAt(processor, ram, v);
  const { registers: r } = processor;
  const hex = (value: bigint) => value.toString(16).padStart(16, '0');
  const all = Object.entries(GPR).map(([name, n]) => `${name.toLowerCase()} ${hex(r.get(n))}`);
  const flags = userFlags(v, r).toString(16).padStart(8, '0');
  const mode = v.inKernel ? 'kernel' : 'user';
  const segments = `cs ${r.cs.toString(16)} ss ${r.ss.toString(16)}`;
  return `${mode} rip ${hex(r.ripValue)} rflags ${flags} ${segments} ${all.join(' ')}`;
}

/** The processor must be empty. */
export function vcpuContext(processor: Processor, ram: Ram, v: PvVcpu): Uint8Array {
  lookAt(processor, ram, v);
  const { registers } = processor;
  const bytes = new Uint8Array(vcpuGuestContext.size);
  const view = new DataView(bytes.buffer);
  saveImage(ram.view, IMAGE);
  bytes.set(ram.u8.subarray(IMAGE, IMAGE + FPU_BYTES), AT.fpuCtxt);
  vcpuGuestContext.encode(view, 0, {
    flags: flagsOf(v),
    ldtBase: address(v.ldtBase),
    ldtEnts: BigInt(v.ldtEntries),
    gdtEnts: BigInt(v.gdtEntries),
    kernelSs: BigInt(v.kernelSs),
    kernelSp: address(v.kernelSp),
    ctrlreg0: BigInt((registers.cr0 | CR0_FIXED) >>> 0),
    ctrlreg1: BigInt(v.userTable) << PAGE_SHIFT,
    ctrlreg2: v.cr2,
    ctrlreg3: BigInt(v.kernelTable) << PAGE_SHIFT,
    ctrlreg4: BigInt(v.cr4Bits | CR4_FIXED),
    ...callbacks(v),
    vmAssist: BigInt(v.pv.vmAssist >>> 0),
    fsBase: registers.fsBase,
    gsBaseKernel: v.inKernel ? registers.gsBase : registers.kernelGsBase,
    gsBaseUser: v.inKernel ? registers.kernelGsBase : registers.gsBase,
  });
  writeUserRegs(view, v, registers);
  writeTraps(view, v);
  for (const [n, mfn] of v.gdtFrames.entries()) {
    view.setBigUint64(AT.gdtFrames + n * 8, BigInt(mfn), true);
  }
  for (const [n, value] of v.debug.entries()) {
    view.setBigUint64(AT.debugreg + n * 8, value, true);
  }
  return bytes;
}

const address = (va: VirtAddr | undefined): bigint => (va === undefined ? 0n : toU64(va));
const addressOf = (callback: Callback | undefined): bigint => address(callback?.address);

function flagsOf(v: PvVcpu): bigint {
  const flags =
    VGCF.I387_VALID |
    (v.inKernel ? VGCF.IN_KERNEL : 0) |
    (v.failsafeCallback?.maskEvents ? VGCF.FAILSAFE_DISABLES_EVENTS : 0) |
    (v.syscallCallback?.maskEvents ? VGCF.SYSCALL_DISABLES_EVENTS : 0) |
    (v.vcpu.online ? VGCF.ONLINE : 0);
  return BigInt(flags);
}

function callbacks(v: PvVcpu) {
  return {
    eventCallbackEip: addressOf(v.eventCallback),
    failsafeCallbackEip: addressOf(v.failsafeCallback),
    syscallCallbackEip: addressOf(v.syscallCallback),
  };
}

/** RFLAGS with IF as the event mask has it, and the virtual I/O privilege level. */
function userFlags(v: PvVcpu, { rflags }: Registers): number {
  const own = rflags & ~(RFLAGS.IF | RFLAGS.IOPL);
  return (own | (v.vcpu.upcallMask ? 0 : RFLAGS.IF) | (v.iopl << 12)) >>> 0;
}

function writeUserRegs(view: DataView, v: PvVcpu, r: Registers): void {
  const g = (n: number) => r.get(n);
  // biome-ignore format: one row for each group
  cpuUserRegs.encode(view, AT.userRegs, {
    rax: g(GPR.RAX), rbx: g(GPR.RBX), rcx: g(GPR.RCX), rdx: g(GPR.RDX), rsi: g(GPR.RSI), rdi: g(GPR.RDI), rbp: g(GPR.RBP), rsp: g(GPR.RSP),
    r8: g(GPR.R8), r9: g(GPR.R9), r10: g(GPR.R10), r11: g(GPR.R11), r12: g(GPR.R12), r13: g(GPR.R13), r14: g(GPR.R14), r15: g(GPR.R15),
    rip: r.ripValue, rflags: BigInt(userFlags(v, r)), savedUpcallMask: v.vcpu.upcallMask ? 1 : 0,
    cs: r.cs, ss: r.ss, ds: r.ds, es: r.es, fs: r.fs, gs: r.gs,
  });
}

function writeTraps(view: DataView, v: PvVcpu): void {
  for (let vector = 0; vector < VECTORS; vector++) {
    trapInfo.encode(view, AT.trapCtxt + vector * trapInfo.size, {
      vector,
      flags: v.trapFlags[vector] ?? 0,
      cs: v.trapCs[vector] ?? 0,
      address: BigInt.asUintN(64, BigInt(v.trapAddress[vector] ?? 0)),
    });
  }
}
