/**
 * The seam between event channels and their two ABIs: where it is noted that a port is pending, masked or to be looked at.
 * two-level-events.ts and fifo-events.ts fill it in; event-channel.ts knows neither bits nor words. Spec: event_channel.h.
 */

import type { Ram } from '../machine/ram.js';
import { asPort, type DomId, type HostAddr, type Mfn, type Port } from '../machine/types.js';

/** What event channels need of a vCPU. */
export interface EventVcpu {
  readonly id: number;
  /** Address of its vcpu_info. */
  readonly infoAddress: HostAddr;
}

/** What event channels need of their domain. */
export interface EventOwner {
  readonly id: DomId;
  readonly vcpus: readonly (EventVcpu | undefined)[];
  readonly sharedInfoAddress: HostAddr;
  /** upcall_pending of the vCPU went from 0 to 1. */
  eventsPending(vcpu: number): void;
  /** The port became pending, masked or not: whoever polls it is to wake. */
  portPending(port: Port): void;
  /** Keeps a page of the domain's for Xen to write to. @returns its address, undefined if it may not be written. */
  holdPage(mfn: Mfn): HostAddr | undefined;
  dropReference(mfn: Mfn, writable: boolean): void;
}

/** What a port's ABI has to know of it. */
export interface PortState {
  /** vCPU that is notified. */
  vcpu: number;
  /** FIFO: the queue it goes to. */
  priority: number;
  /** FIFO: it became pending before the guest gave a page for its word. */
  pending: boolean;
}

/** Where ports are marked. Nothing of the guest runs meanwhile; what it left there may be anything. */
export interface EventPorts {
  /** Ports are numbered below this. */
  readonly count: number;
  /** Marks the port pending and, unless it is masked, tells its vCPU. @returns whether it was not pending before. */
  setPending(port: number, state: PortState): boolean;
  clearPending(port: number, state: PortState): void;
  /** Opens the port to delivery; an event that is pending is delivered. */
  unmask(port: number, state: PortState): void;
  isPending(port: number): boolean;
  /** @returns whether the port, though closed, cannot be given out yet. */
  isBusy(port: number): boolean;
}

/** dom0 has no vCPU: its ports are handed to a callback. */
export class CallbackEvents implements EventPorts {
  readonly count = Number.MAX_SAFE_INTEGER;
  readonly #notify: (port: Port) => void;

  constructor(notify: (port: Port) => void) {
    this.#notify = notify;
  }

  setPending(port: number): boolean {
    this.#notify(asPort(port));
    return false;
  }

  clearPending(): void {}

  unmask(): void {}

  isPending(): boolean {
    return false;
  }

  isBusy(): boolean {
    return false;
  }
}

/** Sets upcall_pending of a vCPU; its domain hears of it if it was clear. */
export function markEventsPending(owner: EventOwner, ram: Ram, vcpuId: number): void {
  const info = owner.vcpus[vcpuId]?.infoAddress;
  if (info === undefined || ram.u8[info] !== 0) return;
  ram.u8[info] = 1;
  owner.eventsPending(vcpuId);
}
