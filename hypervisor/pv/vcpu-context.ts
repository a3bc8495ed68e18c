/** A vCPU's first state: vcpu_guest_context checked and taken over, and put on the processor when the vCPU first runs. */

import type { Ram } from '../machine/ram.js';
import { asVirtAddr, fromU64, type VirtAddr } from '../machine/types.js';
import {
  cpuUserRegs,
  FIRST_RESERVED_GDT_ENTRY,
  trapInfo,
  VGCF,
  vcpuGuestContext,
} from '../public/arch-x86.js';
import { ERRNO } from '../public/errno.js';
import { IMAGE, loadImage } from '../x86/fxsave.js';
import type { Processor } from '../x86/processor.js';
import { RFLAGS } from '../x86/state.js';
import { CR0_TS, CR4_GUEST } from './control-registers.js';
import { setDebugRegister } from './debug-registers.js';
import { DESCRIPTORS_PER_PAGE, guestSelector } from './descriptors.js';
import type { GuestAccess } from './guest-access.js';
import { ERESTART, PGT } from './page-types.js';
import { type InitialContext, type PvVcpu, VECTORS } from './pv-vcpu.js';
import type { Segments } from './segments.js';

const AT = vcpuGuestContext.offset;
const EINVAL = -ERRNO.EINVAL;
const FPU_IMAGE_BYTES = 512;

/** VCPUOP_initialise: everything is checked before anything is taken over. @returns 0 or a negated errno. */
export function initialiseVcpu(
  v: PvVcpu,
  guest: GuestAccess,
  segments: Segments,
  at: VirtAddr | undefined,
): number {
  const bytes = guest.copyFrom(at, vcpuGuestContext.size);
  return bytes ? takeContext(v, segments, bytes) : -ERRNO.EFAULT;
}

/** The state of a vCPU that was never set up. @returns 0 or -EINVAL with nothing changed. */
export function takeContext(v: PvVcpu, segments: Segments, bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const context = vcpuGuestContext.decode(view, 0);
  const user = cpuUserRegs.decode(view, AT.userRegs);
  const addresses = [user.rip, context.eventCallbackEip, context.failsafeCallbackEip];
  addresses.push(context.syscallCallbackEip, context.fsBase);
  addresses.push(context.gsBaseKernel, context.gsBaseUser);
  if (addresses.some((address) => fromU64(address) === undefined)) {
    return refuse(v, 'rip, callbacks and segment bases are canonical addresses');
  }
  // A 64-bit vCPU starts in its kernel.
  if (!(context.flags & BigInt(VGCF.IN_KERNEL))) return refuse(v, 'VGCF_in_kernel must be set');
  if (!takeTraps(v, view)) return refuse(v, 'handlers of traps are canonical addresses');
  const tables = takeTables(v, context.ctrlreg3, context.ctrlreg1);
  if (tables) return tables;
  const gdt = takeGdt(v, segments, view, context.gdtEnts);
  if (gdt) return gdt;
  const ldt = segments.setLdt(v, fromU64(context.ldtBase), Number(context.ldtEnts));
  if (ldt) return refuse(v, 'an LDT begins at a page and has at most 8192 entries');
  takeCallbacks(v, context);
  v.cr4Bits = Number(context.ctrlreg4 & BigInt(CR4_GUEST));
  takeDebug(v, view);
  v.pendingContext = {
    gpr: generalRegisters(user),
    rip: fromU64(user.rip) ?? asVirtAddr(0),
    rflags: Number(user.rflags & 0xffff_ffffn),
    cs: guestSelector(user.cs),
    ss: guestSelector(user.ss),
    ds: user.ds,
    es: user.es,
    fs: user.fs,
    gs: user.gs,
    fsBase: context.fsBase,
    gsBaseKernel: context.gsBaseKernel,
    gsBaseUser: context.gsBaseUser,
    cr0: Number(context.ctrlreg0 & BigInt(CR0_TS)),
    cr4: v.cr4Bits,
    fpu:
      context.flags & BigInt(VGCF.I387_VALID)
        ? bytes.slice(AT.fpuCtxt, AT.fpuCtxt + FPU_IMAGE_BYTES)
        : undefined,
  };
  // The level that set_iopl would set: Linux gives its other vCPUs theirs in this way.
  v.iopl = (Number(user.rflags & 0xffff_ffffn) & RFLAGS.IOPL) >>> 12;
  v.inKernel = true;
  v.vcpu.upcallMask = user.savedUpcallMask !== 0 || v.vcpu.upcallMask;
  return 0;
}

