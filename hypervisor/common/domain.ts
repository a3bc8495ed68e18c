/**
 * A domain and its vCPUs (one file, as each names the other): identity, memory reservation, life cycle. What a PV guest adds
 * to them lies in pv. Guest mistakes never throw here; a broken contract ends in `crash`.
 */

import type { Clock } from '../machine/clock.js';
import { STATE_SIZE } from '../machine/layout.js';
import type { Ram } from '../machine/ram.js';
import type { DomId, Frame, HostAddr, Mfn, Port, VirtAddr } from '../machine/types.js';
import { asHostAddr } from '../machine/types.js';
import { VIRQ } from '../public/event-channel.js';
import { SHUTDOWN, type ShutdownReason } from '../public/sched.js';
import { RUNSTATE } from '../public/vcpu.js';
import { sharedInfo, vcpuInfo, XEN_LEGACY_MAX_VCPUS } from '../public/xen.js';
import { Cap } from './cap.js';
import { DomainMemory } from './domain-memory.js';
import { EventChannels } from './event-channel.js';
import { FrameMap, MAX_MFNS } from './frame-map.js';
import type { FramePool } from './frame-pool.js';
import { GrantTable } from './grant-table.js';
import type { HostHooks, MemoryHooks, PageKind } from './hooks.js';
import { Runstate } from './runstate.js';
import { Timer, type Timers } from './timer.js';
import { Watchdogs } from './watchdog.js';

/** What every domain shares. */
export interface DomainServices {
  readonly ram: Ram;
  readonly frames: FramePool;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly memory: MemoryHooks<Domain, Vcpu>;
  readonly host: HostHooks<Domain, Vcpu>;
}

export interface DomainConfig {
  readonly id: DomId;
  /** UUID in text form. */
  readonly handle: string;
  readonly isPrivileged: boolean;
  /** Ceiling of the reservation in pages. */
  readonly maxPages: number;
  readonly maxVcpus: number;
  readonly maxGrantFrames: number;
  readonly maxMaptrackFrames: number;
  readonly maxEventChannels: number;
  readonly weight: number;
  /** Percent of one CPU, 0 for none. */
  readonly cap: number;
}

/** MFNs for the shared info, grant frames and mappings of other domains' frames. */
const EXTRA_MFNS = 4096;

/** MFNs of a domain's space: the smallest power of two that holds the domain's pages, those shared with it and its grant mappings. */
export function mfnsFor(maxPages: number): number {
  return Math.min(2 ** Math.ceil(Math.log2(maxPages + EXTRA_MFNS)), MAX_MFNS);
}

export class Domain {
  readonly id: DomId;
  readonly handle: string;
  readonly isPrivileged: boolean;
  readonly frameMap: FrameMap;
  readonly memory: DomainMemory<Domain>;
  /** By number; all that may ever exist are made at creation, offline ones too. */
  readonly vcpus: readonly Vcpu[];
  readonly events: EventChannels;
  readonly grants: GrantTable;
  readonly sharedInfo: { readonly mfn: Mfn; readonly frame: Frame };
  readonly sharedInfoAddress: HostAddr;
  weight: number;
  readonly cap: Cap;
  dying = false;
  isShutdown = false;
  /** SHUTDOWN.*; undefined until one is given. */
  shutdownReason: ShutdownReason | undefined;
  /** Why the hypervisor crashed it. */
  crashReason: string | undefined;
  /** Nobody runs while above 0. */
  pauseCount = 0;
  /** Hypercalls by number, and those refused with -ENOSYS by name. */
  readonly hypercalls = new Uint32Array(128);
  readonly missingCalls = new Map<string, number>();
  readonly services: DomainServices;
  readonly watchdogs: Watchdogs;
  readonly #privateFrames: Frame[] = [];
  /** vcpu_info of the vCPUs that shared_info has no room for, until they register their own. */
  readonly #dummyInfo: HostAddr;

