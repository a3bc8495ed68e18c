/** A processor with some memory mapped and nothing else: for tests of instructions. */

import { Engine } from '../../hypervisor/engine/engine.js';
import { HostFrames } from '../../hypervisor/machine/host-frames.js';
import { PAGE_SIZE } from '../../hypervisor/machine/layout.js';
import { Ram } from '../../hypervisor/machine/ram.js';
import { asHostAddr, asVirtAddr, type Frame } from '../../hypervisor/machine/types.js';
import type { ProcessorHost } from '../../hypervisor/x86/processor.js';
import './v8-flags.js';

/** Page-table entry bits. */
export const PTE = { PRESENT: 1, WRITE: 2, USER: 4, NX: 1 << 31 } as const;

/** Where `flatMachine` maps things, all with 4 KiB pages at the same offsets from the frames it takes. */
export const FLAT = { CODE: 0x40_0000, DATA: 0x80_0000, STACK: 0xc0_0000, PAGES: 16 } as const;

const NO_HOST: ProcessorHost = {
  cpuid: (leaf, subleaf) => [leaf, subleaf, 0, 0],
  readTsc: () => 0x1_2345_6789,
  random: (into) => void into.fill(0xa5),
  hypervisorRange: () => -1,
  unshare: () => undefined,
  readDescriptor: () => undefined,
};

export interface Page {
  readonly frame: Frame;
  /** Byte address in RAM of the leaf entry that maps it. */
  readonly entry: number;
}

/**
 * Machine frames and host frames have equal numbers here. 16 pages each of code (writable and executable), data
 * and stack are mapped, rsp is in the middle of the stack.
 */
export class FlatMachine {
  readonly ram: Ram;
  readonly frames: HostFrames;
  readonly engine: Engine;
  readonly l4: Frame;

  constructor(bytes = 8 << 20, host: Partial<ProcessorHost> = {}) {
    this.ram = Ram.allocate(bytes);
    this.frames = new HostFrames(this.ram);
    this.engine = new Engine(this.ram, { ...NO_HOST, ...host });
    this.l4 = this.frames.allocate()!;
    const root = this.#identityMap();
    for (let i = 0; i < FLAT.PAGES; i++) {
      for (const area of [FLAT.CODE, FLAT.DATA, FLAT.STACK]) this.map(area + i * PAGE_SIZE);
    }
    const mfnLimit = this.ram.frameCount;
    this.engine.setAddressSpace({ l4: this.l4, frameMap: asHostAddr(root), mfnLimit });
    this.engine.registers.setAddress(4, asVirtAddr(FLAT.STACK + (FLAT.PAGES / 2) * PAGE_SIZE));
  }

  /** Maps a page to a frame (a fresh one if none is given). @param va a canonical address as a signed number. */
  map(va: number, flags: number = PTE.PRESENT | PTE.WRITE | PTE.USER, frame?: Frame): Page {
    const backing = frame ?? this.frames.allocate()!;
    const entry = this.entryOf(va);
    this.ram.u32[entry / 4] = backing * PAGE_SIZE + (flags & 0xfff);
    this.ram.u32[entry / 4 + 1] = Math.floor((backing * PAGE_SIZE) / 2 ** 32) | (flags & PTE.NX);
    return { frame: backing, entry };
  }

  /** @returns the root of a frame map in which machine frame n is host frame n. */
  #identityMap(): number {
    const root = this.frames.allocate()! * PAGE_SIZE;
    for (let leaf = 0; leaf < this.ram.frameCount / 1024; leaf++) {
      const at = this.frames.allocate()! * PAGE_SIZE;
      this.ram.u32[root / 4 + leaf] = at;
      for (let i = 0; i < 1024; i++) this.ram.u32[at / 4 + i] = leaf * 1024 + i;
    }
    return root;
  }

  /** Byte address in RAM of the leaf entry for an address, tables made as needed. */
  entryOf(va: number): number {
    const page = BigInt.asUintN(64, BigInt(va));
    let table: number = this.l4 * PAGE_SIZE;
    for (const shift of [39n, 30n, 21n]) {
      const at = table + Number((page >> shift) & 511n) * 8;
      if (this.ram.u32[at / 4] === 0) {
        this.ram.u32[at / 4] = this.frames.allocate()! * PAGE_SIZE + 7;
      }
      table = Math.floor(this.ram.u32[at / 4]! / PAGE_SIZE) * PAGE_SIZE;
    }
    return table + Number((page >> 12n) & 511n) * 8;
  }

  /** Writes bytes at an address, as the host (decoded code there is dropped). */
  load(va: number, bytes: Uint8Array | readonly number[]): void {
    bytes.forEach((byte, i) => {
      const frame = Math.floor(this.ram.u32[this.entryOf(va + i) / 4]! / PAGE_SIZE);
      this.ram.u8[frame * PAGE_SIZE + ((va + i) & (PAGE_SIZE - 1))] = byte;
      if (i === 0 || ((va + i) & (PAGE_SIZE - 1)) === 0) this.engine.frameWritten(frame as Frame);
    });
  }

  read(va: number, length: number): Uint8Array {
    return Uint8Array.from({ length }, (_, i) => {
      const frame = Math.floor(this.ram.u32[this.entryOf(va + i) / 4]! / PAGE_SIZE);
      return this.ram.u8[frame * PAGE_SIZE + ((va + i) & (PAGE_SIZE - 1))]!;
    });
  }

  /** Loads code and runs it from its start. @returns the exit reason. */
  run(code: Uint8Array | readonly number[], budget = 1_000_000, at: number = FLAT.CODE): number {
    this.load(at, code);
    this.engine.registers.rip = asVirtAddr(at);
    return this.engine.run(budget);
  }
}

/** Bytes from hexadecimal, blanks ignored. */
export const hex = (text: string): Uint8Array =>
  Uint8Array.from(text.replace(/\s+/g, '').match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
