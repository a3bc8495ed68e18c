/** The registers of the current vCPU, read and written by the hypervisor without BigInt where speed matters. */

import type { Ram } from '../machine/ram.js';
import { asVirtAddr, canonical, highHalf, lowHalf, type VirtAddr } from '../machine/types.js';
import { auxOfStatus, resultOfStatus, statusFlags } from './lazy-flags.js';
import { MODE, type Mode, SegmentState } from './segment-state.js';
import { RFLAGS, SEGMENT, SLOT, STATUS_FLAGS, selectorSlot } from './state.js';

const TWO_32 = 0x1_0000_0000;

/** Flags that exist in SYSTEM_FLAGS; bit 1 always reads as 1. */
const SYSTEM_FLAGS = 0x3f_7fd7 & ~STATUS_FLAGS & ~RFLAGS.FIXED;

export class Registers {
  readonly #view: DataView;
  /** The XMM registers, 16 bytes each. */
  readonly xmm: Uint8Array;
  /** Segments as other code than 64-bit code uses them. */
  readonly segments: SegmentState;

  constructor(ram: Ram) {
    this.segments = new SegmentState(ram);
    this.#view = ram.view;
    this.xmm = ram.u8.subarray(SLOT.XMM, SLOT.XMM + 256);
  }

  /** General-purpose register `n` (GPR), unsigned. */
  get(n: number): bigint {
    return this.#view.getBigUint64(SLOT.GPR + n * 8, true);
  }
  set(n: number, value: bigint): void {
    this.#view.setBigUint64(SLOT.GPR + n * 8, BigInt.asUintN(64, value), true);
  }
  /** Its low 32 bits, unsigned. */
  lo(n: number): number {
    return this.#view.getUint32(SLOT.GPR + n * 8, true);
  }
  /** Its high 32 bits, unsigned. */
  hi(n: number): number {
    return this.#view.getUint32(SLOT.GPR + n * 8 + 4, true);
  }
  /** Writes as a 32-bit instruction does: the high half becomes 0. */
  setLow(n: number, value: number): void {
    this.setHalves(n, value, 0);
  }
  setHalves(n: number, lo: number, hi: number): void {
    this.#view.setUint32(SLOT.GPR + n * 8, lo, true);
    this.#view.setUint32(SLOT.GPR + n * 8 + 4, hi, true);
  }
  /** The signed value: exact only within 2^53. */
  number(n: number): number {
    return (this.hi(n) | 0) * TWO_32 + this.lo(n);
  }
  /** Writes a signed integer within 2^53. */
  setNumber(n: number, value: number): void {
    this.setHalves(n, value >>> 0, Math.floor(value / TWO_32) >>> 0);
  }
  /** @returns undefined if it is not a canonical address. */
  address(n: number): VirtAddr | undefined {
    return canonical(this.lo(n), this.hi(n));
  }
  setAddress(n: number, va: VirtAddr): void {
    this.setHalves(n, lowHalf(va), highHalf(va));
  }

  /** Always canonical, except just after a #GP for a branch that is not: then see `ripValue`. */
  get rip(): VirtAddr {
    const view = this.#view;
    return asVirtAddr(view.getInt32(SLOT.RIP + 4, true) * TWO_32 + view.getUint32(SLOT.RIP, true));
  }
  set rip(va: VirtAddr) {
    this.#view.setUint32(SLOT.RIP, lowHalf(va), true);
    this.#view.setUint32(SLOT.RIP + 4, highHalf(va), true);
  }
  /** The mode that CS and its companions make. */
  get mode(): Mode {
    return this.segments.mode;
  }
  /** Where the code at rip lies: rip itself, but for code in a segment with a base. */
  get codeAddress(): VirtAddr {
    const { rip } = this;
    if (this.mode < MODE.SEGMENTED) return rip;
    return asVirtAddr((rip + this.segments.baseOf(SEGMENT.CS)) % TWO_32);
  }
  get ripValue(): bigint {
    return this.#view.getBigUint64(SLOT.RIP, true);
  }
  set ripValue(value: bigint) {
    this.#view.setBigUint64(SLOT.RIP, BigInt.asUintN(64, value), true);
  }