  /** @throws RangeError if the host has fewer frames than `framesNeeded` says. */
  constructor(config: DomainConfig, services: DomainServices, eventSink?: (port: Port) => void) {
    this.id = config.id;
    this.handle = config.handle;
    this.isPrivileged = config.isPrivileged;
    this.weight = config.weight;
    this.cap = new Cap(config.cap, services.clock.now());
    this.services = services;
    const { ram, frames } = services;
    this.frameMap = new FrameMap(ram, frames, mfnsFor(config.maxPages));
    this.memory = new DomainMemory(this, this.frameMap, config.maxPages, frames, services.memory);
    this.sharedInfo = this.#required(this.allocateXenPage());
    this.sharedInfoAddress = ram.addressOf(this.sharedInfo.frame);
    this.watchdogs = new Watchdogs(services.timers, services.clock, () =>
      this.shutdown('watchdog'),
    );
    this.#dummyInfo = this.#privatePage();
    this.vcpus = Array.from({ length: config.maxVcpus }, (_, id) => this.#newVcpu(id));
    this.events = new EventChannels(this, ram, config.maxEventChannels, eventSink);
    this.grants = new GrantTable(this, ram, config.maxGrantFrames, config.maxMaptrackFrames);
  }

  /** Host frames that a domain takes besides its memory, at most. */
  static framesNeeded(maxPages: number): number {
    return FrameMap.framesNeeded(mfnsFor(maxPages)) + 3;
  }

  // ---- memory: see domain-memory.ts ----

  /** Pages of the domain's own that it has. */
  get totPages(): number {
    return this.memory.totPages;
  }

  /** Pages of its own that it may have. */
  get maxPages(): number {
    return this.memory.maxPages;
  }

  set maxPages(pages: number) {
    this.memory.maxPages = pages;
  }

  /** @returns the MFN of a fresh zeroed page, undefined if the host or the reservation has no room. */
  allocatePage(): Mfn | undefined {
    return this.memory.allocatePage();
  }

  /** @returns the first MFN of 2^order fresh pages in a row, undefined if there is no room for all of them. */
  allocateBlock(order: number): Mfn | undefined {
    return this.memory.allocateBlock(order);
  }

  /** @returns whether nothing refers to the page but that it is the domain's, or Xen's for the domain. */
  isIdlePage(mfn: Mfn): boolean {
    return this.services.memory.isIdle(this, mfn);
  }

  /** Takes a page out of the domain: the last reference to it is gone. */
  releasePage(mfn: Mfn): void {
    this.memory.releasePage(mfn);
  }

  /** A zeroed page of Xen's that the domain may map: shared info, grant frames. It is not part of the reservation. */
  allocateXenPage(): { mfn: Mfn; frame: Frame } | undefined {
    return this.memory.allocate('xen');
  }

  /** The MFN under which this domain sees another's frame. Each call counts one use. @returns undefined if no MFN is left. */
  alias(frame: Frame): Mfn | undefined {
    return this.memory.alias(frame);
  }

  /** Undoes one `alias`. */
  dropAlias(mfn: Mfn): void {
    this.memory.dropAlias(mfn);
  }

  /** ram, xen or alias; undefined for an MFN that the domain does not have. */
  kindOf(mfn: Mfn): PageKind | undefined {
    return this.memory.machineFrames.kindOf(mfn);
  }

  /** The frame behind an MFN that is the domain's own memory, undefined for any other MFN. */
  ownFrame(mfn: Mfn): Frame | undefined {
    return this.kindOf(mfn) === 'ram' ? this.frameMap.lookup(mfn) : undefined;
  }

  /** Takes a reference, and with `writable` the type writable, on one of its pages. @returns false if refused. */
  takeReference(mfn: Mfn, writable: boolean): boolean {
    return this.services.memory.takeReference(this, mfn, writable);
  }

  dropReference(mfn: Mfn, writable: boolean): void {
    this.services.memory.dropReference(this, mfn, writable);
  }

  // ---- events ----

  /** A page that Xen writes events to: a writable reference is held until `dropReference`. */
  holdPage(mfn: Mfn): HostAddr | undefined {
    const frame = this.ownFrame(mfn);
    if (frame === undefined || !this.takeReference(mfn, true)) return undefined;
    return this.services.ram.addressOf(frame);
  }

  eventsPending(vcpu: number): void {
    this.vcpus[vcpu]?.unblock();
  }

  portPending(port: Port): void {
    for (const vcpu of this.vcpus) {
      if (vcpu.pollPorts?.includes(port)) vcpu.unblock();
    }
  }

  // ---- life ----

  get isPaused(): boolean {
    return this.pauseCount > 0;
  }

  /** All vCPUs stop; dom0 is told. The first reason given stands. */
  shutdown(reason: ShutdownReason): void {
    if (this.isShutdown) return;
    this.isShutdown = true;
    this.shutdownReason ??= reason;
    this.#stopVcpus();
    this.services.host.domainShutdown(this);
  }

  /** The guest broke its contract: it is stopped, with the reason kept. */
  crash(reason: string): void {
    if (this.isShutdown) return;
    this.crashReason = reason;
    this.shutdownReason = 'crash';
    this.shutdown('crash');
  }

  /** SHUTDOWN.* of the reason given so far, -1 if none. */
  get shutdownCode(): number {
    return this.shutdownReason === undefined ? -1 : SHUTDOWN[this.shutdownReason];
  }

  pause(): void {
    if (this.pauseCount++ === 0) this.#stopVcpus();
  }

  /** @returns false if it was not paused. */
  unpause(): boolean {
    if (this.pauseCount === 0) return false;
    if (--this.pauseCount === 0) for (const vcpu of this.vcpus) this.services.host.wake(vcpu);
    return true;
  }

  /**
   * Gives everything back: ports closed, grants of others unmapped, frames released (those that others have mapped stay
   * until they unmap them). The caller has taken the vCPUs off the scheduler and unwound pv.
   */
  destroy(): void {
    this.dying = true;
    this.events.reset();
    this.grants.destroy();
    this.watchdogs.cancel();
    for (const vcpu of this.vcpus) vcpu.destroy();
    this.memory.destroy();
    for (const frame of this.#privateFrames.splice(0)) this.services.frames.release(frame);
    this.frameMap.destroy();
  }

  #stopVcpus(): void {
    for (const vcpu of this.vcpus) this.services.host.sleep(vcpu);
  }

  #newVcpu(id: number): Vcpu {
    const info =
      id < XEN_LEGACY_MAX_VCPUS
        ? asHostAddr(this.sharedInfoAddress + sharedInfo.offset.vcpuInfo + id * vcpuInfo.size)
        : this.#dummyInfo;
    return new Vcpu(this, id, info);
  }

