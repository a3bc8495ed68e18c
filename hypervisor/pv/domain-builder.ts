/**
 * Builds a PV domain: image and ramdisk into its memory, first page tables, start_info, and the state of vCPU 0.
 * What a toolstack does on Xen (libxenguest) is done here, inside: page types are set wholesale instead of by pinning.
 */

import type { Domain } from '../common/domain.js';
import { PAGE_SIZE } from '../machine/layout.js';
import type { Ram } from '../machine/ram.js';
import { asDomId, asFrame, asVirtAddr, type Mfn, toU64, type VirtAddr } from '../machine/types.js';
import { FLAT } from '../public/arch-x86.js';
import { GNTTAB_RESERVED_CONSOLE, GNTTAB_RESERVED_XENSTORE } from '../public/grant-table.js';
import { MAX_GUEST_CMDLINE, SIF, sharedInfo, startInfo, vcpuInfo } from '../public/xen.js';
import { RFLAGS } from '../x86/state.js';
import { parseElf } from './elf.js';
import { readNotes } from './elf-notes.js';
import { writeHypercallPage } from './hypercall-page.js';
import { type ImageError, imageError, isImageError } from './image-error.js';
import { type ImagePage, type ImagePages, imagePages } from './image-pages.js';
import { type PageType, PGT } from './page-types.js';
import { PTE, PTE_HIGH, pteHigh, pteLow, tableSlot } from './pte.js';
import type { Pv } from './pv.js';
import type { PvDomain } from './pv-domain.js';
import { type Part, planStartOfDay, type StartOfDay } from './start-of-day.js';

export interface BuildRequest {
  /** An ELF64 image, decompressed. */
  readonly kernel: Uint8Array;
  readonly ramdisk?: Uint8Array;
  /** Names of their contents: domains built from bytes of the same name share pages until they write to them. */
  readonly kernelName?: string;
  readonly ramdiskName?: string;
  readonly cmdline?: string;
  readonly memoryPages: number;
}

export interface Built {
  readonly storeMfn: Mfn;
  /** Ports of the domain that dom0 binds to. */
  readonly storePort: number;
  readonly consoleMfn: Mfn;
  readonly consolePort: number;
}

const MAGIC = 'xen-3.0-x86_64';
const { PRESENT, RW, USER, ACCESSED, DIRTY } = PTE;
const TABLE_FLAGS = PRESENT | RW | USER | ACCESSED | DIRTY;
/** RSI of the instruction encoding: where a kernel finds start_info. */
const RSI = 6;
const RSP = 4;
const GPRS = 16;
const WORDS_PER_PAGE = PAGE_SIZE / 4;
const INITIAL_FLAGS = RFLAGS.IF | RFLAGS.FIXED;

/** The control domain, at the other end of console and XenStore. */
const DOM0 = asDomId(0);

/**
 * Fills a domain that has no memory yet. Its vCPU 0 is ready to run when this returns; the caller wakes it.
 * @returns an ImageError if the image or the memory does not do: then the caller destroys the domain.
 */
export function buildDomain(pv: Pv, domain: Domain, request: BuildRequest): Built | ImageError {
  const image = parseElf(request.kernel);
  if (isImageError(image)) return image;
  const notes = readNotes(image);
  if (isImageError(notes)) return notes;
  const ramdisk = request.ramdisk ?? new Uint8Array(0);
  const plan = planStartOfDay(image, notes, request.memoryPages, ramdisk.length);
  if (isImageError(plan)) return plan;
  const builder = new Builder(pv, domain, plan);
  const pages = imagePages(plan, request);
  if (!builder.populate(request.memoryPages, pages)) {
    const expected = `${request.memoryPages} pages of host memory`;
    return imageError('memory', expected, `${domain.services.frames.free} pages free`);
  }
  for (const { offset, fileSize, address } of plan.segments) {
    builder.copy(request.kernel.subarray(offset, offset + fileSize), address, pages);
  }
  builder.copy(ramdisk, plan.ramdisk.pfn * PAGE_SIZE, pages);
  if (plan.hypercallPage !== undefined) builder.installHypercallPage(plan.hypercallPage);
  builder.writeP2m(request.memoryPages);
  const root = builder.mapEverything();
  const built = offerRings(domain, builder.mfn(plan.xenstore), builder.mfn(plan.console));
  builder.writeStartInfo(request, built, notes.modStartPfn, ramdisk.length);
  builder.writeSharedInfo();
  builder.startVcpu(root);
  return built;
}

/** The ends of XenStore and console that dom0 will take: a port and a grant for each ring. */
export function offerRings(domain: Domain, storeMfn: Mfn, consoleMfn: Mfn): Built {
  const storePort = domain.events.allocateUnbound(DOM0);
  const consolePort = domain.events.allocateUnbound(DOM0);
  domain.grants.seed(GNTTAB_RESERVED_XENSTORE, DOM0, storeMfn);
  domain.grants.seed(GNTTAB_RESERVED_CONSOLE, DOM0, consoleMfn);
  return { storeMfn, storePort, consoleMfn, consolePort };
}

