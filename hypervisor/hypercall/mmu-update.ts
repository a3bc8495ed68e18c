/**
 * mmu_update (1): a batch of checked stores into page tables, or of machine-to-physical entries. Spec: xen.h; xen-abi §1.5.
 */

import { PAGE_SIZE } from '../machine/layout.js';
import type { VirtAddr } from '../machine/types.js';
import { ERRNO } from '../public/errno.js';
import { DOMID, MMU, mmuUpdate as request } from '../public/xen.js';
import { type PageType, PGT } from '../pv/page-types.js';
import { ENTRY_SIZE } from '../pv/pte.js';
import type { Hypercall } from './hypercall.js';
import { runBatch } from './mmu-batch.js';

const EINVAL = -ERRNO.EINVAL;
const EFAULT = -ERRNO.EFAULT;
const TWO_32 = 0x1_0000_0000;

/**
 * @returns 0 when all are done, else the error of the first that is not; `*pdone` counts those that are.
 */
export function mmuUpdate(call: Hypercall): number {
  const refused = checkForeign(call, call.argLo(3));
  return refused === 0 ? runBatch(call, request.size, one) : refused;
}

/** Updates to another domain's memory are for control domains, which are not guests here. */
export function checkForeign(call: Hypercall, foreigndom: number): number {
  const target = foreigndom & 0xffff;
  const tables = foreigndom >>> 16;
  if (tables !== 0 && tables - 1 !== DOMID.SELF && tables - 1 !== call.domain.id) {
    return call.refuse(
      -ERRNO.EPERM,
      'page tables of d%d are not for d%d',
      tables - 1,
      call.domain.id,
    );
  }
  if (target === DOMID.SELF || target === call.domain.id) return 0;
  if (target === DOMID.IO || target === DOMID.XEN) {
    const rule = '%s names device memory, and d%d has no devices';
    const name = target === DOMID.IO ? 'DOMID_IO' : 'DOMID_XEN';
    return call.refuse(-ERRNO.EPERM, rule, name, call.domain.id);
  }
  return refuseForeign(call, target);
}

/** Memory of others is for control domains. */
export function refuseForeign(call: Hypercall, domid: number): number {
  return call.lookupDomain(domid) === undefined
    ? call.noDomain(-ERRNO.ESRCH, domid)
    : call.notAllowed(-ERRNO.EPERM, domid);
}

function one(call: Hypercall, at: VirtAddr | undefined): number {
  const host = call.guest.hostAddress(at, request.size, 0);
  const words = call.hv.ram.u32;
  let [ptrLo, ptrHi, lo, hi] = [0, 0, 0, 0];
  if (host >= 0 && host % 4 === 0) {
    const word = host >>> 2;
    ptrLo = words[word] ?? 0;
    ptrHi = words[word + 1] ?? 0;
    lo = words[word + 2] ?? 0;
    hi = words[word + 3] ?? 0;
  } else {
    const bytes = call.guest.copyFrom(at, request.size);
    if (!bytes) return EFAULT;
    const view = new DataView(bytes.buffer);
    [ptrLo, ptrHi, lo, hi] = [0, 4, 8, 12].map((field) => view.getUint32(field, true)) as [
      number,
      number,
      number,
      number,
    ];
  }
  return update(call, ptrLo, ptrHi, lo, hi);
}

/** One request: `ptr` is a machine address with the command in its low two bits. */
function update(call: Hypercall, ptrLo: number, ptrHi: number, lo: number, hi: number): number {
  const command = ptrLo & 3;
  const mfn = ptrHi * 0x10_0000 + (ptrLo >>> 12);
  if (command === MMU.MACHPHYS_UPDATE) return machphys(call, mfn, lo, hi);
  // Bit 2 is part of the address, and entries are 8 bytes.
  const offset = ptrLo & (PAGE_SIZE - 1) & ~3;
  if (offset % ENTRY_SIZE !== 0)
    return call.refuse(
      EINVAL,
      'offset %x in mfn %x is not aligned to the 8 bytes of an entry',
      offset,
      mfn,
    );
  return normal(call, mfn, offset, lo, hi, command === MMU.PT_UPDATE_PRESERVE_AD);
}

function machphys(call: Hypercall, mfn: number, lo: number, hi: number): number {
  const { types, m2p } = call.pv;
  if (!types.refs[mfn]) return types.refuse(EINVAL, { kind: 'no-frame', mfn });
  if (types.isAlias(mfn)) return types.refuse(EINVAL, { kind: 'not-mappable', mfn });
  if (m2p.set(mfn, hi * TWO_32 + lo)) return 0;
  return call.refuse(-ERRNO.ENOMEM, 'the host has no frame for the machine-to-physical table');
}

/** A checked store into a page table in use, or a plain one into a page that could be written directly. */
function normal(
  call: Hypercall,
  mfn: number,
  offset: number,
  lo: number,
  hi: number,
  preserveAd: boolean,
): number {
  const { types, tables } = call.pv;
  if (!types.refs[mfn]) return types.refuse(EINVAL, { kind: 'no-frame', mfn });
  if (types.isAlias(mfn)) return types.refuse(EINVAL, { kind: 'not-mappable', mfn });
  const type = types.typeInUse(mfn);
  if (type >= PGT.L1 && type <= PGT.L4) {
    return tables.modify(mfn, type as PageType, offset / ENTRY_SIZE, lo, hi, preserveAd);
  }
  const result = types.getPageAndType(mfn, PGT.WRITABLE);
  if (result) return result;
  const at = types.table(mfn) + offset / 4;
  call.hv.ram.u32[at] = lo;
  call.hv.ram.u32[at + 1] = hi;
  call.hv.pv.frameWritten(types.frame(mfn));
  types.putPageAndType(mfn);
  return 0;
}
