/**
 * Segment descriptors a guest may have, and Xen's own ones that every guest sees.
 *
 *   hi: 31-24 base 31-24 · 23 G · 22 D · 21 L · 15 P · 14-13 DPL · 12 S · 11-8 type      lo: 31-16 base/selector · 15-0 limit
 *
 * Spec: SDM 3A §3.4.5; xen-abi §1.6. A guest's descriptors get DPL 3: in 64-bit mode its kernel runs there too.
 */

import { FIRST_RESERVED_GDT_ENTRY, FLAT } from '../public/arch-x86.js';

export interface Descriptor {
  readonly lo: number;
  readonly hi: number;
}

/** Fields of the high half. */
// biome-ignore format: one row per field
export const DESC = {
  PRESENT:   0x0000_8000,
  DPL:       0x0000_6000,
  CODE_DATA: 0x0000_1000, // S: not a system descriptor
  TYPE:      0x0000_0f00,
  CODE:      0x0000_0800,
  LONG:      0x0020_0000, // L: 64-bit code
  DEFAULT_32: 0x0040_0000, // D: 32-bit code, or a stack with 32-bit pointer
  WRITABLE:  0x0000_0200, // data
  CALL_GATE: 0x0000_0c00,
  GATE_RESERVED: 0x0000_00ff,
} as const;

// biome-ignore format: one row per descriptor
const XEN_DESCRIPTORS: ReadonlyMap<number, Descriptor> = new Map([
  [FLAT.RING3_CS32 >>> 3, { lo: 0x0000_ffff, hi: 0x00cf_fb00 }],
  [FLAT.RING3_DS32 >>> 3, { lo: 0x0000_ffff, hi: 0x00cf_f300 }],
  [FLAT.RING3_CS64 >>> 3, { lo: 0x0000_ffff, hi: 0x00af_fb00 }],
]);

/** Descriptors per page. */
export const DESCRIPTORS_PER_PAGE = 512;

/** @returns one of Xen's own descriptors by its index in the GDT. */
export const xenDescriptor = (index: number): Descriptor | undefined => XEN_DESCRIPTORS.get(index);

/** @returns the descriptor as Xen stores it, undefined if a guest may not have it. */
export function checkDescriptor(lo: number, hi: number): Descriptor | undefined {
  if (!(hi & DESC.PRESENT)) return { lo, hi };
  const raised = (hi | DESC.DPL) >>> 0;
  if (hi & DESC.CODE_DATA) return { lo, hi: raised };
  const type = hi & DESC.TYPE;
  // Harmless, and the second half of a 64-bit call gate.
  if (type === 0) return { lo, hi: raised };
  if (type !== DESC.CALL_GATE || hi & DESC.GATE_RESERVED) return undefined;
  const selector = lo >>> 16;
  if (!isGateTarget(selector)) return undefined;
  // DPL 0 makes each use fault, so that it could be emulated; the real one is kept in the selector.
  const target = ((selector & ~3) | 3) << 16;
  return { lo: ((lo & 0xffff) | target) >>> 0, hi: (hi & ~DESC.DPL) >>> 0 };
}

/** A code selector that a gate may lead to: of the guest's own tables, or Xen's flat code segments. */
function isGateTarget(selector: number): boolean {
  const index = selector >>> 3;
  if (selector & 4 || index < FIRST_RESERVED_GDT_ENTRY) return true;
  return (selector & ~3) === (FLAT.RING3_CS64 & ~3) || (selector & ~3) === (FLAT.RING3_CS32 & ~3);
}

/** A selector whose RPL is at least the kernel's, which in 64-bit mode is 3. */
export const guestSelector = (selector: number): number => (selector | 3) & 0xffff;
