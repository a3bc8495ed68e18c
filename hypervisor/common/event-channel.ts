/**
 * Event channels, two-level ABI. A pending bit in shared_info, a selector bit and upcall_pending in the vcpu_info of the
 * vCPU that the port notifies, then a wake-up. Spec: event_channel.h; xen-abi §2.1.
 *
 * Rules that guests get wrong: a mask loses no event but holds its delivery; closing one end makes the other unbound again;
 * binding marks the binder's port pending, since an earlier notification may have been lost.
 */

import type { Ram } from '../machine/ram.js';
import { asPort, type DomId, type HostAddr, type Port } from '../machine/types.js';
import { ERRNO } from '../public/errno.js';
import {
  EVTCHN_2L_NR_CHANNELS,
  EVTCHNSTAT,
  NR_VIRQS,
  PER_VCPU_VIRQS,
} from '../public/event-channel.js';
import { sharedInfo, vcpuInfo } from '../public/xen.js';

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
}

/** One port. */
export class Channel {
  state: number = EVTCHNSTAT.CLOSED;
  /** vCPU that is notified. */
  vcpu = 0;
  /** UNBOUND: who may bind. INTERDOMAIN: the domain at the other end. */
  remoteDom = 0;
  remotePort = 0;
  remote: EventChannels | undefined;
  virq = -1;
}

export class EventChannels {
  /** Ports run from 1 to limit - 1; port 0 is never used. */
  readonly limit: number;
  readonly #owner: EventOwner;
  readonly #ram: Ram;
  /** dom0 has no vCPU: its ports are handed to a callback. */
  readonly #sink: ((port: Port) => void) | undefined;
  readonly #channels: (Channel | undefined)[] = [];
  /** Ports of virtual IRQs: index vcpu * NR_VIRQS + virq, 0 for none. Global ones under vCPU 0. */
  readonly #virqs: number[] = [];
  #open = 0;

  constructor(owner: EventOwner, ram: Ram, maxPorts: number, sink?: (port: Port) => void) {
    this.#owner = owner;
    this.#ram = ram;
    this.#sink = sink;
    this.limit = sink ? Number.MAX_SAFE_INTEGER : Math.min(maxPorts + 1, EVTCHN_2L_NR_CHANNELS);
  }

  get id(): DomId {
    return this.#owner.id;
  }

  /** Ports in use. */
  get open(): number {
    return this.#open;
  }

  /** @returns undefined for a port out of range or closed. */
  lookup(port: number): Channel | undefined {
    const channel = this.#channels[port];
    return channel && channel.state !== EVTCHNSTAT.CLOSED ? channel : undefined;
  }

  /** @returns whether the number could be a port of this domain. */
  isValid(port: number): boolean {
    return port < this.limit && this.#channels[port] !== undefined;
  }

  /** @returns a port that `remoteDom` may bind, or -ENOSPC. */
  allocateUnbound(remoteDom: number): number {
    const port = this.#allocate();
    if (port < 0) return port;
    const channel = this.#channel(port);
    channel.state = EVTCHNSTAT.UNBOUND;
    channel.remoteDom = remoteDom;
    return port;
  }

  /**
   * Connects a new local port to a port that the remote domain left unbound for this one.
   * @returns the local port; -EINVAL: no such unbound port, or not for this domain; -ENOSPC.
   */
  bindInterdomain(remote: EventChannels, remotePort: number): number {
    const far = remote.lookup(remotePort);
    if (far?.state !== EVTCHNSTAT.UNBOUND || far.remoteDom !== this.id) return -ERRNO.EINVAL;
    const port = this.#allocate();
    if (port < 0) return port;
    this.#connect(this.#channel(port), remote, remotePort);
    remote.#connect(far, this, port);
    this.setPending(port);
    return port;
  }

