/** What a vCPU has been doing and for how long. Spec: vcpu.h, vcpu_runstate_info. */

import type { VirtAddr } from '../machine/types.js';
import { RUNSTATE } from '../public/vcpu.js';

export class Runstate {
  state: number = RUNSTATE.OFFLINE;
  /** System time at which the state was entered. */
  since: number;
  /** Nanoseconds spent in each state before `since`. */
  readonly time = [0, 0, 0, 0];
  /** Where the guest wants it written; undefined if it has not asked. */
  area: VirtAddr | undefined;

  constructor(now: number) {
    this.since = now;
  }

  enter(state: number, now: number): void {
    if (state === this.state) return;
    this.time[this.state] = this.timeIn(this.state, now);
    this.state = state;
    this.since = now;
  }

  /** Nanoseconds spent in a state up to now. */
  timeIn(state: number, now: number): number {
    return (this.time[state] ?? 0) + (state === this.state ? now - this.since : 0);
  }
}