  get rflags(): number {
    const view = this.#view;
    const lazy = statusFlags(
      view.getUint32(SLOT.FRES, true),
      view.getUint32(SLOT.FRES + 4, true),
      view.getUint32(SLOT.FAUX, true),
    );
    return view.getUint32(SLOT.SYSTEM_FLAGS, true) | RFLAGS.FIXED | lazy;
  }
  set rflags(value: number) {
    const view = this.#view;
    view.setUint32(SLOT.SYSTEM_FLAGS, value & SYSTEM_FLAGS, true);
    view.setUint32(SLOT.FRES, resultOfStatus(value), true);
    view.setUint32(SLOT.FRES + 4, 0, true);
    view.setUint32(SLOT.FAUX, auxOfStatus(value), true);
  }

  selector(segment: number): number {
    return this.#view.getUint16(selectorSlot(segment), true);
  }
  setSelector(segment: number, value: number): void {
    this.#view.setUint16(selectorSlot(segment), value, true);
  }
  // biome-ignore-start format: one row per register
  get es(): number {
    return this.selector(SEGMENT.ES);
  }
  set es(value: number) {
    this.setSelector(SEGMENT.ES, value);
  }
  get cs(): number {
    return this.selector(SEGMENT.CS);
  }
  /** Writes the selector of a segment with 64-bit code: others are entered by `segments.enter`. */
  set cs(value: number) {
    this.setSelector(SEGMENT.CS, value);
    this.segments.setLong();
  }
  get ss(): number {
    return this.selector(SEGMENT.SS);
  }
  set ss(value: number) {
    this.setSelector(SEGMENT.SS, value);
  }
  get ds(): number {
    return this.selector(SEGMENT.DS);
  }
  set ds(value: number) {
    this.setSelector(SEGMENT.DS, value);
  }
  get fs(): number {
    return this.selector(SEGMENT.FS);
  }
  set fs(value: number) {
    this.setSelector(SEGMENT.FS, value);
  }
  get gs(): number {
    return this.selector(SEGMENT.GS);
  }
  set gs(value: number) {
    this.setSelector(SEGMENT.GS, value);
  }

  get fsBase(): bigint {
    return this.#view.getBigUint64(SLOT.FS_BASE, true);
  }
  set fsBase(value: bigint) {
    this.#view.setBigUint64(SLOT.FS_BASE, BigInt.asUintN(64, value), true);
  }
  get gsBase(): bigint {
    return this.#view.getBigUint64(SLOT.GS_BASE, true);
  }
  set gsBase(value: bigint) {
    this.#view.setBigUint64(SLOT.GS_BASE, BigInt.asUintN(64, value), true);
  }
  get kernelGsBase(): bigint {
    return this.#view.getBigUint64(SLOT.KERNEL_GS_BASE, true);
  }
  set kernelGsBase(value: bigint) {
    this.#view.setBigUint64(SLOT.KERNEL_GS_BASE, BigInt.asUintN(64, value), true);
  }
  /** Low halves: nothing above bit 31 is defined. */
  get cr0(): number {
    return this.#view.getUint32(SLOT.CR0, true);
  }
  set cr0(value: number) {
    this.#view.setUint32(SLOT.CR0, value, true);
  }
  get cr4(): number {
    return this.#view.getUint32(SLOT.CR4, true);
  }
  set cr4(value: number) {
    this.#view.setUint32(SLOT.CR4, value, true);
  }
  get cr2(): bigint {
    return this.#view.getBigUint64(SLOT.CR2, true);
  }
  set cr2(value: bigint) {
    this.#view.setBigUint64(SLOT.CR2, BigInt.asUintN(64, value), true);
  }
  get mxcsr(): number {
    return this.#view.getUint32(SLOT.MXCSR, true);
  }
  set mxcsr(value: number) {
    this.#view.setUint32(SLOT.MXCSR, value, true);
  }
  // biome-ignore-end format: one row per register

  /** The state a vCPU starts with: all zero, but interrupts on and the FPU as FNINIT leaves it. */
  reset(): void {
    for (let at = LOW; at < HIGH; at += 4) this.#view.setUint32(at, 0, true);
    this.rflags = RFLAGS.IF;
    this.#view.setUint16(SLOT.FPU_CONTROL, 0x37f, true); // SDM 1 §8.1.5: all exceptions masked, extended precision
    this.mxcsr = 0x1f80; // SDM 1 §10.2.3: all exceptions masked
  }
}

const LOW = SLOT.GPR;
const HIGH = SLOT.STACK_KEPT + 8;
