/**
 * What a processor keeps of its segments besides the selectors, and the mode that follows from it.
 * Spec: SDM 3A §3.4.3 (hidden parts), §3.4.5 (descriptors), §5.3 (limits); AMD APM 2 §4.12 (compatibility mode).
 *
 *   CS.L = 1           64-bit code: bases and limits count for nothing but FS and GS
 *   CS.D = 1, all flat 32-bit code as every system has it: segments are looked at for FS and GS only
 *   CS.D = 1           32-bit code with segments
 *   CS.D = 0           16-bit code with segments
 */

import type { Ram } from '../machine/ram.js';
import { SEGMENT, SLOT, selectorSlot } from './state.js';

/** Values of SLOT.MODE. */
export const MODE = { LONG: 0, FLAT: 1, SEGMENTED: 2, SEGMENTED_16: 3 } as const;
export type Mode = (typeof MODE)[keyof typeof MODE];

/** Fields of a descriptor's high word (SDM 3A §3.4.5). */
// biome-ignore format: one row per field
export const DESCRIPTOR = {
  WRITABLE:    1 << 9,  // of data; of code: readable
  CONFORMING:  1 << 10, // of code; of data: expand-down
  CODE:        1 << 11,
  NOT_SYSTEM:  1 << 12,
  DPL_SHIFT:   13,
  PRESENT:     1 << 15,
  LONG:        1 << 21,
  DEFAULT_32:  1 << 22, // D of code, B of the stack
  PAGES:       1 << 23, // the limit counts pages
} as const;

/** Fields of an entry of SLOT.SEGMENTS: an access of n bytes at an offset is good if LOW <= offset and offset + n <= END. */
// biome-ignore format: one row per field
export const ENTRY = {
  BASE:     0, // u64
  LOW:      8, // u64
  END:     16, // u64; 0 = nothing may be accessed
  WRITABLE: 24, // u32
  SIZE:     32,
} as const;

export const segmentEntry = (segment: number): number => SLOT.SEGMENTS + segment * ENTRY.SIZE;

const LIMITLESS = 0x1_0000_0000;
const WORD = 0x1_0000;
const RPL = 3;

export interface SegmentDescriptor {
  readonly lo: number;
  readonly hi: number;
}

/** The 32-bit base in a descriptor. */
export const baseOf = ({ lo, hi }: SegmentDescriptor): number =>
  ((lo >>> 16) | ((hi & 0xff) << 16) | (hi & 0xff00_0000)) >>> 0;

/** The last offset in a segment, or the last one below it that grows down. */
export function limitOf({ lo, hi }: SegmentDescriptor): number {
  const limit = ((lo & 0xffff) | (hi & 0xf_0000)) >>> 0;
  return hi & DESCRIPTOR.PAGES ? limit * 4096 + 4095 : limit;
}

export class SegmentState {
  readonly #ram: Ram;

  constructor(ram: Ram) {
    this.#ram = ram;
  }

  get mode(): Mode {
    return this.#ram.u32[SLOT.MODE / 4] as Mode;
  }

  /** 64-bit code: what the selectors of all calls and traps to a 64-bit kernel mean. */
  setLong(): void {
    this.#ram.u32[SLOT.MODE / 4] = MODE.LONG;
  }

  /**
   * Loads ES, SS, DS, FS or GS.
   * @param descriptor what the selector names, undefined for a null selector.
   * @param base false to leave the base as it is.
   */
  load(
    segment: number,
    selector: number,
    descriptor: SegmentDescriptor | undefined,
    base = true,
  ): void {
    this.#ram.u16[selectorSlot(segment) / 2] = selector;
    const isNull = (selector & ~RPL) === 0;
    this.#write(segment, isNull ? undefined : descriptor, base);
    if (segment === SEGMENT.SS && descriptor) this.#setStack(descriptor);
    if (this.mode !== MODE.LONG) this.#setMode(this.mode === MODE.SEGMENTED_16 ? 16 : 32);
  }

