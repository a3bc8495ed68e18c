/** The life of domains, as dom0 commands it: create, pause, shut down, destroy, describe. */

import { Domain, type DomainServices, mfnsFor, type Vcpu } from './common/domain.js';
import { DEFAULT_WEIGHT, type Scheduler } from './common/scheduler.js';
import { writeVcpuTime, writeWallClock } from './common/time.js';
import { ControlError } from './control-error.js';
import { asDomId } from './machine/types.js';
import { EVTCHN_FIFO_NR_CHANNELS } from './public/event-channel.js';
import type {
  CreateDomain,
  CreatedDomain,
  DomainInfo,
  RestoreDomain,
  SchedulerInfo,
  VcpuInfo,
} from './public/privcmd.js';
import type { ShutdownReason } from './public/sched.js';
import { RUNSTATE } from './public/vcpu.js';
import { DOMID } from './public/xen.js';
import { buildDomain } from './pv/domain-builder.js';
import { type ImageError, isImageError } from './pv/image-error.js';
import { M2p } from './pv/m2p.js';
import type { Pv } from './pv/pv.js';

const MAX_VCPUS = 128;
const MAX_WEIGHT = 65_535;
const MAX_PAGES = 0xf_0000;
/** dom0 is answered sooner: the mailbox is looked at within a slice. Other vCPUs wait so long. */
const LONGEST_SLICE_NS = 100_000_000;
const MAX_PORTS = EVTCHN_FIFO_NR_CHANNELS - 1;
// biome-ignore format: one row per default
/** As xl's. */
const DEFAULTS = {
  maxGrantFrames:    64,
  maxMaptrackFrames: 1024,
  maxEventChannels:  1023,
} as const;

const STATES = ['running', 'runnable', 'blocked', 'offline'] as const;

export interface DomainControlParts {
  readonly services: DomainServices;
  readonly scheduler: Scheduler;
  readonly pv: Pv;
  readonly domains: Map<number, Domain>;
  readonly log: (text: string) => void;
  /** Takes the domain's vCPU out of the processor. */
  unload(domain: Domain): void;
  /** Nobody will ask for the domain again. */
  forgotten(domain: Domain): void;
}

export class DomainControl {
  readonly #parts: DomainControlParts;
  /** Domain ids are given out in turn, so that one just freed is not mistaken for its successor. */
  #nextId = 1;

  constructor(parts: DomainControlParts) {
    this.#parts = parts;
  }

  /** @throws ControlError ESRCH for an id that no guest has; domain 0 is not a guest. */
  require(domid: number): Domain {
    const domain = domid === 0 ? undefined : this.#parts.domains.get(domid);
    if (!domain) throw new ControlError('ESRCH', `there is no domain ${domid}`);
    return domain;
  }

  /** @throws ControlError EINVAL (with the field), EEXIST, ENOMEM (with figures), ENOEXEC (with the field of the image). */
  create(args: CreateDomain): CreatedDomain {
    checkCreate(args);
    const id = this.#chooseId(args.domid);
    const domain = this.#allocate(id, args);
    try {
      const created = this.#build(domain, args);
      this.#parts.domains.set(id, domain);
      this.start(domain);
      if (args.paused === false) domain.unpause();
      return created;
    } catch (error) {
      this.#release(domain);
      throw error;
    }
  }

  /** A paused domain without memory and without a state to run from, until `start`. @throws as `create` does. */
  createEmpty(args: RestoreDomain): Domain {
    checkCreate(args);
    const id = this.#chooseId(args.domid);
    const domain = this.#allocate(id, args);
    domain.pauseCount = 1;
    this.#parts.domains.set(id, domain);
    return domain;
  }

  /** The domain is gone when this returns, with all its memory that nobody else holds. */
  destroy(domid: number): Domain {
    const domain = this.require(domid);
    domain.dying = true;
    this.#parts.domains.delete(domid);
    this.#release(domain);
    return domain;
  }

  pause(domid: number): null {
    this.require(domid).pause();
    return null;
  }

  unpause(domid: number): null {
    if (!this.require(domid).unpause()) throw new ControlError('EINVAL', `d${domid} is not paused`);
    return null;
  }

  shutdown(domid: number, reason: ShutdownReason): null {
    this.require(domid).shutdown(reason);
    return null;
  }

