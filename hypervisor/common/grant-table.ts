/**
 * Grant table: what a domain lets others map or copy. The guest writes entries into frames it shares with Xen (grant-entries.ts
 * knows both versions of them); Xen pins an entry while it is used and shows the guest that it does. Spec: grant_table.h.
 */

import type { Ram } from '../machine/ram.js';
import { asMfn, type DomId, type Frame, type Mfn } from '../machine/types.js';
import { ERRNO } from '../public/errno.js';
import { GNTST, GNTTAB_NR_RESERVED_ENTRIES, type GrantStatus, GTF } from '../public/grant-table.js';
import {
  GrantEntries,
  type GrantEntry,
  type GrantVersion,
  type SharedPage,
} from './grant-entries.js';
import { Maptrack } from './maptrack.js';
import { type Figure, inWords } from './words.js';

/** What a grant table needs of its domain. */
export interface GrantOwner {
  readonly id: DomId;
  allocateXenPage(): { mfn: Mfn; frame: Frame } | undefined;
  /** @returns whether nobody has the page mapped. */
  isIdlePage(mfn: Mfn): boolean;
  /** Takes a page back that was allocated so. */
  releasePage(mfn: Mfn): void;
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
  | { readonly status: typeof GNTST.okay; readonly frame: Frame; readonly mfn: Mfn }
  | Refused;

/** What is held for a copy: the bytes of the frame that may be used, until `release`. */
export interface Held {
  readonly status: typeof GNTST.okay;
  readonly frame: Frame;
  readonly offset: number;
  readonly length: number;
  release(): void;
}

class Refused {
  readonly status: Exclude<GrantStatus, 0>;
  readonly #format: string;
  readonly #figures: readonly Figure[];

  constructor(status: Exclude<GrantStatus, 0>, format: string, figures: readonly Figure[]) {
    this.status = status;
    this.#format = format;
    this.#figures = figures;
  }

  /** The rule that was broken, and the figures. */
  get why(): string {
    return inWords(this.#format, this.#figures);
  }
}

const refused = (status: Exclude<GrantStatus, 0>, format: string, ...figures: Figure[]): Refused =>
  new Refused(status, format, figures);

export class GrantTable {
  readonly maxFrames: number;
  /** What this domain has mapped of others. */
  readonly maptrack: Maptrack;
  readonly #owner: GrantOwner;
  readonly #entries: GrantEntries;
  readonly #active = new Map<number, Active>();
  #isDead = false;

  /** Begins with one frame, if the limit allows one. */
  constructor(owner: GrantOwner, ram: Ram, maxFrames: number, maxMaptrackFrames: number) {
    this.#owner = owner;
    this.#entries = new GrantEntries(ram);
    this.maxFrames = maxFrames;
    this.maptrack = new Maptrack(maxMaptrackFrames);
    this.grow(Math.min(1, maxFrames));
  }

  /** The table's frames, as the guest sees them. */
  get frames(): readonly SharedPage[] {
    return this.#entries.frames;
  }

  /** Version 2: the frames that show which entries are in use. */
  get statusFrames(): readonly SharedPage[] {
    return this.#entries.statusFrames;
  }

  get version(): GrantVersion {
    return this.#entries.version;
  }

  /** Entries that somebody uses at the moment. */
  get active(): number {
    return this.#active.size;
  }

