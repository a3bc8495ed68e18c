/**
 * Page types: what each machine frame of a domain is used for, under two counts.
 *
 *   references  keep the frame the domain's: the allocation, every mapping, every use as a table
 *   type count  keeps its use exclusive: none, l1..l4, seg_desc, shared, writable; may change only at 0
 *
 * A frame with a writable mapping is no page table and no descriptor table, and the reverse: that is the whole
 * isolation of direct paging. Work on big trees is bounded: `work` counts down, and at 0
 *   - validating stops with -ERESTART and the table is *partial*: entries below `partialNext` hold their references;
 *   - giving up a tree goes into a queue that `drain` empties, a bounded amount at a time.
 * A partial table has type count 0 and one reference of its own; whoever wants it next takes the work on.
 *
 * Spec: xen-abi §1.5.
 */

import { SHARED_ENTRY } from '../common/frame-map.js';
import type { Ram } from '../machine/ram.js';
import { ERRNO } from '../public/errno.js';
import { ENTRIES_PER_TABLE } from './pte.js';
import type { Refusal, RefusalReason } from './refusal.js';

/** Exclusive uses of a frame, numbered as Xen's PGT_* (mm.h, type_info bits 63:61). */
// biome-ignore format: one row per type
export const PGT = {
  NONE:     0,
  L1:       1,
  L2:       2,
  L3:       3,
  L4:       4,
  SEG_DESC: 5,
  SHARED:   6,
  WRITABLE: 7,
} as const;
export type PageType = (typeof PGT)[keyof typeof PGT];

/** Flags of a frame. */
// biome-ignore format: one row per flag
const FLAG = {
  ALLOCATED: 0x01, // the domain has not given it up: one reference
  PINNED:    0x02, // one reference and one type reference, by MMUEXT_PIN
  VALIDATED: 0x04, // contents are known to suit the type
  PARTIAL:   0x08, // validated or given up in part, see partialNext
  FREEING:   0x10, // waits in the queue of tables to give up
  XEN:       0x20, // Xen's page, shared with the domain
  ALIAS:     0x40, // another domain's page, mapped by grant only
} as const;

export const ERESTART = -ERRNO.ERESTART;

/** What pages of a type must hold: implemented by page-tables.ts and descriptor-tables.ts. */
export interface TypedContents {
  /**
   * Checks entries from `next` on and takes their references.
   * @returns 0, an error after giving back what was taken, or -ERESTART with `partialNext` set.
   */
  validate(mfn: number, type: PageType, next: number): number;
  /** Gives back the references of entries below `next`. */
  invalidate(mfn: number, type: PageType, next: number): void;
}

/** What page types need from their surroundings. */
export interface PageTypesHost {
  /** Makes a shared frame the domain's own. @returns its number. */
  unshare(mfn: number): number;
  /** The last reference is gone. */
  release(mfn: number): void;
  /** Cached translations may outlive a change of type. */
  translationsStale(): void;
  /** A request was refused, and why. */
  refused(refusal: Refusal): void;
}

export class PageTypes {
  readonly refs: Uint32Array;
  readonly typeCount: Uint32Array;
  readonly type: Uint8Array;
  readonly flags: Uint8Array;
  /** MFNs run from 0 to capacity - 1. */
  readonly capacity: number;
  /** Table entries that may still be looked at before a call is to be continued later. */
  work = Number.POSITIVE_INFINITY;
  /** Checks and releases contents; set by whoever wires the domain. */
  contents: TypedContents | undefined;
  readonly partialNext = new Map<number, number>();
  /** Per table with linear entries (> 0) or used by linear entries (< 0): how many. */
  readonly linear = new Map<number, number>();
  readonly #host: PageTypesHost;
  readonly #u32: Uint32Array;
  readonly #root: number;
  readonly #freeing: number[] = [];

