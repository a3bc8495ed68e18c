/** Facts of xen/include/public/vcpu.h: operations on virtual processors, run states. */

import { struct } from './struct.js';

/** Commands of vcpu_op. */
// biome-ignore format: one row per command
export const VCPUOP = {
  INITIALISE:                    0, // vcpu_guest_context
  UP:                            1,
  DOWN:                          2,
  IS_UP:                         3,
  GET_RUNSTATE_INFO:             4,
  REGISTER_RUNSTATE_MEMORY_AREA: 5,
  SET_PERIODIC_TIMER:            6,
  STOP_PERIODIC_TIMER:           7,
  SET_SINGLESHOT_TIMER:          8,
  STOP_SINGLESHOT_TIMER:         9,
  REGISTER_VCPU_INFO:            10,
  SEND_NMI:                      11,
  GET_PHYSID:                    12,
  REGISTER_VCPU_TIME_MEMORY_AREA:13,
} as const;

/** What a vCPU is doing. */
// biome-ignore format: one row per state
export const RUNSTATE = {
  RUNNING:  0,
  RUNNABLE: 1, // wants to run, does not
  BLOCKED:  2,
  OFFLINE:  3, // down, paused or shut down
} as const;

export const vcpuRunstateInfo = struct('vcpu_runstate_info', {
  state: 's32', // RUNSTATE.*
  stateEntryTime: 'u64', // system time; bit 63 set while Xen writes (VMASST.TYPE_RUNSTATE_UPDATE_FLAG)
  timeRunning: 'u64', // ns in each state
  timeRunnable: 'u64',
  timeBlocked: 'u64',
  timeOffline: 'u64',
});

/** XEN_RUNSTATE_UPDATE: bit 31 of the high half of stateEntryTime. */
export const RUNSTATE_UPDATE_HIGH = 0x8000_0000;

export const vcpuRegisterRunstateMemoryArea = struct('vcpu_register_runstate_memory_area', {
  addr: 'u64', // virtual address
});

export const vcpuSetPeriodicTimer = struct('vcpu_set_periodic_timer', { periodNs: 'u64' });
/** Shortest period of a periodic timer: 1 ms. */
export const MIN_PERIOD_NS = 1_000_000;

export const vcpuSetSingleshotTimer = struct('vcpu_set_singleshot_timer', {
  timeoutAbsNs: 'u64', // system time
  flags: 'u32', // VCPU_SSHOTTMR_FUTURE
});
/** Refuse with -ETIME a time that has passed. */
export const VCPU_SSHOTTMR_FUTURE = 1;

export const vcpuRegisterVcpuInfo = struct('vcpu_register_vcpu_info', {
  mfn: 'u64',
  offset: 'u32', // within the page
  rsvd: 'u32',
});

export const vcpuGetPhysid = struct('vcpu_get_physid', {
  physId: 'u64', // APIC id in the low half, ACPI id in the high one
});

export const vcpuRegisterTimeMemoryArea = struct('vcpu_register_time_memory_area', {
  addr: 'u64', // virtual address
});