  /** Makes the table at least so large. @returns false if it may not or cannot be. */
  grow(frames: number): boolean {
    if (frames > this.maxFrames) return false;
    if (!this.#extend(this.#entries.frames, frames)) return false;
    return this.version === 1 || this.#addStatusFrames();
  }

  /**
   * Switches to another version. All grants are forgotten but those that the toolstack made.
   *   -EBUSY    a grant that the guest made is in use, or a status frame that would go is mapped
   *   -ENOMEM   there are no frames for the status
   */
  setVersion(version: GrantVersion): number {
    if (version === this.version) return 0;
    for (const ref of this.#active.keys()) {
      if (ref >= GNTTAB_NR_RESERVED_ENTRIES) return -ERRNO.EBUSY;
    }
    const { statusFrames } = this.#entries;
    if (version === 2 && !this.#addStatusFrames()) return -ERRNO.ENOMEM;
    if (version === 1 && statusFrames.some(({ mfn }) => !this.#owner.isIdlePage(mfn))) {
      return -ERRNO.EBUSY;
    }
    this.#entries.convert(version, GNTTAB_NR_RESERVED_ENTRIES);
    if (version === 1) for (const { mfn } of statusFrames.splice(0)) this.#owner.releasePage(mfn);
    return 0;
  }

  /** Writes an entry on the guest's behalf, as the toolstack does for the reserved references. */
  seed(ref: number, domid: DomId, mfn: Mfn): void {
    this.#entries.write(ref, GTF.PERMIT_ACCESS, domid, mfn);
  }

  /**
   * Pins an entry for a use by `grantee`.
   *   okay           the frame; `release` must follow
   *   bad_gntref     no such entry
   *   general_error  not granted, not to this domain, or read-only and wanted for writing
   *   bad_page       the MFN in it is not the domain's memory, or its type does not allow the access
   */
  acquire(ref: number, grantee: DomId, write: boolean): Acquired {
    const entry = this.#read(ref);
    if (!entry) return this.#noSuchGrant(ref);
    if (entry.flags & GTF.SUB_PAGE) {
      return refused(GNTST.general_error, 'grant %d is part of a page: it cannot be mapped', ref);
    }
    return this.#use(ref, entry, grantee, write);
  }

  /**
   * As acquire, for a copy, which may use part of a page and, by `tables`, the grant behind a transitive one.
   * @param tables the grant tables of other domains; absent for the grant behind another.
   */
  acquireForCopy(
    ref: number,
    grantee: DomId,
    write: boolean,
    tables?: (domid: number) => GrantTable | undefined,
  ): Held | Refused {
    const entry = this.#read(ref);
    if (!entry) return this.#noSuchGrant(ref);
    if (this.version === 2 && (entry.flags & GTF.TYPE_MASK) === GTF.TRANSITIVE) {
      return this.#follow(ref, entry, grantee, write, tables);
    }
    const grant = this.#use(ref, entry, grantee, write);
    if (grant.status !== GNTST.okay) return grant;
    const { offset, length } = entry;
    return { ...grant, offset, length, release: () => this.release(ref, write) };
  }

  /** Ends one use. After the domain's death only the frame's holders matter, so nothing happens. */
  release(ref: number, write: boolean): void {
    const active = this.#isDead ? undefined : this.#active.get(ref);
    if (!active) return;
    if (write) active.writers--;
    else active.readers--;
    this.#owner.dropReference(active.mfn, write);
    if (active.writers === 0) this.#entries.hide(ref, GTF.WRITING);
    if (active.writers + active.readers > 0) return;
    this.#entries.hide(ref, GTF.READING);
    this.#active.delete(ref);
  }

  /** GNTTABOP_swap_grant_ref: exchanges two entries that nobody uses. */
  swap(a: number, b: number): GrantStatus {
    if (!this.#read(a) || !this.#read(b)) return GNTST.bad_gntref;
    if (this.#active.has(a) || this.#active.has(b)) return GNTST.eagain;
    this.#entries.swap(a, b);
    return GNTST.okay;
  }

  /**
   * Commits an entry that accepts a page from `giver`, for GNTTABOP_transfer.
   * @returns the MFN or PFN that the guest wrote there; undefined if it does not accept one from that domain.
   */
  acceptTransfer(ref: number, giver: DomId): number | undefined {
    const entry = this.#read(ref);
    if (entry?.flags !== GTF.ACCEPT_TRANSFER || entry.domid !== giver) return undefined;
    this.#entries.setFlags(ref, GTF.TRANSFER_COMMITTED);
    return entry.frame;
  }

  /** The page has come: the guest finds its MFN in the entry. */
  completeTransfer(ref: number, mfn: Mfn): void {
    this.#entries.setFrame(ref, mfn);
    this.#entries.setFlags(ref, GTF.TRANSFER_COMPLETED);
  }

  /** One line for each entry in use, for GNTTABOP_dump_table. */
  describe(): string[] {
    return [...this.#active].map(
      ([ref, { mfn, grantee, readers, writers }]) =>
        `d${this.#owner.id} grant ${ref}: mfn ${mfn} to d${grantee}, ${readers} reading, ${writers} writing`,
    );
  }

  /** Uses of a page by other domains, as holders of its references. */
  usersOf(mfn: Mfn): string[] {
    return [...this.#active]
      .filter(([, active]) => active.mfn === mfn)
      .map(([ref, { grantee, readers, writers }]) =>
        inWords('grant %d to d%d (%d reading, %d writing)', [ref, grantee, readers, writers]),
      );
  }

  /** Whose table it is. */
  get domid(): DomId {
    return this.#owner.id;
  }

  /** The domain dies. Its mappings of others end; frames that others have mapped stay until they unmap them. */
  destroy(): void {
    this.maptrack.destroy();
    this.#isDead = true;
    this.#active.clear();
    this.#entries.frames.length = 0;
    this.#entries.statusFrames.length = 0;
  }

  /** Pins an entry that grants a page of the owner's. */
  #use(ref: number, entry: GrantEntry, grantee: DomId, write: boolean): Acquired {
    const denied = this.#denial(ref, entry, grantee, write);
    if (denied) return denied;
    const active = this.#active.get(ref) ?? this.#activate(grantee, asMfn(entry.frame));
    if (!active) {
      const rule = 'grant %d: mfn %x is not memory of d%d';
      return refused(GNTST.bad_page, rule, ref, entry.frame, this.#owner.id);
    }
    if (!this.#owner.takeReference(active.mfn, write)) {
      const rule = 'grant %d: the type of mfn %x of d%d does not allow %s';
      const access = write ? 'writing' : 'reading';
      return refused(GNTST.bad_page, rule, ref, active.mfn, this.#owner.id, access);
    }
    this.#active.set(ref, active);
    if (write) active.writers++;
    else active.readers++;
    this.#entries.show(ref, write ? GTF.READING | GTF.WRITING : GTF.READING);
    return { status: GNTST.okay, frame: active.frame, mfn: active.mfn };
  }

  /** The grant behind a transitive one, which its own domain has been given by a third. */
  #follow(
    ref: number,
    { flags, domid, target }: GrantEntry,
    grantee: DomId,
    write: boolean,
    tables: ((domid: number) => GrantTable | undefined) | undefined,
  ): Held | Refused {
    const { general_error: status } = GNTST;
    if (domid !== grantee)
      return refused(status, 'grant %d is for d%d, not d%d', ref, domid, grantee);
    if (write && flags & GTF.READONLY) return refused(status, 'grant %d is read-only', ref);
    if (!tables) return refused(status, 'grant %d is transitive, as is the one before it', ref);
    if (target.domid === this.#owner.id) {
      return refused(status, 'grant %d refers to its own domain', ref);
    }
    const table = tables(target.domid);
    if (!table) return refused(status, 'grant %d: there is no d%d behind it', ref, target.domid);
    return table.acquireForCopy(target.ref, this.#owner.id, write);
  }

  /** Why an entry may not be used, undefined if it may. */
  #denial(ref: number, { flags, domid }: GrantEntry, grantee: DomId, write: boolean) {
    const { general_error: status } = GNTST;
    if ((flags & GTF.TYPE_MASK) !== GTF.PERMIT_ACCESS) {
      return refused(status, 'grant %d: flags %d do not permit access', ref, flags);
    }
    if (domid !== grantee)
      return refused(status, 'grant %d is for d%d, not d%d', ref, domid, grantee);
    const user = this.#active.get(ref)?.grantee ?? domid;
    if (user !== grantee) return refused(status, 'grant %d is in use by d%d', ref, user);
    if (write && flags & GTF.READONLY) return refused(status, 'grant %d is read-only', ref);
    return undefined;
  }

  #activate(grantee: DomId, mfn: Mfn): Active | undefined {
    const frame = this.#owner.ownFrame(mfn);
    return frame === undefined ? undefined : { grantee, mfn, frame, readers: 0, writers: 0 };
  }

  #noSuchGrant(ref: number): Refused {
    return refused(
      GNTST.bad_gntref,
      'd%d has no grant %d: its table ends below %d',
      this.#owner.id,
      ref,
      this.#entries.count,
    );
  }

  #read(ref: number): GrantEntry | undefined {
    return this.#isDead ? undefined : this.#entries.read(ref);
  }

  #addStatusFrames(): boolean {
    const { frames, statusFrames } = this.#entries;
    return this.#extend(statusFrames, GrantEntries.statusFramesFor(frames.length));
  }

  #extend(pages: SharedPage[], count: number): boolean {
    while (pages.length < count) {
      const page = this.#owner.allocateXenPage();
      if (!page) return false;
      pages.push(page);
    }
    return true;
  }
}
