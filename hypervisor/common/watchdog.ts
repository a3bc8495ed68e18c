/** A domain's watchdogs: shut it down unless the guest puts them off in time. Spec: sched.h, SCHEDOP_watchdog. */

import type { Clock } from '../machine/clock.js';
import { ERRNO } from '../public/errno.js';
import { NR_DOMAIN_WATCHDOG_TIMERS } from '../public/sched.js';
import { Timer, type Timers } from './timer.js';

const NS_PER_SECOND = 1_000_000_000;

export class Watchdogs {
  readonly #timers: Timers;
  readonly #clock: Clock;
  readonly #watchdogs: Timer[];

  /** @param bite what happens when one runs out. */
  constructor(timers: Timers, clock: Clock, bite: () => void) {
    this.#timers = timers;
    this.#clock = clock;
    this.#watchdogs = Array.from({ length: NR_DOMAIN_WATCHDOG_TIMERS }, () => new Timer(bite));
  }

  /**
   * @param id 0 for a new watchdog, else the one to put off, or to stop with timeout 0.
   * @param timeout in seconds.
   * @returns the id of a new one, 0; -EINVAL: no such watchdog is set; -ENOSPC: all are in use.
   */
  set(id: number, timeout: number): number {
    if (id > NR_DOMAIN_WATCHDOG_TIMERS) return -ERRNO.EINVAL;
    const place = id === 0 ? this.#watchdogs.findIndex((timer) => !timer.armed) : id - 1;
    const timer = this.#watchdogs[place];
    if (!timer) return -ERRNO.ENOSPC;
    if (id !== 0 && !timer.armed) return -ERRNO.EINVAL;
    if (id !== 0 && timeout === 0) this.#timers.cancel(timer);
    else this.#timers.set(timer, this.#clock.now() + timeout * NS_PER_SECOND);
    return id === 0 ? place + 1 : 0;
  }

  cancel(): void {
    for (const timer of this.#watchdogs) this.#timers.cancel(timer);
  }
}
