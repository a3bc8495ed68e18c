/**
 * Writes a suspended domain to a stream. Nothing of it runs meanwhile, so each page is read once.
 * Order of records as real Xen's: PV info, end of static data, P2M frames, pages, TSC, shared_info, vCPUs, end.
 */

import type { Privcmd } from '../privcmd.js';
import { p2mFrames } from './guest-p2m.js';
import { readPages } from './guest-pages.js';
import { hasContents, PFINFO, pageInfo, tableLevel } from './page-info.js';
import {
  header,
  pageOf,
  RECORD,
  type Sink,
  StreamError,
  trailer,
  viewOf,
  writeRecord,
} from './stream.js';
import { mapTable } from './tables.js';
import { mapContext } from './vcpu-frames.js';

/** Pages read and written at a time. */
const BATCH = 128;
const GUEST_WIDTH = 8;
const TABLE_LEVELS = 4;
/** TSC_MODE_NEVER_EMULATE of a host whose time-stamp counter ticks nanoseconds. */
const TSC = { MODE: 2, KHZ: 1_000_000 } as const;

interface Memory {
  readonly mfns: Uint32Array;
  readonly pfns: Float64Array;
  /** PFINFO of each. */
  readonly types: Uint8Array;
  readonly sharedInfoMfn: number;
  /** PFN by MFN. */
  readonly pfnByMfn: ReadonlyMap<number, number>;
}

/**
 * @param progress told how much is done, from 0 to 1.
 * @throws StreamError if the domain is in a state that no stream can hold; PrivcmdRefusal if it is gone.
 */
export async function saveDomain(
  privcmd: Privcmd,
  domid: number,
  sink: Sink,
  progress: (done: number) => void = () => undefined,
): Promise<void> {
  const memory = await listMemory(privcmd, domid);
  const read = (mfns: Uint32Array) => readPages(privcmd, domid, mfns);
  const info = await read(Uint32Array.of(memory.sharedInfoMfn));
  const pages = highestPfn(memory) + 1;
  const list = await p2mFrames(info, pages, (mfn) => read(Uint32Array.of(mfn)));
  await sink.write(header());
  await writeRecord(
    sink,
    RECORD.X86_PV_INFO,
    Uint8Array.of(GUEST_WIDTH, TABLE_LEVELS, 0, 0, 0, 0, 0, 0),
  );
  await writeRecord(sink, RECORD.STATIC_DATA_END);
  await writeRecord(sink, RECORD.X86_PV_P2M_FRAMES, p2mRecord(memory, list, pages));
  for (let first = 0; first < memory.mfns.length; first += BATCH) {
    await writePages(sink, memory, first, read);
    progress(first / memory.mfns.length);
  }
  await writeRecord(sink, RECORD.TSC_INFO, tscRecord());
  await writeRecord(sink, RECORD.SHARED_INFO, info);
  await writeVcpus(sink, privcmd, domid, memory);
  await writeRecord(sink, RECORD.END);
  await sink.write(trailer());
  progress(1);
}

async function listMemory(privcmd: Privcmd, domid: number): Promise<Memory> {
  const { mfns, pfns, sharedInfoMfn } = await privcmd.call('getmemlist', { domid });
  const { types } = await privcmd.call('getpageframeinfo', { domid, mfns });
  const pfnByMfn = new Map<number, number>();
  for (const [n, mfn] of mfns.entries()) {
    const pfn = pfns[n] ?? -1;
    if (pfn < 0) throw new StreamError(`MFN ${mfn} of the guest has no PFN`);
    pfnByMfn.set(mfn, pfn);
  }
  return { mfns, pfns, types, sharedInfoMfn, pfnByMfn };
}

const highestPfn = ({ pfns }: Memory): number => pfns.reduce((most, pfn) => Math.max(most, pfn), 0);

function p2mRecord({ pfnByMfn }: Memory, list: readonly number[], pages: number): Uint8Array {
  const body = new Uint8Array(8 + list.length * 8);
  const view = viewOf(body);
  view.setUint32(4, pages - 1, true);
  for (const [n, mfn] of list.entries()) {
    const pfn = pfnByMfn.get(mfn);
    if (pfn === undefined)
      throw new StreamError(`MFN ${mfn} of the P2M list is none of the guest's`);
    view.setBigUint64(8 + n * 8, BigInt(pfn), true);
  }
  return body;
}

async function writePages(
  sink: Sink,
  memory: Memory,
  first: number,
  read: (mfns: Uint32Array) => Promise<Uint8Array>,
): Promise<void> {
  const mfns = memory.mfns.subarray(first, first + BATCH);
  const head = new Uint8Array(8 + mfns.length * 8);
  const view = viewOf(head);
  view.setUint32(0, mfns.length, true);
  const contents = await read(mfns);
  for (let n = 0; n < mfns.length; n++) {
    const type = memory.types[first + n] ?? PFINFO.NOTAB;
    const pfn = memory.pfns[first + n] ?? 0;
    view.setBigUint64(8 + n * 8, pageInfo(type, pfn), true);
    const level = tableLevel(type);
    if (level === 0 || !hasContents(type)) continue;
    const stranger = mapTable(pageOf(contents, n), level, (mfn) => memory.pfnByMfn.get(mfn));
    if (stranger !== undefined) {
      throw new StreamError(
        `a level-${level} table, PFN ${pfn}, maps MFN ${stranger}, which is no page of the guest's own`,
      );
    }
  }
  await writeRecord(sink, RECORD.PAGE_DATA, head, contents);
}

function tscRecord(): Uint8Array {
  const body = new Uint8Array(24);
  const view = viewOf(body);
  view.setUint32(0, TSC.MODE, true);
  view.setUint32(4, TSC.KHZ, true);
  return body;
}

async function writeVcpus(
  sink: Sink,
  privcmd: Privcmd,
  domid: number,
  { pfnByMfn }: Memory,
): Promise<void> {
  const { vcpus } = await privcmd.call('getdomaininfo', { domid });
  for (const { id } of vcpus.filter(({ online }) => online)) {
    const context = await privcmd.call('getvcpucontext', { domid, vcpu: id });
    if (context === undefined) continue;
    mapContext(context, id, (mfn, what) => {
      const pfn = pfnByMfn.get(mfn);
      if (pfn === undefined) {
        throw new StreamError(
          `the ${what} of vCPU ${id}, MFN ${mfn}, is no page of the guest's own`,
        );
      }
      return pfn;
    });
    const head = new Uint8Array(8);
    viewOf(head).setUint32(0, id, true);
    await writeRecord(sink, RECORD.X86_PV_VCPU_BASIC, head, context);
  }
}
