/** Descriptor tables of a vCPU: GDT and LDT pages with their references, and finding the descriptor a selector names. */

import type { Ram } from '../machine/ram.js';
import { asVirtAddr, type VirtAddr } from '../machine/types.js';
import { FIRST_RESERVED_GDT_ENTRY, MAX_LDT_ENTRIES } from '../public/arch-x86.js';
import { ERRNO } from '../public/errno.js';
import type { Registers } from '../x86/registers.js';
import { baseOf } from '../x86/segment-state.js';
import { SEGMENT } from '../x86/state.js';
import { DESC, DESCRIPTORS_PER_PAGE, type Descriptor, xenDescriptor } from './descriptors.js';
import { PGT } from './page-types.js';
import type { PvVcpu } from './pv-vcpu.js';

const PAGE = 4096;
const DATA_SEGMENT = DESC.PRESENT | DESC.CODE_DATA;

const LOADED_BY_CONTEXT = [SEGMENT.ES, SEGMENT.DS, SEGMENT.FS, SEGMENT.GS] as const;

export class Segments {
  readonly #ram: Ram;

  constructor(ram: Ram) {
    this.#ram = ram;
  }

  /** @returns the descriptor that a selector names, undefined if it lies outside its table. */
  readDescriptor(v: PvVcpu, selector: number): Descriptor | undefined {
    const index = selector >>> 3;
    if (selector & 4) return this.#readLdt(v, index);
    if (index >= FIRST_RESERVED_GDT_ENTRY) return xenDescriptor(index);
    const page = v.gdtFrames[Math.floor(index / DESCRIPTORS_PER_PAGE)];
    return page === undefined ? undefined : this.#read(v, page, index);
  }

  #read(v: PvVcpu, mfn: number, index: number): Descriptor {
    const at = v.pv.types.table(mfn) + (index % DESCRIPTORS_PER_PAGE) * 2;
    return { lo: this.#ram.u32[at] as number, hi: this.#ram.u32[at + 1] as number };
  }

  #readLdt(v: PvVcpu, index: number): Descriptor | undefined {
    if (v.ldtBase === undefined || index >= v.ldtEntries) return undefined;
    const page = Math.floor(index / DESCRIPTORS_PER_PAGE);
    const mfn = v.ldtPages.get(page) ?? this.#takeLdtPage(v, v.ldtBase, page);
    return mfn === 0 ? undefined : this.#read(v, mfn, index);
  }

  /** The LDT is given by address: its pages are looked up, and checked, when first used. @returns 0 if that fails. */
  #takeLdtPage(v: PvVcpu, base: VirtAddr, page: number): number {
    const mfn = v.pv.mappedMfn(v.kernelTable, asVirtAddr(base + page * PAGE));
    if (mfn === 0 || v.pv.types.isAlias(mfn)) return 0;
    if (v.pv.types.getPageAndType(mfn, PGT.SEG_DESC) !== 0) return 0;
    v.ldtPages.set(page, mfn);
    return mfn;
  }

  /**
   * set_gdt: these pages, fully checked, become the GDT.
   * @returns 0, or -EINVAL with the old GDT kept.
   */
  setGdt(v: PvVcpu, frames: readonly number[], entries: number): number {
    const { types } = v.pv;
    if (entries > FIRST_RESERVED_GDT_ENTRY) return -ERRNO.EINVAL;
    for (let n = 0; n < frames.length; n++) {
      if (types.getPageAndType(frames[n] as number, PGT.SEG_DESC) === 0) continue;
      for (let done = 0; done < n; done++) types.putPageAndType(frames[done] as number);
      return -ERRNO.EINVAL;
    }
    for (const mfn of v.gdtFrames) types.putPageAndType(mfn);
    v.gdtFrames = [...frames];
    v.gdtEntries = entries;
    return 0;
  }

  /** MMUEXT_SET_LDT. @returns 0 or -EINVAL. */
  setLdt(v: PvVcpu, base: VirtAddr | undefined, entries: number): number {
    if (entries > MAX_LDT_ENTRIES) return -ERRNO.EINVAL;
    if (entries > 0 && (base === undefined || base & (PAGE - 1))) return -ERRNO.EINVAL;
    this.dropLdt(v);
    v.ldtBase = entries > 0 ? base : undefined;
    v.ldtEntries = entries;
    return 0;
  }

  /** SEGBASE_GS_USER_SEL: the selector goes into %gs, its base becomes the user's; a selector that does not hold becomes 0. */
  loadUserGs(v: PvVcpu, selector: number, registers: Registers): void {
    const descriptor = selector < 4 ? undefined : this.readDescriptor(v, selector | 3);
    const holds = descriptor !== undefined && (descriptor.hi & DATA_SEGMENT) === DATA_SEGMENT;
    registers.segments.load(SEGMENT.GS, holds ? selector | 3 : 0, descriptor, false);
    registers.kernelGsBase = holds ? BigInt(baseOf(descriptor)) : 0n;
  }

  /** What the selectors of a first state stand for, besides the bases of FS and GS, which it gives itself. */
  loadContext(v: PvVcpu, registers: Registers): void {
    const { segments } = registers;
    for (const segment of LOADED_BY_CONTEXT) {
      const selector = registers.selector(segment);
      segments.load(segment, selector, this.readDescriptor(v, selector), false);
    }
    const code = this.readDescriptor(v, registers.cs);
    if (code) segments.enter(registers.cs, code, this.readDescriptor(v, registers.ss));
  }

  /** Forgets the LDT pages seen so far: they are looked up again. */
  dropLdt(v: PvVcpu): void {
    for (const mfn of v.ldtPages.values()) v.pv.types.putPageAndType(mfn);
    v.ldtPages.clear();
  }
}
