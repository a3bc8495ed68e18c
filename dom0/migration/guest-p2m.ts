/**
 * Where a guest keeps its P2M list, by what it says in shared_info:
 *
 *   p2m_cr3 set        the list is mapped at p2m_vaddr by those page tables
 *   otherwise          pfn_to_mfn_frame_list_list: a page of MFNs of pages of MFNs of the list's pages
 *
 * Whatever the guest says may be wrong. Spec: arch-x86/xen.h, arch_shared_info.
 */

import { sharedInfo } from '../../hypervisor/public/xen.js';
import { PAGE_SIZE } from './page-info.js';
import { StreamError, viewOf } from './stream.js';
import { frameAt } from './tables.js';

const ENTRIES = 512;
const LEVELS = 4;

/** Reads a page of the guest by its MFN. */
type ReadPage = (mfn: number) => Promise<Uint8Array>;

/**
 * MFNs of the list's pages, in order.
 * @param pages how many PFNs the list is for.
 * @throws StreamError if the guest does not say where its list is, or says what cannot be.
 */
export async function p2mFrames(
  info: Uint8Array,
  pages: number,
  readPage: ReadPage,
): Promise<number[]> {
  const { p2mCr3, p2mVaddr, pfnToMfnFrameListList } = sharedInfo.decode(viewOf(info), 0);
  const count = Math.ceil(pages / ENTRIES);
  const read = remembering(readPage);
  if (p2mCr3 !== 0n) {
    const walk = (n: number) => walkTo(read, p2mCr3, p2mVaddr + BigInt(n * PAGE_SIZE));
    return collect(count, walk);
  }
  if (pfnToMfnFrameListList === 0n || pfnToMfnFrameListList === (1n << 64n) - 1n) {
    throw new StreamError('the guest does not say where its P2M list is');
  }
  const top = await read(Number(pfnToMfnFrameListList));
  return collect(count, async (n) => {
    const middle = await read(entryOf(top, Math.floor(n / ENTRIES)));
    return entryOf(middle, n % ENTRIES);
  });
}

async function collect(count: number, frame: (n: number) => Promise<number>): Promise<number[]> {
  const frames: number[] = [];
  for (let n = 0; n < count; n++) frames.push(await frame(n));
  return frames;
}

const entryOf = (page: Uint8Array, n: number): number =>
  Number(BigInt.asUintN(52, viewOf(page).getBigUint64((n % ENTRIES) * 8, true)));

async function walkTo(read: ReadPage, cr3: bigint, address: bigint): Promise<number> {
  let frame = Number(BigInt.asUintN(52, cr3 >> 12n));
  for (let level = LEVELS; level > 0; level--) {
    const slot = Number((address >> BigInt(12 + 9 * (level - 1))) & 511n);
    const next = frameAt(await read(frame), slot);
    if (next === undefined) {
      throw new StreamError(`the P2M list is not mapped at 0x${address.toString(16)}`);
    }
    frame = next;
  }
  return frame;
}

/** The same few tables are asked for again and again. */
function remembering(readPage: ReadPage): ReadPage {
  const known = new Map<number, Uint8Array>();
  return async (mfn) => {
    const page = known.get(mfn) ?? (await readPage(mfn));
    known.set(mfn, page);
    return page;
  };
}
