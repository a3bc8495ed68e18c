/** What a 64-bit PV guest adds to a domain: page types and tables, the machine-to-physical table, descriptor tables. */

import type { Domain } from '../common/domain.js';
import type { Ram } from '../machine/ram.js';
import { asFrame, asMfn, type Frame, type VirtAddr } from '../machine/types.js';
import { ERRNO } from '../public/errno.js';
import { VMASST } from '../public/xen.js';
import type { AddressSpace } from '../x86/processor.js';
import { checkDescriptor, DESCRIPTORS_PER_PAGE } from './descriptors.js';
import { M2p } from './m2p.js';
import { PageTables } from './page-tables.js';
import { PageTypes, PGT } from './page-types.js';
import { PTE, pteMfn, tableSlot } from './pte.js';
import type { Refusal } from './refusal.js';

export interface PvDomainHost {
  readonly ram: Ram;
  /** A frame of all ones. */
  readonly invalidM2pPage: Frame;
  translationsStale(): void;
  refused(domain: Domain, refusal: Refusal): void;
}

export class PvDomain {
  readonly domain: Domain;
  readonly types: PageTypes;
  readonly tables: PageTables;
  readonly m2p: M2p;
  /** vm_assist types that are on, as bits. */
  vmAssist = 0;
  /** VMASST_TYPE_m2p_strict, which does not fit the bits above. */
  m2pStrict = false;
  readonly ram: Ram;

  constructor(domain: Domain, host: PvDomainHost) {
    const { ram } = host;
    const { capacity, root } = domain.frameMap;
    this.domain = domain;
    this.ram = ram;
    this.types = new PageTypes(ram, root, capacity, {
      unshare: (mfn) => domain.memory.unshare(asMfn(mfn)),
      release: (mfn) => domain.releasePage(asMfn(mfn)),
      translationsStale: () => host.translationsStale(),
      refused: (refusal) => host.refused(domain, refusal),
    });
    this.tables = new PageTables(this.types, ram, (mfn, frame) => this.#checkSegDesc(mfn, frame));
    this.m2p = new M2p(ram, domain.services.frames, capacity, host.invalidM2pPage);
  }

  /** The guest keeps IOPL in its flags, and CLI and STI obey it. */
  get hasArchitecturalIopl(): boolean {
    return (this.vmAssist & (1 << VMASST.TYPE_ARCHITECTURAL_IOPL)) !== 0;
  }

  /** The address space under a top-level table. */
  addressSpace(tableMfn: number): AddressSpace {
    const { frameMap } = this.domain;
    return {
      l4: asFrame(this.types.frame(tableMfn)),
      frameMap: frameMap.root,
      mfnLimit: frameMap.capacity,
    };
  }

  /** MFN of the level-1 table that maps an address under this top-level table, 0 if there is none. */
  l1Table(tableMfn: number, va: VirtAddr): number {
    let mfn = tableMfn;
    for (let level = 4; level > 1; level--) {
      if (!this.types.frame(mfn)) return 0;
      const slot = tableSlot(va, level);
      const lo = this.tables.low(mfn, slot);
      if ((lo & (PTE.PRESENT | PTE.PSE)) !== PTE.PRESENT) return 0;
      mfn = pteMfn(lo, this.tables.high(mfn, slot));
    }
    return this.types.is(mfn, PGT.L1) ? mfn : 0;
  }

  /** MFN that an address maps to under this top-level table, 0 if none. */
  mappedMfn(tableMfn: number, va: VirtAddr): number {
    const table = this.l1Table(tableMfn, va);
    if (table === 0) return 0;
    const slot = tableSlot(va, 1);
    const lo = this.tables.low(table, slot);
    return lo & PTE.PRESENT ? pteMfn(lo, this.tables.high(table, slot)) : 0;
  }

  /** Gives back what pv holds beside the domain's pages. The domain releases those itself. */
  destroy(): void {
    this.m2p.destroy();
  }

  /** All descriptors of a page that becomes part of a GDT or LDT. */
  #checkSegDesc(mfn: number, frame: number): number {
    const { u32 } = this.ram;
    for (let slot = 0; slot < DESCRIPTORS_PER_PAGE; slot++) {
      const at = frame * 1024 + slot * 2;
      const lo = u32[at] as number;
      const hi = u32[at + 1] as number;
      if (lo === 0 && hi === 0) continue;
      const checked = checkDescriptor(lo, hi);
      if (!checked) {
        return this.types.refuse(-ERRNO.EINVAL, { kind: 'descriptor', mfn, slot, lo, hi });
      }
      u32[at] = checked.lo;
      u32[at + 1] = checked.hi;
    }
    return 0;
  }
}
