/**
 * Entries of a grant table in the frames that Xen shares with the guest, in either version. Spec: grant_table.h.
 *
 *   version 1   flags u16 | domid u16 | frame u32                                    512 in a frame; use is shown in flags
 *   version 2   flags u16 | domid u16 | page_off, length u16 (sub-page) | frame u64  256 in a frame; use is shown in a u16
 *               flags u16 | domid u16 | trans_domid u16 | - | gref u32 (transitive)  of the status frames, 2048 in each
 */

import { PAGE_SIZE } from '../machine/layout.js';
import type { Ram } from '../machine/ram.js';
import type { Frame, Mfn } from '../machine/types.js';
import { GTF, grantEntryV1, grantEntryV2 } from '../public/grant-table.js';

export type GrantVersion = 1 | 2;

export interface SharedPage {
  readonly mfn: Mfn;
  readonly frame: Frame;
}

/** An entry as the guest wrote it. */
export interface GrantEntry {
  readonly flags: number;
  /** Who may use it. */
  readonly domid: number;
  /** MFN granted. */
  readonly frame: number;
  /** The bytes of the page that are granted. */
  readonly offset: number;
  readonly length: number;
  /** TRANSITIVE: the grant that stands behind this one. */
  readonly target: { readonly domid: number; readonly ref: number };
}

const STATUS_SIZE = 2;
const IN_USE = GTF.READING | GTF.WRITING;
const NO_TARGET = { domid: 0, ref: 0 } as const;

export class GrantEntries {
  version: GrantVersion = 1;
  readonly frames: SharedPage[] = [];
  readonly statusFrames: SharedPage[] = [];
  readonly #ram: Ram;

  constructor(ram: Ram) {
    this.#ram = ram;
  }

  /** Status frames that so many frames of version 2 need. */
  static statusFramesFor(frames: number): number {
    return Math.ceil(((frames * PAGE_SIZE) / grantEntryV2.size) * (STATUS_SIZE / PAGE_SIZE));
  }

  /** References run from 0 to count - 1. */
  get count(): number {
    return (this.frames.length * PAGE_SIZE) / this.#size;
  }

  get #size(): number {
    return this.version === 1 ? grantEntryV1.size : grantEntryV2.size;
  }

  /** @returns undefined for a reference beyond the table. */
  read(ref: number): GrantEntry | undefined {
    const at = this.#at(ref);
    if (at === undefined) return undefined;
    const { view } = this.#ram;
    if (this.version === 1) {
      const { flags, domid, frame } = grantEntryV1.decode(view, at);
      return { flags, domid, frame, offset: 0, length: PAGE_SIZE, target: NO_TARGET };
    }
    const { flags, domid, first, second, frame } = grantEntryV2.decode(view, at);
    const isPart = (flags & GTF.SUB_PAGE) !== 0;
    const ref2 = view.getUint32(at + grantEntryV2.offset.frame, true);
    return {
      flags,
      domid,
      frame: Number(frame),
      offset: isPart ? first : 0,
      length: isPart ? second : PAGE_SIZE,
      target: { domid: first, ref: ref2 },
    };
  }

  /** Writes a grant of a whole page. */
  write(ref: number, flags: number, domid: number, mfn: number): void {
    const at = this.#at(ref);
    if (at === undefined) return;
    const { view } = this.#ram;
    if (this.version === 1) grantEntryV1.encode(view, at, { flags, domid, frame: mfn });
    else {
      grantEntryV2.encode(view, at, { flags: flags & ~IN_USE, domid, frame: BigInt(mfn) });
      this.show(ref, flags & IN_USE);
    }
  }

  /** Sets flags of an entry. */
  setFlags(ref: number, flags: number): void {
    const at = this.#at(ref);
    if (at !== undefined) Atomics.or(this.#ram.u16, at >>> 1, flags);
  }

  /** Writes the frame of an entry. */
  setFrame(ref: number, mfn: number): void {
    const at = this.#at(ref);
    if (at === undefined) return;
    if (this.version === 1) grantEntryV1.encode(this.#ram.view, at, { frame: mfn });
    else grantEntryV2.encode(this.#ram.view, at, { frame: BigInt(mfn) });
  }

  /** Shows the guest that the entry is in use for reading, writing or both. */
  show(ref: number, use: number): void {
    const at = this.#useWord(ref);
    if (at !== undefined) Atomics.or(this.#ram.u16, at, use);
  }

  /** Shows that it no longer is. */
  hide(ref: number, use: number): void {
    const at = this.#useWord(ref);
    if (at !== undefined) Atomics.and(this.#ram.u16, at, ~use);
  }

  /** Exchanges two entries. */
  swap(a: number, b: number): void {
    swapBytes(this.#ram.u8, this.#at(a), this.#at(b), this.#size);
    if (this.version === 1) return;
    const [first, second] = [this.#useWord(a), this.#useWord(b)];
    if (first === undefined || second === undefined) return;
    swapBytes(this.#ram.u8, first * STATUS_SIZE, second * STATUS_SIZE, STATUS_SIZE);
  }

  /** The same table in another version: empty but for the first references, which the toolstack filled in. */
  convert(version: GrantVersion, kept: number): void {
    const entries = Array.from({ length: kept }, (_, ref) => this.#whole(ref));
    for (const { frame } of this.frames) this.#ram.zeroFrame(frame);
    for (const { frame } of this.statusFrames) this.#ram.zeroFrame(frame);
    this.version = version;
    for (const [ref, { flags, domid, frame }] of entries.entries()) {
      this.write(ref, flags, domid, frame);
    }
  }

  /** An entry as version 1 has it; nothing if it could not be kept there. */
  #whole(ref: number): Pick<GrantEntry, 'flags' | 'domid' | 'frame'> {
    const entry = this.read(ref);
    const plain = GTF.TYPE_MASK | GTF.SUB_PAGE;
    if (!entry || (entry.flags & plain) !== GTF.PERMIT_ACCESS) {
      return { flags: GTF.INVALID, domid: 0, frame: 0 };
    }
    const at = this.#useWord(ref);
    const use = at === undefined ? 0 : (this.#ram.u16[at] ?? 0) & IN_USE;
    return { flags: (entry.flags & ~IN_USE) | use, domid: entry.domid, frame: entry.frame };
  }

  /** Index in ram.u16 of the word that shows use. */
  #useWord(ref: number): number | undefined {
    if (this.version === 1) {
      const at = this.#at(ref);
      return at === undefined ? undefined : at >>> 1;
    }
    const at = addressIn(this.statusFrames, ref, STATUS_SIZE);
    return at === undefined ? undefined : at / STATUS_SIZE;
  }

  #at(ref: number): number | undefined {
    return addressIn(this.frames, ref, this.#size);
  }
}

/** Address of element n of an array that lies in these frames. */
function addressIn(frames: readonly SharedPage[], n: number, size: number): number | undefined {
  const perFrame = PAGE_SIZE / size;
  const page = frames[Math.floor(n / perFrame)];
  return page && page.frame * PAGE_SIZE + (n % perFrame) * size;
}

function swapBytes(
  bytes: Uint8Array,
  first: number | undefined,
  second: number | undefined,
  size: number,
): void {
  if (first === undefined || second === undefined) return;
  const kept = bytes.slice(first, first + size);
  bytes.copyWithin(first, second, second + size);
  bytes.set(kept, second);
}
