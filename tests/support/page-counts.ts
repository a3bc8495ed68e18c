/** Both counts of every page of a domain, found anew from its tables: what page types must agree with at any time. */

import type { Ram } from '../../hypervisor/machine/ram.js';
import { asMfn } from '../../hypervisor/machine/types.js';
import { type PageType, PGT } from '../../hypervisor/pv/page-types.js';
import { pteMfn } from '../../hypervisor/pv/pte.js';
import type { PvDomain } from '../../hypervisor/pv/pv-domain.js';
import type { PvVcpu } from '../../hypervisor/pv/pv-vcpu.js';

class Counts {
  readonly refs: Uint32Array;
  readonly typed: Uint32Array;

  constructor(capacity: number) {
    this.refs = new Uint32Array(capacity);
    this.typed = new Uint32Array(capacity);
  }

  add(mfn: number): void {
    this.refs[mfn]!++;
  }

  addTyped(mfn: number): void {
    this.refs[mfn]!++;
    this.typed[mfn]!++;
  }
}

/** @returns one line for each page whose counts are wrong. */
export function wrongCounts(ram: Ram, pv: PvDomain, vcpus: readonly PvVcpu[]): string[] {
  const { types } = pv;
  const counts = new Counts(types.capacity);
  for (const v of vcpus) addVcpu(counts, v);
  for (let mfn = 0; mfn < types.capacity; mfn++) {
    addOwn(counts, pv, mfn);
    addEntries(counts, ram, pv, mfn);
  }
  const wrong: string[] = [];
  for (let mfn = 0; mfn < types.capacity; mfn++) {
    const expected = `${counts.refs[mfn]} ${counts.typed[mfn]}`;
    const found = `${types.refs[mfn]} ${types.typeCount[mfn]}`;
    if (expected !== found) wrong.push(`mfn ${mfn}: ${found}, not ${expected}`);
  }
  return wrong;
}

function addVcpu(counts: Counts, { kernelTable, userTable, gdtFrames, ldtPages }: PvVcpu): void {
  for (const mfn of [kernelTable, userTable]) if (mfn) counts.addTyped(mfn);
  for (const mfn of [...gdtFrames, ...ldtPages.values()]) counts.addTyped(mfn);
}

function addOwn(counts: Counts, { types, domain }: PvDomain, mfn: number): void {
  if (types.isAllocated(mfn)) counts.add(mfn);
  if (types.isPinned(mfn)) counts.addTyped(mfn);
  if (types.isPartial(mfn)) counts.add(mfn);
  const kind = domain.kindOf(asMfn(mfn));
  if (kind === 'xen' || kind === 'alias') counts.addTyped(mfn);
}

/** Slots of a table that hold references: none, all, or those below where a partial one stopped. */
function slotsHeld({ types }: PvDomain, mfn: number): number {
  const type = types.type[mfn] as PageType;
  if (type < PGT.L1 || type > PGT.L4) return 0;
  if (types.isPartial(mfn)) return types.partialNext.get(mfn) ?? 0;
  return types.is(mfn, type) ? 512 : 0;
}

function addEntries(counts: Counts, ram: Ram, pv: PvDomain, mfn: number): void {
  const level = pv.types.type[mfn] as PageType;
  const end = slotsHeld(pv, mfn);
  for (let slot = 0; slot < end; slot++) {
    const at = pv.types.table(mfn) + slot * 2;
    const lo = ram.u32[at]!;
    if (!(lo & 1) || (level === PGT.L4 && slot >= 256 && slot < 272)) continue;
    const target = pteMfn(lo, ram.u32[at + 1]!);
    if (level === PGT.L1) addLeaf(counts, pv, target, (lo & 2) !== 0);
    else if (target !== mfn) counts.addTyped(target);
  }
}

function addLeaf(counts: Counts, { types }: PvDomain, target: number, writable: boolean): void {
  if (writable && !types.isAlias(target)) counts.addTyped(target);
  else counts.add(target);
}
