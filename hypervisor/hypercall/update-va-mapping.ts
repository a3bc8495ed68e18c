/** update_va_mapping (14) and its form for another domain (22): the entry that maps an address. Spec: xen-abi §1.5. */

import { toU64, type VirtAddr } from '../machine/types.js';
import { HYPERVISOR_VIRT_END, HYPERVISOR_VIRT_START } from '../public/arch-x86.js';
import { ERRNO } from '../public/errno.js';
import { UVMF } from '../public/xen.js';
import { ERESTART, PGT } from '../pv/page-types.js';
import { tableSlot } from '../pv/pte.js';
import { type Hypercall, PREEMPTED } from './hypercall.js';
import { WORK_PER_CALL } from './mmu-batch.js';
import { checkForeign } from './mmu-update.js';

const EINVAL = -ERRNO.EINVAL;

/** @returns 0; -EINVAL: no level-1 entry for the address; an error of the new entry. After an error nothing is flushed. */
export function updateVaMapping(call: Hypercall): number {
  const va = call.argAddress(0);
  if (va === undefined || (va >= HYPERVISOR_VIRT_START && va < HYPERVISOR_VIRT_END)) {
    return va === undefined
      ? call.refuse(EINVAL, 'the address is not canonical')
      : call.refuse(EINVAL, "%s is in Xen's range", addressText(va));
  }
  const { pv } = call;
  const table = pv.l1Table(call.vcpu.kernelTable, va);
  if (table === 0) {
    const rule = 'there is no L1 table for %s under L4 mfn %x';
    return call.refuse(EINVAL, rule, addressText(va), call.vcpu.kernelTable);
  }
  pv.types.work = WORK_PER_CALL;
  const result = pv.tables.modify(table, PGT.L1, tableSlot(va, 1), call.argLo(1), call.argHi(1));
  pv.types.work = Number.POSITIVE_INFINITY;
  if (result === ERESTART) return PREEMPTED;
  if (result === 0) flush(call, va, call.argLo(2));
  return result;
}

const addressText = (va: VirtAddr): string => `0x${toU64(va).toString(16)}`;

/** One processor: whatever set of vCPUs is named, its translations are the only ones. */
function flush(call: Hypercall, va: VirtAddr, flags: number): void {
  const kind = flags & UVMF.FLUSHTYPE_MASK;
  const { processor } = call.hv.pv;
  if (kind === UVMF.TLB_FLUSH) processor.flushTlb();
  else if (kind === UVMF.INVLPG) processor.flushPage(va);
}

/** The foreign domain stands in the fourth argument. */
export function updateVaMappingOtherdomain(call: Hypercall): number {
  const refused = checkForeign(call, call.argLo(3) & 0xffff);
  return refused === 0 ? updateVaMapping(call) : refused;
}
