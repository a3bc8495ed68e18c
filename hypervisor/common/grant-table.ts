/**
 * Grant table, version 1: what a domain lets others map or copy. The guest writes entries into frames it shares with Xen;
 * Xen pins an entry while it is used and shows that to the guest by GTF_reading and GTF_writing. Spec: grant_table.h.
 */

import { PAGE_SHIFT } from '../machine/layout.js';
import type { Ram } from '../machine/ram.js';
import { asMfn, type DomId, type Frame, type HostAddr, type Mfn } from '../machine/types.js';
import {
  GNTST,
  GRANTS_PER_FRAME,
  type GrantStatus,
  GTF,
  grantEntryV1,
} from '../public/grant-table.js';
import { Maptrack } from './maptrack.js';

/** What a grant table needs of its domain. */
export interface GrantOwner {
  readonly id: DomId;
  allocateXenPage(): { mfn: Mfn; frame: Frame } | undefined;
  /** The frame behind an MFN that is the domain's own memory, undefined for any other MFN. */
  ownFrame(mfn: Mfn): Frame | undefined;
  /** Takes a reference (a writable one also the type writable). @returns false if the page does not allow it. */
  takeReference(mfn: Mfn, writable: boolean): boolean;
  dropReference(mfn: Mfn, writable: boolean): void;
}

/** An entry in use. */
interface Active {
  /** Who uses it: the entry cannot serve two domains at once. */
  readonly grantee: DomId;
  readonly mfn: Mfn;
  readonly frame: Frame;
  readers: number;
  writers: number;
}

/** What `acquire` gives: the frame, or why not. */
export type Acquired =
  | { readonly status: typeof GNTST.okay; readonly frame: Frame }
  | { readonly status: Exclude<GrantStatus, 0>; readonly why: string };

const refused = (status: Exclude<GrantStatus, 0>, why: string): Acquired => ({ status, why });

export class GrantTable {
  readonly maxFrames: number;
  /** What this domain has mapped of others. */
  readonly maptrack: Maptrack;
  readonly #owner: GrantOwner;
  readonly #ram: Ram;
  readonly #frames: { mfn: Mfn; frame: Frame }[] = [];
  readonly #active = new Map<number, Active>();
  #isDead = false;

  /** Begins with one frame, if the limit allows one. */
  constructor(owner: GrantOwner, ram: Ram, maxFrames: number, maxMaptrackFrames: number) {
    this.#owner = owner;
    this.#ram = ram;
    this.maxFrames = maxFrames;
    this.maptrack = new Maptrack(maxMaptrackFrames);
    this.grow(Math.min(1, maxFrames));
  }

  /** The table's frames, as the guest sees them. */
  get frames(): readonly { readonly mfn: Mfn; readonly frame: Frame }[] {
    return this.#frames;
  }

  /** Entries that somebody uses at the moment. */
  get active(): number {
    return this.#active.size;
  }

  /** Makes the table at least so large. @returns false if it may not or cannot be. */
  grow(frames: number): boolean {
    if (frames > this.maxFrames) return false;
    while (this.#frames.length < frames) {
      const page = this.#owner.allocateXenPage();
      if (!page) return false;
      this.#frames.push(page);
    }
    return true;
  }

