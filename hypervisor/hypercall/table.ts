/**
 * The hypercall table: handlers by the names of public/hypercalls.ts, where numbers, arguments and trace text are.
 * A call without a row here is -ENOSYS and counted by name.
 */

import { HYPERCALLS, NR_HYPERCALLS } from '../public/hypercalls.js';
import { consoleIo } from './console-io.js';
import { controlOnly, noPerformanceCounters } from './control.js';
import { eventChannelOp, eventChannelOpCompat } from './event-channel-op.js';
import { grantTableOp } from './grant-table-op.js';
import type { Handler } from './hypercall.js';
import { memoryOp } from './memory-op.js';
import { multicall } from './multicall.js';
import { schedOp, schedOpCompat } from './sched-op.js';
import { setTimerOp } from './set-timer-op.js';
import { vcpuOp } from './vcpu-op.js';
import { xenVersion } from './xen-version.js';

// biome-ignore format: one row per hypercall, in the order of their numbers
const HANDLERS: Readonly<Record<string, Handler>> = {
  sched_op_compat:         schedOpCompat,
  platform_op:             controlOnly,
  memory_op:               memoryOp,
  multicall:               multicall,
  set_timer_op:            setTimerOp,
  event_channel_op_compat: eventChannelOpCompat,
  xen_version:             xenVersion,
  console_io:              consoleIo,
  grant_table_op:          grantTableOp,
  vcpu_op:                 vcpuOp,
  sched_op:                schedOp,
  event_channel_op:        eventChannelOp,
  sysctl:                  controlOnly,
  domctl:                  controlOnly,
  kexec_op:                controlOnly,
  xenpmu_op:               noPerformanceCounters,
  hypfs_op:                controlOnly,
  mca:                     controlOnly,
};

/** Handlers by number. */
export const TABLE: readonly (Handler | undefined)[] = Array.from(
  { length: NR_HYPERCALLS },
  (_, number) => HANDLERS[HYPERCALLS[number]?.name ?? ''],
);
