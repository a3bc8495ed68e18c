/** Facts of xen/include/public/sched.h: scheduler operations and reasons of shutdown. */

import { struct } from './struct.js';

/** Commands of sched_op. */
// biome-ignore format: one row per command
export const SCHEDOP = {
  YIELD:           0,
  BLOCK:           1, // unmasks events, then waits for one
  SHUTDOWN:        2,
  POLL:            3, // waits for one of a few ports, masked ones too
  REMOTE_SHUTDOWN: 4,
  SHUTDOWN_CODE:   5,
  WATCHDOG:        6,
  PIN_OVERRIDE:    7,
} as const;

/** Why a domain shut down. */
// biome-ignore format: one row per reason
export const SHUTDOWN = {
  poweroff:   0,
  reboot:     1,
  suspend:    2,
  crash:      3,
  watchdog:   4,
  soft_reset: 5,
} as const;

export type ShutdownReason = keyof typeof SHUTDOWN;
export const SHUTDOWN_MAX = 5;

const NAMES = Object.keys(SHUTDOWN) as ShutdownReason[];
/** @returns the name of a shutdown code, undefined if there is none such. */
export const shutdownName = (code: number): ShutdownReason | undefined => NAMES[code];

export const schedShutdown = struct('sched_shutdown', { reason: 'u32' });

export const schedPoll = struct('sched_poll', {
  ports: 'u64', // pointer to evtchn_port_t[nrPorts]
  nrPorts: 'u32',
  timeout: 'u64', // system time in ns, 0 for none
});

/** Ports that one poll may name. */
export const SCHED_POLL_MAX_PORTS = 128;

export const schedRemoteShutdown = struct('sched_remote_shutdown', {
  domainId: 'u16',
  reason: 'u32',
});

export const schedWatchdog = struct('sched_watchdog', {
  id: 'u32', // 0 to ask for a new one
  timeout: 'u32', // seconds, 0 to stop it
});

/** Watchdogs of one domain. */
export const NR_DOMAIN_WATCHDOG_TIMERS = 2;

export const schedPinOverride = struct('sched_pin_override', { pcpu: 's32' });
