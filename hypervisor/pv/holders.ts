/**
 * Who holds references on a frame of a domain: looked for when a refusal is put into words, never before. Counts do not say who
 * took them, so tables are searched, so many of them and no more; what is found there is named, what is not is not.
 */

import type { Vcpu } from '../common/domain.js';
import { inWords } from '../common/words.js';
import { asMfn } from '../machine/types.js';
import { isXenSlot } from './page-tables.js';
import { type PageType, PGT } from './page-types.js';
import { ENTRIES_PER_TABLE, PTE, pteMfn } from './pte.js';
import type { PvDomain } from './pv-domain.js';
import type { PvVcpu } from './pv-vcpu.js';
import { type Refusal, refusalText } from './refusal.js';

/** Tables that are searched at most, half a millisecond's worth, and holders of one kind that are named. */
const MOST_TABLES = 512;
const MOST_NAMED = 4;

type VcpuOf = (vcpu: Vcpu) => PvVcpu;

/** Why a request that concerns a domain's frames was refused, as one line. */
export function whyRefused(refusal: Refusal, pv: PvDomain, vcpuOf: VcpuOf): string {
  const { domain } = pv;
  return refusalText(refusal, {
    domid: domain.id,
    capacity: domain.frameMap.capacity,
    holders: (mfn) => holdersOf(pv, mfn, vcpuOf),
    grantOf: (mfn) => domain.grants.maptrack.describe(asMfn(mfn)),
  });
}

/** @returns the holders that could be told, as text; '' if there are none. */
function holdersOf(pv: PvDomain, mfn: number, vcpuOf: VcpuOf): string {
  const vcpus = pv.domain.vcpus.map(vcpuOf);
  return [
    ...(pv.types.isPinned(mfn) ? ['its pin'] : []),
    ...vcpus.flatMap((v) => usesOf(v, mfn)),
    ...pv.domain.grants.usersOf(asMfn(mfn)),
    ...(pv.domain.events.holds(asMfn(mfn)) ? ['event channels (FIFO)'] : []),
    ...(pv.domain.kindOf(asMfn(mfn)) === 'xen' ? ['Xen, which shares the page'] : []),
    ...entriesOf(pv, mfn),
  ].join(', ');
}

/** What a vCPU has the page for. */
function usesOf(v: PvVcpu, mfn: number): string[] {
  const uses: string[] = [];
  if (v.kernelTable === mfn) uses.push(`cr3 of ${v.name}`);
  if (v.userTable === mfn) uses.push(`user cr3 of ${v.name}`);
  if (v.gdtFrames.includes(mfn)) uses.push(`GDT of ${v.name}`);
  if ([...v.ldtPages.values()].includes(mfn)) uses.push(`LDT of ${v.name}`);
  if (v.vcpu.infoMfn === mfn) uses.push(`vcpu_info of ${v.name}`);
  return uses;
}

/** Entries of page tables that lead to the frame. */
function entriesOf(pv: PvDomain, mfn: number): string[] {
  const { types } = pv;
  const found: string[] = [];
  let tables = 0;
  for (let table = 0; table < types.capacity && tables <= MOST_TABLES; table++) {
    const level = types.typeInUse(table);
    if (level < PGT.L1 || level > PGT.L4) continue;
    if (++tables <= MOST_TABLES) found.push(...entriesIn(pv, table, level, mfn));
  }
  const named = found.slice(0, MOST_NAMED);
  if (found.length > MOST_NAMED) named.push(`${found.length - MOST_NAMED} more entries`);
  if (tables > MOST_TABLES) named.push(`perhaps others: ${MOST_TABLES} tables were searched`);
  return named;
}

function entriesIn(pv: PvDomain, table: number, level: PageType, mfn: number): string[] {
  const found: string[] = [];
  for (let slot = 0; slot < ENTRIES_PER_TABLE; slot++) {
    const lo = pv.tables.low(table, slot);
    if (!(lo & PTE.PRESENT) || isXenSlot(level, slot)) continue;
    if (pteMfn(lo, pv.tables.high(table, slot)) === mfn)
      found.push(entryText(level, table, slot, lo));
  }
  return found;
}

function entryText(level: number, table: number, slot: number, lo: number): string {
  const right = level > 1 ? '' : lo & PTE.RW ? ' (writable)' : ' (read-only)';
  return inWords('slot %x of L%d mfn %x%s', [slot, level, table, right]);
}
