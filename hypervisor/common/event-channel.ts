/**
 * Event channels: ports, what each is bound to, and what is notified when. How a port is marked for the guest is the
 * business of its ABI (event-ports.ts): two-level at first, FIFO once the guest asks for it. Spec: event_channel.h; xen-abi §2.1.
 *
 * Rules that guests get wrong: a mask loses no event but holds its delivery; closing one end makes the other unbound again;
 * binding marks the binder's port pending, since an earlier notification may have been lost.
 */

import { PAGE_SIZE } from '../machine/layout.js';
import type { Ram } from '../machine/ram.js';
import { asPort, type DomId, type Mfn, type Port } from '../machine/types.js';
import { ERRNO } from '../public/errno.js';
import {
  EVTCHN_FIFO_PRIORITY_DEFAULT,
  EVTCHN_FIFO_PRIORITY_MIN,
  EVTCHN_FIFO_WORDS_PER_PAGE,
  EVTCHNSTAT,
  evtchnFifoControlBlock,
  NR_VIRQS,
  PER_VCPU_VIRQS,
} from '../public/event-channel.js';
import { CallbackEvents, type EventOwner, type EventPorts, type PortState } from './event-ports.js';
import { FifoEvents } from './fifo-events.js';
import { TwoLevelEvents } from './two-level-events.js';

/** One port. */
export class Channel implements PortState {
  state: number = EVTCHNSTAT.CLOSED;
  vcpu = 0;
  priority: number = EVTCHN_FIFO_PRIORITY_DEFAULT;
  pending = false;
  /** UNBOUND: who may bind. INTERDOMAIN: the domain at the other end. */
  remoteDom = 0;
  remotePort = 0;
  remote: EventChannels | undefined;
  virq = -1;
}

export class EventChannels {
  readonly #owner: EventOwner;
  readonly #ram: Ram;
  /** Ports that the domain may have at most. */
  readonly #maxPorts: number;
  readonly #firstAbi: EventPorts;
  /** The ABI in use. */
  #ports: EventPorts;
  #fifo: FifoEvents | undefined;
  readonly #channels: (Channel | undefined)[] = [];
  /** Notifications of the domain's ports since its start. */
  raised = 0;
  /** Ports of virtual IRQs: index vcpu * NR_VIRQS + virq, 0 for none. Global ones under vCPU 0. */
  readonly #virqs: number[] = [];
  #open = 0;
  /** No port below this is free. */
  #lowestFree = 1;

  /** @param sink for dom0: told of each port that becomes pending. */
  constructor(owner: EventOwner, ram: Ram, maxPorts: number, sink?: (port: Port) => void) {
    this.#owner = owner;
    this.#ram = ram;
    this.#maxPorts = sink ? Number.MAX_SAFE_INTEGER : maxPorts;
    this.#firstAbi = sink ? new CallbackEvents(sink) : new TwoLevelEvents(owner, ram);
    this.#ports = this.#firstAbi;
  }

