/**
 * What a 64-bit PV kernel finds when it starts: where each part lies, in pages counted from the start of its memory.
 *
 *   VIRT_BASE + pfn * 4096:
 *   | kernel image | ramdisk | P2M list | start_info | xenstore | console | page tables | boot stack | ≥ 512 KiB | to 4 MiB
 *
 * A kernel that notes MOD_START_PFN has its ramdisk behind all that, unmapped; one that notes INIT_P2M has its P2M list
 * there too, mapped at that address by page tables of its own. Spec: xen-abi §1.7; xen.h, "start of day".
 */

import { PAGE_SIZE } from '../machine/layout.js';
import { fromU64, type VirtAddr } from '../machine/types.js';
import { type ElfImage, PT } from './elf.js';
import type { GuestNotes } from './elf-notes.js';
import { type ImageError, imageError } from './image-error.js';
import { LEVEL_SPAN } from './pte.js';

/** Part of the layout: pages [pfn, pfn + pages). */
export interface Part {
  readonly pfn: number;
  readonly pages: number;
}

export interface LoadSegment {
  /** Byte offset in the file, bytes there. */
  readonly offset: number;
  readonly fileSize: number;
  /** Byte offset in the domain's memory. */
  readonly address: number;
}

export interface StartOfDay {
  readonly virtBase: VirtAddr;
  readonly entry: VirtAddr;
  readonly hypercallPage: number | undefined;
  readonly segments: readonly LoadSegment[];
  readonly ramdisk: Part;
  readonly p2m: Part;
  /** Where the P2M list is mapped. */
  readonly p2mAddress: VirtAddr;
  /** Page tables that map only the P2M list: behind it. */
  readonly p2mTables: number;
  readonly startInfo: number;
  readonly xenstore: number;
  readonly console: number;
  readonly pageTables: Part;
  readonly bootStack: number;
  /** Pages mapped from VIRT_BASE on. */
  readonly mappedPages: number;
}

const PAD_PAGES = (512 * 1024) / PAGE_SIZE;
const REGION = 4 * 1024 * 1024;
const P2M_ENTRIES_PER_PAGE = PAGE_SIZE / 8;
const pagesFor = (bytes: number): number => Math.ceil(bytes / PAGE_SIZE);

/** The image's place in pseudo-physical memory. */
interface Placement {
  readonly segments: readonly LoadSegment[];
  /** First page behind the image. */
  readonly end: number;
}

/**
 * @param memoryPages the domain has.
 * @returns where everything goes, or what does not fit or does not hold.
 */
export function planStartOfDay(
  image: ElfImage,
  notes: GuestNotes,
  memoryPages: number,
  ramdiskBytes: number,
): StartOfDay | ImageError {
  const virtBase = fromU64(notes.virtBase ?? 0n);
  if (virtBase === undefined || virtBase % PAGE_SIZE !== 0) {
    const found = notes.virtBase ?? 0n;
    return imageError('ELF note XEN_ELFNOTE_VIRT_BASE', 'a canonical, page-aligned address', found);
  }
  const offset = notes.paddrOffset ?? (notes.source === 'notes' ? 0n : (notes.virtBase ?? 0n));
  const placed = placeSegments(image, offset, memoryPages);
  if ('kind' in placed) return placed;
  const entry = checkEntry(image, notes, virtBase, placed.end);
  if (typeof entry === 'object') return entry;
  const hypercallPage = checkHypercallPage(notes, virtBase, placed.end);
  if (typeof hypercallPage === 'object') return hypercallPage;
  const layout = arrange(notes, virtBase, placed.end, memoryPages, pagesFor(ramdiskBytes));
  if ('kind' in layout) return layout;
  return { virtBase, entry, hypercallPage, segments: placed.segments, ...layout };
}

function placeSegments(
  image: ElfImage,
  paddrOffset: bigint,
  memoryPages: number,
): Placement | ImageError {
  const segments: LoadSegment[] = [];
  let end = 0;
  for (const segment of image.segments) {
    if (segment.type !== PT.LOAD || segment.memorySize === 0) continue;
    const address = segment.paddr - paddrOffset;
    if (address < 0n) {
      const expected = `at least XEN_ELFNOTE_PADDR_OFFSET = 0x${paddrOffset.toString(16)}`;
      return imageError('p_paddr', expected, segment.paddr);
    }
    if (address + BigInt(segment.memorySize) > BigInt(memoryPages * PAGE_SIZE)) {
      const found = `a segment from 0x${address.toString(16)} of ${segment.memorySize} bytes`;
      return imageError('memory', `an image within ${kib(memoryPages)}`, found);
    }
    const start = Number(address);
    segments.push({ offset: segment.offset, fileSize: segment.fileSize, address: start });
    end = Math.max(end, pagesFor(start + segment.memorySize));
  }
  if (segments.length === 0) return imageError('p_type', 'at least one PT_LOAD segment', 'none');
  return { segments, end };
}

const kib = (pages: number): string => `${(pages * PAGE_SIZE) / 1024} KiB of memory`;