  /** @param frameMapRoot byte address of the domain's frame map. */
  constructor(ram: Ram, frameMapRoot: number, capacity: number, host: PageTypesHost) {
    const buffer = new ArrayBuffer(capacity * 10);
    this.refs = new Uint32Array(buffer, 0, capacity);
    this.typeCount = new Uint32Array(buffer, capacity * 4, capacity);
    this.type = new Uint8Array(buffer, capacity * 8, capacity);
    this.flags = new Uint8Array(buffer, capacity * 9, capacity);
    this.capacity = capacity;
    this.#u32 = ram.u32;
    this.#root = frameMapRoot >>> 2;
    this.#host = host;
  }

  /** Host frame of an MFN, the domain's own from now on; 0 if the domain has none such. Takes any number. */
  frame(mfn: number): number {
    if (!(mfn >= 0 && mfn < this.capacity)) return 0;
    const leaf = this.#u32[this.#root + (mfn >>> 10)] as number;
    const frame = this.#u32[(leaf >>> 2) + (mfn & 1023)] as number;
    return frame < SHARED_ENTRY ? frame : this.#host.unshare(mfn);
  }

  /** Index in ram.u32 of a frame's first entry. Only for an MFN that has a frame. */
  table(mfn: number): number {
    return this.frame(mfn) * 1024;
  }

  /** A page of the domain's own: one reference, no type. */
  addRam(mfn: number): void {
    this.refs[mfn] = 1;
    this.flags[mfn] = FLAG.ALLOCATED;
  }

  /** A page of Xen's (shared info, grant table) or of another domain: writable for good, hence never a table. */
  addForeign(mfn: number, kind: 'xen' | 'alias'): void {
    this.refs[mfn] = 1;
    this.typeCount[mfn] = 1;
    this.type[mfn] = PGT.WRITABLE;
    this.flags[mfn] = FLAG.VALIDATED | (kind === 'xen' ? FLAG.XEN : FLAG.ALIAS);
  }

  /** Forgets a page that left the domain's map. */
  remove(mfn: number): void {
    this.refs[mfn] = 0;
    this.typeCount[mfn] = 0;
    this.type[mfn] = PGT.NONE;
    this.flags[mfn] = 0;
    this.#host.translationsStale();
  }

  /** Pinned by MMUEXT_PIN_Ln_TABLE. */
  isPinned = (mfn: number): boolean => (this.flagsOf(mfn) & FLAG.PINNED) !== 0;
  isAlias = (mfn: number): boolean => (this.flagsOf(mfn) & FLAG.ALIAS) !== 0;
  /** A frame that the domain was given and has not given up. */
  isAllocated = (mfn: number): boolean => (this.flagsOf(mfn) & FLAG.ALLOCATED) !== 0;
  /** Validated or given up in part. */
  isPartial = (mfn: number): boolean => (this.flagsOf(mfn) & FLAG.PARTIAL) !== 0;
  flagsOf = (mfn: number): number => this.flags[mfn] ?? 0;

  /** @returns true if the frame is in use as this type, its contents checked. */
  is(mfn: number, type: PageType): boolean {
    return (
      this.type[mfn] === type &&
      (this.typeCount[mfn] as number) > 0 &&
      (this.flagsOf(mfn) & FLAG.VALIDATED) !== 0
    );
  }

  /** The type a frame is in use as, NONE if its type count is 0. */
  typeInUse(mfn: number): PageType {
    return this.typeCount[mfn] ? (this.type[mfn] as PageType) : PGT.NONE;
  }

  /** Tells the host why, and gives the error back. */
  refuse(result: number, reason: RefusalReason): number {
    this.#host.refused({ result, reason });
    return result;
  }

  /** Takes a reference on a page of this domain. @returns 0 or -EINVAL. */
  getPage(mfn: number): number {
    if (!this.refs[mfn]) return this.refuse(-ERRNO.EINVAL, { kind: 'no-frame', mfn });
    this.refs[mfn] = (this.refs[mfn] as number) + 1;
    return 0;
  }

