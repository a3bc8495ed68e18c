/**
 * Two-level events: a pending and a mask bit in shared_info for each port, a selector bit in vcpu_info for each 64 ports.
 * Spec: xen.h, struct shared_info; xen-abi §2.1.
 */

import type { Ram } from '../machine/ram.js';
import { EVTCHN_2L_NR_CHANNELS } from '../public/event-channel.js';
import { sharedInfo, vcpuInfo } from '../public/xen.js';
import type { EventOwner, EventPorts, PortState } from './event-ports.js';
import { markEventsPending } from './event-ports.js';

export class TwoLevelEvents implements EventPorts {
  readonly count = EVTCHN_2L_NR_CHANNELS;
  readonly #owner: EventOwner;
  readonly #ram: Ram;

  constructor(owner: EventOwner, ram: Ram) {
    this.#owner = owner;
    this.#ram = ram;
  }

  setPending(port: number, { vcpu }: PortState): boolean {
    const { u32 } = this.#ram;
    const bit = 1 << (port & 31);
    const pending = this.#pendingWord(port);
    const before = u32[pending] ?? 0;
    if (before & bit) return false;
    u32[pending] = before | bit;
    const mask = u32[this.#maskWord(port)] ?? 0;
    if (!(mask & bit)) this.#select(port, vcpu);
    return true;
  }

  clearPending(port: number): void {
    const { u32 } = this.#ram;
    const word = this.#pendingWord(port);
    u32[word] = (u32[word] ?? 0) & ~(1 << (port & 31));
  }

  unmask(port: number, { vcpu }: PortState): void {
    const { u32 } = this.#ram;
    const bit = 1 << (port & 31);
    const mask = this.#maskWord(port);
    if (!((u32[mask] ?? 0) & bit)) return;
    u32[mask] = (u32[mask] ?? 0) & ~bit;
    if (this.isPending(port)) this.#select(port, vcpu);
  }

  isPending(port: number): boolean {
    return ((this.#ram.u32[this.#pendingWord(port)] ?? 0) & (1 << (port & 31))) !== 0;
  }

  isBusy(): boolean {
    return false;
  }

  /** Sets the selector bit, and upcall_pending if the selector bit was clear. */
  #select(port: number, vcpu: number): void {
    const info = this.#owner.vcpus[vcpu]?.infoAddress;
    if (info === undefined) return;
    const { u32 } = this.#ram;
    const selector = port >>> 6;
    const word = (info + vcpuInfo.offset.evtchnPendingSel + (selector >>> 5) * 4) >>> 2;
    const bit = 1 << (selector & 31);
    const before = u32[word] ?? 0;
    if (before & bit) return;
    u32[word] = before | bit;
    markEventsPending(this.#owner, this.#ram, vcpu);
  }

  #pendingWord(port: number): number {
    const { sharedInfoAddress } = this.#owner;
    return (sharedInfoAddress + sharedInfo.offset.evtchnPending + (port >>> 5) * 4) >>> 2;
  }

  #maskWord(port: number): number {
    const { sharedInfoAddress } = this.#owner;
    return (sharedInfoAddress + sharedInfo.offset.evtchnMask + (port >>> 5) * 4) >>> 2;
  }
}
