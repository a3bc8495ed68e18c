/** Reads a core of a domain by its sections, and memory in it by the page tables of a vCPU, as a debugger does. */

import { cpuUserRegs, vcpuGuestContext } from '../../hypervisor/public/arch-x86.js';

const PAGE = 4096;
const ADDRESS_BITS = 0x000f_ffff_ffff_f000n;

interface Section {
  readonly type: number;
  readonly offset: number;
  readonly size: number;
  readonly entry: number;
}

export class CoreReader {
  readonly sections = new Map<string, Section>();
  readonly #bytes: Buffer;
  /** Index of a page in .xen_pages, by MFN. */
  readonly #pages = new Map<bigint, number>();

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    const headers = Number(bytes.readBigUInt64LE(40));
    const count = bytes.readUInt16LE(60);
    const names = this.#section(headers + bytes.readUInt16LE(62) * 64);
    for (let n = 0; n < count; n++) {
      const at = headers + n * 64;
      const name = names.offset + bytes.readUInt32LE(at);
      this.sections.set(bytes.toString('latin1', name, bytes.indexOf(0, name)), this.#section(at));
    }
    for (const [index, { mfn }] of this.p2m().entries()) this.#pages.set(mfn, index);
  }

  contents(name: string): Buffer {
    const { offset, size } = this.sections.get(name) ?? { offset: 0, size: 0 };
    return this.#bytes.subarray(offset, offset + size);
  }

  /** Descriptors of the notes by type. */
  notes(): Map<number, Buffer> {
    const bytes = this.contents('.note.Xen');
    const found = new Map<number, Buffer>();
    for (let at = 0; at < bytes.length; ) {
      const size = bytes.readUInt32LE(at + 4);
      found.set(bytes.readUInt32LE(at + 8), bytes.subarray(at + 16, at + 16 + size));
      at += 16 + size;
    }
    return found;
  }

  p2m(): { pfn: bigint; mfn: bigint }[] {
    const words = this.contents('.xen_p2m');
    return Array.from({ length: words.length / 16 }, (_, n) => ({
      pfn: words.readBigUInt64LE(n * 16),
      mfn: words.readBigUInt64LE(n * 16 + 8),
    }));
  }

  page(mfn: bigint): Buffer {
    const index = this.#pages.get(mfn);
    if (index === undefined) throw new Error(`MFN ${mfn} is not in the core`);
    return this.contents('.xen_pages').subarray(index * PAGE, (index + 1) * PAGE);
  }

  vcpu(n: number) {
    const { size, offset } = vcpuGuestContext;
    const all = this.contents('.xen_prstatus');
    const view = new DataView(all.buffer, all.byteOffset + n * size, size);
    const context = vcpuGuestContext.decode(view, 0);
    return { ...context, user: cpuUserRegs.decode(view, offset.userRegs) };
  }

  /** Bytes at a virtual address of a vCPU's kernel; they must not cross a page. */
  memory(vcpu: number, address: bigint, bytes: number): Buffer {
    let table = this.vcpu(vcpu).ctrlreg3 >> 12n;
    for (const shift of [39n, 30n, 21n, 12n]) {
      const slot = Number((address >> shift) & 511n);
      const entry = this.page(table).readBigUInt64LE(slot * 8);
      if ((entry & 1n) === 0n) throw new Error(`0x${address.toString(16)} is not mapped`);
      table = (entry & ADDRESS_BITS) >> 12n;
    }
    const at = Number(address & 0xfffn);
    return this.page(table).subarray(at, at + bytes);
  }

  #section(at: number): Section {
    const word = (offset: number) => Number(this.#bytes.readBigUInt64LE(at + offset));
    const type = this.#bytes.readUInt32LE(at + 4);
    return { type, offset: word(24), size: word(32), entry: word(56) };
  }
}
