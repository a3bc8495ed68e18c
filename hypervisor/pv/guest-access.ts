/**
 * The only way to a guest's memory by virtual address: copies that are checked, through the page tables in use.
 *
 * A pointer may be anything: not canonical (undefined), in Xen's range, unmapped, read-only. Then the answer is undefined
 * or false, which a hypercall turns into -EFAULT. Nothing is written unless the whole range can be.
 */

import { PAGE_SIZE } from '../machine/layout.js';
import { copyBytes, type Ram } from '../machine/ram.js';
import { asFrame, asVirtAddr, toU64, type VirtAddr } from '../machine/types.js';
import { HYPERVISOR_VIRT_END, HYPERVISOR_VIRT_START } from '../public/arch-x86.js';
import { ACCESS, type Processor } from '../x86/processor.js';
import type { Translations } from './translations.js';

/** What GuestAccess needs of a struct declaration (public/struct.ts). */
interface Layout<V> {
  readonly size: number;
  decode(view: DataView, at: number): V;
  encode(view: DataView, at: number, values: Partial<V>): void;
}

/** A pointer as a hypercall gets it: undefined if it is not canonical. */
export type GuestPointer = VirtAddr | undefined;

/** The address space ends at 2^47, the kernel half at 0 (signed numbers). */
const USER_END = 0x8000_0000_0000;
const EMPTY = new Uint8Array(0);

export class GuestAccess {
  readonly #processor: Processor;
  readonly #translations: Translations;
  readonly #ram: Ram;
  readonly #scratch = new Uint8Array(PAGE_SIZE);
  readonly #scratchView = new DataView(this.#scratch.buffer);
  /** Address at which the last refused access failed, and the access. */
  faultAddress: VirtAddr = asVirtAddr(0);
  #faultAccess: number = ACCESS.READ;
  #isFaultCanonical = true;

  constructor(processor: Processor, ram: Ram, translations: Translations) {
    this.#processor = processor;
    this.#ram = ram;
    this.#translations = translations;
  }

  /**
   * The host address of bytes that lie within one page.
   * @returns -1 if they do not, or if the guest may not access them so.
   */
  hostAddress(va: GuestPointer, bytes: number, access: 0 | 1): number {
    if (va === undefined) {
      this.#isFaultCanonical = false;
      return -1;
    }
    return (va & (PAGE_SIZE - 1)) + bytes > PAGE_SIZE ? -1 : this.#translate(va, access);
  }

