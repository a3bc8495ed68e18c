/**
 * Page tables of a domain: which entries a guest may have, taking and giving back what they refer to, changing them.
 *
 *   L4 entry → type l3 · L3 entry → type l2 · L2 entry → type l1 · L1 entry → a page, type writable if RW
 *
 * An entry may also lead to a table of its own level, read-only: a linear map. Then the two tables are counted against
 * each other, so that such maps cannot be chained (XSA-240).
 *
 * Spec: xen-abi §1.5.
 */

import type { Ram } from '../machine/ram.js';
import { HYPERVISOR_FIRST_SLOT, HYPERVISOR_LAST_SLOT } from '../public/arch-x86.js';
import { ERRNO } from '../public/errno.js';
import { ERESTART, type PageType, type PageTypes, PGT, type TypedContents } from './page-types.js';
import {
  ENTRIES_PER_TABLE,
  fixL1High,
  fixL1Low,
  fixTableLow,
  L1_DISALLOW_HIGH,
  L1_DISALLOW_LOW,
  PTE,
  pteMfn,
  sameMapping,
  TABLE_DISALLOW_LOW,
} from './pte.js';

const { PRESENT, RW, ACCESSED, DIRTY } = PTE;
const AD = ACCESSED | DIRTY;
/** What an entry holds for "no frame": all bits of the field. */
const NO_MFN = 0xff_ffff_ffff;

/** Refused when an L1 entry cannot have its frame as it wants it (Xen: "Error getting mfn … from L1 entry"). */
const L1_REFUSED = -ERRNO.EBUSY;

/** Contents of pages that are no page tables: descriptor-tables.ts. */
export type SegDescCheck = (mfn: number, frame: number) => number;

export class PageTables implements TypedContents {
  readonly #types: PageTypes;
  readonly #u32: Uint32Array;
  readonly #checkDescriptors: SegDescCheck;

  constructor(types: PageTypes, ram: Ram, checkDescriptors: SegDescCheck) {
    this.#types = types;
    this.#u32 = ram.u32;
    this.#checkDescriptors = checkDescriptors;
    types.contents = this;
  }

  validate(mfn: number, type: PageType, next: number): number {
    if (type === PGT.L1) return this.#validateL1(mfn);
    if (type === PGT.SEG_DESC) return this.#checkDescriptors(mfn, this.#types.frame(mfn));
    if (type > PGT.L4 || type === PGT.NONE) return -ERRNO.EINVAL;
    return this.#validateUpper(mfn, type, next);
  }

  invalidate(mfn: number, type: PageType, next: number): void {
    this.#types.work -= ENTRIES_PER_TABLE;
    for (let slot = next - 1; slot >= 0; slot--) this.#put(mfn, type, slot);
  }

