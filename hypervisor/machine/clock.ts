/** Time as the machine sees it: nanoseconds since the hypervisor started. Passed in, never read from the host. */

export interface Clock {
  /** Nanoseconds since the hypervisor started: monotonic, an exact integer below 2^53. */
  now(): number;
  /** Nanoseconds of Unix time at now() = 0. */
  readonly wallClockAtStart: number;
}

/** A clock that stands still until it is told to move: for tests, and the base of the virtual clock. */
export class ManualClock implements Clock {
  readonly wallClockAtStart: number;
  #now = 0;

  constructor(wallClockAtStart = 0) {
    this.wallClockAtStart = wallClockAtStart;
  }

  now(): number {
    return this.#now;
  }

  advance(ns: number): void {
    this.#now += ns;
  }
}
