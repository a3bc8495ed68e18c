/** What a page is and its PFN in one word, as PAGE_DATA has it: type in bits 63-60, PFN in bits 51-0. Spec: domctl.h, PFINFO. */

export const PAGE_SHIFT = 12;
export const PAGE_SIZE = 1 << PAGE_SHIFT;

// biome-ignore format: one row per type
export const PFINFO = {
  NOTAB:  0x0,
  L1TAB:  0x1,
  L4TAB:  0x4,
  PINNED: 0x8, // with the type of a table
  BROKEN: 0xd, // from here on without contents
  XALLOC: 0xe,
  XTAB:   0xf,
} as const;

const TYPE_SHIFT = 60n;
const PFN_MASK = (1n << 52n) - 1n;

export const pageInfo = (type: number, pfn: number): bigint =>
  (BigInt(type) << TYPE_SHIFT) | BigInt(pfn);
export const pfnOf = (info: bigint): number => Number(info & PFN_MASK);
export const typeOf = (info: bigint): number => Number(info >> TYPE_SHIFT);

/** @returns 1 to 4 for a page table, 0 for another page. */
export function tableLevel(type: number): number {
  const level = type & ~PFINFO.PINNED;
  return level >= PFINFO.L1TAB && level <= PFINFO.L4TAB ? level : 0;
}

export const hasContents = (type: number): boolean => type < PFINFO.BROKEN;