  #validateL1(mfn: number): number {
    const types = this.#types;
    const u32 = this.#u32;
    const table = types.table(mfn);
    types.work -= ENTRIES_PER_TABLE;
    for (let slot = 0; slot < ENTRIES_PER_TABLE; slot++) {
      const at = table + slot * 2;
      const lo = u32[at] as number;
      if (!(lo & PRESENT)) continue;
      const hi = u32[at + 1] as number;
      const result = this.#getL1Entry(lo, hi);
      if (result) {
        if (result !== ERESTART) this.#refuseSlot(1, mfn, slot, result);
        for (let done = slot - 1; done >= 0; done--) this.#put(mfn, PGT.L1, done);
        return result;
      }
      u32[at] = fixL1Low(lo, hi);
      u32[at + 1] = fixL1High(lo, hi);
    }
    return 0;
  }

  #validateUpper(mfn: number, level: PageType, next: number): number {
    const types = this.#types;
    const table = types.table(mfn);
    types.work -= ENTRIES_PER_TABLE;
    for (let slot = next; slot < ENTRIES_PER_TABLE; slot++) {
      const at = table + slot * 2;
      const lo = this.#u32[at] as number;
      if (!(lo & PRESENT) || isXenSlot(level, slot)) continue;
      const result =
        types.work <= 0 && slot > next
          ? ERESTART
          : this.#getTableEntry(lo, this.#u32[at + 1] as number, level, mfn);
      if (result === ERESTART) {
        types.partialNext.set(mfn, slot);
        return ERESTART;
      }
      if (result) {
        this.#refuseSlot(level, mfn, slot, result);
        for (let done = slot - 1; done >= 0; done--) this.#put(mfn, level, done);
        return result;
      }
      this.#u32[at] = fixTableLow(lo);
    }
    return 0;
  }

  #refuseSlot(level: number, mfn: number, slot: number, result: number): void {
    const at = this.#types.table(mfn) + slot * 2;
    this.#refuseEntry(
      result,
      mfn,
      level,
      slot,
      this.#u32[at] as number,
      this.#u32[at + 1] as number,
    );
  }

  /** Takes what a present L1 entry refers to. @returns 0 or an error. */
  #getL1Entry(lo: number, hi: number): number {
    const types = this.#types;
    const bad = (lo & L1_DISALLOW_LOW) | ((hi & L1_DISALLOW_HIGH) >>> 8);
    if (bad) {
      return types.refuse(-ERRNO.EINVAL, { kind: 'bad-flags', level: 1, lo, hi, flags: bad });
    }
    const mfn = pteMfn(lo, hi);
    if (!types.refs[mfn]) return types.refuse(noFrameResult(mfn), { kind: 'no-frame', mfn });
    if (types.isAlias(mfn)) return types.refuse(L1_REFUSED, { kind: 'not-mappable', mfn });
    if (lo & RW) {
      const result = types.getType(mfn, PGT.WRITABLE);
      if (result) return result === ERESTART ? result : L1_REFUSED;
    }
    types.refs[mfn] = (types.refs[mfn] as number) + 1;
    return 0;
  }

  /** Takes what a present entry of level 2 to 4 refers to. @returns 0, an error, or -ERESTART. */
  #getTableEntry(lo: number, hi: number, level: PageType, table: number): number {
    const types = this.#types;
    const bad = lo & TABLE_DISALLOW_LOW;
    if (bad) {
      return types.refuse(-ERRNO.EINVAL, { kind: 'bad-flags', level, lo, hi, flags: bad });
    }
    const mfn = pteMfn(lo, hi);
    if (!types.refs[mfn]) return types.refuse(-ERRNO.EINVAL, { kind: 'no-frame', mfn });
    if (mfn === table || types.is(mfn, level)) return this.#getLinear(lo, mfn, level, table);
    return types.getPageAndType(mfn, (level - 1) as PageType);
  }

  /** An entry that leads to its own table, or to another of the same level. */
  #getLinear(lo: number, mfn: number, level: PageType, table: number): number {
    const types = this.#types;
    if (lo & RW) return this.#refuseLinear(mfn, level, 'must not be mapped with write permission');
    if (mfn === table) return 0;
    const own = types.linear.get(table) ?? 0;
    const other = types.linear.get(mfn) ?? 0;
    if (own < 0) {
      return this.#refuseLinear(mfn, level, 'is wanted by a table that such an entry leads to');
    }
    if (other > 0) return this.#refuseLinear(mfn, level, 'has such entries itself');
    types.linear.set(table, own + 1);
    types.linear.set(mfn, other - 1);
    return types.getPageAndType(mfn, level);
  }

  /** Which entry it was, beside what is wrong with it. */
  #refuseEntry(
    result: number,
    mfn: number,
    level: number,
    slot: number,
    lo: number,
    hi: number,
  ): number {
    if (result === ERESTART) return result;
    return this.#types.refuse(result, { kind: 'bad-entry', level, mfn, slot, lo, hi });
  }

  #refuseLinear(mfn: number, level: number, rule: string): number {
    return this.#types.refuse(-ERRNO.EINVAL, { kind: 'linear', mfn, level, rule });
  }

  /** Gives back what an entry refers to. */
  #put(table: number, level: PageType, slot: number): void {
    const at = this.#types.table(table) + slot * 2;
    const lo = this.#u32[at] as number;
    if (!(lo & PRESENT) || isXenSlot(level, slot)) return;
    this.#putEntry(lo, this.#u32[at + 1] as number, level, table);
  }

  #putEntry(lo: number, hi: number, level: PageType, table: number): void {
    const types = this.#types;
    const mfn = pteMfn(lo, hi);
    if (level === PGT.L1) {
      // An alias is given back by its unmap, the type writable by each entry that has RW.
      if (lo & RW && !types.isAlias(mfn)) types.putType(mfn);
      types.putPage(mfn);
      return;
    }
    if (mfn === table) return;
    if (types.type[mfn] === level) this.#dropLinear(table, mfn);
    types.putPageAndType(mfn);
  }

  #dropLinear(table: number, target: number): void {
    const { linear } = this.#types;
    const own = (linear.get(table) ?? 0) - 1;
    const other = (linear.get(target) ?? 0) + 1;
    if (own === 0) linear.delete(table);
    else linear.set(table, own);
    if (other === 0) linear.delete(target);
    else linear.set(target, other);
  }

  /**
   * Changes one entry of a table in use.
   * @param level type of the table, which the caller has seen to be in use as such.
   * @param preserveAd keep the accessed and dirty bits of the old entry.
   * @returns 0, an error (nothing changed), or -ERESTART.
   */
  modify(
    table: number,
    level: PageType,
    slot: number,
    lo: number,
    hi: number,
    preserveAd = false,
  ): number {
    if (isXenSlot(level, slot)) {
      return this.#types.refuse(-ERRNO.EINVAL, { kind: 'xen-slot', slot });
    }
    const at = this.#types.table(table) + slot * 2;
    const oldLo = this.#u32[at] as number;
    const oldHi = this.#u32[at + 1] as number;
    if (lo & PRESENT) {
      const kept = preserveAd && oldLo & PRESENT ? oldLo & AD : 0;
      const same = (oldLo & PRESENT) !== 0 && sameMapping(oldLo, oldHi, lo, hi);
      const result = this.#getEntry(lo, hi, level, table, same);
      if (result) return this.#refuseEntry(result, table, level, slot, lo, hi);
      if (level === PGT.L1) this.#store(at, fixL1Low(lo, hi) | kept, fixL1High(lo, hi));
      else this.#store(at, fixTableLow(lo) | kept, hi);
      if (same) return 0;
    } else this.#store(at, lo, hi);
    if (oldLo & PRESENT) this.#putEntry(oldLo, oldHi, level, table);
    return 0;
  }

  /** @param same the entry maps what it mapped before, with the same rights: its references stand. */
  #getEntry(lo: number, hi: number, level: PageType, table: number, same: boolean): number {
    if (level === PGT.L1) return same ? 0 : this.#getL1Entry(lo, hi);
    return same && !(lo & TABLE_DISALLOW_LOW) ? 0 : this.#getTableEntry(lo, hi, level, table);
  }

  #store(at: number, lo: number, hi: number): void {
    this.#u32[at] = lo;
    this.#u32[at + 1] = hi;
  }

  /**
   * Puts a grant's mapping into an L1 entry: the frame is an alias, so the usual look at it is left out.
   * The entry that was there is given back.
   */
  storeAlias(table: number, slot: number, lo: number, hi: number, alias: number): void {
    const at = this.#types.table(table) + slot * 2;
    const oldLo = this.#u32[at] as number;
    const oldHi = this.#u32[at + 1] as number;
    this.#types.getPage(alias);
    this.#store(at, fixL1Low(lo, hi), fixL1High(lo, hi));
    if (oldLo & PRESENT) this.#putEntry(oldLo, oldHi, PGT.L1, table);
  }

  /** Moves an L1 entry, references and all; what the target mapped is given back, the source is empty afterwards. */
  moveEntry(fromTable: number, fromSlot: number, table: number, slot: number): void {
    const from = this.#types.table(fromTable) + fromSlot * 2;
    const lo = this.#u32[from] as number;
    const hi = this.#u32[from + 1] as number;
    this.#store(from, 0, 0);
    const at = this.#types.table(table) + slot * 2;
    const oldLo = this.#u32[at] as number;
    const oldHi = this.#u32[at + 1] as number;
    this.#store(at, lo, hi);
    if (oldLo & PRESENT) this.#putEntry(oldLo, oldHi, PGT.L1, table);
  }

  /** Low half of an entry. */
  low(table: number, slot: number): number {
    return this.#u32[this.#types.table(table) + slot * 2] as number;
  }

  /** High half of an entry. */
  high(table: number, slot: number): number {
    return this.#u32[this.#types.table(table) + slot * 2 + 1] as number;
  }
}

/** A frame that is nobody's RAM counts as device memory, which needs a right that no domain here has; all ones is no frame. */
const noFrameResult = (mfn: number): number => (mfn === NO_MFN ? -ERRNO.EINVAL : -ERRNO.EPERM);

/** Slots 256 to 271 of a top-level table are Xen's: what a guest has there is never looked at. */
export function isXenSlot(level: PageType, slot: number): boolean {
  return level === PGT.L4 && slot >= HYPERVISOR_FIRST_SLOT && slot <= HYPERVISOR_LAST_SLOT;
}