  /** Why the last access was refused, for the words of an -EFAULT. */
  get faultText(): string {
    if (!this.#isFaultCanonical) return 'a pointer is not a canonical address';
    const va = this.faultAddress;
    const at = `0x${toU64(va).toString(16)}`;
    if (va >= HYPERVISOR_VIRT_START && va < HYPERVISOR_VIRT_END) return `${at} is in Xen's range`;
    if (this.#faultAccess === ACCESS.READ) return `${at} cannot be read: it is not mapped`;
    const isMapped = this.#processor.translate(va, ACCESS.READ) !== -1;
    return `${at} cannot be written: it is ${isMapped ? 'mapped read-only' : 'not mapped'}`;
  }

  /** Whoever calls this takes the pointers of its arguments for granted: one that has no address is a bad one. */
  forgetFault(): void {
    this.#isFaultCanonical = false;
  }

  /** @returns a copy of guest memory, undefined if part of it cannot be read. */
  copyFrom(va: GuestPointer, bytes: number): Uint8Array | undefined {
    if (bytes === 0) return EMPTY;
    if (!this.#isGuestRange(va, bytes)) return undefined;
    const copy = new Uint8Array(bytes);
    return this.#read(va, copy) ? copy : undefined;
  }

  /** Copies as much as can be read, to byte `at` of `into`. @returns how many bytes that is. It allocates nothing for a few. */
  peek(va: GuestPointer, bytes: number, into: Uint8Array, at: number): number {
    if (bytes === 0 || !this.#isGuestRange(va, bytes)) return 0;
    let done = 0;
    while (done < bytes) {
      const from = asVirtAddr(va + done);
      const length = Math.min(PAGE_SIZE - (from & (PAGE_SIZE - 1)), bytes - done);
      const host = this.#translate(from, ACCESS.READ);
      if (host < 0) break;
      copyBytes(this.#ram.u8, host, length, into, at + done);
      done += length;
    }
    return done;
  }

  /** @returns false if part of the range cannot be written; then nothing is. */
  copyTo(va: GuestPointer, bytes: Uint8Array): boolean {
    if (bytes.length === 0) return true;
    if (!this.#isGuestRange(va, bytes.length) || !this.#writable(va, bytes.length)) return false;
    for (let done = 0; done < bytes.length; ) {
      const at = asVirtAddr(va + done);
      const length = Math.min(PAGE_SIZE - (at & (PAGE_SIZE - 1)), bytes.length - done);
      const host = this.#translate(at, ACCESS.WRITE);
      if (host < 0) return false;
      this.#ram.u8.set(bytes.subarray(done, done + length), host);
      this.#written(host);
      done += length;
    }
    return true;
  }

  /** Clears guest memory. @returns false if part of the range cannot be written. */
  clear(va: GuestPointer, bytes: number): boolean {
    return this.copyTo(va, new Uint8Array(bytes));
  }

  /** @returns undefined if it cannot be read. */
  readU8(va: GuestPointer): number | undefined {
    const host = this.hostAddress(va, 1, ACCESS.READ);
    return host < 0 ? undefined : this.#ram.u8[host];
  }

  readU16(va: GuestPointer): number | undefined {
    return this.#readScalar(va, 2)?.getUint16(this.#at, true);
  }

  readU32(va: GuestPointer): number | undefined {
    return this.#readScalar(va, 4)?.getUint32(this.#at, true);
  }

  readU64(va: GuestPointer): bigint | undefined {
    return this.#readScalar(va, 8)?.getBigUint64(this.#at, true);
  }

  /** A 64-bit value as a signed number: exact within 2^53. */
  readNumber(va: GuestPointer): number | undefined {
    const view = this.#readScalar(va, 8);
    if (!view) return undefined;
    return view.getInt32(this.#at + 4, true) * 0x1_0000_0000 + view.getUint32(this.#at, true);
  }

  writeU8(va: GuestPointer, value: number): boolean {
    this.#scratch[0] = value;
    return this.#writeScratch(va, 1);
  }

  writeU16(va: GuestPointer, value: number): boolean {
    this.#scratchView.setUint16(0, value, true);
    return this.#writeScratch(va, 2);
  }

  writeU32(va: GuestPointer, value: number): boolean {
    this.#scratchView.setUint32(0, value, true);
    return this.#writeScratch(va, 4);
  }

  writeHalves(va: GuestPointer, lo: number, hi: number): boolean {
    this.#scratchView.setUint32(0, lo, true);
    this.#scratchView.setUint32(4, hi, true);
    return this.#writeScratch(va, 8);
  }

  writeU64(va: GuestPointer, value: bigint): boolean {
    this.#scratchView.setBigUint64(0, value, true);
    return this.#writeScratch(va, 8);
  }

  /** The struct at this address. */
  decode<V>(layout: Layout<V>, va: GuestPointer): V | undefined {
    const view = this.#readScalar(va, layout.size);
    return view && layout.decode(view, this.#at);
  }

  /** Writes the given fields of the struct and leaves its others as they are. */
  encode<V>(layout: Layout<V>, va: GuestPointer, values: Partial<V>): boolean {
    const host = this.hostAddress(va, layout.size, ACCESS.WRITE);
    if (host >= 0) {
      layout.encode(this.#ram.view, host, values);
      this.#written(host);
      return true;
    }
    const image = this.copyFrom(va, layout.size);
    if (!image) return false;
    layout.encode(new DataView(image.buffer), 0, values);
    return this.copyTo(va, image);
  }

  /** Where the scalar that #readScalar found lies in the view it returned. */
  #at = 0;

  /** The view that holds `bytes` (at most a page) of guest memory: RAM itself, or scratch if they cross a page. */
  #readScalar(va: GuestPointer, bytes: number): DataView | undefined {
    const host = this.hostAddress(va, bytes, ACCESS.READ);
    if (host >= 0) {
      this.#at = host;
      return this.#ram.view;
    }
    if (bytes > PAGE_SIZE) {
      const copy = this.copyFrom(va, bytes);
      this.#at = 0;
      return copy && new DataView(copy.buffer);
    }
    if (!this.#isGuestRange(va, bytes) || !this.#read(va, this.#scratch.subarray(0, bytes))) {
      return undefined;
    }
    this.#at = 0;
    return this.#scratchView;
  }

  #writeScratch(va: GuestPointer, bytes: number): boolean {
    const host = this.hostAddress(va, bytes, ACCESS.WRITE);
    if (host < 0) return this.copyTo(va, this.#scratch.subarray(0, bytes));
    for (let n = 0; n < bytes; n++) this.#ram.u8[host + n] = this.#scratch[n] as number;
    this.#written(host);
    return true;
  }

  #read(va: VirtAddr, into: Uint8Array): boolean {
    for (let done = 0; done < into.length; ) {
      const at = asVirtAddr(va + done);
      const length = Math.min(PAGE_SIZE - (at & (PAGE_SIZE - 1)), into.length - done);
      const host = this.#translate(at, ACCESS.READ);
      if (host < 0) return false;
      into.set(this.#ram.u8.subarray(host, host + length), done);
      done += length;
    }
    return true;
  }

  #writable(va: VirtAddr, bytes: number): boolean {
    const first = va - (va & (PAGE_SIZE - 1));
    if (va + bytes <= first + PAGE_SIZE) return true; // copyTo itself finds out
    for (let page = first; page < va + bytes; page += PAGE_SIZE) {
      if (this.#translate(asVirtAddr(Math.max(page, va)), ACCESS.WRITE) < 0) return false;
    }
    return true;
  }

  #translate(va: VirtAddr, access: number): number {
    if (va >= HYPERVISOR_VIRT_START && va < HYPERVISOR_VIRT_END) return this.#fault(va, access);
    this.#translations.settle();
    const host = this.#processor.translate(va, access);
    return host === -1 ? this.#fault(va, access) : host >>> 0;
  }

  #fault(va: VirtAddr, access: number): number {
    this.faultAddress = va;
    this.#faultAccess = access;
    this.#isFaultCanonical = true;
    return -1;
  }

  #written(host: number): void {
    this.#processor.frameWritten(asFrame(host >>> 12));
  }

  /** @returns false for a range that leaves the canonical addresses or touches Xen's. */
  #isGuestRange(va: GuestPointer, bytes: number): va is VirtAddr {
    if (va === undefined) {
      this.#isFaultCanonical = false;
      return false;
    }
    const end = va + bytes;
    const inside = va >= 0 ? end <= USER_END : va >= HYPERVISOR_VIRT_END && end <= 0;
    if (!inside) this.#fault(va, ACCESS.READ);
    return inside;
  }
}