function checkEntry(
  image: ElfImage,
  notes: GuestNotes,
  virtBase: VirtAddr,
  end: number,
): VirtAddr | ImageError {
  const value = notes.entry ?? image.entry;
  const entry = fromU64(value);
  if (entry !== undefined && entry >= virtBase && entry < virtBase + end * PAGE_SIZE) return entry;
  const field = notes.entry === undefined ? 'e_entry' : 'ELF note XEN_ELFNOTE_ENTRY';
  return imageError(field, 'an address within the image', value);
}

/** @returns the PFN of the hypercall page, undefined if the image wants none. */
function checkHypercallPage(
  notes: GuestNotes,
  virtBase: VirtAddr,
  end: number,
): number | undefined | ImageError {
  if (notes.hypercallPage === undefined) return undefined;
  const va = fromU64(notes.hypercallPage);
  const pfn = va === undefined ? -1 : (va - virtBase) / PAGE_SIZE;
  if (Number.isInteger(pfn) && pfn >= 0 && pfn < end) return pfn;
  const expected = 'a page-aligned address within the image';
  return imageError('ELF note XEN_ELFNOTE_HYPERCALL_PAGE', expected, notes.hypercallPage);
}

type Arrangement = Omit<StartOfDay, 'virtBase' | 'entry' | 'hypercallPage' | 'segments'>;

function arrange(
  notes: GuestNotes,
  virtBase: VirtAddr,
  imageEnd: number,
  memoryPages: number,
  ramdiskPages: number,
): Arrangement | ImageError {
  let next = imageEnd;
  const take = (pages: number): Part => {
    const part = { pfn: next, pages };
    next += pages;
    return part;
  };
  const p2mPages = Math.ceil(memoryPages / P2M_ENTRIES_PER_PAGE);
  const initP2m = separateP2m(notes, virtBase);
  const early = notes.modStartPfn ? undefined : take(ramdiskPages);
  const mapped = initP2m === undefined ? take(p2mPages) : undefined;
  const startInfo = take(1).pfn;
  const xenstore = take(1).pfn;
  const console = take(1).pfn;
  const { tables, end } = countTables(virtBase, next);
  const pageTables = take(tables);
  const bootStack = take(1).pfn;
  next = end;
  const p2m = mapped ?? take(p2mPages);
  const p2mTables = initP2m === undefined ? 0 : extraTables(virtBase, end, initP2m, p2mPages);
  take(p2mTables);
  const ramdisk = early ?? take(ramdiskPages);
  if (next > memoryPages) {
    return imageError('memory', `at least ${kib(next)}`, kib(memoryPages));
  }
  const p2mAddress = initP2m ?? ((virtBase + p2m.pfn * PAGE_SIZE) as VirtAddr);
  return {
    ...{ ramdisk, p2m, p2mAddress, p2mTables, startInfo, xenstore, console },
    ...{ pageTables, bootStack, mappedPages: end },
  };
}

/** The address at which the kernel wants its P2M list, if that can be granted (libxenguest's condition). */
function separateP2m(notes: GuestNotes, virtBase: VirtAddr): VirtAddr | undefined {
  const va = notes.initP2m === undefined ? undefined : fromU64(notes.initP2m);
  if (va === undefined || va % PAGE_SIZE !== 0) return undefined;
  // Addresses compare as unsigned: the kernel half lies above the user half.
  const unsigned = (address: number) => (address < 0 ? address + 2 ** 48 : address);
  return unsigned(va) < unsigned(virtBase) ? va : undefined;
}

/** Page tables for a region that must hold these tables too, the boot stack and the pad; and where it ends. */
function countTables(virtBase: VirtAddr, used: number): { tables: number; end: number } {
  let tables = 4;
  for (;;) {
    const needed = virtBase + (used + tables + 1 + PAD_PAGES) * PAGE_SIZE;
    const end = (Math.ceil(needed / REGION) * REGION - virtBase) / PAGE_SIZE;
    const count = 1 + levelTables(virtBase, end * PAGE_SIZE);
    if (count <= tables) return { tables, end };
    tables = count;
  }
}

/** Tables of levels 1 to 3 that map a range. */
function levelTables(start: number, bytes: number): number {
  let count = 0;
  for (const level of [2, 3, 4] as const) count += keysOf(start, bytes, level).length;
  return count;
}

/** Which entries of a level a range touches, numbered through the whole address space. */
function keysOf(start: number, bytes: number, level: 2 | 3 | 4): number[] {
  const span = LEVEL_SPAN[level];
  const first = Math.floor(start / span);
  const last = Math.floor((start + bytes - 1) / span);
  return Array.from({ length: last - first + 1 }, (_, n) => first + n);
}

/** Tables for the separate P2M list that the main region does not have anyway. */
function extraTables(virtBase: VirtAddr, end: number, p2m: VirtAddr, pages: number): number {
  let count = 0;
  for (const level of [2, 3, 4] as const) {
    const known = new Set(keysOf(virtBase, end * PAGE_SIZE, level));
    count += keysOf(p2m, pages * PAGE_SIZE, level).filter((key) => !known.has(key)).length;
  }
  return count;
}