  /** @returns the port; -EINVAL: no such VIRQ, or a global one not on vCPU 0; -ENOENT: no such vCPU; -EEXIST. */
  bindVirq(virq: number, vcpu: number): number {
    if (virq >= NR_VIRQS) return -ERRNO.EINVAL;
    if (!PER_VCPU_VIRQS.includes(virq) && vcpu !== 0) return -ERRNO.EINVAL;
    if (!this.#owner.vcpus[vcpu]) return -ERRNO.ENOENT;
    if (this.#virqs[vcpu * NR_VIRQS + virq]) return -ERRNO.EEXIST;
    const port = this.#allocate();
    if (port < 0) return port;
    const channel = this.#channel(port);
    channel.state = EVTCHNSTAT.VIRQ;
    channel.virq = virq;
    channel.vcpu = vcpu;
    this.#virqs[vcpu * NR_VIRQS + virq] = port;
    return port;
  }

  /** @returns the port, -ENOENT: no such vCPU, -ENOSPC. */
  bindIpi(vcpu: number): number {
    if (!this.#owner.vcpus[vcpu]) return -ERRNO.ENOENT;
    const port = this.#allocate();
    if (port < 0) return port;
    const channel = this.#channel(port);
    channel.state = EVTCHNSTAT.IPI;
    channel.vcpu = vcpu;
    return port;
  }

  /** Chooses the vCPU that a port notifies. @returns -EINVAL for ports bound to their vCPU, -ENOENT: no such vCPU. */
  bindVcpu(port: number, vcpu: number): number {
    if (!this.#owner.vcpus[vcpu]) return -ERRNO.ENOENT;
    const channel = this.lookup(port);
    if (!channel || channel.state === EVTCHNSTAT.IPI) return -ERRNO.EINVAL;
    if (PER_VCPU_VIRQS.includes(channel.virq)) return -ERRNO.EINVAL;
    channel.vcpu = vcpu;
    return 0;
  }

  /** @returns -EINVAL for a port that is not open. */
  close(port: number): number {
    const channel = this.lookup(port);
    if (!channel) return -ERRNO.EINVAL;
    if (channel.remote) channel.remote.#disconnect(channel.remotePort, this.id);
    if (channel.virq >= 0) this.#virqs[this.#virqVcpu(channel) * NR_VIRQS + channel.virq] = 0;
    this.#channels[port] = new Channel();
    this.#open--;
    this.#clearPending(port);
    return 0;
  }

  /** Closes every port. */
  reset(): void {
    for (let port = 1; port < this.#channels.length; port++) this.close(port);
  }

  /** Notifies the other end. @returns -EINVAL for a port that is closed or belongs to a VIRQ. */
  send(port: number): number {
    const channel = this.#channels[port];
    if (channel === undefined) return -ERRNO.EINVAL;
    if (channel.remote !== undefined) {
      channel.remote.setPending(channel.remotePort);
      return 0;
    }
    if (channel.state === EVTCHNSTAT.IPI) this.setPending(port);
    else if (channel.state !== EVTCHNSTAT.UNBOUND) return -ERRNO.EINVAL;
    return 0;
  }

  /** Raises a virtual IRQ; nothing happens if the guest has not bound it. */
  raiseVirq(virq: number, vcpu: number): void {
    const port = this.#virqs[vcpu * NR_VIRQS + virq];
    if (port) this.setPending(port);
  }

  /** Opens the port to delivery; an event that is pending is delivered. @returns -EINVAL for a port out of range. */
  unmask(port: number): number {
    const channel = this.lookup(port);
    if (!channel) return -ERRNO.EINVAL;
    const base = this.#owner.sharedInfoAddress;
    const bit = 1 << (port & 31);
    const word = (port >>> 5) * 4;
    const { u32 } = this.#ram;
    const mask = (base + sharedInfo.offset.evtchnMask + word) >>> 2;
    if (!((u32[mask] ?? 0) & bit)) return 0;
    u32[mask] = (u32[mask] ?? 0) & ~bit;
    const pending = u32[(base + sharedInfo.offset.evtchnPending + word) >>> 2] ?? 0;
    if (pending & bit) this.#select(port, channel.vcpu);
    return 0;
  }

  /** @returns whether the pending bit of the port is set. */
  isPending(port: number): boolean {
    const word = this.#owner.sharedInfoAddress + sharedInfo.offset.evtchnPending + (port >>> 5) * 4;
    return ((this.#ram.u32[word >>> 2] ?? 0) & (1 << (port & 31))) !== 0;
  }

  /** Marks a port pending, as a notification from the other end does. */
  setPending(port: number): void {
    if (this.#sink) {
      this.#sink(asPort(port));
      return;
    }
    const { u32 } = this.#ram;
    const base = this.#owner.sharedInfoAddress;
    const bit = 1 << (port & 31);
    const word = (port >>> 5) * 4;
    const pending = (base + sharedInfo.offset.evtchnPending + word) >>> 2;
    const before = u32[pending] ?? 0;
    if (before & bit) return;
    u32[pending] = before | bit;
    const mask = u32[(base + sharedInfo.offset.evtchnMask + word) >>> 2] ?? 0;
    if (!(mask & bit)) this.#select(port, this.#channels[port]?.vcpu ?? 0);
    this.#owner.portPending(asPort(port));
  }

  /** Sets the selector bit, and upcall_pending if the selector bit was clear. */
  #select(port: number, vcpuId: number): void {
    const info = this.#owner.vcpus[vcpuId]?.infoAddress;
    if (info === undefined) return;
    const { u32, u8 } = this.#ram;
    const selector = port >>> 6;
    const word = (info + vcpuInfo.offset.evtchnPendingSel + (selector >>> 5) * 4) >>> 2;
    const bit = 1 << (selector & 31);
    const before = u32[word] ?? 0;
    if (before & bit) return;
    u32[word] = before | bit;
    if (u8[info] !== 0) return;
    u8[info] = 1;
    this.#owner.eventsPending(vcpuId);
  }

  #clearPending(port: number): void {
    if (this.#sink) return;
    const word = this.#owner.sharedInfoAddress + sharedInfo.offset.evtchnPending + (port >>> 5) * 4;
    const { u32 } = this.#ram;
    u32[word >>> 2] = (u32[word >>> 2] ?? 0) & ~(1 << (port & 31));
  }

  /** The vCPU under which a VIRQ is filed: global ones lie under vCPU 0, wherever they are delivered. */
  #virqVcpu(channel: Channel): number {
    return PER_VCPU_VIRQS.includes(channel.virq) ? channel.vcpu : 0;
  }

  /** @returns the lowest free port, or -ENOSPC. */
  #allocate(): number {
    let port = 1;
    while (port < this.limit && this.lookup(port)) port++;
    if (port >= this.limit) return -ERRNO.ENOSPC;
    this.#channels[port] = new Channel();
    this.#open++;
    return port;
  }

  #channel(port: number): Channel {
    const channel = this.#channels[port];
    if (!channel) throw new Error(`d${this.id}: port ${port} was just allocated`);
    return channel;
  }

  #connect(channel: Channel, remote: EventChannels, remotePort: number): void {
    channel.state = EVTCHNSTAT.INTERDOMAIN;
    channel.remoteDom = remote.id;
    channel.remotePort = remotePort;
    channel.remote = remote;
  }

  /** The other end closed: the port waits again for that domain. */
  #disconnect(port: number, remoteDom: DomId): void {
    const channel = this.#channels[port];
    if (!channel) return;
    channel.state = EVTCHNSTAT.UNBOUND;
    channel.remoteDom = remoteDom;
    channel.remote = undefined;
    channel.remotePort = 0;
  }
}