  putPage(mfn: number): void {
    const left = (this.refs[mfn] as number) - 1;
    this.refs[mfn] = left;
    if (left === 0) this.#host.release(mfn);
  }

  /** Takes a reference and a type reference. @returns 0, -EINVAL, an error of the contents, or -ERESTART. */
  getPageAndType(mfn: number, type: PageType): number {
    const missing = this.getPage(mfn);
    if (missing) return missing;
    const result = this.getType(mfn, type, 1);
    if (result) this.putPage(mfn);
    return result;
  }

  putPageAndType(mfn: number): void {
    this.putType(mfn);
    this.putPage(mfn);
  }

  /**
   * Takes a type reference on a page that the caller holds.
   * @param own references taken for just this, so that a refusal does not count them. @returns as getPageAndType.
   */
  getType(mfn: number, type: PageType, own = 0): number {
    if (this.flagsOf(mfn) & FLAG.PARTIAL) {
      if (this.type[mfn] === type) return this.#resume(mfn, type);
      if (!this.#giveUp(mfn)) return ERESTART;
    }
    const count = this.typeCount[mfn] as number;
    if (count === 0) return this.#firstOfType(mfn, type);
    if (this.type[mfn] !== type || !(this.flagsOf(mfn) & FLAG.VALIDATED)) {
      return this.#badType(mfn, type, own);
    }
    this.typeCount[mfn] = count + 1;
    return 0;
  }

  #badType(mfn: number, expected: PageType, own: number): number {
    return this.refuse(-ERRNO.EINVAL, {
      kind: 'bad-type',
      mfn,
      saw: this.type[mfn] as PageType,
      expected,
      count: this.typeCount[mfn] as number,
      refs: (this.refs[mfn] as number) - own,
    });
  }

