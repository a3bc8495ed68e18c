/** A runstate as the guest sees it. Spec: vcpu.h, vcpu_runstate_info. */

import type { Runstate } from '../common/runstate.js';
import { RUNSTATE } from '../public/vcpu.js';

export function encodeRunstate(runstate: Runstate, now: number) {
  const time = (state: number) => BigInt(Math.round(runstate.timeIn(state, now)));
  return {
    state: runstate.state,
    stateEntryTime: BigInt(runstate.since),
    timeRunning: time(RUNSTATE.RUNNING),
    timeRunnable: time(RUNSTATE.RUNNABLE),
    timeBlocked: time(RUNSTATE.BLOCKED),
    timeOffline: time(RUNSTATE.OFFLINE),
  };
}
