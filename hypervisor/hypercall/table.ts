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
import { mmuUpdate } from './mmu-update.js';
import { mmuextOp } from './mmuext-op.js';
import { multicall } from './multicall.js';
import { physdevOp, physdevOpCompat } from './physdev-op.js';
import { fpuTaskswitch, getDebugreg, iret, setDebugreg, vmAssist } from './processor-state.js';
import { schedOp, schedOpCompat } from './sched-op.js';
import { setGdt, setSegmentBase, updateDescriptor } from './segments.js';
import { setTimerOp } from './set-timer-op.js';
import { callbackOp, nmiOp, setCallbacks, setTrapTable, stackSwitch } from './trap-table.js';
import { updateVaMapping, updateVaMappingOtherdomain } from './update-va-mapping.js';
import { vcpuOp } from './vcpu-op.js';
import { xenVersion } from './xen-version.js';

// biome-ignore format: one row per hypercall, in the order of their numbers
const HANDLERS: Readonly<Record<string, Handler>> = {
  set_trap_table:          setTrapTable,
  mmu_update:              mmuUpdate,
  set_gdt:                 setGdt,
  stack_switch:            stackSwitch,
  set_callbacks:           setCallbacks,
  fpu_taskswitch:          fpuTaskswitch,
  sched_op_compat:         schedOpCompat,
  platform_op:             controlOnly,
  set_debugreg:            setDebugreg,
  get_debugreg:            getDebugreg,
  update_descriptor:       updateDescriptor,
  memory_op:               memoryOp,
  multicall:               multicall,
  update_va_mapping:       updateVaMapping,
  set_timer_op:            setTimerOp,
  event_channel_op_compat: eventChannelOpCompat,
  xen_version:             xenVersion,
  console_io:              consoleIo,
  physdev_op_compat:       physdevOpCompat,
  grant_table_op:          grantTableOp,
  vm_assist:               vmAssist,
  update_va_mapping_otherdomain: updateVaMappingOtherdomain,
  iret:                    iret,
  vcpu_op:                 vcpuOp,
  set_segment_base:        setSegmentBase,
  mmuext_op:               mmuextOp,
  nmi_op:                  nmiOp,
  sched_op:                schedOp,
  callback_op:             callbackOp,
  event_channel_op:        eventChannelOp,
  physdev_op:              physdevOp,
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
