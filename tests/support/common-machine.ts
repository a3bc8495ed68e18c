/** common without pv: domains on RAM alone, with page references counted as plainly as can be. */

import {
  Domain,
  type DomainConfig,
  type DomainServices,
  type Vcpu,
} from '../../hypervisor/common/domain.js';
import { FramePool } from '../../hypervisor/common/frame-pool.js';
import { Scheduler } from '../../hypervisor/common/scheduler.js';
import { Timers } from '../../hypervisor/common/timer.js';
import { ManualClock } from '../../hypervisor/machine/clock.js';
import { HostFrames } from '../../hypervisor/machine/host-frames.js';
import { Ram } from '../../hypervisor/machine/ram.js';
import { asDomId, type Mfn } from '../../hypervisor/machine/types.js';
import { GNTST } from '../../hypervisor/public/grant-table.js';

const MIB = 1024 * 1024;

export class CommonMachine {
  readonly ram = Ram.allocate(32 * MIB);
  readonly clock = new ManualClock(1_700_000_000_000_000_000);
  readonly timers = new Timers();
  readonly scheduler = new Scheduler(this.timers);
  readonly frames = new FramePool(new HostFrames(this.ram), () => undefined);
  readonly log: string[] = [];
  readonly shutdowns: Domain[] = [];
  /** References taken, by domain and MFN; writable ones as well. */
  readonly references = new Map<string, number>();
  /** MFNs that refuse a writable reference, as a page table would. */
  readonly tables = new Set<Mfn>();
  readonly services: DomainServices;
  #nextId = 1;

  constructor() {
    const now = () => this.clock.now();
    const count = (domain: Domain, mfn: Mfn, by: number) => {
      const key = `${domain.id}:${mfn}`;
      this.references.set(key, (this.references.get(key) ?? 0) + by);
    };
    this.services = {
      ram: this.ram,
      frames: this.frames,
      clock: this.clock,
      timers: this.timers,
      memory: {
        pageAdded: () => undefined,
        pageRemoved: () => undefined,
        pageMoved: () => undefined,
        dropAllocation: (domain, mfn) => {
          domain.releasePage(mfn);
          return true;
        },
        isIdle: () => true,
        setPhysical: () => undefined,
        takeReference: (domain, mfn, writable) => {
          if (writable && this.tables.has(mfn)) return false;
          count(domain, mfn, 1);
          return true;
        },
        dropReference: (domain, mfn) => count(domain, mfn, -1),
        mapGrant: () => GNTST.okay,
        unmapGrant: () => GNTST.okay,
      },
      host: {
        frameWritten: () => undefined,
        wake: (vcpu: Vcpu) => this.scheduler.wake(vcpu, now()),
        sleep: (vcpu: Vcpu) => this.scheduler.sleep(vcpu, now()),
        domainShutdown: (domain) => this.shutdowns.push(domain),
        log: (text) => this.log.push(text),
      },
    };
  }

  /** A domain whose vCPUs are online and known to the scheduler. */
  domain(config: Partial<DomainConfig> = {}): Domain {
    const domain = new Domain(
      {
        id: asDomId(this.#nextId++),
        handle: '01234567-89ab-cdef-0123-456789abcdef',
        isPrivileged: false,
        maxPages: 64,
        maxVcpus: 1,
        maxGrantFrames: 4,
        maxMaptrackFrames: 1,
        maxEventChannels: 1023,
        weight: 256,
        cap: 0,
        ...config,
      },
      this.services,
    );
    for (const vcpu of domain.vcpus) {
      vcpu.online = true;
      this.scheduler.add(vcpu);
      this.scheduler.wake(vcpu, this.clock.now());
    }
    return domain;
  }

  /** dom0: no vCPU, its ports collected. */
  dom0(): { domain: Domain; ports: number[] } {
    const ports: number[] = [];
    const config = {
      id: asDomId(0),
      handle: '00000000-0000-0000-0000-000000000000',
      isPrivileged: true,
      maxPages: 0,
      maxVcpus: 0,
      maxGrantFrames: 0,
      maxMaptrackFrames: 16,
      maxEventChannels: 0,
      weight: 256,
      cap: 0,
    };
    return { domain: new Domain(config, this.services, (port) => ports.push(port)), ports };
  }

  /** Runs the scheduler for so long in slices, nobody ever blocking. @returns nanoseconds by domain. */
  spin(ns: number): Map<number, number> {
    const shares = new Map<number, number>();
    const end = this.clock.now() + ns;
    while (this.clock.now() < end) {
      this.timers.expire(this.clock.now());
      const vcpu = this.scheduler.pick(this.clock.now());
      if (!vcpu) {
        this.clock.advance(Math.max(Math.min(this.timers.next, end) - this.clock.now(), 1));
        continue;
      }
      const slice = Math.min(this.scheduler.slice(vcpu, this.clock.now()), end - this.clock.now());
      this.clock.advance(Math.ceil(slice));
      this.scheduler.charge(vcpu, slice);
      shares.set(vcpu.domain.id, (shares.get(vcpu.domain.id) ?? 0) + slice);
    }
    return shares;
  }
}