  /** Ports run from 1 to limit - 1; port 0 is never used. */
  get limit(): number {
    return Math.min(this.#maxPorts + 1, this.#ports.count);
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
    this.#lowestFree = Math.min(this.#lowestFree, port);
    this.#ports.clearPending(port, channel);
    return 0;
  }

  /** Closes every port; the domain is back with the two-level ABI. */
  reset(): void {
    for (let port = 1; port < this.#channels.length; port++) this.close(port);
    this.#fifo?.destroy();
    this.#fifo = undefined;
    this.#ports = this.#firstAbi;
    this.#lowestFree = 1;
  }

  /** What a port is bound to, in words. */
  describePort(port: number): string {
    const channel = this.lookup(port);
    return `d${this.id} port ${port} ${channel ? boundTo(channel) : 'is closed'}`;
  }

  /** Port of a virtual IRQ, 0 if it is bound to none. */
  virqPort(virq: number, vcpu: number): number {
    return this.#virqs[vcpu * NR_VIRQS + virq] ?? 0;
  }

  /** One line for each port in use, for a debug key. */
  describe(most: number): string[] {
    const open = [...this.#channels.entries()].filter(([port]) => this.lookup(port) !== undefined);
    const lines = open.slice(0, most).map(([port, channel = new Channel()]) => {
      const pending = this.#ports.isPending(port) ? ' pending' : '';
      return `port ${port}: ${boundTo(channel)}, vCPU ${channel.vcpu}${pending}`;
    });
    return open.length > most ? [...lines, `and ${open.length - most} more`] : lines;
  }

  // ---- FIFO ----

  /**
   * Gives a vCPU its control block; with the first one the domain is switched to FIFO. Events that are pending are raised
   * again as the guest gives pages for their words.
   *   -ENOENT   no such vCPU
   *   -EINVAL   the block crosses its page or is not aligned, there is one, or the page may not be written by Xen
   */
  initControl(vcpu: number, mfn: Mfn, offset: number): number {
    if (!this.#owner.vcpus[vcpu]) return -ERRNO.ENOENT;
    if (offset > PAGE_SIZE - evtchnFifoControlBlock.size || offset % 8 !== 0) return -ERRNO.EINVAL;
    const fifo = this.#fifo ?? new FifoEvents(this.#owner, this.#ram);
    const result = fifo.mapControlBlock(vcpu, mfn, offset);
    if (result === 0 && !this.#fifo) this.#switchTo(fifo);
    return result;
  }

  /** Adds a page of event words. @returns 0; -EOPNOTSUPP without FIFO; -ENOSPC, -EINVAL: see FifoEvents.addPage. */
  expandArray(mfn: Mfn): number {
    if (!this.#fifo) return -ERRNO.EOPNOTSUPP;
    const first = this.#fifo.addPage(mfn);
    if (first < 0) return first;
    for (let port = first; port < first + EVTCHN_FIFO_WORDS_PER_PAGE; port++) {
      const channel = this.#channels[port];
      if (!channel?.pending) continue;
      channel.pending = false;
      this.setPending(port);
    }
    return 0;
  }

  /** @returns 0; -EINVAL: no such port or priority; -ENOSYS without FIFO. */
  setPriority(port: number, priority: number): number {
    const channel = this.#channels[port];
    if (!channel) return -ERRNO.EINVAL;
    if (!this.#fifo) return -ERRNO.ENOSYS;
    if (priority > EVTCHN_FIFO_PRIORITY_MIN) return -ERRNO.EINVAL;
    channel.priority = priority;
    return 0;
  }

  /** Whether the page serves the FIFO ABI, so that Xen writes to it. */
  holds(mfn: Mfn): boolean {
    return this.#fifo?.holds(mfn) ?? false;
  }

  #switchTo(fifo: FifoEvents): void {
    for (const [port, channel] of this.#channels.entries()) {
      if (channel) channel.pending = this.#ports.isPending(port);
    }
    this.#fifo = fifo;
    this.#ports = fifo;
  }

  // ---- notifications ----

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
    this.#ports.unmask(port, channel);
    return 0;
  }

  /** @returns whether the port is marked pending. */
  isPending(port: number): boolean {
    return this.#ports.isPending(port);
  }

  /** Marks a port pending, as a notification from the other end does. */
  setPending(port: number): void {
    const channel = this.#channels[port];
    this.raised++;
    if (channel && this.#ports.setPending(port, channel)) this.#owner.portPending(asPort(port));
  }

  /** The vCPU under which a VIRQ is filed: global ones lie under vCPU 0, wherever they are delivered. */
  #virqVcpu(channel: Channel): number {
    return PER_VCPU_VIRQS.includes(channel.virq) ? channel.vcpu : 0;
  }

  /** @returns the lowest free port, or -ENOSPC. */
  #allocate(): number {
    const { limit } = this;
    while (this.lookup(this.#lowestFree)) this.#lowestFree++;
    let port = this.#lowestFree;
    while (port < limit && (this.lookup(port) || this.#ports.isBusy(port))) port++;
    if (port >= limit) return -ERRNO.ENOSPC;
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

function boundTo({ state, virq, remoteDom, remotePort }: Channel): string {
  if (state === EVTCHNSTAT.INTERDOMAIN) return `to d${remoteDom} port ${remotePort}`;
  if (state === EVTCHNSTAT.UNBOUND) return `waits for d${remoteDom}`;
  return state === EVTCHNSTAT.VIRQ ? `VIRQ ${virq}` : 'IPI';
}
