/**
 * The PV side of the hypervisor: what every exit of a guest means, what a guest is given before it goes on, and what it
 * takes to put another vCPU on the processor. Start reading here; hypervisor/index.ts calls `handleExit`, `beforeEntry`
 * and `contextSwitch`.
 */

import type { Domain, Vcpu } from '../common/domain.js';
import type { FramePool } from '../common/frame-pool.js';
import type { Ram } from '../machine/ram.js';
import { asFrame, asMfn, asVirtAddr, type Frame, type VirtAddr } from '../machine/types.js';
import {
  FLAT,
  MACH2PHYS_VIRT_END,
  MACH2PHYS_VIRT_START,
  XEN_EMULATE_PREFIX,
} from '../public/arch-x86.js';
import {
  ACCESS,
  EXIT,
  type ExitReason,
  PAGE_FAULT,
  type Processor,
  VECTOR,
} from '../x86/processor.js';
import { MODE } from '../x86/segment-state.js';
import { GPR, RFLAGS } from '../x86/state.js';
import { CR0_TS } from './control-registers.js';
import { cpuid } from './cpuid.js';
import { armBreakpoints, DR6_SINGLE_STEP } from './debug-registers.js';
import type { Descriptor } from './descriptors.js';
import { PrivilegedOperations } from './emul-priv-op.js';
import { fetchBytes, InstructionFetch } from './emulated-instruction.js';
import { GuestAccess } from './guest-access.js';
import { whyRefused } from './holders.js';
import { Iret } from './iret.js';
import { PvMemory } from './memory-hooks.js';
import { Msrs } from './msr.js';
import { PageTableBase } from './page-table-base.js';
import { PvDomain } from './pv-domain.js';
import { type Callback, PvVcpu } from './pv-vcpu.js';
import type { Refusal } from './refusal.js';
import { ReadOnlyPageFault } from './ro-page-fault.js';
import { Segments } from './segments.js';
import { Translations } from './translations.js';
import { Traps } from './traps.js';
import { initialiseVcpu, loadContext } from './vcpu-context.js';

/** What pv needs of the rest of the hypervisor. */
export interface PvHost {
  readonly ram: Ram;
  readonly frames: FramePool;
  readonly processor: Processor;
  /** The time-stamp counter. */
  readTsc(): number;
  /** Version as xen_version tells it. */
  readonly version: readonly [major: number, minor: number];
  /** Keeps in the trace why something was refused; `why` is not asked if nobody would read it. */
  explain(domain: Domain, vcpu: number, why: () => string): void;
}

/** CPUID instruction behind the prefix that asks Xen to emulate it. */
const FORCED_CPUID = [...XEN_EMULATE_PREFIX, 0x0f, 0xa2];

const isUsable = (callback: Callback | undefined): callback is Callback =>
  callback !== undefined && callback.address !== 0;

export class Pv {
  readonly processor: Processor;
  readonly ram: Ram;
  readonly guest: GuestAccess;
  readonly traps: Traps;
  readonly segments: Segments;
  readonly iret: Iret;
  readonly translations: Translations;
  readonly base: PageTableBase;
  /** Page references and grant mappings: what common asks of pv. */
  readonly memory: PvMemory;
  /** The vCPU on the processor. */
  current: PvVcpu | undefined;
  readonly #host: PvHost;
  readonly #invalidM2pPage: Frame;
  readonly #domains = new WeakMap<Domain, PvDomain>();
  readonly #vcpus = new WeakMap<Vcpu, PvVcpu>();
  readonly #privileged: PrivilegedOperations;
  readonly #readOnlyFault: ReadOnlyPageFault;

