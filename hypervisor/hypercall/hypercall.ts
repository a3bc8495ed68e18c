/**
 * One hypercall as its handler sees it: who calls, with which arguments, and the ways out. One object serves all calls (the
 * hot path allocates nothing), so a handler keeps nothing of it. Spec: xen-abi §1.1: nr in rax, arguments in rdi, rsi, rdx,
 * r10, r8, r9; result in rax; a preempted call rewinds rip by 2 and is made again with the arguments it left.
 */

import type { Domain } from '../common/domain.js';
import { type Figure, inWords } from '../common/words.js';
import { canonical, type VirtAddr } from '../machine/types.js';
import { ERRNO } from '../public/errno.js';
import { DOMID } from '../public/xen.js';
import type { GuestAccess } from '../pv/guest-access.js';
import type { PvDomain } from '../pv/pv-domain.js';
import type { PvVcpu } from '../pv/pv-vcpu.js';
import type { HypercallServices } from './services.js';

/** Result in rax: 0 or more, or a negated errno; or PREEMPTED or NO_RESULT. Always a safe integer. */
export type Handler = (call: Hypercall) => number;

/** The handler stopped half-way, having stored how to go on with `setArg`: the guest makes the call again. */
export const PREEMPTED = -0x1_0000_0000_0000;
/** The handler has set all registers itself (iret), or the vCPU has none to return to: rax is left alone. */
export const NO_RESULT = PREEMPTED - 1;

/** The registers as a hypercall needs them: filled by the processor. */
export interface CallRegisters {
  rip: VirtAddr;
  rflags: number;
  lo(register: number): number;
  hi(register: number): number;
  setHalves(register: number, lo: number, hi: number): void;
  setAddress(register: number, va: VirtAddr): void;
}

/** rdi, rsi, rdx, r10, r8, r9 (SDM numbering). */
const ARGUMENTS = [7, 6, 2, 10, 8, 9] as const;
const TWO_32 = 0x1_0000_0000;
/** |hi| below this keeps hi * 2^32 + lo exact. */
const SAFE_HIGH = 0x20_0000;

/** Names of missing calls that are counted for a domain; the rest count as one. */
const MOST_NAMES = 100;

export class Hypercall {
  /** The hypervisor's services: domains, clock, timers, scheduler, log. */
  readonly hv: HypercallServices;
  readonly regs: CallRegisters;
  // Set at each vCPU switch, before the first call.
  vcpu!: PvVcpu;
  pv!: PvDomain;
  domain!: Domain;
  guest!: GuestAccess;
  /** Number of the call that is being made. */
  number = 0;
  /** Makes the call with this number: for multicall, filled in by the dispatcher. */
  perform: (number: number) => number = () => -ERRNO.ENOSYS;
  /** Arguments of a call inside a multicall, as pairs of halves; undefined for a call from registers. */
  inner: Uint32Array | undefined;

  constructor(hv: HypercallServices, regs: CallRegisters) {
    this.hv = hv;
    this.regs = regs;
  }

  /** Low half of argument n (0 to 5), unsigned. What a C handler takes as `unsigned int`. */
  argLo(n: number): number {
    if (this.inner !== undefined) return this.inner[n * 2] ?? 0;
    return this.regs.lo(ARGUMENTS[n] ?? 0);
  }

  /** High half of argument n, unsigned. */
  argHi(n: number): number {
    if (this.inner !== undefined) return this.inner[n * 2 + 1] ?? 0;
    return this.regs.hi(ARGUMENTS[n] ?? 0);
  }

  /** Argument n as a signed 64-bit value, NaN if a number cannot hold it exactly. */
  arg(n: number): number {
    const high = this.argHi(n) | 0;
    if (high >= SAFE_HIGH || high < -SAFE_HIGH) return Number.NaN;
    return high * TWO_32 + this.argLo(n);
  }

  /** Argument n as a guest pointer, undefined if it is not canonical: -EFAULT. */
  argAddress(n: number): VirtAddr | undefined {
    return canonical(this.argLo(n), this.argHi(n));
  }

  /** Changes an argument for the continuation of a preempted call. */
  setArg(n: number, lo: number, hi: number): void {
    if (this.inner !== undefined) {
      this.inner[n * 2] = lo;
      this.inner[n * 2 + 1] = hi;
      return;
    }
    this.regs.setHalves(ARGUMENTS[n] ?? 0, lo, hi);
  }

  /** @returns whether a long call is to stop here: the slice is used up or dom0 has sent something. Ask every few dozen steps. */
  shouldPreempt(): boolean {
    return this.hv.shouldPreempt();
  }

  /**
   * The result of a refused call, and the rule it broke for the trace.
   * @param format as printk takes it (common/words.ts): put into words only if the call is traced.
   */
  refuse(result: number, format: string, ...figures: readonly Figure[]): number {
    if (!this.hv.wantsReasons()) return result;
    this.hv.explain(this.domain, this.vcpu.vcpu.id, inWords(format, figures));
    return result;
  }

  /** -EFAULT, with the address that could not be reached. */
  fault(): number {
    if (!this.hv.wantsReasons()) return -ERRNO.EFAULT;
    return this.refuse(-ERRNO.EFAULT, '%s', this.guest.faultText);
  }

  /** The result of a call that does not exist here: -ENOSYS, counted by name. */
  missing(name: string): number {
    const { missingCalls } = this.domain;
    // Any number of the guest's makes a name: there are not to be more than anybody would read.
    const kept = missingCalls.size < MOST_NAMES || missingCalls.has(name) ? name : 'others';
    missingCalls.set(kept, (missingCalls.get(kept) ?? 0) + 1);
    return this.refuse(-ERRNO.ENOSYS, 'there is no %s here', name);
  }

  /** @returns the domain that a domid argument names: DOMID_SELF or any id; undefined if there is none such. */
  lookupDomain(domid: number): Domain | undefined {
    return domid === DOMID.SELF ? this.domain : this.hv.lookupDomain(domid);
  }

  /** @returns whether the caller may act on that domain: itself, or any if privileged. */
  mayControl(target: Domain): boolean {
    return target === this.domain || this.domain.isPrivileged;
  }

  /** @returns the domain that a domid argument names, if the caller may act on it; else -ESRCH or -EPERM. */
  controlled(domid: number): Domain | number {
    const target = this.lookupDomain(domid);
    if (!target) return this.noDomain(-ERRNO.ESRCH, domid);
    return this.mayControl(target) ? target : this.notAllowed(-ERRNO.EPERM, domid);
  }

  noDomain(result: number, domid: number): number {
    return this.refuse(result, 'there is no d%d', domid);
  }

  notAllowed(result: number, domid: number): number {
    const rule = 'd%d is not privileged: it may act on itself only, not on d%d';
    return this.refuse(result, rule, this.domain.id, domid);
  }
}
