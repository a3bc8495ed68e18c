/**
 * What dom0 needs to save a suspended domain and to build one from what was saved: types of pages, and a domain that is
 * populated, filled and set going step by step. As XEN_DOMCTL_getpageframeinfo3, XENMEM_populate_physmap and setvcpucontext.
 */

import type { Domain } from './common/domain.js';
import { ControlError } from './control-error.js';
import type { DomainControl } from './domain-control.js';
import { requireInBounce } from './inspection.js';
import { PAGE_SIZE } from './machine/layout.js';
import type { Ram } from './machine/ram.js';
import { asMfn } from './machine/types.js';
import type { CreatedDomain, FinishRestore, RestoreDomain } from './public/privcmd.js';
import { offerRings } from './pv/domain-builder.js';
import { type PageType, PGT } from './pv/page-types.js';
import type { Pv } from './pv/pv.js';
import { takeContext } from './pv/vcpu-context.js';
import { GPR } from './x86/state.js';

/** In the types of pages: XEN_DOMCTL_PFINFO_LPINTAB, shifted as in a stream. */
const PINNED = 8;

export interface MigrationParts {
  readonly ram: Ram;
  readonly pv: Pv;
  readonly control: DomainControl;
  /** dom0's bounce buffer. */
  readonly bounce: Uint8Array;
  /** Leaves the processor empty. */
  unloadAny(): void;
}

export class Migration {
  readonly #parts: MigrationParts;
  /** Domains that are being put together. */
  readonly #unfinished = new WeakSet<Domain>();

  constructor(parts: MigrationParts) {
    this.#parts = parts;
  }

  /** @returns for each MFN 0, or 1 to 4 for a page table of that level, and 8 besides if it is pinned. */
  frameTypes(domain: Domain, mfns: Uint32Array): { types: Uint8Array } {
    const { types } = this.#parts.pv.of(domain);
    const found = Uint8Array.from(mfns, (mfn) => {
      const type = types.typeInUse(mfn);
      if (type < PGT.L1 || type > PGT.L4) return 0;
      return type | (types.isPinned(mfn) ? PINNED : 0);
    });
    return { types: found };
  }

  /** A domain without memory, that nothing can run in yet. */
  begin(args: RestoreDomain): { domid: number; sharedInfoMfn: number } {
    const domain = this.#parts.control.createEmpty(args);
    this.#unfinished.add(domain);
    return { domid: domain.id, sharedInfoMfn: domain.sharedInfo.mfn };
  }

  /** @throws ControlError ENOMEM if the host or the reservation has too few pages. */
  populate(domain: Domain, pfns: Uint32Array): { mfns: Uint32Array } {
    this.#requireUnfinished(domain);
    const { m2p } = this.#parts.pv.of(domain);
    const mfns = Uint32Array.from(pfns, (pfn) => {
      const mfn = domain.allocatePage();
      if (mfn === undefined || !m2p.set(mfn, pfn)) {
        const { free: freeFrames } = domain.services.frames;
        const figures = { pages: domain.totPages, maxPages: domain.maxPages, freeFrames };
        throw new ControlError('ENOMEM', `no page for PFN ${pfn}`, figures);
      }
      return mfn;
    });
    return { mfns };
  }

  /** Fills pages, or shared_info, from the bounce buffer. */
  writePages(domain: Domain, mfns: Uint32Array, at: number): null {
    const { bounce, ram } = this.#parts;
    requireInBounce(bounce, mfns.length, at);
    for (const [n, number] of mfns.entries()) {
      const mfn = asMfn(number);
      const { sharedInfo } = domain;
      const frame = mfn === sharedInfo.mfn ? sharedInfo.frame : domain.ownFrame(mfn);
      if (frame === undefined) throw new ControlError('EINVAL', `no page of memory: MFN ${mfn}`);
      const from = at + n * PAGE_SIZE;
      ram.frameBytes(frame).set(bounce.subarray(from, from + PAGE_SIZE));
    }
    return null;
  }

  /** Pins what was pinned, sets vCPUs up, and offers dom0 the ports and pages of XenStore and the console. */
  finish(domain: Domain, { pins, contexts, storeMfn, consoleMfn }: FinishRestore): CreatedDomain {
    this.#requireUnfinished(domain);
    this.#pin(domain, pins);
    for (const { vcpu: number, bytes } of contexts) this.#setVcpu(domain, number, bytes);
    for (const mfn of [storeMfn, consoleMfn]) {
      if (domain.ownFrame(asMfn(mfn)) === undefined) {
        throw new ControlError('EINVAL', `the ring in MFN ${mfn} is no page of the domain's`);
      }
    }
    const rings = offerRings(domain, asMfn(storeMfn), asMfn(consoleMfn));
    this.#unfinished.delete(domain);
    this.#parts.control.start(domain);
    return { domid: domain.id, ...rings };
  }

  /** A suspended domain goes on where it stopped: sched_op tells it that it was not saved elsewhere. */
  resume(domain: Domain): null {
    if (domain.shutdownReason !== 'suspend' || !domain.isShutdown) {
      throw new ControlError('EINVAL', `d${domain.id} is not suspended`);
    }
    const { pv } = this.#parts;
    const { processor } = pv;
    this.#parts.unloadAny();
    const [boot] = domain.vcpus;
    if (boot !== undefined) {
      processor.loadState(boot.state);
      processor.registers.set(GPR.RAX, 1n);
      processor.saveState(boot.state);
    }
    pv.translations.markStale();
    domain.isShutdown = false;
    domain.shutdownReason = undefined;
    for (const vcpu of domain.vcpus) domain.services.host.wake(vcpu);
    return null;
  }

  #pin(domain: Domain, pins: Uint32Array): void {
    const { types } = this.#parts.pv.of(domain);
    types.work = Number.POSITIVE_INFINITY;
    for (let n = 0; n + 1 < pins.length; n += 2) {
      const [mfn = 0, level = 0] = pins.subarray(n, n + 2);
      const result = level >= PGT.L1 && level <= PGT.L4 ? types.pin(mfn, level as PageType) : -1;
      if (result !== 0) {
        throw new ControlError('EINVAL', `MFN ${mfn} is no valid page table of level ${level}`);
      }
    }
  }

  #setVcpu(domain: Domain, number: number, context: Uint8Array): void {
    const vcpu = domain.vcpus[number];
    if (vcpu === undefined) throw new ControlError('EINVAL', `there is no vCPU ${number}`);
    const { pv } = this.#parts;
    const result = vcpu.isInitialised ? -1 : takeContext(pv.vcpuOf(vcpu), pv.segments, context);
    if (result !== 0) throw new ControlError('EINVAL', `the state of vCPU ${number} is not valid`);
    vcpu.isInitialised = true;
    vcpu.online = true;
  }

  #requireUnfinished(domain: Domain): void {
    if (this.#unfinished.has(domain)) return;
    throw new ControlError('EINVAL', `d${domain.id} is not being restored`);
  }
}
