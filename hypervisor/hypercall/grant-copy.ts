/** GNTTABOP_copy: copies bytes between pages, each named by grant or by MFN. Spec: grant_table.h, gnttab_copy. */

import type { Domain } from '../common/domain.js';
import type { GrantTable, Held } from '../common/grant-table.js';
import { PAGE_SIZE } from '../machine/layout.js';
import { asMfn, type VirtAddr } from '../machine/types.js';
import { ERRNO } from '../public/errno.js';
import * as abi from '../public/grant-table.js';
import { DOMID } from '../public/xen.js';
import type { Hypercall } from './hypercall.js';

const { GNTCOPY, GNTST } = abi;

export function copyGrant(call: Hypercall, at: VirtAddr): number {
  const input = call.guest.decode(abi.gnttabCopy, at);
  if (!input) return -ERRNO.EFAULT;
  const status = copy(call, input);
  return call.guest.encode(abi.gnttabCopy, at, { status }) ? 0 : -ERRNO.EFAULT;
}

function copy(call: Hypercall, input: ReturnType<typeof abi.gnttabCopy.decode>): abi.GrantStatus {
  const { len, sourceOffset, destOffset, flags } = input;
  if (sourceOffset + len > PAGE_SIZE || destOffset + len > PAGE_SIZE) {
    const rule = 'a copy stays within a page: %d bytes from %d to %d do not';
    call.refuse(0, rule, len, sourceOffset, destOffset);
    return GNTST.bad_copy_arg;
  }
  const byGrant = [(flags & GNTCOPY.SOURCE_GREF) !== 0, (flags & GNTCOPY.DEST_GREF) !== 0] as const;
  const source = hold(call, input.sourceDomid, input.source, byGrant[0], false);
  if (typeof source === 'number') return source;
  const dest = hold(call, input.destDomid, input.dest, byGrant[1], true);
  let status: abi.GrantStatus = typeof dest === 'number' ? dest : GNTST.okay;
  if (typeof dest !== 'number') {
    if (!contains(source, sourceOffset, len) || !contains(dest, destOffset, len)) {
      call.refuse(0, 'more is to be copied than is granted of the page');
      status = GNTST.general_error;
    } else {
      const { ram } = call.hv;
      const from = ram.addressOf(source.frame) + sourceOffset;
      ram.u8.copyWithin(ram.addressOf(dest.frame) + destOffset, from, from + len);
      call.domain.services.host.frameWritten(dest.frame);
    }
    dest.release();
  }
  source.release();
  return status;
}

const contains = (held: Held, offset: number, length: number): boolean =>
  offset >= held.offset && offset + length <= held.offset + held.length;

/** Holds a page for the time of the copy. An MFN can only name the caller's own memory. */
function hold(
  call: Hypercall,
  domid: number,
  refOrMfn: bigint,
  byGrant: boolean,
  write: boolean,
): Held | Exclude<abi.GrantStatus, 0> {
  const owner = domid === DOMID.SELF ? call.domain : call.hv.lookupDomain(domid);
  if (!owner) {
    call.noDomain(0, domid);
    return GNTST.bad_domain;
  }
  if (byGrant) return holdGrant(call, owner, Number(BigInt.asUintN(32, refOrMfn)), write);
  if (domid !== DOMID.SELF) {
    call.refuse(0, 'a page of d%d is reached by its grant only', domid);
    return GNTST.permission_denied;
  }
  const mfn = asMfn(Number(refOrMfn));
  const frame = owner.ownFrame(mfn);
  if (frame === undefined || !owner.takeReference(mfn, write)) {
    const access = write ? 'written' : 'read';
    call.refuse(0, 'mfn %x is not memory of d%d that may be %s', mfn, owner.id, access);
    return GNTST.bad_page;
  }
  return {
    status: GNTST.okay,
    frame,
    offset: 0,
    length: PAGE_SIZE,
    release: () => owner.dropReference(mfn, write),
  };
}

function holdGrant(
  call: Hypercall,
  owner: Domain,
  ref: number,
  write: boolean,
): Held | Exclude<abi.GrantStatus, 0> {
  const tables = (domid: number): GrantTable | undefined => call.hv.lookupDomain(domid)?.grants;
  const grant = owner.grants.acquireForCopy(ref, call.domain.id, write, tables);
  if (grant.status === GNTST.okay) return grant;
  if (call.hv.wantsReasons()) call.refuse(0, '%s', grant.why);
  return grant.status;
}
