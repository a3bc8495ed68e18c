/**
 * Page-table entries as two 32-bit halves: bits, levels, and what Xen changes in an entry before the processor sees it.
 *
 *   hi: 31 NX · 30-20 available · 19-0 frame 39-20      lo: 31-12 frame 19-0 · 11-9 available · 8-0 flags
 *
 * Spec: SDM 3A §4.5.4; xen-abi §1.5 "64-bit fix-ups on write".
 */

/** Flags in the low half. */
// biome-ignore format: one row per flag
export const PTE = {
  PRESENT:  0x001,
  RW:       0x002,
  USER:     0x004,
  PWT:      0x008,
  PCD:      0x010,
  ACCESSED: 0x020,
  DIRTY:    0x040,
  PAT:      0x080, // level 1
  PSE:      0x080, // levels 2 and 3: a large page
  GLOBAL:   0x100,
} as const;

/** Flags in the high half. */
// biome-ignore format: one row per flag
export const PTE_HIGH = {
  GUEST_KERNEL: 0x0010_0000, // bit 52: the guest meant this page for its kernel, though USER is set
  GNTTAB:       0x4000_0000, // bit 62: Xen's mark of a granted page
  NX:           0x8000_0000,
} as const;

/** What a guest may not ask for: cache attributes (it has no devices), large pages, GLOBAL above level 1. */
export const L1_DISALLOW_LOW = PTE.PWT | PTE.PCD | PTE.PAT;
export const L1_DISALLOW_HIGH = PTE_HIGH.GNTTAB;
export const TABLE_DISALLOW_LOW = PTE.PWT | PTE.PCD | PTE.PSE | PTE.GLOBAL;

/** Flags whose change needs no new look at the frame that an entry points to. */
const SAME_FRAME_LOW = 0xfff & ~(PTE.PRESENT | PTE.RW | PTE.PWT | PTE.PCD | PTE.PAT);

export const ENTRIES_PER_TABLE = 512;
export const ENTRY_SIZE = 8;
const FRAME_HIGH = 0x000f_ffff;

/** The MFN in an entry: 40 bits, so it may exceed what a domain can have. */
export const pteMfn = (lo: number, hi: number): number =>
  (hi & FRAME_HIGH) * 0x10_0000 + (lo >>> 12);

/** The low half of an entry for this MFN. */
export const pteLow = (mfn: number, flags: number): number => ((mfn << 12) | flags) >>> 0;
/** The high half of an entry for this MFN. */
export const pteHigh = (mfn: number, flags = 0): number => ((mfn >>> 20) | flags) >>> 0;

/** @returns true if two present entries differ in nothing that counts: same frame, same rights. */
export function sameMapping(lo: number, hi: number, newLo: number, newHi: number): boolean {
  return (
    ((lo ^ newLo) & ~SAME_FRAME_LOW) === 0 && ((hi ^ newHi) & (FRAME_HIGH | PTE_HIGH.GNTTAB)) === 0
  );
}

/**
 * Level 1: a page that is not the user's gets GUEST_KERNEL and USER, because a 64-bit kernel runs in ring 3 as well;
 * a page of the user gets GLOBAL. The guest reads back what is stored.
 */
export function fixL1Low(lo: number, hi: number): number {
  if (!(lo & PTE.PRESENT)) return lo;
  if (!(lo & PTE.USER)) return lo | PTE.USER;
  return hi & PTE_HIGH.GUEST_KERNEL ? lo : lo | PTE.GLOBAL;
}

export function fixL1High(lo: number, hi: number): number {
  return (lo & (PTE.PRESENT | PTE.USER)) === PTE.PRESENT ? hi | PTE_HIGH.GUEST_KERNEL : hi;
}

/** Levels 2 to 4 always get USER. */
export const fixTableLow = (lo: number): number => (lo & PTE.PRESENT ? lo | PTE.USER : lo);

/** Slot of a virtual address in a table of this level (1 to 4). */
export function tableSlot(va: number, level: number): number {
  // Addresses are signed 48-bit numbers: division keeps what shifts of 32 bits would lose.
  return Math.floor(va / LEVEL_SPAN[level as 1 | 2 | 3 | 4]) & (ENTRIES_PER_TABLE - 1);
}

/** Bytes that one entry of a level maps. */
export const LEVEL_SPAN = { 1: 2 ** 12, 2: 2 ** 21, 3: 2 ** 30, 4: 2 ** 39 } as const;

/** An entry as Xen's log prints it: 16 hex digits. */
export const pteText = (lo: number, hi: number): string =>
  (hi >>> 0).toString(16).padStart(8, '0') + (lo >>> 0).toString(16).padStart(8, '0');