  /** @throws RangeError if the host has not one frame. */
  constructor(host: PvHost) {
    const { ram, processor } = host;
    const page = host.frames.allocate();
    if (page === undefined) throw new RangeError('no frame for the empty machine-to-physical page');
    ram.frameBytes(page).fill(0xff);
    this.#invalidM2pPage = page;
    this.#host = host;
    this.ram = ram;
    this.processor = processor;
    this.translations = new Translations(processor);
    this.guest = new GuestAccess(processor, ram, this.translations);
    this.traps = new Traps(processor, ram, this.guest);
    this.segments = new Segments(ram);
    this.iret = new Iret(processor, ram, this.guest, this.traps, this.segments);
    this.base = new PageTableBase(this.traps, this.segments);
    this.memory = new PvMemory(
      (domain) => this.of(domain),
      (vcpu) => this.vcpuOf(vcpu),
      this.translations,
    );
    const fetch = new InstructionFetch(processor, this.guest, ram);
    const msrs = new Msrs(processor, ram, () => host.readTsc());
    this.#privileged = new PrivilegedOperations(
      processor,
      this.guest,
      this.traps,
      msrs,
      ram.view,
      (v, mfn) => this.base.newKernelBase(v, mfn),
      fetch,
    );
    this.#readOnlyFault = new ReadOnlyPageFault(processor, fetch);
  }

  // ---- domains ----

  /** The PV part of a domain, made when first asked for. */
  of(domain: Domain): PvDomain {
    let known = this.#domains.get(domain);
    if (!known) {
      known = new PvDomain(domain, {
        ram: this.ram,
        invalidM2pPage: this.#invalidM2pPage,
        translationsStale: () => this.translations.markStale(),
        refused: (refused, refusal) => this.#refused(refused, refusal),
      });
      this.#domains.set(domain, known);
    }
    return known;
  }

  vcpuOf(vcpu: Vcpu): PvVcpu {
    let known = this.#vcpus.get(vcpu);
    if (!known) {
      known = new PvVcpu(vcpu, this.of(vcpu.domain));
      this.#vcpus.set(vcpu, known);
    }
    return known;
  }

  /** Gives back what pv holds of a domain, which then releases its pages wholesale. */
  destroyDomain(domain: Domain): void {
    this.#domains.get(domain)?.destroy();
    this.#domains.delete(domain);
    if (this.current?.vcpu.domain === domain) this.current = undefined;
    this.translations.markStale();
  }

  /** VCPUOP_initialise. @returns 0 or a negated errno. */
  initialiseVcpu(_domain: Domain, vcpu: Vcpu, context: VirtAddr | undefined): number {
    return initialiseVcpu(this.vcpuOf(vcpu), this.guest, this.segments, context);
  }

  #refused(domain: Domain, refusal: Refusal): void {
    const vcpu = this.current?.vcpu.domain === domain ? this.current.vcpu.id : 0;
    const vcpuOf = (each: Vcpu) => this.vcpuOf(each);
    this.#host.explain(domain, vcpu, () => whyRefused(refusal, this.of(domain), vcpuOf));
  }

  // ---- running ----

  /** Puts a vCPU on the processor, after saving the one that is there. */
  contextSwitch(to: PvVcpu): void {
    const from = this.current;
    if (from !== to || to.pendingContext) {
      if (from && from !== to) this.processor.saveState(from.vcpu.state);
      if (to.pendingContext) {
        loadContext(this.processor, this.ram, to.pendingContext);
      } else if (from !== to) this.processor.loadState(to.vcpu.state);
      this.current = to;
      this.traps.loadAddressSpace(to);
      if (to.pendingContext) this.segments.loadContext(to, this.processor.registers);
      to.pendingContext = undefined;
      armBreakpoints(this.processor, to);
    }
  }

  /** Takes the current vCPU off the processor: its state is saved, nothing is current. */
  leave(): void {
    if (this.current) this.processor.saveState(this.current.vcpu.state);
    this.current = undefined;
  }

  /** What a guest is given before each return to it: the #DB of a stepped system call, an NMI, the event upcall. */
  beforeEntry(v: PvVcpu): void {
    if (v.isStepDue) {
      v.isStepDue = false;
      this.traps.injectDebug(v, DR6_SINGLE_STEP);
    }
    if (v.nmiPending && !v.nmiMasked && v.nmiCallback !== undefined) {
      this.traps.enterNmiCallback(v, v.nmiCallback);
    }
    const { infoAddress } = v.vcpu;
    if (this.ram.u8[infoAddress] !== 0 && this.ram.u8[infoAddress + 1] === 0) {
      this.traps.enterEventCallback(v);
    }
    this.translations.settle();
  }

  /**
   * Decides what an exit means and acts on it.
   * @returns true if the guest's kernel made a hypercall, which is for the caller to dispatch.
   */
  handleExit(v: PvVcpu, reason: ExitReason): boolean {
    switch (reason) {
      case EXIT.SYSCALL:
        if (v.inKernel && this.processor.registers.mode === MODE.LONG) {
          // What the instruction itself loads: a kernel on other flat segments comes back on these.
          this.processor.registers.cs = FLAT.RING3_CS64;
          this.processor.registers.ss = FLAT.RING3_SS64;
          v.isStepDue = (this.processor.registers.rflags & RFLAGS.TF) !== 0;
          return true;
        }
        this.#userSyscall(v);
        return false;
      case EXIT.SYSENTER:
        this.#userSysenter(v);
        return false;
      case EXIT.EXCEPTION:
        this.#exception(v);
        return false;
      case EXIT.PRIVILEGED:
        this.#privileged.emulate(v);
        return false;
      case EXIT.INTERRUPT:
        this.#softwareInterrupt(v);
        return false;
      default:
        return false;
    }
  }

  /** SYSCALL of an application: to its kernel, with rcx and r11 as the instruction sets them. */
  #userSyscall(v: PvVcpu): void {
    const { registers } = this.processor;
    const { rip, rflags } = registers;
    const isLong = registers.mode === MODE.LONG;
    const callback = isLong ? v.syscallCallback : v.syscall32Callback;
    if (!isUsable(callback) || v.inKernel) {
      this.#refuseSystemCall(v);
      return;
    }
    registers.setAddress(GPR.RCX, rip);
    registers.setHalves(GPR.R11, rflags, 0);
    registers.cs = isLong ? FLAT.RING3_CS64 : FLAT.RING3_CS32;
    registers.ss = FLAT.RING3_SS64;
    this.traps.enterSyscallCallback(v, callback);
  }

  /** SYSENTER of a 32-bit application: it leaves no trace of where it was. The kernel knows, or finds it on the stack. */
  #userSysenter(v: PvVcpu): void {
    const { registers } = this.processor;
    const callback = v.sysenterCallback;
    if (!isUsable(callback) || v.inKernel) {
      this.#refuseSystemCall(v);
      return;
    }
    registers.rip = asVirtAddr(0);
    registers.setLow(GPR.RSP, 0);
    registers.rflags &= ~RFLAGS.NT;
    registers.cs = 0;
    registers.ss = FLAT.RING3_SS64;
    this.traps.enterSyscallCallback(v, callback);
  }

  /** Nobody wants system calls of this kind: the instruction, of two bytes, is undefined. */
  #refuseSystemCall(v: PvVcpu): void {
    const { registers } = this.processor;
    registers.rip = asVirtAddr(registers.rip - 2);
    this.traps.injectException(v, VECTOR.UD);
  }

  #exception(v: PvVcpu): void {
    const { vector, errorCode, cr2 } = this.processor.exit;
    switch (vector) {
      case VECTOR.PF:
        this.#pageFault(v, cr2, errorCode);
        return;
      case VECTOR.UD:
        if (!this.#forcedCpuid(v)) this.traps.injectException(v, VECTOR.UD);
        return;
      case VECTOR.NM:
        this.#deviceNotAvailable(v);
        return;
      case VECTOR.DB:
        this.traps.injectDebug(v, this.processor.exit.debugStatus);
        return;
      default:
        this.traps.injectException(v, vector, errorCode);
    }
  }

  #pageFault(v: PvVcpu, cr2: VirtAddr, errorCode: number): void {
    const write = PAGE_FAULT.PRESENT | PAGE_FAULT.WRITE;
    if (v.inKernel && (errorCode & (write | PAGE_FAULT.RESERVED)) === write) {
      if (this.#readOnlyFault.handle(v, cr2)) {
        this.#stepped(v);
        return;
      }
    }
    this.traps.injectPageFault(v, cr2, errorCode | this.#m2pPresent(v, cr2));
  }

  /** The machine-to-physical table is mapped, though it cannot be written: such a fault is one of protection. */
  #m2pPresent(v: PvVcpu, va: VirtAddr): number {
    const isM2p = va >= MACH2PHYS_VIRT_START && va < MACH2PHYS_VIRT_END;
    return isM2p && (v.inKernel || !v.pv.m2pStrict) ? PAGE_FAULT.PRESENT : 0;
  }

  /** The guest asked to be told of FPU use: it is, once. */
  #deviceNotAvailable(v: PvVcpu): void {
    const { registers } = this.processor;
    registers.cr0 &= ~CR0_TS;
    this.traps.injectException(v, VECTOR.NM);
  }

  /** INT n: allowed if the guest's own gate says so, else #GP naming the gate (SDM 3A §6.12.1.2). */
  #softwareInterrupt(v: PvVcpu): void {
    const { registers, exit } = this.processor;
    const { vector, length } = exit;
    const dpl = (v.trapFlags[vector] ?? 0) & 3;
    const direct = vector === VECTOR.BP || vector === VECTOR.OF;
    // To Xen the kernel of a guest is not ring 0: a gate of its own with DPL 0 is closed to it too.
    const allowed = dpl >= (v.inKernel ? 1 : 3);
    if (!direct && !allowed) {
      this.traps.injectException(v, VECTOR.GP, vector * 8 + 2);
      return;
    }
    registers.rip = asVirtAddr(registers.rip + length);
    if (direct) this.traps.injectException(v, vector);
    else this.traps.injectInterrupt(v, vector);
  }

  /** ud2 "xen" cpuid: CPUID as Xen shows it, also where the processor itself would show something else. */
  #forcedCpuid(v: PvVcpu): boolean {
    const { registers } = this.processor;
    const bytes = fetchBytes(this.guest, registers.codeAddress, FORCED_CPUID.length);
    if (!bytes || bytes.length < FORCED_CPUID.length) return false;
    if (!FORCED_CPUID.every((byte, n) => bytes[n] === byte)) return false;
    const leaf = this.cpuid(registers.lo(GPR.RAX), registers.lo(GPR.RCX), v);
    registers.setLow(GPR.RAX, leaf[0]);
    registers.setLow(GPR.RBX, leaf[1]);
    registers.setLow(GPR.RCX, leaf[2]);
    registers.setLow(GPR.RDX, leaf[3]);
    registers.rflags &= ~RFLAGS.RF;
    registers.rip = asVirtAddr(registers.rip + FORCED_CPUID.length);
    this.#stepped(v);
    return true;
  }

  /** An instruction was carried out for the guest: with TF it has its #DB. */
  #stepped(v: PvVcpu): void {
    const { rflags } = this.processor.registers;
    if (rflags & RFLAGS.TF) this.traps.injectDebug(v, DR6_SINGLE_STEP);
  }

  // ---- small services for hypercalls ----

  /** A page was written by its machine address: code decoded from it is dropped. */
  frameWritten(frame: number): void {
    this.processor.frameWritten(asFrame(frame));
  }

  /** CR0.TS of the guest: with it set, the next FPU instruction gives #NM. */
  setTaskSwitched(on: boolean): void {
    const { registers } = this.processor;
    registers.cr0 = on ? registers.cr0 | CR0_TS : registers.cr0 & ~CR0_TS;
  }

  // ---- what the processor asks ----

  cpuid(leaf: number, subleaf: number, v = this.current) {
    const context = { vcpuId: v?.vcpu.id ?? 0, version: this.#host.version };
    return cpuid(context, leaf >>> 0, subleaf >>> 0);
  }

  /** @returns the page behind an address in Xen's range: the machine-to-physical table, to be read only. */
  hypervisorRange(va: VirtAddr, access: number): number {
    if (access !== ACCESS.READ || va < MACH2PHYS_VIRT_START || va >= MACH2PHYS_VIRT_END) return -1;
    const v = this.current;
    if (!v || (!v.inKernel && v.pv.m2pStrict)) return -1;
    return v.pv.m2p.pageAddress(va - MACH2PHYS_VIRT_START);
  }

  /** A page that other domains have as well is about to be written to. */
  unshare(mfn: number): void {
    this.current?.vcpu.domain.memory.unshare(asMfn(mfn));
  }

  readDescriptor(selector: number): Descriptor | undefined {
    return this.current && this.segments.readDescriptor(this.current, selector);
  }
}