  setScheduler(domid: number, weight: number | undefined, cap: number | undefined): null {
    const domain = this.require(domid);
    if (weight !== undefined) domain.weight = inRange('weight', weight, 1, MAX_WEIGHT);
    if (cap !== undefined) {
      domain.cap.set(inRange('cap', cap, 0, 100 * MAX_VCPUS), this.#parts.services.clock.now());
    }
    return null;
  }

  schedulerInfo(): SchedulerInfo {
    const { sliceLength: slice, ratelimit } = this.#parts.scheduler;
    return { name: 'credit2', slice, ratelimit };
  }

  setSchedulerInfo(slice: number | undefined, ratelimit: number | undefined): SchedulerInfo {
    const { scheduler } = this.#parts;
    const wanted = inRange('slice', slice ?? scheduler.sliceLength, 100_000, LONGEST_SLICE_NS);
    scheduler.ratelimit = inRange('ratelimit', ratelimit ?? scheduler.ratelimit, 0, wanted);
    scheduler.sliceLength = wanted;
    return this.schedulerInfo();
  }

  setMaxMemory(domid: number, maxPages: number): null {
    const domain = this.require(domid);
    // The machine-frame space was made for the first ceiling.
    domain.maxPages = inRange('maxPages', maxPages, 1, domain.frameMap.capacity);
    return null;
  }

  info(domid: number): DomainInfo {
    return this.#describe(this.require(domid));
  }

  list(): DomainInfo[] {
    return [...this.#parts.domains.values()]
      .filter((domain) => domain.id !== 0)
      .map((domain) => this.#describe(domain));
  }

  #chooseId(wanted: number | undefined): number {
    const { domains } = this.#parts;
    if (wanted !== undefined) {
      inRange('domid', wanted, 1, DOMID.FIRST_RESERVED - 1);
      if (domains.has(wanted)) throw new ControlError('EEXIST', `domain ${wanted} exists`);
      return wanted;
    }
    while (domains.has(this.#nextId))
      this.#nextId = (this.#nextId % (DOMID.FIRST_RESERVED - 1)) + 1;
    const id = this.#nextId;
    this.#nextId = (id % (DOMID.FIRST_RESERVED - 1)) + 1;
    return id;
  }

  #allocate(id: number, args: RestoreDomain): Domain {
    const { services } = this.#parts;
    const maxPages = args.maxPages ?? args.memoryPages;
    const needed =
      args.memoryPages + Domain.framesNeeded(maxPages) + M2p.framesNeeded(mfnsFor(maxPages));
    const { free } = services.frames;
    if (needed > free) {
      throw new ControlError('ENOMEM', `${needed} frames are needed, ${free} are free`, {
        needed,
        free,
      });
    }
    const vcpus = args.vcpus ?? 1;
    const limits = { ...DEFAULTS, ...defined(args) };
    return new Domain(
      {
        id: asDomId(id),
        handle: args.handle,
        isPrivileged: false,
        maxPages,
        maxVcpus: args.maxVcpus ?? vcpus,
        maxGrantFrames: limits.maxGrantFrames,
        maxMaptrackFrames: limits.maxMaptrackFrames,
        maxEventChannels: limits.maxEventChannels,
        weight: args.weight ?? DEFAULT_WEIGHT,
        cap: args.cap ?? 0,
      },
      services,
    );
  }

  /** Loads the image; the builder offers domain 0 the ports and pages of XenStore and the console. */
  #build(domain: Domain, args: CreateDomain): CreatedDomain {
    const built = buildDomain(this.#parts.pv, domain, args);
    if (isImageError(built)) throw asControlError(built);
    return { domid: domain.id, ...built };
  }

  /** The domain is built: its vCPUs are known to the scheduler and wait for unpause, unless it is to run at once. */
  start(domain: Domain): void {
    const { services, scheduler } = this.#parts;
    const { ram, clock } = services;
    writeWallClock(ram, domain.sharedInfoAddress, clock);
    domain.pauseCount = 1;
    for (const vcpu of domain.vcpus) {
      writeVcpuTime(ram, vcpu.infoAddress, clock.now());
      scheduler.add(vcpu);
    }
    this.#parts.log(
      `d${domain.id} created: ${domain.totPages} pages, ${domain.vcpus.length} vCPUs`,
    );
  }

  #release(domain: Domain): void {
    const { scheduler, pv } = this.#parts;
    this.#parts.unload(domain);
    for (const vcpu of domain.vcpus) scheduler.remove(vcpu);
    domain.destroy();
    pv.destroyDomain(domain);
    this.#parts.forgotten(domain);
  }

  #describe(domain: Domain): DomainInfo {
    const now = this.#parts.services.clock.now();
    const online = domain.vcpus.filter((vcpu) => vcpu.online);
    const vcpus = domain.vcpus.map((vcpu) => describeVcpu(vcpu, now));
    return {
      domid: domain.id,
      handle: domain.handle,
      paused: domain.isPaused,
      running: online.some((vcpu) => vcpu.isRunnable),
      blocked: online.length > 0 && online.every((vcpu) => vcpu.blocked),
      dying: domain.dying,
      shutdown: domain.isShutdown,
      ...(domain.isShutdown && domain.shutdownReason
        ? { shutdownReason: domain.shutdownReason }
        : {}),
      ...(domain.crashReason === undefined ? {} : { crashReason: domain.crashReason }),
      totPages: domain.totPages,
      maxPages: domain.maxPages,
      vcpus,
      maxVcpus: domain.vcpus.length,
      cpuTime: vcpus.reduce((sum, { cpuTime }) => sum + cpuTime, 0),
      retired: domain.vcpus.reduce((sum, vcpu) => sum + vcpu.retired, 0),
      weight: domain.weight,
      cap: domain.cap.percent,
      hypercalls: domain.hypercalls.reduce((sum, count) => sum + count, 0),
      eventChannels: domain.events.open,
      eventsRaised: domain.events.raised,
      grantFrames: domain.grants.frames.length,
      grantsInUse: domain.grants.active,
      grantsMapped: domain.grants.maptrack.size,
    };
  }
}