  /**
   * Goes to a code segment.
   * @param stack the descriptor of SS, which is looked at anew: 64-bit code had no use for it.
   */
  enter(
    selector: number,
    descriptor: SegmentDescriptor,
    stack: SegmentDescriptor | undefined,
  ): void {
    const { u16, u32 } = this.#ram;
    u16[selectorSlot(SEGMENT.CS) / 2] = selector;
    const { hi } = descriptor;
    if (hi & DESCRIPTOR.LONG) {
      u32[SLOT.MODE / 4] = MODE.LONG;
      return;
    }
    this.#write(SEGMENT.CS, descriptor, true);
    u32[(segmentEntry(SEGMENT.CS) + ENTRY.WRITABLE) / 4] = 0;
    this.#setWide(SLOT.CODE_END, limitOf(descriptor) + 1);
    this.#write(SEGMENT.SS, stack, true);
    if (stack) this.#setStack(stack);
    this.#setMode(hi & DESCRIPTOR.DEFAULT_32 ? 32 : 16);
  }

  /** May `bytes` at an offset of a segment be accessed? */
  holds(segment: number, offset: number, bytes: number, isWrite: boolean): boolean {
    const entry = segmentEntry(segment);
    if (offset < this.#wide(entry + ENTRY.LOW)) return false;
    if (offset + bytes > this.#wide(entry + ENTRY.END)) return false;
    return !isWrite || this.#ram.u32[(entry + ENTRY.WRITABLE) / 4] !== 0;
  }

  baseOf(segment: number): number {
    return this.#ram.u32[segmentEntry(segment) / 4] ?? 0;
  }

  /** First offset beyond the code segment. */
  get codeEnd(): number {
    return this.#wide(SLOT.CODE_END);
  }

  /** Which bits of ESP are the stack pointer. */
  get stackMask(): number {
    return this.#ram.u32[SLOT.STACK_MASK / 4] ?? 0;
  }

  #write(segment: number, descriptor: SegmentDescriptor | undefined, base: boolean): void {
    const entry = segmentEntry(segment);
    const hi = descriptor?.hi ?? 0;
    const isCode = (hi & DESCRIPTOR.CODE) !== 0;
    const isReadable = descriptor !== undefined && (!isCode || (hi & DESCRIPTOR.WRITABLE) !== 0);
    const growsDown = !isCode && (hi & DESCRIPTOR.CONFORMING) !== 0;
    const end = descriptor ? limitOf(descriptor) + 1 : 0;
    const top = hi & DESCRIPTOR.DEFAULT_32 ? LIMITLESS : WORD;
    if (base) this.#setWide(entry + ENTRY.BASE, descriptor ? baseOf(descriptor) : 0);
    this.#setWide(entry + ENTRY.LOW, growsDown ? end : 0);
    this.#setWide(entry + ENTRY.END, isReadable ? (growsDown ? top : end) : 0);
    const isWritable = !isCode && (hi & DESCRIPTOR.WRITABLE) !== 0;
    this.#ram.u32[(entry + ENTRY.WRITABLE) / 4] = isWritable ? 1 : 0;
  }

  #setStack({ hi }: SegmentDescriptor): void {
    const isBig = (hi & DESCRIPTOR.DEFAULT_32) !== 0;
    this.#setWide(SLOT.STACK_MASK, isBig ? LIMITLESS - 1 : WORD - 1);
    this.#ram.u64[SLOT.STACK_KEPT / 8] = isBig ? 0n : 0xffff_ffff_ffff_0000n;
  }

  #setMode(bits: 16 | 32): void {
    const isFlat =
      bits === 32 &&
      this.#isFlat(SEGMENT.ES) &&
      this.#isFlat(SEGMENT.SS) &&
      this.#isFlat(SEGMENT.DS) &&
      this.baseOf(SEGMENT.CS) === 0 &&
      this.codeEnd === LIMITLESS &&
      this.stackMask === LIMITLESS - 1;
    const segmented = bits === 32 ? MODE.SEGMENTED : MODE.SEGMENTED_16;
    this.#ram.u32[SLOT.MODE / 4] = isFlat ? MODE.FLAT : segmented;
  }

  #isFlat(segment: number): boolean {
    return this.baseOf(segment) === 0 && this.holds(segment, 0, LIMITLESS, true);
  }

  #wide(at: number): number {
    return (this.#ram.u32[at / 4] ?? 0) + (this.#ram.u32[at / 4 + 1] ?? 0) * LIMITLESS;
  }

  #setWide(at: number, value: number): void {
    this.#ram.u32[at / 4] = value;
    this.#ram.u32[at / 4 + 1] = Math.floor(value / LIMITLESS);
  }
}
