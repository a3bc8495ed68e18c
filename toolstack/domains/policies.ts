/** What becomes of a domain that stops of itself: the policies of its configuration, taken apart. */

import type { DomainCreate, Policy, ShutdownReason } from '../schemas/domain.js';

/** A domain that stops sooner than this after its start is restarted only then: a loop of reboots must not eat the host. */
const SHORTEST_LIFE_MS = 1000;

export interface Reaction {
  /** A core is made first. */
  readonly dump: boolean;
  readonly then: 'destroy' | 'restart' | 'rename-restart' | 'preserve';
  /** Milliseconds to wait. */
  readonly delay: number;
}

/** @param age of the incarnation in milliseconds. */
export function reactionTo(config: DomainCreate, reason: ShutdownReason, age: number): Reaction {
  const policy = policyFor(config, reason);
  const dump = policy === 'coredump-destroy' || policy === 'coredump-restart';
  const then =
    policy === 'coredump-destroy' ? 'destroy' : policy === 'coredump-restart' ? 'restart' : policy;
  const delay = then.includes('restart') ? Math.max(0, SHORTEST_LIFE_MS - age) : 0;
  return { dump, then, delay };
}

function policyFor(config: DomainCreate, reason: ShutdownReason): Policy {
  switch (reason) {
    case 'poweroff':
      return config.onPoweroff;
    case 'reboot':
      return config.onReboot;
    case 'crash':
      return config.onCrash;
    case 'watchdog':
      return config.onWatchdog;
    case 'soft_reset':
      return config.onSoftReset;
    case 'suspend':
      return 'preserve';
  }
}