  #privatePage(): HostAddr {
    const frame = this.#required(this.services.frames.allocate());
    this.#privateFrames.push(frame);
    return this.services.ram.addressOf(frame);
  }

  #required<T>(value: T | undefined): T {
    if (value === undefined) throw new RangeError(`d${this.id}: out of frames`);
    return value;
  }
}

export class Vcpu {
  readonly id: number;
  readonly domain: Domain;
  /** Processor state while the vCPU is not current. */
  readonly state = new Uint8Array(STATE_SIZE);
  /** Address of vcpu_info in RAM. */
  infoAddress: HostAddr;
  /** The page registered for vcpu_info, on which a writable reference is held. */
  infoMfn: Mfn | undefined;
  /** VCPUOP_initialise has been called, or the builder has set it up. */
  isInitialised = false;
  /** VCPUOP_up: VGCF_online. */
  online = false;
  /** Waits for an event (SCHEDOP_block or poll). */
  blocked = false;
  /** Ports waited for in SCHEDOP_poll; empty to wait for the timeout alone; undefined when not polling. */
  pollPorts: readonly number[] | undefined;
  readonly runstate: Runstate;
  /** Where the guest wants a copy of vcpu_time_info. */
  timeArea: VirtAddr | undefined;
  readonly singleshot: Timer;
  readonly periodic: Timer;
  readonly pollTimeout: Timer;
  /** Period of `periodic` in ns, 0 for none. */
  period = 0;
  /** Guest instructions retired. */
  retired = 0;
  /** Scheduler: credit in ns, may be negative; burnt as the vCPU runs, faster the smaller its weight. */
  credit = 0;
  /** Scheduler: on the run queue. */
  queued = false;

  constructor(domain: Domain, id: number, infoAddress: HostAddr) {
    this.domain = domain;
    this.id = id;
    this.infoAddress = infoAddress;
    this.runstate = new Runstate(domain.services.clock.now());
    this.singleshot = new Timer(() => this.#timerFired());
    this.periodic = new Timer(() => this.#periodFired());
    this.pollTimeout = new Timer(() => this.unblock());
  }

  /** @returns whether it would run if it had the processor. */
  get isRunnable(): boolean {
    const { domain } = this;
    return (
      this.online && !this.blocked && domain.pauseCount === 0 && !domain.isShutdown && !domain.dying
    );
  }

  /** RUNSTATE.* it is in while it does not run. */
  get idleState(): number {
    if (this.isRunnable) return RUNSTATE.RUNNABLE;
    return this.blocked && this.online ? RUNSTATE.BLOCKED : RUNSTATE.OFFLINE;
  }

  get upcallPending(): boolean {
    return this.domain.services.ram.u8[this.infoAddress] !== 0;
  }

  get upcallMask(): boolean {
    return this.domain.services.ram.u8[this.infoAddress + 1] !== 0;
  }

  set upcallMask(masked: boolean) {
    this.domain.services.ram.u8[this.infoAddress + 1] = masked ? 1 : 0;
  }

  /** @returns whether an event is to be delivered at the next return to the guest. */
  get eventsDeliverable(): boolean {
    return this.upcallPending && !this.upcallMask;
  }

  /** Waits for an event on any open port. The caller has seen that none is pending. */
  block(): void {
    this.blocked = true;
    this.domain.services.host.sleep(this);
  }

  /** Waits for one of a few ports, or until a system time (0 for never). */
  poll(ports: readonly number[], until: number): void {
    this.pollPorts = ports;
    if (until > 0) this.domain.services.timers.set(this.pollTimeout, until);
    this.block();
  }

  /** Ends a wait. */
  unblock(): void {
    if (!this.blocked) return;
    this.blocked = false;
    if (this.pollPorts) {
      this.pollPorts = undefined;
      this.domain.services.timers.cancel(this.pollTimeout);
    }
    this.domain.services.host.wake(this);
  }

  /** Drops its timers and the page of its vcpu_info. */
  destroy(): void {
    const { timers } = this.domain.services;
    for (const timer of [this.singleshot, this.periodic, this.pollTimeout]) timers.cancel(timer);
  }

  #timerFired(): void {
    this.domain.events.raiseVirq(VIRQ.TIMER, this.id);
  }

  #periodFired(): void {
    const { timers, clock } = this.domain.services;
    // Missed periods are lost, as on Xen: a guest that could not run gets one event for them all.
    const missed = Math.floor((clock.now() - this.periodic.at) / this.period);
    timers.set(this.periodic, this.periodic.at + (missed + 1) * this.period);
    this.#timerFired();
  }
}
