/** mmuext_op (26): pin and unpin page tables, change their base, flush, LDT, clear and copy pages. Spec: xen-abi §1.4. */

import { PAGE_SIZE } from '../machine/layout.js';
import { asFrame, canonical, type VirtAddr } from '../machine/types.js';
import { MAX_LDT_ENTRIES } from '../public/arch-x86.js';
import { ERRNO } from '../public/errno.js';
import { DOMID, MMUEXT, mmuextOp as request } from '../public/xen.js';
import { PGT } from '../pv/page-types.js';
import type { Hypercall } from './hypercall.js';
import { runBatch } from './mmu-batch.js';
import { refuseForeign } from './mmu-update.js';

const EINVAL = -ERRNO.EINVAL;
const EFAULT = -ERRNO.EFAULT;
const TWO_32 = 0x1_0000_0000;

interface Operation {
  /** Frame number or address, and its halves. */
  readonly mfn: number;
  readonly address: VirtAddr | undefined;
  readonly arg2: number;
  readonly arg2Address: VirtAddr | undefined;
}

type Perform = (call: Hypercall, op: Operation) => number;

const flushAll: Perform = (call) => {
  call.hv.pv.processor.flushTlb();
  return 0;
};
const flushOne: Perform = (call, op) => {
  if (op.address !== undefined) call.hv.pv.processor.flushPage(op.address);
  return 0;
};
/** The mask of vCPUs must be readable; there is one processor to flush. */
const withMask =
  (flush: Perform): Perform =>
  (call, op) =>
    call.guest.readU8(op.arg2Address) === undefined ? EFAULT : flush(call, op);
const pin =
  (level: 1 | 2 | 3 | 4): Perform =>
  (call, op) =>
    call.pv.types.pin(op.mfn, level);

// biome-ignore format: one row per operation
const OPERATIONS: Readonly<Record<number, Perform>> = {
  [MMUEXT.PIN_L1_TABLE]:     pin(PGT.L1),
  [MMUEXT.PIN_L2_TABLE]:     pin(PGT.L2),
  [MMUEXT.PIN_L3_TABLE]:     pin(PGT.L3),
  [MMUEXT.PIN_L4_TABLE]:     pin(PGT.L4),
  [MMUEXT.UNPIN_TABLE]:      (call, op) => call.pv.types.unpin(op.mfn),
  [MMUEXT.NEW_BASEPTR]:      (call, op) => call.hv.pv.base.newKernelBase(call.vcpu, op.mfn),
  [MMUEXT.NEW_USER_BASEPTR]: (call, op) => call.hv.pv.base.newUserBase(call.vcpu, op.mfn),
  [MMUEXT.TLB_FLUSH_LOCAL]:  flushAll,
  [MMUEXT.TLB_FLUSH_MULTI]:  withMask(flushAll),
  [MMUEXT.TLB_FLUSH_ALL]:    flushAll,
  [MMUEXT.INVLPG_LOCAL]:     flushOne,
  [MMUEXT.INVLPG_MULTI]:     withMask(flushOne),
  [MMUEXT.INVLPG_ALL]:       flushOne,
  [MMUEXT.FLUSH_CACHE]:      refuseCacheFlush,
  [MMUEXT.FLUSH_CACHE_GLOBAL]: refuseCacheFlush,
  [MMUEXT.SET_LDT]:          setLdt,
  [MMUEXT.CLEAR_PAGE]:       clearPage,
  [MMUEXT.COPY_PAGE]:        copyPage,
  [MMUEXT.MARK_SUPER]:       refuseSuperpage,
  [MMUEXT.UNMARK_SUPER]:     refuseSuperpage,
};

/** @returns 0 when all are done, else the error of the first that is not; `*pdone` counts those that are. */
export function mmuextOp(call: Hypercall): number {
  const refused = checkOwner(call, call.argLo(3));
  return refused === 0 ? runBatch(call, request.size, one) : refused;
}

/** Another domain's page tables are for control domains. */
function checkOwner(call: Hypercall, domid: number): number {
  if (domid === DOMID.SELF || domid === call.domain.id) return 0;
  return refuseForeign(call, domid & 0xffff);
}

function refuseCacheFlush(call: Hypercall): number {
  return call.refuse(
    -ERRNO.EACCES,
    'caches are flushed for domains with devices, d%d has none',
    call.domain.id,
  );
}

function refuseSuperpage(call: Hypercall): number {
  return call.refuse(-ERRNO.EOPNOTSUPP, 'superpages are not offered to PV guests');
}

function setLdt(call: Hypercall, op: Operation): number {
  const entries = op.arg2 >>> 0;
  const result = call.hv.pv.segments.setLdt(call.vcpu, op.address, entries);
  if (result === 0) return 0;
  const rule = 'an LDT begins at a page and has at most %d entries, not %d';
  return call.refuse(result, rule, MAX_LDT_ENTRIES, entries);
}

function one(call: Hypercall, at: VirtAddr | undefined): number {
  const bytes = call.guest.copyFrom(at, request.size);
  if (!bytes) return EFAULT;
  const view = new DataView(bytes.buffer);
  const word = (offset: number) => view.getUint32(offset, true);
  const { arg1, arg2 } = request.offset;
  const cmd = word(request.offset.cmd);
  const perform = OPERATIONS[cmd];
  if (!perform) return call.missing(`mmuext_op(${cmd})`);
  return perform(call, {
    mfn: word(arg1 + 4) * TWO_32 + word(arg1),
    address: canonical(word(arg1), word(arg1 + 4)),
    arg2: word(arg2 + 4) * TWO_32 + word(arg2),
    arg2Address: canonical(word(arg2), word(arg2 + 4)),
  });
}

/** A page that could be written directly is cleared. */
function clearPage(call: Hypercall, op: Operation): number {
  const { types } = call.pv;
  if (types.isAlias(op.mfn)) return types.refuse(EINVAL, { kind: 'not-mappable', mfn: op.mfn });
  const result = types.getPageAndType(op.mfn, PGT.WRITABLE);
  if (result) return result;
  const frame = asFrame(types.frame(op.mfn));
  call.hv.ram.zeroFrame(frame);
  call.hv.pv.frameWritten(frame);
  types.putPageAndType(op.mfn);
  return 0;
}

function copyPage(call: Hypercall, op: Operation): number {
  const { types } = call.pv;
  const source = op.arg2;
  const alias = [op.mfn, source].find((mfn) => types.isAlias(mfn));
  if (alias !== undefined) return types.refuse(EINVAL, { kind: 'not-mappable', mfn: alias });
  const missing = types.getPage(source);
  if (missing) return missing;
  const result = types.getPageAndType(op.mfn, PGT.WRITABLE);
  if (result === 0) {
    const from = types.table(source);
    call.hv.ram.u32.copyWithin(types.table(op.mfn), from, from + PAGE_SIZE / 4);
    call.hv.pv.frameWritten(types.frame(op.mfn));
    types.putPageAndType(op.mfn);
  }
  types.putPage(source);
  return result;
}
