/** Frame numbers in a vCPU's state: page-table bases, pages of its GDT, and in vCPU 0's RDX the page of start_info. */

import { cpuUserRegs, vcpuGuestContext } from '../../hypervisor/public/arch-x86.js';
import { viewOf } from './stream.js';

const AT = vcpuGuestContext.offset;
const DESCRIPTORS_PER_PAGE = 512;
const GDT_PAGES = 16;
/** The third argument of sched_op(shutdown, suspend). */
const RDX = AT.userRegs + cpuUserRegs.offset.rdx;

/** A CR3 of Xen's ABI: the frame number rotated left by 12. */
const cr3 = (frame: number): bigint => BigInt(frame) << 12n;

/**
 * Rewrites the frame numbers in place.
 * @param vcpu number of the vCPU.
 * @param lookup the new frame number. Throws if there is none.
 * @returns the page of start_info as it was before, for vCPU 0.
 */
export function mapContext(
  context: Uint8Array,
  vcpu: number,
  lookup: (frame: number, what: string) => number,
): number | undefined {
  const view = viewOf(context);
  const { ctrlreg1, ctrlreg3, gdtEnts } = vcpuGuestContext.decode(view, 0);
  const kernel = lookup(Number(ctrlreg3 >> 12n), 'page-table base of the kernel');
  view.setBigUint64(AT.ctrlreg3, cr3(kernel), true);
  if (ctrlreg1 !== 0n) {
    const user = lookup(Number(ctrlreg1 >> 12n), 'page-table base of applications');
    // Bit 0 says that there is one.
    view.setBigUint64(AT.ctrlreg1, cr3(user) | 1n, true);
  }
  const pages = Math.min(Math.ceil(Number(gdtEnts) / DESCRIPTORS_PER_PAGE), GDT_PAGES);
  for (let n = 0; n < pages; n++) {
    const at = AT.gdtFrames + n * 8;
    const frame = lookup(Number(view.getBigUint64(at, true)), 'page of the GDT');
    view.setBigUint64(at, BigInt(frame), true);
  }
  if (vcpu !== 0) return undefined;
  const startInfo = Number(BigInt.asUintN(52, view.getBigUint64(RDX, true)));
  view.setBigUint64(RDX, BigInt(lookup(startInfo, 'page of start_info')), true);
  return startInfo;
}
