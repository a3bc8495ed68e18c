/** set_gdt (2), update_descriptor (10), set_segment_base (25): segments of a guest. Spec: xen-abi §1.6. */

import { PAGE_SIZE } from '../machine/layout.js';
import { asVirtAddr } from '../machine/types.js';
import { FIRST_RESERVED_GDT_ENTRY, SEGBASE } from '../public/arch-x86.js';
import { ERRNO } from '../public/errno.js';
import { checkDescriptor, DESCRIPTORS_PER_PAGE } from '../pv/descriptors.js';
import { PGT } from '../pv/page-types.js';
import type { Hypercall } from './hypercall.js';

const EINVAL = -ERRNO.EINVAL;

export function setGdt(call: Hypercall): number {
  const entries = call.argLo(1);
  if (entries > FIRST_RESERVED_GDT_ENTRY) {
    return call.refuse(
      EINVAL,
      'a GDT has at most %d entries, not %d',
      FIRST_RESERVED_GDT_ENTRY,
      entries,
    );
  }
  const list = call.argAddress(0);
  const frames: number[] = [];
  for (let n = 0; n < Math.ceil(entries / DESCRIPTORS_PER_PAGE); n++) {
    const at = list === undefined ? undefined : asVirtAddr(list + n * 8);
    const mfn = call.guest.readNumber(at);
    if (mfn === undefined) return -ERRNO.EFAULT;
    frames.push(mfn);
  }
  call.pv.types.work = Number.POSITIVE_INFINITY;
  return call.hv.pv.segments.setGdt(call.vcpu, frames, entries);
}

/** One descriptor at a machine address, in a page in use as a descriptor table or writable. */
export function updateDescriptor(call: Hypercall): number {
  const address = call.arg(0);
  if (!(address >= 0) || address % 8 !== 0) {
    return call.refuse(
      EINVAL,
      'the machine address of a descriptor is a multiple of 8, not %x',
      address,
    );
  }
  const checked = checkDescriptor(call.argLo(1), call.argHi(1));
  const mfn = Math.floor(address / PAGE_SIZE);
  const { types } = call.pv;
  if (!checked) return refuseDescriptor(call, mfn, (address % PAGE_SIZE) / 8);
  if (types.isAlias(mfn)) return types.refuse(EINVAL, { kind: 'not-mappable', mfn });
  types.work = Number.POSITIVE_INFINITY;
  const type = types.type[mfn] === PGT.SEG_DESC ? PGT.SEG_DESC : PGT.WRITABLE;
  const result = types.getPageAndType(mfn, type);
  if (result) return EINVAL;
  const at = types.table(mfn) + (address % PAGE_SIZE) / 4;
  call.hv.ram.u32[at] = checked.lo;
  call.hv.ram.u32[at + 1] = checked.hi;
  call.hv.pv.frameWritten(types.frame(mfn));
  types.putPageAndType(mfn);
  return 0;
}

function refuseDescriptor(call: Hypercall, mfn: number, slot: number): number {
  const [lo, hi] = [call.argLo(1), call.argHi(1)];
  return call.pv.types.refuse(EINVAL, { kind: 'descriptor', mfn, slot, lo, hi });
}

/** The bases that 64-bit segments have beside the descriptors. Called in kernel mode: the user's GS base is the inactive one. */
export function setSegmentBase(call: Hypercall): number {
  const which = call.argLo(0);
  const { pv } = call.hv;
  if (which === SEGBASE.GS_USER_SEL) {
    pv.segments.loadUserGs(call.vcpu, call.argLo(1) & 0xffff, pv.processor.registers);
    return 0;
  }
  const base = call.argAddress(1);
  if (base === undefined) return call.refuse(EINVAL, 'the base is not canonical');
  const value = BigInt.asUintN(64, BigInt(base));
  const { registers } = pv.processor;
  if (which === SEGBASE.FS) registers.fsBase = value;
  else if (which === SEGBASE.GS_USER) registers.kernelGsBase = value;
  else if (which === SEGBASE.GS_KERNEL) registers.gsBase = value;
  else return call.refuse(EINVAL, 'there is no segment base %d', which);
  return 0;
}
