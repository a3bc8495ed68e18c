/**
 * GNTTABOP_transfer: gives a page away for good, to a domain that has an entry which accepts one. As on Xen, a page that was
 * given up but could not be handed over is gone. Spec: grant_table.h, gnttab_transfer and GTF_accept_transfer.
 */

import type { Domain } from '../common/domain.js';
import { asMfn, asPfn, type Mfn, type VirtAddr } from '../machine/types.js';
import { ERRNO } from '../public/errno.js';
import * as abi from '../public/grant-table.js';
import type { Hypercall } from './hypercall.js';

const { GNTST } = abi;

export function transferPage(call: Hypercall, at: VirtAddr): number {
  const input = call.guest.decode(abi.gnttabTransfer, at);
  if (!input) return -ERRNO.EFAULT;
  const status = transfer(call, asMfn(Number(input.mfn)), input.domid, input.ref);
  return call.guest.encode(abi.gnttabTransfer, at, { status }) ? 0 : -ERRNO.EFAULT;
}

/**
 *   bad_page        the MFN is not the caller's memory, or the page is in use
 *   bad_domain      there is no such domain
 *   general_error   it has no room, or its entry accepts no page from the caller
 */
function transfer(call: Hypercall, mfn: Mfn, domid: number, ref: number): abi.GrantStatus {
  const giver = call.domain;
  const { memory } = giver.services;
  if (giver.kindOf(mfn) !== 'ram' || !memory.isIdle(giver, mfn)) {
    call.refuse(0, 'mfn %x is no page of d%d, or in use', mfn, giver.id);
    return GNTST.bad_page;
  }
  const taker = call.hv.lookupDomain(domid);
  const status = taker ? refusal(call, taker) : GNTST.bad_domain;
  const pfn =
    taker && status === GNTST.okay ? taker.grants.acceptTransfer(ref, giver.id) : undefined;
  if (!taker || pfn === undefined) {
    if (!taker) call.noDomain(0, domid);
    else call.refuse(0, 'd%d does not take a page under reference %d', domid, ref);
    memory.dropAllocation(giver, mfn);
    return status === GNTST.okay ? GNTST.general_error : status;
  }
  const arrived = taker.memory.adopt(giver.memory.detach(mfn));
  memory.setPhysical(taker, arrived, asPfn(pfn));
  taker.grants.completeTransfer(ref, arrived);
  return GNTST.okay;
}

function refusal(call: Hypercall, taker: Domain): abi.GrantStatus {
  const hasRoom = taker.memory.canAdopt && !taker.dying && taker !== call.domain;
  return hasRoom ? GNTST.okay : GNTST.general_error;
}