  #firstOfType(mfn: number, type: PageType): number {
    if (this.type[mfn] !== type) {
      // A stale translation could still write to what becomes a table.
      if (this.type[mfn] === PGT.WRITABLE) this.#host.translationsStale();
      this.type[mfn] = type;
      this.flags[mfn] = this.flagsOf(mfn) & ~FLAG.VALIDATED;
    }
    if (type === PGT.WRITABLE || this.flagsOf(mfn) & FLAG.VALIDATED) {
      this.flags[mfn] = this.flagsOf(mfn) | FLAG.VALIDATED;
      this.typeCount[mfn] = 1;
      return 0;
    }
    return this.#validate(mfn, type, 0);
  }

  /** The count is taken before the contents are looked at: a table that leads back to itself meets its type. */
  #validate(mfn: number, type: PageType, next: number): number {
    this.typeCount[mfn] = 1;
    const result = this.contents?.validate(mfn, type, next) ?? -ERRNO.EINVAL;
    if (result === 0) {
      this.flags[mfn] = this.flagsOf(mfn) | FLAG.VALIDATED;
      return 0;
    }
    this.typeCount[mfn] = 0;
    if (result === ERESTART) {
      this.flags[mfn] = this.flagsOf(mfn) | FLAG.PARTIAL;
      this.refs[mfn] = (this.refs[mfn] as number) + 1;
    } else {
      this.type[mfn] = PGT.NONE;
    }
    return result;
  }

  #takePartial(mfn: number): number {
    const next = this.partialNext.get(mfn) ?? 0;
    this.partialNext.delete(mfn);
    this.flags[mfn] = this.flagsOf(mfn) & ~(FLAG.PARTIAL | FLAG.FREEING);
    return next;
  }

  #resume(mfn: number, type: PageType): number {
    const next = this.#takePartial(mfn);
    const result = this.#validate(mfn, type, next);
    // The reference of the partial state; the caller holds another one.
    this.putPage(mfn);
    return result;
  }

  /** Drops a type reference; the last one of a table gives up what the table refers to. */
  putType(mfn: number): void {
    const left = (this.typeCount[mfn] as number) - 1;
    this.typeCount[mfn] = left;
    const type = this.type[mfn] as PageType;
    if (left > 0 || type > PGT.L4) return;
    this.flags[mfn] = this.flagsOf(mfn) & ~FLAG.VALIDATED;
    if (this.work > 0) {
      this.contents?.invalidate(mfn, type, ENTRIES_PER_TABLE);
      return;
    }
    this.flags[mfn] = this.flagsOf(mfn) | FLAG.PARTIAL | FLAG.FREEING;
    this.partialNext.set(mfn, ENTRIES_PER_TABLE);
    this.refs[mfn] = (this.refs[mfn] as number) + 1;
    this.#freeing.push(mfn);
  }

  /** @returns false if the bounded work ran out before the partial table could be given up. */
  #giveUp(mfn: number): boolean {
    if (this.work <= 0) return false;
    const next = this.#takePartial(mfn);
    this.contents?.invalidate(mfn, this.type[mfn] as PageType, next);
    this.putPage(mfn);
    return true;
  }

  /** Gives up queued tables while there is work to spend. @returns true when none is left. */
  drain(): boolean {
    for (;;) {
      const mfn = this.#freeing.at(-1);
      if (mfn === undefined) return true;
      // Somebody who wanted the table took the work on.
      if (!(this.flagsOf(mfn) & FLAG.FREEING)) this.#freeing.pop();
      else if (this.work <= 0) return false;
      else {
        this.#freeing.pop();
        this.#giveUp(mfn);
      }
    }
  }

  /** MMUEXT_PIN_Ln_TABLE: one more type reference, once. */
  pin(mfn: number, type: PageType): number {
    const result = this.getPageAndType(mfn, type);
    if (result) return result;
    if (this.isPinned(mfn)) {
      this.putPageAndType(mfn);
      return this.refuse(-ERRNO.EINVAL, { kind: 'pin-state', mfn, state: 'is pinned already' });
    }
    this.flags[mfn] = this.flagsOf(mfn) | FLAG.PINNED;
    return 0;
  }

  /** MMUEXT_UNPIN_TABLE. */
  unpin(mfn: number): number {
    if (!this.refs[mfn]) return this.refuse(-ERRNO.EINVAL, { kind: 'no-frame', mfn });
    if (!this.isPinned(mfn)) {
      return this.refuse(-ERRNO.EINVAL, { kind: 'pin-state', mfn, state: 'is not pinned' });
    }
    this.flags[mfn] = this.flagsOf(mfn) & ~FLAG.PINNED;
    this.putPageAndType(mfn);
    return 0;
  }

  /** The domain gives a page up: it goes when its last mapping does. @returns false if it was given up before. */
  dropAllocation(mfn: number): boolean {
    if (!this.isAllocated(mfn)) return false;
    this.flags[mfn] = this.flagsOf(mfn) & ~FLAG.ALLOCATED;
    this.putPage(mfn);
    return true;
  }

  /** The builder's shortcut: a table known to be right, with these counts. */
  setTable(mfn: number, type: PageType, typeCount: number, pinned: boolean): void {
    this.type[mfn] = type;
    this.typeCount[mfn] = typeCount;
    this.refs[mfn] = (this.refs[mfn] as number) + typeCount;
    this.flags[mfn] = this.flagsOf(mfn) | FLAG.VALIDATED | (pinned ? FLAG.PINNED : 0);
  }

  /** The builder's shortcut: one more mapping of a page of the domain's own, which has no other type. */
  addMapping(mfn: number, writable: boolean): void {
    this.refs[mfn] = (this.refs[mfn] as number) + 1;
    if (!writable) return;
    this.type[mfn] = PGT.WRITABLE;
    this.typeCount[mfn] = (this.typeCount[mfn] as number) + 1;
    this.flags[mfn] = this.flagsOf(mfn) | FLAG.VALIDATED;
  }
}
