/** What the hypervisor needs of the world around it: filled by the Worker's glue, or by a test without a Worker. */

import type { Clock } from './machine/clock.js';
import type { Ram } from './machine/ram.js';
import type { RandomSource } from './machine/random.js';
import type { PrivcmdCall, PrivcmdMessage } from './public/privcmd.js';

export interface HypervisorHost {
  /** @returns the next call that dom0 has sent, undefined if there is none. */
  receive(): PrivcmdCall | undefined;
  /** Index 0 changes whenever dom0 has sent something. */
  readonly doorbell: Int32Array;
  /** dom0's bounce buffer: what gnttab.copy copies from and to. Shared with dom0; the hypervisor keeps nothing in it. */
  readonly bounce: Uint8Array;
  send(message: PrivcmdMessage): void;
  /** Sleeps until the doorbell no longer reads `seen`, or the time is over. Undefined waits for the doorbell alone. */
  waitForInput(timeoutMs: number | undefined, seen: number): void;
}

/** A clock that stands still but for `advance`: time passes by retired instructions, one nanosecond each. */
export interface VirtualClock extends Clock {
  advance(ns: number): void;
}

export interface HypervisorSetup {
  readonly ram: Ram;
  readonly clock: Clock | VirtualClock;
  /** What guests get from RDRAND and RDSEED. */
  readonly random: RandomSource;
  readonly host: HypervisorHost;
}