  /** Writes an entry on the guest's behalf, as the toolstack does for the reserved references. */
  seed(ref: number, domid: DomId, mfn: Mfn): void {
    const at = this.#entryAddress(ref);
    if (at === undefined) return;
    const values = { flags: GTF.PERMIT_ACCESS, domid, frame: mfn };
    grantEntryV1.encode(this.#ram.view, at, values);
  }

  /**
   * Pins an entry for a use by `grantee`.
   *   okay           the frame; `release` must follow
   *   bad_gntref     no such entry
   *   general_error  not granted, not to this domain, or read-only and wanted for writing
   *   bad_page       the MFN in it is not the domain's memory, or its type does not allow the access
   */
  acquire(ref: number, grantee: DomId, write: boolean): Acquired {
    const at = this.#isDead ? undefined : this.#entryAddress(ref);
    if (at === undefined)
      return refused(GNTST.bad_gntref, `d${this.#owner.id} has no grant ${ref}`);
    const entry = grantEntryV1.decode(this.#ram.view, at);
    const denied = this.#denial(ref, entry.flags, entry.domid, grantee, write);
    if (denied !== undefined) return refused(GNTST.general_error, denied);
    const active = this.#active.get(ref) ?? this.#activate(grantee, asMfn(entry.frame));
    if (!active) {
      return refused(
        GNTST.bad_page,
        `grant ${ref}: MFN ${entry.frame} is not memory of d${this.#owner.id}`,
      );
    }
    if (!this.#owner.takeReference(active.mfn, write)) {
      return refused(
        GNTST.bad_page,
        `grant ${ref}: the type of MFN ${active.mfn} does not allow it`,
      );
    }
    this.#active.set(ref, active);
    if (write) active.writers++;
    else active.readers++;
    Atomics.or(this.#ram.u16, at >>> 1, write ? GTF.READING | GTF.WRITING : GTF.READING);
    return { status: GNTST.okay, frame: active.frame };
  }

  /** Ends one use. After the domain's death only the frame's holders matter, so nothing happens. */
  release(ref: number, write: boolean): void {
    const active = this.#isDead ? undefined : this.#active.get(ref);
    const at = this.#entryAddress(ref);
    if (!active || at === undefined) return;
    if (write) active.writers--;
    else active.readers--;
    this.#owner.dropReference(active.mfn, write);
    if (active.writers === 0) Atomics.and(this.#ram.u16, at >>> 1, ~GTF.WRITING);
    if (active.writers + active.readers > 0) return;
    Atomics.and(this.#ram.u16, at >>> 1, ~GTF.READING);
    this.#active.delete(ref);
  }

  /** GNTTABOP_swap_grant_ref: exchanges two entries that nobody uses. */
  swap(a: number, b: number): GrantStatus {
    const first = this.#entryAddress(a);
    const second = this.#entryAddress(b);
    if (first === undefined || second === undefined) return GNTST.bad_gntref;
    if (this.#active.has(a) || this.#active.has(b)) return GNTST.eagain;
    const { u8 } = this.#ram;
    const kept = u8.slice(first, first + grantEntryV1.size);
    u8.copyWithin(first, second, second + grantEntryV1.size);
    u8.set(kept, second);
    return GNTST.okay;
  }

  /** One line for each entry in use, for GNTTABOP_dump_table. */
  describe(): string[] {
    return [...this.#active].map(
      ([ref, { mfn, grantee, readers, writers }]) =>
        `d${this.#owner.id} grant ${ref}: mfn ${mfn} to d${grantee}, ${readers} reading, ${writers} writing`,
    );
  }

  /** The domain dies. Its mappings of others end; frames that others have mapped stay until they unmap them. */
  destroy(): void {
    this.maptrack.destroy();
    this.#isDead = true;
    this.#active.clear();
    this.#frames.length = 0;
  }

  /** Why an entry may not be used, undefined if it may. */
  #denial(ref: number, flags: number, domid: number, grantee: DomId, write: boolean) {
    if ((flags & GTF.TYPE_MASK) !== GTF.PERMIT_ACCESS || flags & GTF.SUB_PAGE) {
      return `grant ${ref}: flags ${flags} do not permit access`;
    }
    const user = this.#active.get(ref)?.grantee ?? domid;
    if (domid !== grantee || user !== grantee)
      return `grant ${ref} is for d${domid}, not d${grantee}`;
    if (write && flags & GTF.READONLY) return `grant ${ref} is read-only`;
    return undefined;
  }

  #activate(grantee: DomId, mfn: Mfn): Active | undefined {
    const frame = this.#owner.ownFrame(mfn);
    return frame === undefined ? undefined : { grantee, mfn, frame, readers: 0, writers: 0 };
  }

  #entryAddress(ref: number): HostAddr | undefined {
    const page = this.#frames[Math.floor(ref / GRANTS_PER_FRAME)];
    if (page === undefined) return undefined;
    const offset = (ref % GRANTS_PER_FRAME) * grantEntryV1.size;
    return (page.frame * 2 ** PAGE_SHIFT + offset) as HostAddr;
  }
}
