/**
 * From a SYSCALL of a guest kernel to the handler and back. Spec: xen-abi §1.1.
 * The path of a call that nobody traces allocates nothing.
 */

import type { Trace } from '../common/trace.js';
import { asVirtAddr } from '../machine/types.js';
import { ERRNO } from '../public/errno.js';
import { hypercallName, NR_HYPERCALLS } from '../public/hypercalls.js';
import type { GuestAccess } from '../pv/guest-access.js';
import type { PvVcpu } from '../pv/pv-vcpu.js';
import { CallTracer } from './call-tracer.js';
import { type CallRegisters, Hypercall, NO_RESULT, PREEMPTED } from './hypercall.js';
import type { HypercallServices } from './services.js';
import { TABLE } from './table.js';

const RAX = 0;
const RCX = 1;
const R11 = 11;
/** Bytes of a SYSCALL instruction: what a preempted call steps back. */
const SYSCALL_LENGTH = 2;
const TWO_32 = 0x1_0000_0000;

export class Dispatcher {
  readonly call: Hypercall;
  readonly #regs: CallRegisters;
  readonly #tracer: CallTracer;

  constructor(hv: HypercallServices, regs: CallRegisters, guest: GuestAccess, trace: Trace) {
    this.call = new Hypercall(hv, regs);
    this.call.guest = guest;
    this.call.perform = (number) => this.#perform(number);
    this.#regs = regs;
    this.#tracer = new CallTracer(trace, this.call);
  }

  /** The call in progress will be in the trace, so why it is refused should be as well. */
  get isTracing(): boolean {
    return this.#tracer.isTracing;
  }

  /** The vCPU that makes the calls from now on. */
  enter(vcpu: PvVcpu): void {
    this.call.vcpu = vcpu;
    this.call.pv = vcpu.pv;
    this.call.domain = vcpu.vcpu.domain;
  }

  /** Forgets the call in progress: its handler threw. */
  abandon(): void {
    this.call.inner = undefined;
    this.#tracer.abandon();
  }

  /** Makes the call that the guest kernel asks for; rip is behind its SYSCALL. */
  dispatch(): void {
    const regs = this.#regs;
    const { rip } = regs;
    // As the instruction itself does.
    regs.setAddress(RCX, rip);
    regs.setHalves(R11, regs.rflags, 0);
    const result = this.#perform(regs.hi(RAX) === 0 ? regs.lo(RAX) : NR_HYPERCALLS);
    if (result >= 0 && result < TWO_32) regs.setHalves(RAX, result, 0);
    else if (result === PREEMPTED) regs.rip = asVirtAddr(rip - SYSCALL_LENGTH);
    else if (result !== NO_RESULT) {
      regs.setHalves(RAX, result >>> 0, Math.floor(result / TWO_32) >>> 0);
    }
  }

  #perform(number: number): number {
    const { call } = this;
    const handler = TABLE[number];
    call.number = number;
    if (number < NR_HYPERCALLS && number >= 0) {
      const { hypercalls } = call.domain;
      hypercalls[number] = (hypercalls[number] ?? 0) + 1;
      if (this.#tracer.start(number)) {
        const result = handler === undefined ? this.#missing(number) : handler(call);
        if (result === -ERRNO.EFAULT) call.fault();
        this.#tracer.end(result);
        return result;
      }
    }
    return handler === undefined ? this.#missing(number) : handler(call);
  }

  #missing(number: number): number {
    if (number >= 0 && number < NR_HYPERCALLS) return this.call.missing(hypercallName(number));
    // Not counted by name: any number of the guest's would fill the table.
    return this.call.refuse(-ERRNO.ENOSYS, 'there is no hypercall %d', number);
  }
}
