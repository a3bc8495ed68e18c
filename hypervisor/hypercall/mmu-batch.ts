/**
 * Batches of MMU requests: mmu_update and mmuext_op. Both take (list, count, *pdone, domain), stop at the first error, and
 * are preemptible: between requests when time or work is used up, and within one that validates a big tree.
 */

import { asVirtAddr, type VirtAddr } from '../machine/types.js';
import { ERRNO } from '../public/errno.js';
import { MMU_UPDATE_PREEMPTED } from '../public/xen.js';
import { ERESTART } from '../pv/page-types.js';
import { type Hypercall, PREEMPTED } from './hypercall.js';

/** Table entries that one call may look at before it is continued: some hundred microseconds. */
export const WORK_PER_CALL = 65_536;
/** Requests between two looks at the clock. */
const CHECK_EVERY = 32;
const TWO_32 = 0x1_0000_0000;

/** Makes the request at an address. @returns 0, an error, or -ERESTART. */
type One = (call: Hypercall, at: VirtAddr | undefined) => number;

/**
 * @param size bytes of a request.
 * @returns 0 when all are done, else the error of the first that is not; `*pdone` counts those that are.
 */
export function runBatch(call: Hypercall, size: number, one: One): number {
  const raw = call.argLo(1);
  const count = raw & ~MMU_UPDATE_PREEMPTED;
  // A call that goes on finds in *pdone what was done before.
  const before = raw & MMU_UPDATE_PREEMPTED ? (call.guest.readU32(call.argAddress(2)) ?? 0) : 0;
  const list = call.argAddress(0);
  call.pv.types.work = WORK_PER_CALL;
  const { done, result } = runUntilStopped(call, list, size, count, one);
  call.pv.types.work = Number.POSITIVE_INFINITY;
  const reported = reportDone(call, before + done);
  if (result < 0 && result !== ERESTART && before + count > 1) {
    call.refuse(result, 'request %d of %d', before + done, before + count);
  }
  if (result !== ERESTART) return reported ? result : -ERRNO.EFAULT;
  goOn(call, (list ?? 0) + done * size, count - done);
  return PREEMPTED;
}

/** Tables still to be given up come first and last: what a call frees is freed when it returns to the guest. */
function runUntilStopped(
  call: Hypercall,
  list: VirtAddr | undefined,
  size: number,
  count: number,
  one: One,
): { done: number; result: number } {
  const { types } = call.pv;
  if (!types.drain()) return { done: 0, result: ERESTART };
  for (let done = 0; done < count; done++) {
    if (mustStop(call, done)) return { done, result: ERESTART };
    const at = list === undefined ? undefined : asVirtAddr(list + done * size);
    const result = one(call, at);
    if (result !== 0) return { done, result };
  }
  return { done: count, result: types.drain() ? 0 : ERESTART };
}

/** At least one request is made per call, so that a batch always comes to its end. */
function mustStop(call: Hypercall, n: number): boolean {
  if (n === 0) return false;
  return call.pv.types.work <= 0 || (n % CHECK_EVERY === 0 && call.shouldPreempt());
}

/** Writes `*pdone`, if the guest wants it. */
function reportDone(call: Hypercall, done: number): boolean {
  if (call.argLo(2) === 0 && call.argHi(2) === 0) return true;
  return call.guest.writeU32(call.argAddress(2), done);
}

/** Stores how to go on: the rest of the list. */
function goOn(call: Hypercall, at: number, left: number): void {
  call.setArg(0, at >>> 0, Math.floor(at / TWO_32) >>> 0);
  call.setArg(1, (left | MMU_UPDATE_PREEMPTED) >>> 0, 0);
}
