/** What common asks of pv: references on a domain's pages, the machine-to-physical table, entries of grant mappings. */

import type { Domain, Vcpu } from '../common/domain.js';
import type { GrantMapFlags, GrantTarget, MemoryHooks, PageKind } from '../common/hooks.js';
import type { Frame, Mfn, Pfn, VirtAddr } from '../machine/types.js';
import { HYPERVISOR_VIRT_END, HYPERVISOR_VIRT_START } from '../public/arch-x86.js';
import { GNTST, type GrantStatus } from '../public/grant-table.js';
import { ERESTART, PGT } from './page-types.js';
import { ENTRIES_PER_TABLE, ENTRY_SIZE, PTE, pteHigh, pteLow, pteMfn, tableSlot } from './pte.js';
import type { PvDomain } from './pv-domain.js';
import type { PvVcpu } from './pv-vcpu.js';
import type { Translations } from './translations.js';

const AVAILABLE_SHIFT = 9;
const AVAILABLE_MASK = 7;

/** An entry of a level-1 table in use. */
interface Entry {
  readonly table: number;
  readonly slot: number;
}

export class PvMemory implements MemoryHooks<Domain, Vcpu> {
  readonly #of: (domain: Domain) => PvDomain;
  readonly #vcpuOf: (vcpu: Vcpu) => PvVcpu;
  readonly #translations: Translations;

  constructor(
    of: (domain: Domain) => PvDomain,
    vcpuOf: (vcpu: Vcpu) => PvVcpu,
    translations: Translations,
  ) {
    this.#of = of;
    this.#vcpuOf = vcpuOf;
    this.#translations = translations;
  }

  pageAdded(domain: Domain, mfn: Mfn, _frame: Frame, kind: PageKind): void {
    const { types } = this.#of(domain);
    if (kind === 'ram') types.addRam(mfn);
    else types.addForeign(mfn, kind);
  }

  pageRemoved(domain: Domain, mfn: Mfn, _frame: Frame): void {
    const pv = this.#of(domain);
    pv.types.remove(mfn);
    pv.m2p.clear(mfn);
  }

  pageMoved(_domain: Domain): void {
    this.#translations.markStale();
  }

  dropAllocation(domain: Domain, mfn: Mfn): boolean {
    return this.#of(domain).types.dropAllocation(mfn);
  }

  isIdle(domain: Domain, mfn: Mfn): boolean {
    const { types } = this.#of(domain);
    return (types.isAllocated(mfn) || domain.kindOf(mfn) === 'xen') && types.refs[mfn] === 1;
  }

  setPhysical(domain: Domain, mfn: Mfn, pfn: Pfn): void {
    this.#of(domain).m2p.set(mfn, pfn);
  }

  takeReference(domain: Domain, mfn: Mfn, writable: boolean): boolean {
    const { types } = this.#of(domain);
    if (types.isAlias(mfn)) return false;
    if (!writable) return types.getPage(mfn) === 0;
    let result = types.getPageAndType(mfn, PGT.WRITABLE);
    if (result === ERESTART) {
      // A table that is still being given up: finish that now, it is one table.
      types.work = Number.POSITIVE_INFINITY;
      result = types.getPageAndType(mfn, PGT.WRITABLE);
    }
    return result === 0;
  }

  dropReference(domain: Domain, mfn: Mfn, writable: boolean): void {
    const { types } = this.#of(domain);
    if (writable) types.putPageAndType(mfn);
    else types.putPage(mfn);
  }

  /**
   * okay            the entry maps the alias; what it mapped before is given back
   * general_error   there is no level-1 entry at the target
   */
  mapGrant(vcpu: Vcpu, target: GrantTarget, alias: Mfn, flags: GrantMapFlags): GrantStatus {
    const v = this.#vcpuOf(vcpu);
    const entry = this.#locate(v, target);
    if (!entry) return GNTST.general_error;
    const available = (flags.available & AVAILABLE_MASK) << AVAILABLE_SHIFT;
    const rights = (flags.readonly ? 0 : PTE.RW) | (flags.application ? PTE.USER : 0);
    const low = PTE.PRESENT | PTE.ACCESSED | PTE.DIRTY | rights | available;
    this.#translations.markStale();
    const { tables } = v.pv;
    tables.storeAlias(entry.table, entry.slot, pteLow(alias, low), pteHigh(alias), alias);
    return GNTST.okay;
  }

  /**
   * okay            the entry is empty, or moved here from `replacement`
   * general_error   no level-1 entry at the target (or at `replacement`), or it does not map the alias
   */
  unmapGrant(vcpu: Vcpu, target: GrantTarget, alias: Mfn, replacement?: VirtAddr): GrantStatus {
    const v = this.#vcpuOf(vcpu);
    const { tables } = v.pv;
    const entry = this.#locate(v, target);
    if (!entry) return GNTST.general_error;
    const lo = tables.low(entry.table, entry.slot);
    const mapped = pteMfn(lo, tables.high(entry.table, entry.slot));
    if (!(lo & PTE.PRESENT) || mapped !== alias) return GNTST.general_error;
    const from = replacement === undefined ? undefined : this.#at(v, replacement);
    if (replacement !== undefined && !from) return GNTST.general_error;
    if (from && from.table === entry.table && from.slot === entry.slot) return GNTST.general_error;
    this.#translations.markStale();
    if (from) tables.moveEntry(from.table, from.slot, entry.table, entry.slot);
    else tables.modify(entry.table, PGT.L1, entry.slot, 0, 0);
    return GNTST.okay;
  }

  #locate(v: PvVcpu, target: GrantTarget): Entry | undefined {
    if (target.kind === 'va') return this.#at(v, target.va);
    const slot = target.offset / ENTRY_SIZE;
    if (!Number.isInteger(slot) || slot < 0 || slot >= ENTRIES_PER_TABLE) return undefined;
    return v.pv.types.is(target.mfn, PGT.L1) ? { table: target.mfn, slot } : undefined;
  }

  #at(v: PvVcpu, va: VirtAddr): Entry | undefined {
    if (va >= HYPERVISOR_VIRT_START && va < HYPERVISOR_VIRT_END) return undefined;
    const table = v.pv.l1Table(v.kernelTable, va);
    return table === 0 ? undefined : { table, slot: tableSlot(va, 1) };
  }
}