class Builder {
  readonly #pv: Pv;
  readonly #ram: Ram;
  readonly #domain: Domain;
  readonly #pvDomain: PvDomain;
  readonly #plan: StartOfDay;
  readonly #mfns: Mfn[] = [];
  /** Index in ram.u32 of each page. */
  readonly #words: number[] = [];
  /** Tables of levels 1 to 3 made so far, by level and range; and PFNs for more. */
  readonly #tables = new Map<string, number>();
  #nextTable: Part;
  #tablesTaken = 0;

  constructor(pv: Pv, domain: Domain, plan: StartOfDay) {
    this.#pv = pv;
    this.#ram = pv.ram;
    this.#domain = domain;
    this.#pvDomain = pv.of(domain);
    this.#plan = plan;
    this.#nextTable = plan.pageTables;
  }

  mfn(pfn: number): Mfn {
    return this.#mfns[pfn] as Mfn;
  }

  /** Takes the domain's memory from the host, pages of images filled. @returns false if the host has too little. */
  populate(pages: number, images: ImagePages): boolean {
    const { m2p } = this.#pvDomain;
    const { frameMap } = this.#domain;
    for (let pfn = 0; pfn < pages; pfn++) {
      const image = images.get(pfn);
      const mfn = image === undefined ? this.#domain.allocatePage() : this.#imagePage(image);
      if (mfn === undefined || !m2p.set(mfn, pfn)) return false;
      this.#mfns.push(mfn);
      // a page of an image may be shared: nothing is written to it here
      this.#words.push((frameMap.peek(mfn) ?? 0) * WORDS_PER_PAGE);
    }
    return true;
  }

