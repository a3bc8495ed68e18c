/** Facts of xen/include/public/callback.h: where a guest kernel is entered. */

import { struct } from './struct.js';

/** Commands of callback_op. */
export const CALLBACKOP = { REGISTER: 0, UNREGISTER: 1 } as const;

/** What calls back. */
// biome-ignore format: one row per type
export const CALLBACKTYPE = {
  EVENT:               0,
  FAILSAFE:            1,
  SYSCALL:             2,
  SYSENTER_DEPRECATED: 3,
  NMI:                 4,
  SYSENTER:            5,
  SYSCALL32:           7,
} as const;

/** Flag of a callback: events are masked on entry. */
export const CALLBACKF_MASK_EVENTS = 1;

export const callbackRegister = struct('callback_register', {
  type: 'u16',
  flags: 'u16',
  address: 'u64',
});

export const callbackUnregister = struct('callback_unregister', {
  type: 'u16',
  unused: 'u16',
});
