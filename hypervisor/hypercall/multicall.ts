/** multicall (13): an array of {op, result, args[6]}, made one after the other. Spec: xen.h, struct multicall_entry. */

import { asVirtAddr, type VirtAddr } from '../machine/types.js';
import { ERRNO } from '../public/errno.js';
import { type Hypercall, NO_RESULT, PREEMPTED } from './hypercall.js';

const ENTRY_SIZE = 64;
const RESULT_OFFSET = 8;
const ARGS_OFFSET = 16;
const TWO_32 = 0x1_0000_0000;

/** @returns 0 whatever the calls gave; -EFAULT: an entry cannot be read or written; -EINVAL: a multicall in a multicall. */
export function multicall(call: Hypercall): number {
  if (call.inner !== undefined)
    return call.refuse(-ERRNO.EINVAL, 'a multicall may not be in a multicall');
  const first = call.argAddress(0);
  if (first === undefined) return -ERRNO.EFAULT;
  const count = call.argLo(1);
  for (let n = 0; n < count; n++) {
    const at = asVirtAddr(first + n * ENTRY_SIZE);
    if (n > 0 && call.shouldPreempt()) return continueFrom(call, at, count - n);
    const result = one(call, at);
    if (result === PREEMPTED) return continueFrom(call, at, count - n);
    if (result !== 0) return result;
    if (call.domain.isShutdown) break;
  }
  return 0;
}

/** Makes one call. @returns 0, PREEMPTED, NO_RESULT if there is nothing to return to, or -EFAULT. */
function one(call: Hypercall, at: VirtAddr): number {
  const bytes = call.guest.copyFrom(at, ENTRY_SIZE);
  if (!bytes) return -ERRNO.EFAULT;
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, ENTRY_SIZE / 4);
  const number = words[1] === 0 ? (words[0] ?? 0) : -1;
  call.inner = words.subarray(ARGS_OFFSET / 4);
  const result = call.perform(number);
  call.inner = undefined;
  if (result === NO_RESULT) return NO_RESULT;
  if (result === PREEMPTED) {
    // The arguments that the handler left are where the entry goes on.
    const args = bytes.subarray(ARGS_OFFSET);
    return call.guest.copyTo(asVirtAddr(at + ARGS_OFFSET), args) ? PREEMPTED : -ERRNO.EFAULT;
  }
  const high = Math.floor(result / TWO_32) >>> 0;
  const written = call.guest.writeHalves(asVirtAddr(at + RESULT_OFFSET), result >>> 0, high);
  return written ? 0 : -ERRNO.EFAULT;
}

function continueFrom(call: Hypercall, at: VirtAddr, count: number): number {
  call.setArg(0, at >>> 0, Math.floor(at / TWO_32) >>> 0);
  call.setArg(1, count, 0);
  return PREEMPTED;
}