  #imagePage({ name, offset, bytes }: ImagePage): Mfn | undefined {
    return this.#domain.memory.allocateImagePage(name, offset, (frame) =>
      this.#ram.u8.set(bytes, frame * PAGE_SIZE),
    );
  }

  /** Copies bytes to an address in the domain's pseudo-physical memory, but for pages that hold them already. */
  copy(bytes: Uint8Array, address: number, filled: ImagePages): void {
    for (let done = 0; done < bytes.length; ) {
      const at = address + done;
      const offset = at % PAGE_SIZE;
      const length = Math.min(PAGE_SIZE - offset, bytes.length - done);
      const pfn = Math.floor(at / PAGE_SIZE);
      if (!filled.has(pfn)) {
        this.#ram.u8.set(bytes.subarray(done, done + length), this.#page(pfn) + offset);
      }
      done += length;
    }
  }

  /** Byte address of a page in RAM. */
  #page(pfn: number): number {
    return (this.#words[pfn] as number) * 4;
  }

  installHypercallPage(pfn: number): void {
    writeHypercallPage(this.#ram, asFrame(this.#page(pfn) / PAGE_SIZE));
  }

  writeP2m(pages: number): void {
    const { u32 } = this.#ram;
    for (let pfn = 0; pfn < pages; pfn++) {
      const page = this.#words[this.#plan.p2m.pfn + (pfn >>> 9)] as number;
      u32[page + (pfn & 511) * 2] = this.mfn(pfn);
    }
  }

  // ---- page tables ----

  /** @returns the PFN of the top-level table. */
  mapEverything(): number {
    const plan = this.#plan;
    const root = this.#takeTable(PGT.L4, 2, true);
    const { pfn: firstTable, pages: tables } = plan.pageTables;
    for (let pfn = 0; pfn < plan.mappedPages; pfn++) {
      const isTable = pfn >= firstTable && pfn < firstTable + tables;
      this.#map(root, asVirtAddr(plan.virtBase + pfn * PAGE_SIZE), pfn, !isTable);
    }
    if (plan.p2m.pfn < plan.mappedPages) return root;
    this.#nextTable = { pfn: plan.p2m.pfn + plan.p2m.pages, pages: plan.p2mTables };
    this.#tablesTaken = 0;
    for (let n = 0; n < plan.p2m.pages; n++) {
      const va = asVirtAddr(plan.p2mAddress + n * PAGE_SIZE);
      this.#map(root, va, plan.p2m.pfn + n, true);
    }
    return root;
  }

  #map(root: number, va: VirtAddr, pfn: number, writable: boolean): void {
    const table = this.#l1For(root, va);
    const mfn = this.mfn(pfn);
    const at = (this.#words[table] as number) + tableSlot(va, 1) * 2;
    this.#ram.u32[at] = pteLow(mfn, PRESENT | USER | ACCESSED | DIRTY | (writable ? RW : 0));
    this.#ram.u32[at + 1] = pteHigh(mfn, PTE_HIGH.GUEST_KERNEL);
    this.#pvDomain.types.addMapping(mfn, writable);
  }

  #lastL1 = { region: Number.NaN, table: 0 };

  /** PFN of the level-1 table for an address, with the tables above it. */
  #l1For(root: number, va: VirtAddr): number {
    const region = Math.floor(va / 2 ** 21);
    if (this.#lastL1.region === region) return this.#lastL1.table;
    let table = root;
    for (let level = 4; level > 1; level--) {
      const key = `${level} ${Math.floor(va / 2 ** (12 + 9 * (level - 1)))}`;
      let below = this.#tables.get(key);
      if (below === undefined) {
        below = this.#takeTable((level - 1) as PageType, 1, false);
        this.#tables.set(key, below);
        const at = (this.#words[table] as number) + tableSlot(va, level) * 2;
        this.#ram.u32[at] = pteLow(this.mfn(below), TABLE_FLAGS);
        this.#ram.u32[at + 1] = pteHigh(this.mfn(below));
      }
      table = below;
    }
    this.#lastL1 = { region, table };
    return table;
  }

  #takeTable(type: PageType, typeCount: number, pinned: boolean): number {
    const pfn = this.#nextTable.pfn + this.#tablesTaken++;
    this.#pvDomain.types.setTable(this.mfn(pfn), type, typeCount, pinned);
    return pfn;
  }

  // ---- what the kernel reads ----

  #va(pfn: number): VirtAddr {
    return asVirtAddr(this.#plan.virtBase + pfn * PAGE_SIZE);
  }

  writeStartInfo(
    request: BuildRequest,
    built: Built,
    modStartPfn: boolean,
    ramdiskBytes: number,
  ): void {
    const plan = this.#plan;
    const at = this.#page(plan.startInfo);
    const { u8, view } = this.#ram;
    const hasRamdisk = ramdiskBytes > 0;
    const modStart = modStartPfn ? BigInt(plan.ramdisk.pfn) : toU64(this.#va(plan.ramdisk.pfn));
    const separate = plan.p2m.pfn >= plan.mappedPages;
    startInfo.encode(view, at, {
      nrPages: BigInt(request.memoryPages),
      sharedInfo: BigInt(this.#domain.sharedInfo.mfn) << 12n,
      flags: (hasRamdisk && modStartPfn ? SIF.MOD_START_PFN : 0) | SIF.VIRT_P2M_4TOOLS,
      storeMfn: BigInt(built.storeMfn),
      storeEvtchn: built.storePort,
      consoleMfn: BigInt(built.consoleMfn),
      consoleEvtchn: built.consolePort,
      ptBase: toU64(this.#va(plan.pageTables.pfn)),
      nrPtFrames: BigInt(plan.pageTables.pages),
      mfnList: toU64(plan.p2mAddress),
      modStart: hasRamdisk ? modStart : 0n,
      modLen: BigInt(ramdiskBytes),
      firstP2mPfn: separate ? BigInt(plan.p2m.pfn) : 0n,
      nrP2mFrames: separate ? BigInt(plan.p2m.pages + plan.p2mTables) : 0n,
    });
    const encoder = new TextEncoder();
    u8.set(encoder.encode(MAGIC), at + startInfo.offset.magic);
    const cmdline = encoder.encode(request.cmdline ?? '').subarray(0, MAX_GUEST_CMDLINE - 1);
    u8.set(cmdline, at + startInfo.offset.cmdLine);
  }

  /** Events are masked on every vCPU until the kernel is ready for them. */
  writeSharedInfo(): void {
    const { u8 } = this.#ram;
    for (const vcpu of this.#domain.vcpus) {
      u8[vcpu.infoAddress + vcpuInfo.offset.evtchnUpcallMask] = 1;
    }
    const mask = this.#domain.sharedInfoAddress + sharedInfo.offset.evtchnMask;
    u8.fill(0, mask, mask + 512);
  }

  startVcpu(root: number): void {
    const vcpu = this.#domain.vcpus[0];
    if (!vcpu) return;
    const v = this.#pv.vcpuOf(vcpu);
    const plan = this.#plan;
    const stack = asVirtAddr(this.#va(plan.bootStack) + PAGE_SIZE);
    const gpr = new Array<bigint>(GPRS).fill(0n);
    gpr[RSI] = toU64(this.#va(plan.startInfo));
    gpr[RSP] = toU64(stack);
    v.kernelTable = this.mfn(root);
    v.kernelSp = stack;
    v.kernelSs = FLAT.RING3_SS64;
    v.pendingContext = {
      gpr,
      rip: plan.entry,
      rflags: INITIAL_FLAGS,
      cs: FLAT.RING3_CS64,
      ss: FLAT.RING3_SS64,
      ...{ ds: 0, es: 0, fs: 0, gs: 0, fsBase: 0n, gsBaseKernel: 0n, gsBaseUser: 0n },
      ...{ cr0: 0, cr4: 0, fpu: undefined },
    };
    vcpu.isInitialised = true;
    vcpu.online = true;
  }
}
