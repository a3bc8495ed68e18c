/** What hypercall handlers need of the hypervisor, filled in by hypervisor/index.ts. */

import type { Domain, Vcpu } from '../common/domain.js';
import type { FramePool } from '../common/frame-pool.js';
import type { Timers } from '../common/timer.js';
import type { Clock } from '../machine/clock.js';
import type { Ram } from '../machine/ram.js';
import type { VirtAddr } from '../machine/types.js';
import type { Pv } from '../pv/pv.js';
import type { PvDomain } from '../pv/pv-domain.js';
import type { PvVcpu } from '../pv/pv-vcpu.js';

export interface HypercallServices {
  readonly ram: Ram;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly frames: FramePool;
  readonly pv: Pv;
  lookupDomain(domid: number): Domain | undefined;
  pvOf(domain: Domain): PvDomain;
  pvVcpuOf(vcpu: Vcpu): PvVcpu;
  /** VCPUOP_initialise: reads a vcpu_guest_context. @returns 0 or a negated errno. */
  initialiseVcpu(domain: Domain, vcpu: Vcpu, context: VirtAddr | undefined): number;
  /** The vCPU gives the processor to others that want it. */
  yield(vcpu: Vcpu): void;
  /** The vCPU is not to run until `wake`: blocked, or offline. */
  sleep(vcpu: Vcpu): void;
  wake(vcpu: Vcpu): void;
  shouldPreempt(): boolean;
  /** Whether the call in progress is traced: otherwise nobody would read why it was refused. */
  wantsReasons(): boolean;
  /** Keeps in the trace why the call in progress was refused. */
  explain(domain: Domain, vcpu: number, why: string): void;
  /** A line for the hypervisor's log. */
  log(text: string): void;
  /** Text that a domain writes to the emergency console. */
  consoleWrite(domain: Domain, text: string): void;
}
