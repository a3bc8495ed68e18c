/** set_timer_op (15): one timer of the current vCPU. Spec: xen-abi §1.2. */

import type { Hypercall } from './hypercall.js';

const TWO_32 = 0x1_0000_0000;
/** A timeout further away than this, or negative, is a guest that overflowed: it is called in a while, not never. */
const FAR_NS = 2 ** 50;
const SOON_NS = 100_000_000;

/** @returns 0. Time 0 stops the timer; a time that has passed fires at once. */
export function setTimerOp(call: Hypercall): number {
  const { timers, clock } = call.hv;
  const { singleshot } = call.vcpu.vcpu;
  const at = (call.argHi(0) | 0) * TWO_32 + call.argLo(0);
  const now = clock.now();
  if (at === 0) timers.cancel(singleshot);
  else if (at < 0 || at - now > FAR_NS) timers.set(singleshot, now + SOON_NS);
  else timers.set(singleshot, at);
  return 0;
}
