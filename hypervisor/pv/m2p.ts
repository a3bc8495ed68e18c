/**
 * The machine-to-physical table of one domain: MFN to PFN, 8 bytes an entry, in frames of the hypervisor's that the guest
 * reads at 0xFFFF8000_00000000. A page of it is made when its first entry is set; before that all of it reads as invalid.
 */

import type { FramePool } from '../common/frame-pool.js';
import { PAGE_SIZE } from '../machine/layout.js';
import type { Ram } from '../machine/ram.js';
import type { Frame } from '../machine/types.js';

const ENTRIES_PER_PAGE = PAGE_SIZE / 8;
/** INVALID_M2P_ENTRY: nobody's frame. */
const INVALID = 0xffff_ffff;
const INVALID_PAGE = new Uint8Array(PAGE_SIZE).fill(0xff);
/** PFNs are at most this; larger ones are kept as invalid. */
const MAX_PFN = 0xf_ffff_ffff_ffff;

export class M2p {
  readonly #ram: Ram;
  readonly #pool: FramePool;
  readonly #pages: (Frame | undefined)[];
  readonly #invalidPage: Frame;

  /** @param invalidPage a frame of all ones, shared by all domains. */
  constructor(ram: Ram, pool: FramePool, capacity: number, invalidPage: Frame) {
    this.#ram = ram;
    this.#pool = pool;
    this.#pages = new Array(Math.ceil(capacity / ENTRIES_PER_PAGE)).fill(undefined);
    this.#invalidPage = invalidPage;
  }

  /** Host frames that a table for so many MFNs can take. */
  static framesNeeded(capacity: number): number {
    return Math.ceil(capacity / ENTRIES_PER_PAGE);
  }

  /** @returns false if the host has no frame for the table. */
  set(mfn: number, pfn: number): boolean {
    const page = this.#ownPage(Math.floor(mfn / ENTRIES_PER_PAGE));
    if (page === undefined) return false;
    const at = page * (PAGE_SIZE / 4) + (mfn % ENTRIES_PER_PAGE) * 2;
    const valid = pfn >= 0 && pfn <= MAX_PFN;
    this.#ram.u32[at] = valid ? pfn >>> 0 : INVALID;
    this.#ram.u32[at + 1] = valid ? Math.floor(pfn / 0x1_0000_0000) : INVALID;
    return true;
  }

  /** Marks an MFN as nobody's. */
  clear(mfn: number): void {
    if (this.#pages[Math.floor(mfn / ENTRIES_PER_PAGE)] !== undefined) this.set(mfn, -1);
  }

  /** @returns the PFN of an MFN, undefined if it has none. */
  get(mfn: number): number | undefined {
    const page = this.#pages[Math.floor(mfn / ENTRIES_PER_PAGE)];
    if (page === undefined) return undefined;
    const at = page * (PAGE_SIZE / 4) + (mfn % ENTRIES_PER_PAGE) * 2;
    const high = this.#ram.u32[at + 1] ?? INVALID;
    return high === INVALID ? undefined : high * 0x1_0000_0000 + (this.#ram.u32[at] ?? 0);
  }

  /** @returns the byte address of the page that holds byte `offset` of the table; past its end all is invalid. */
  pageAddress(offset: number): number {
    const index = Math.floor(offset / PAGE_SIZE);
    return (this.#pages[index] ?? this.#invalidPage) * PAGE_SIZE;
  }

  destroy(): void {
    for (const page of this.#pages) if (page !== undefined) this.#pool.release(page);
    this.#pages.length = 0;
  }

  #ownPage(index: number): Frame | undefined {
    const known = this.#pages[index];
    if (known !== undefined || index >= this.#pages.length) return known;
    const page = this.#pool.allocate();
    if (page === undefined) return undefined;
    this.#ram.frameBytes(page).set(INVALID_PAGE);
    this.#pages[index] = page;
    return page;
  }
}