const refuse = (v: PvVcpu, rule: string): number =>
  v.pv.types.refuse(EINVAL, { kind: 'context', rule });

type UserRegs = ReturnType<typeof cpuUserRegs.decode>;
type Context = ReturnType<typeof vcpuGuestContext.decode>;

/** In the order of their numbers in an instruction encoding. */
const generalRegisters = (r: UserRegs): bigint[] => [
  ...[r.rax, r.rcx, r.rdx, r.rbx, r.rsp, r.rbp, r.rsi, r.rdi],
  ...[r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15],
];

function takeTraps(v: PvVcpu, view: DataView): boolean {
  for (let vector = 0; vector < VECTORS; vector++) {
    const trap = trapInfo.decode(view, AT.trapCtxt + vector * trapInfo.size);
    const address = fromU64(trap.address);
    if (address === undefined) return false;
    v.trapAddress[vector] = address;
    v.trapFlags[vector] = trap.flags;
    v.trapCs[vector] = guestSelector(trap.cs);
  }
  return true;
}

function takeTables(v: PvVcpu, cr3: bigint, cr1: bigint): number {
  const { types } = v.pv;
  const kernel = Number(cr3 >> 12n);
  const user = cr1 & 1n ? Number(cr1 >> 12n) : 0;
  types.work = Number.POSITIVE_INFINITY;
  const result = types.getPageAndType(kernel, PGT.L4);
  if (result) return result === ERESTART ? EINVAL : result;
  if (user !== 0) {
    const userResult = types.getPageAndType(user, PGT.L4);
    if (userResult) {
      types.putPageAndType(kernel);
      return userResult;
    }
  }
  for (const old of [v.kernelTable, v.userTable]) if (old) types.putPageAndType(old);
  v.kernelTable = kernel;
  v.userTable = user;
  return 0;
}

function takeGdt(v: PvVcpu, segments: Segments, view: DataView, entries: bigint): number {
  if (entries > BigInt(FIRST_RESERVED_GDT_ENTRY)) {
    return refuse(v, `a GDT has at most ${FIRST_RESERVED_GDT_ENTRY} entries`);
  }
  const pages = Math.ceil(Number(entries) / DESCRIPTORS_PER_PAGE);
  const frames = Array.from({ length: pages }, (_, n) =>
    Number(view.getBigUint64(AT.gdtFrames + n * 8, true)),
  );
  return segments.setGdt(v, frames, Number(entries));
}

function takeCallbacks(v: PvVcpu, context: Context): void {
  const callback = (address: bigint, flag: number) => ({
    address: fromU64(address) ?? asVirtAddr(0),
    maskEvents: (context.flags & BigInt(flag)) !== 0n,
  });
  v.eventCallback = callback(context.eventCallbackEip, 0);
  v.failsafeCallback = callback(context.failsafeCallbackEip, VGCF.FAILSAFE_DISABLES_EVENTS);
  v.syscallCallback = callback(context.syscallCallbackEip, VGCF.SYSCALL_DISABLES_EVENTS);
  v.kernelSs = guestSelector(Number(context.kernelSs & 0xffffn));
  v.kernelSp = fromU64(context.kernelSp);
  if (context.vmAssist !== 0n) v.pv.vmAssist = Number(context.vmAssist & 0xffff_ffffn);
}

function takeDebug(v: PvVcpu, view: DataView): void {
  for (const n of [0, 1, 2, 3, 6, 7]) {
    setDebugRegister(v, n, view.getBigUint64(AT.debugreg + n * 8, true));
  }
}

/** Puts the state on the processor. An FPU image that FXRSTOR would refuse is not taken. */
export function loadContext(processor: Processor, ram: Ram, context: InitialContext): void {
  const { registers } = processor;
  registers.reset();
  if (context.fpu) {
    ram.u8.set(context.fpu, IMAGE);
    loadImage(ram.view, IMAGE);
  }
  registers.cr0 = context.cr0;
  registers.cr4 = context.cr4;
  for (const [number, value] of context.gpr.entries()) registers.set(number, value);
  registers.rip = context.rip;
  registers.rflags = (context.rflags & ~(RFLAGS.IOPL | RFLAGS.VM)) | RFLAGS.IF;
  registers.cs = context.cs;
  registers.ss = context.ss;
  registers.ds = context.ds;
  registers.es = context.es;
  registers.fs = context.fs;
  registers.gs = context.gs;
  registers.fsBase = context.fsBase;
  registers.gsBase = context.gsBaseKernel;
  registers.kernelGsBase = context.gsBaseUser;
}
