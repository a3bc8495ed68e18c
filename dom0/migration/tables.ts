/** Frame numbers in a page table: each present entry's is replaced by what a lookup gives. Spec: Intel SDM vol. 3, 4.5. */

import { viewOf } from './stream.js';

const PRESENT = 1n;
const FRAME_MASK = 0x000f_ffff_ffff_f000n;
const ENTRIES = 512;
/** Slots of a top-level table that are Xen's: 0xFFFF8000_00000000 to 0xFFFF8800_00000000. */
const XEN_SLOTS = { FIRST: 256, END: 272 } as const;

/**
 * Rewrites a table in place.
 * @param level 1 to 4.
 * @param lookup the new frame number, undefined if there is none.
 * @returns the frame number that has none, undefined if all went well.
 */
export function mapTable(
  table: Uint8Array,
  level: number,
  lookup: (frame: number) => number | undefined,
): number | undefined {
  const view = viewOf(table);
  for (let slot = 0; slot < ENTRIES; slot++) {
    const entry = view.getBigUint64(slot * 8, true);
    if (level === 4 && slot >= XEN_SLOTS.FIRST && slot < XEN_SLOTS.END) {
      view.setBigUint64(slot * 8, 0n, true);
      continue;
    }
    if ((entry & PRESENT) === 0n) continue;
    const frame = Number((entry & FRAME_MASK) >> 12n);
    const mapped = lookup(frame);
    if (mapped === undefined) return frame;
    view.setBigUint64(slot * 8, (entry & ~FRAME_MASK) | (BigInt(mapped) << 12n), true);
  }
  return undefined;
}

/** The frame that one entry of a table leads to, undefined if it is not present. */
export function frameAt(table: Uint8Array, slot: number): number | undefined {
  const entry = viewOf(table).getBigUint64(slot * 8, true);
  return (entry & PRESENT) === 0n ? undefined : Number((entry & FRAME_MASK) >> 12n);
}
