/**
 * Builds a domain from a stream. Pages come first, in any order; page tables wait until all of them are known, since they
 * name others. What the stream says is checked before it is believed: a file may be damaged, or made by somebody else.
 */

import { vcpuGuestContext } from '../../hypervisor/public/arch-x86.js';
import type { CreatedDomain, RestoreDomain } from '../../hypervisor/public/privcmd.js';
import {
  sharedInfo,
  startInfo,
  vcpuInfo,
  XEN_LEGACY_MAX_VCPUS,
} from '../../hypervisor/public/xen.js';
import type { Privcmd } from '../privcmd.js';
import { readPages } from './guest-pages.js';
import { hasContents, PAGE_SIZE, PFINFO, pfnOf, tableLevel, typeOf } from './page-info.js';
import {
  pageOf,
  RECORD,
  RECORD_NAMES,
  readHeader,
  readRecord,
  type Source,
  StreamError,
  viewOf,
} from './stream.js';
import { mapTable } from './tables.js';
import { mapContext } from './vcpu-frames.js';

/** PFNs there can be: as many as MFNs. */
const MOST_PFNS = 0x10_0000;
/** Entries of a P2M list with one of these bits are no frame numbers. */
const P2M_MARKS = 3n << 62n;
const ENTRIES = 512;
/** Records of Xen's that say how processor and platform were: here they are as they are. */
const PASSED_OVER = new Set([0x05, 0x06, 0x0b, 0x0c, 0x0d, 0x11, 0x12]);

interface Table {
  readonly pfn: number;
  readonly type: number;
  readonly bytes: Uint8Array;
}

/**
 * @param params everything but what is in the stream.
 * @returns the domain, paused. Nothing is left of it if this throws.
 * @throws StreamError if the stream will not do; PrivcmdRefusal if the host has too little memory.
 */
export async function restoreDomain(
  privcmd: Privcmd,
  params: RestoreDomain,
  source: Source,
): Promise<CreatedDomain> {
  await readHeader(source);
  const { domid, sharedInfoMfn } = await privcmd.call('restoredomain', params);
  try {
    return await new Restorer(privcmd, domid, sharedInfoMfn).run(source);
  } catch (error) {
    await privcmd.call('destroydomain', { domid }).catch(() => undefined);
    throw error;
  }
}

class Restorer {
  readonly #privcmd: Privcmd;
  readonly #domid: number;
  readonly #sharedInfoMfn: number;
  /** MFN by PFN. */
  readonly #mfns = new Map<number, number>();
  readonly #tables: Table[] = [];
  readonly #contexts: { vcpu: number; bytes: Uint8Array }[] = [];
  #p2m: number[] = [];
  #sharedInfo: Uint8Array | undefined;

  constructor(privcmd: Privcmd, domid: number, sharedInfoMfn: number) {
    this.#privcmd = privcmd;
    this.#domid = domid;
    this.#sharedInfoMfn = sharedInfoMfn;
  }

  async run(source: Source): Promise<CreatedDomain> {
    for (;;) {
      const { type, body } = await readRecord(source);
      if (type === RECORD.END) return this.#finish();
      await this.#take(type, body);
    }
  }