function describeVcpu({ id, online, runstate }: Vcpu, now: number): VcpuInfo {
  const runstates = {
    running: runstate.timeIn(RUNSTATE.RUNNING, now),
    runnable: runstate.timeIn(RUNSTATE.RUNNABLE, now),
    blocked: runstate.timeIn(RUNSTATE.BLOCKED, now),
    offline: runstate.timeIn(RUNSTATE.OFFLINE, now),
  };
  const state = STATES[runstate.state] ?? 'offline';
  return { id, online, state, cpuTime: runstates.running, runstates };
}

/** The fields that are given, so that an undefined one does not hide a default. */
function defined<T extends object>(values: T): T {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as T;
}

function inRange(field: string, value: number, lowest: number, highest: number): number {
  if (Number.isInteger(value) && value >= lowest && value <= highest) return value;
  const expected = `an integer from ${lowest} to ${highest}`;
  throw new ControlError('EINVAL', `${field} is ${value}, not ${expected}`, {
    field,
    expected,
    found: value,
  });
}

function checkCreate(args: RestoreDomain): void {
  const vcpus = inRange('vcpus', args.vcpus ?? 1, 1, MAX_VCPUS);
  inRange('maxVcpus', args.maxVcpus ?? vcpus, vcpus, MAX_VCPUS);
  inRange('memoryPages', args.memoryPages, 1, MAX_PAGES);
  inRange('maxPages', args.maxPages ?? args.memoryPages, args.memoryPages, MAX_PAGES);
  inRange('weight', args.weight ?? DEFAULT_WEIGHT, 1, MAX_WEIGHT);
  inRange('cap', args.cap ?? 0, 0, 100 * MAX_VCPUS);
  inRange('maxGrantFrames', args.maxGrantFrames ?? DEFAULTS.maxGrantFrames, 1, 2048);
  inRange('maxMaptrackFrames', args.maxMaptrackFrames ?? DEFAULTS.maxMaptrackFrames, 0, 4096);
  inRange('maxEventChannels', args.maxEventChannels ?? DEFAULTS.maxEventChannels, 1, MAX_PORTS);
}

function asControlError({ field, expected, found }: ImageError): ControlError {
  const message = `${field} is ${found}, not ${expected}`;
  return new ControlError('ENOEXEC', message, { field, expected, found });
}