  async #take(type: number, body: Uint8Array): Promise<void> {
    switch (type) {
      case RECORD.X86_PV_INFO:
        if (body[0] !== 8 || body[1] !== 4) throw new StreamError('the guest is no 64-bit guest');
        return;
      case RECORD.X86_PV_P2M_FRAMES:
        this.#p2m = p2mOf(body);
        return;
      case RECORD.PAGE_DATA:
        return this.#pages(body);
      case RECORD.SHARED_INFO:
        if (body.length !== PAGE_SIZE) throw new StreamError('shared_info is no page');
        this.#sharedInfo = body.slice();
        return;
      case RECORD.X86_PV_VCPU_BASIC:
        this.#contexts.push(contextOf(body));
        return;
      case RECORD.STATIC_DATA_END:
      case RECORD.TSC_INFO:
        return;
      default: {
        if (PASSED_OVER.has(type)) return;
        const name = RECORD_NAMES[type] ?? `of type 0x${type.toString(16)}`;
        throw new StreamError(`a record ${name} cannot be restored`);
      }
    }
  }

  /** Contents of pages go to their frames at once, those of tables are kept. */
  async #pages(body: Uint8Array): Promise<void> {
    const infos = infosOf(body);
    await this.#populate(infos.map(pfnOf));
    const contents = body.subarray(8 + infos.length * 8);
    const present = infos.filter((info) => hasContents(typeOf(info)));
    if (contents.length !== present.length * PAGE_SIZE) {
      throw new StreamError(`${contents.length} bytes of contents for ${present.length} pages`);
    }
    const mfns: number[] = [];
    const bytes: Uint8Array[] = [];
    for (const [n, info] of present.entries()) {
      const [pfn, type, page] = [pfnOf(info), typeOf(info), pageOf(contents, n)];
      if (tableLevel(type) > 0) this.#tables.push({ pfn, type, bytes: page.slice() });
      else if (type !== PFINFO.NOTAB) throw new StreamError(`PFN ${pfn} is of type ${type}`);
      else {
        mfns.push(this.#mfn(pfn, 'page'));
        bytes.push(page);
      }
    }
    await this.#write(mfns, bytes);
  }

  /** Gives the domain frames for PFNs that it has none for yet. */
  async #populate(pfns: readonly number[]): Promise<void> {
    const fresh = [...new Set(pfns)].filter((pfn) => !this.#mfns.has(pfn));
    const beyond = fresh.find((pfn) => pfn >= MOST_PFNS);
    if (beyond !== undefined) throw new StreamError(`there is no PFN ${beyond}`);
    if (fresh.length === 0) return;
    const wanted = { domid: this.#domid, pfns: Uint32Array.from(fresh) };
    const { mfns } = await this.#privcmd.call('populatephysmap', wanted);
    for (const [n, pfn] of fresh.entries()) this.#mfns.set(pfn, mfns[n] ?? 0);
  }

  async #write(mfns: readonly number[], pages: readonly Uint8Array[]): Promise<void> {
    if (mfns.length === 0) return;
    const { bounce } = this.#privcmd;
    const most = Math.min(bounce.pages, 128);
    for (let first = 0; first < mfns.length; first += most) {
      const batch = pages.slice(first, first + most);
      const run = await bounce.take(batch.length);
      try {
        for (const [n, page] of batch.entries()) run.bytes.set(page, n * PAGE_SIZE);
        await this.#privcmd.call('writepages', {
          domid: this.#domid,
          mfns: Uint32Array.from(mfns.slice(first, first + most)),
          at: run.at,
        });
      } finally {
        run.free();
      }
    }
  }

  #read(mfn: number): Promise<Uint8Array> {
    return readPages(this.#privcmd, this.#domid, Uint32Array.of(mfn));
  }

  #mfn(pfn: number, what: string): number {
    const mfn = this.#mfns.get(pfn);
    if (mfn === undefined) throw new StreamError(`the ${what}, PFN ${pfn}, is not in the stream`);
    return mfn;
  }

  async #finish(): Promise<CreatedDomain> {
    const boot = this.#contexts.find(({ vcpu }) => vcpu === 0);
    if (boot === undefined) throw new StreamError('there is no vCPU 0');
    let startPfn = 0;
    for (const { vcpu, bytes } of this.#contexts) {
      startPfn = mapContext(bytes, vcpu, (pfn, what) => this.#mfn(pfn, what)) ?? startPfn;
    }
    await this.#writeTables();
    await this.#writeP2m();
    await this.#writeSharedInfo();
    const startMfn = this.#mfn(startPfn, 'page of start_info');
    const start = await this.#read(startMfn);
    const { storeMfn, consoleMfn } = startInfo.decode(viewOf(start), 0);
    const created = await this.#privcmd.call('finishrestore', {
      domid: this.#domid,
      pins: this.#pins(),
      contexts: this.#contexts,
      storeMfn: this.#mfn(Number(storeMfn), 'page of XenStore'),
      consoleMfn: this.#mfn(Number(consoleMfn), 'page of the console'),
    });
    await this.#writeStartInfo(startMfn, start, created);
    return created;
  }

  async #writeTables(): Promise<void> {
    for (const { pfn, type, bytes } of this.#tables) {
      const stranger = mapTable(bytes, tableLevel(type), (other) => this.#mfns.get(other));
      if (stranger !== undefined) {
        throw new StreamError(
          `a page table, PFN ${pfn}, maps PFN ${stranger}, which is not in the stream`,
        );
      }
    }
    const mfns = this.#tables.map(({ pfn }) => this.#mfn(pfn, 'page table'));
    await this.#write(
      mfns,
      this.#tables.map(({ bytes }) => bytes),
    );
  }

  /** The guest's P2M list with its new frames; marks of the guest's own stay. */
  async #writeP2m(): Promise<void> {
    for (const [n, pfn] of this.#p2m.entries()) {
      const mfn = this.#mfn(pfn, 'page of the P2M list');
      const page = await this.#read(mfn);
      const view = viewOf(page);
      for (let entry = 0; entry < ENTRIES; entry++) {
        const known = this.#mfns.get(n * ENTRIES + entry);
        const old = view.getBigUint64(entry * 8, true);
        if (known !== undefined) view.setBigUint64(entry * 8, BigInt(known), true);
        else if ((old & P2M_MARKS) === 0n) view.setBigUint64(entry * 8, (1n << 64n) - 1n, true);
      }
      await this.#write([mfn], [page]);
    }
  }

  /** The vCPUs' part comes from the stream, the clock is the host's; no event is pending, all are masked. */
  async #writeSharedInfo(): Promise<void> {
    const saved = this.#sharedInfo;
    if (saved === undefined) throw new StreamError('there is no shared_info');
    const page = await this.#read(this.#sharedInfoMfn);
    const { offset } = sharedInfo;
    page.set(saved.subarray(0, offset.evtchnPending), 0);
    page.fill(0, offset.evtchnPending, offset.evtchnMask);
    page.fill(0xff, offset.evtchnMask, offset.wcVersion);
    const view = viewOf(page);
    for (let id = 0; id < XEN_LEGACY_MAX_VCPUS; id++) {
      vcpuInfo.encode(view, offset.vcpuInfo + id * vcpuInfo.size, {
        evtchnUpcallPending: 0,
        evtchnPendingSel: 0n,
      });
    }
    // Where its P2M list is the guest says anew when it has found its frames.
    const { maxPfn } = sharedInfo.decode(viewOf(saved), 0);
    sharedInfo.encode(view, 0, { maxPfn, pfnToMfnFrameListList: 0n, p2mCr3: 0n, p2mVaddr: 0n });
    await this.#write([this.#sharedInfoMfn], [page]);
  }

  #pins(): Uint32Array {
    return Uint32Array.from(
      this.#tables
        .filter(({ type }) => (type & PFINFO.PINNED) !== 0)
        .flatMap(({ pfn, type }) => [this.#mfn(pfn, 'page table'), tableLevel(type)]),
    );
  }

  async #writeStartInfo(mfn: number, page: Uint8Array, created: CreatedDomain): Promise<void> {
    startInfo.encode(viewOf(page), 0, {
      nrPages: BigInt(this.#mfns.size),
      sharedInfo: BigInt(this.#sharedInfoMfn) << 12n,
      flags: 0,
      storeMfn: BigInt(created.storeMfn),
      storeEvtchn: created.storePort,
      consoleMfn: BigInt(created.consoleMfn),
      consoleEvtchn: created.consolePort,
    });
    await this.#write([mfn], [page]);
  }
}

function infosOf(body: Uint8Array): bigint[] {
  const view = viewOf(body);
  const count = body.length < 8 ? 0 : view.getUint32(0, true);
  if (count === 0 || 8 + count * 8 > body.length)
    throw new StreamError(`${count} pages in a record`);
  return Array.from({ length: count }, (_, n) => view.getBigUint64(8 + n * 8, true));
}

function p2mOf(body: Uint8Array): number[] {
  if (body.length < 8) throw new StreamError('a cut-off record of P2M frames');
  const view = viewOf(body);
  const [first, last] = [view.getUint32(0, true), view.getUint32(4, true)];
  const count = Math.floor(last / ENTRIES) + 1;
  if (first !== 0 || last >= MOST_PFNS || body.length !== 8 + count * 8) {
    throw new StreamError(`P2M frames for PFNs ${first} to ${last} in ${body.length} bytes`);
  }
  return Array.from({ length: count }, (_, n) =>
    Number(BigInt.asUintN(52, view.getBigUint64(8 + n * 8, true))),
  );
}

function contextOf(body: Uint8Array): { vcpu: number; bytes: Uint8Array } {
  if (body.length < 8 + vcpuGuestContext.size) {
    throw new StreamError(`${body.length} bytes for the state of a vCPU`);
  }
  const bytes = body.slice(8, 8 + vcpuGuestContext.size);
  return { vcpu: viewOf(body).getUint32(0, true), bytes };
}
