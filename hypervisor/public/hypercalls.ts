/**
 * Every hypercall of Xen 4.17 as one row: number, name, trace class, arguments and sub-operations.
 * Dispatch, permission and trace text derive from these rows. Spec: xen.h, __HYPERVISOR_*.
 */

import { trapInfo } from './arch-x86.js';
import * as callback from './callback.js';
import * as evtchn from './event-channel.js';
import * as grant from './grant-table.js';
import * as memory from './memory.js';
import * as physdev from './physdev.js';
import * as sched from './sched.js';
import type { TraceClass } from './trace.js';
import * as vcpu from './vcpu.js';
import * as version from './version.js';
import * as xen from './xen.js';

/** How an argument is shown. `cmd` selects the sub-operation, `ptr` points at its struct, `count` says how many. */
export type ArgKind = 'cmd' | 'ptr' | 'count' | 'dec' | 'hex' | 'va' | 'mfn' | 'pte' | 'domid';

export interface Argument {
  readonly name: string;
  readonly kind: ArgKind;
}

/** The part of a struct declaration that the trace needs. */
interface AnyStruct {
  readonly name: string;
  readonly size: number;
  decode(view: DataView, at: number): Readonly<Record<string, number | bigint>>;
}

/** The struct behind a pointer argument and which of its fields go in and come out. */
export interface Payload {
  readonly struct: AnyStruct;
  readonly input: readonly string[];
  readonly output: readonly string[];
  /** How many lie there: one, as many as the `count` argument says, or all up to one of zeros. */
  readonly repeat: 'one' | 'count' | 'zero';
}

/** The struct of text has this name: it has no fields, but is shown as it is. */
export const CHAR = 'char';

export interface SubOp {
  readonly number: number;
  readonly name: string;
  readonly payload: Payload | undefined;
}

export interface HypercallRow {
  readonly number: number;
  readonly name: string;
  readonly traceClass: TraceClass;
  readonly args: readonly Argument[];
  /** By number, for calls with a `cmd` argument. */
  readonly ops: readonly SubOp[];
  /** For calls without a `cmd` whose pointer always leads to the same struct. */
  readonly payload: Payload | undefined;
}

const words = (text: string) => (text === '' ? [] : text.split(' '));

function payload(shape: AnyStruct | undefined, input: string, output: string): Payload | undefined {
  return shape && { struct: shape, input: words(input), output: words(output), repeat: 'one' };
}

/** What has text in `length` bytes. */
const chars = (length: number): AnyStruct => ({ name: CHAR, size: length, decode: () => ({}) });

function op(number: number, name: string, shape?: AnyStruct, input = '', output = ''): SubOp {
  return { number, name, payload: payload(shape, input, output) };
}

function argument(text: string): Argument {
  const [name = '', kind = 'hex'] = text.split(':');
  return { name, kind: kind as ArgKind };
}

function row(
  number: number,
  name: string,
  traceClass: TraceClass,
  args: string,
  inner: readonly SubOp[] | Payload = [],
): HypercallRow {
  const isOps = Array.isArray(inner);
  const ops = isOps ? (inner as readonly SubOp[]) : [];
  const isArray = / \w+:count/.test(args);
  return {
    number,
    name,
    traceClass,
    args: words(args).map(argument),
    ops: isArray ? ops.map(repeated) : ops,
    payload: isOps ? undefined : (inner as Payload),
  };
}

const repeated = (each: SubOp): SubOp => ({
  ...each,
  payload: each.payload && { ...each.payload, repeat: 'count' },
});

const { EVTCHNOP, evtchnBindPirq } = evtchn;
// biome-ignore format: one row per operation
const EVENT_CHANNEL_OPS = [
  op(EVTCHNOP.BIND_INTERDOMAIN, 'bind_interdomain', evtchn.evtchnBindInterdomain, 'remoteDom remotePort', 'localPort'),
  op(EVTCHNOP.BIND_VIRQ,        'bind_virq',        evtchn.evtchnBindVirq,        'virq vcpu',            'port'),
  op(EVTCHNOP.BIND_PIRQ,        'bind_pirq',        evtchnBindPirq,               'pirq flags',           'port'),
  op(EVTCHNOP.CLOSE,            'close',            evtchn.evtchnClose,           'port'),
  op(EVTCHNOP.SEND,             'send',             evtchn.evtchnSend,            'port'),
  op(EVTCHNOP.STATUS,           'status',           evtchn.evtchnStatus,          'dom port',             'status vcpu first second'),
  op(EVTCHNOP.ALLOC_UNBOUND,    'alloc_unbound',    evtchn.evtchnAllocUnbound,    'dom remoteDom',        'port'),
  op(EVTCHNOP.BIND_IPI,         'bind_ipi',         evtchn.evtchnBindIpi,         'vcpu',                 'port'),
  op(EVTCHNOP.BIND_VCPU,        'bind_vcpu',        evtchn.evtchnBindVcpu,        'port vcpu'),
  op(EVTCHNOP.UNMASK,           'unmask',           evtchn.evtchnUnmask,          'port'),
  op(EVTCHNOP.RESET,            'reset',            evtchn.evtchnReset,           'dom'),
  op(EVTCHNOP.INIT_CONTROL,     'init_control',     evtchn.evtchnInitControl,     'controlGfn offset vcpu', 'linkBits'),
  op(EVTCHNOP.EXPAND_ARRAY,     'expand_array',     evtchn.evtchnExpandArray,     'arrayGfn'),
  op(EVTCHNOP.SET_PRIORITY,     'set_priority',     evtchn.evtchnSetPriority,     'port priority'),
];

const { GNTTABOP } = grant;
// biome-ignore format: one row per operation
const GRANT_TABLE_OPS = [
  op(GNTTABOP.MAP_GRANT_REF,     'map_grant_ref',     grant.gnttabMapGrantRef,     'dom ref flags hostAddr', 'status handle devBusAddr'),
  op(GNTTABOP.UNMAP_GRANT_REF,   'unmap_grant_ref',   grant.gnttabUnmapGrantRef,   'handle hostAddr devBusAddr', 'status'),
  op(GNTTABOP.SETUP_TABLE,       'setup_table',       grant.gnttabSetupTable,      'dom nrFrames frameList', 'status'),
  op(GNTTABOP.DUMP_TABLE,        'dump_table',        grant.gnttabDumpTable,       'dom',                    'status'),
  op(GNTTABOP.TRANSFER,          'transfer',          grant.gnttabTransfer,        'mfn domid ref',          'status'),
  op(GNTTABOP.COPY,              'copy',              grant.gnttabCopy,            'source sourceDomid sourceOffset dest destDomid destOffset len flags', 'status'),
  op(GNTTABOP.QUERY_SIZE,        'query_size',        grant.gnttabQuerySize,       'dom',                    'nrFrames maxNrFrames status'),
  op(GNTTABOP.UNMAP_AND_REPLACE, 'unmap_and_replace', grant.gnttabUnmapAndReplace, 'handle hostAddr newAddr', 'status'),
  op(GNTTABOP.SET_VERSION,       'set_version',       grant.gnttabSetVersion,      'version',                'version'),
  op(GNTTABOP.GET_STATUS_FRAMES, 'get_status_frames', grant.gnttabGetStatusFrames, 'dom nrFrames',           'status'),
  op(GNTTABOP.GET_VERSION,       'get_version',       grant.gnttabGetVersion,      'dom',                    'version'),
  op(GNTTABOP.SWAP_GRANT_REF,    'swap_grant_ref',    grant.gnttabSwapGrantRef,    'refA refB',              'status'),
  op(GNTTABOP.CACHE_FLUSH,       'cache_flush'),
];

const { SCHEDOP } = sched;
// biome-ignore format: one row per operation
const SCHED_OPS = [
  op(SCHEDOP.YIELD,           'yield'),
  op(SCHEDOP.BLOCK,           'block'),
  op(SCHEDOP.SHUTDOWN,        'shutdown',        sched.schedShutdown,       'reason'),
  op(SCHEDOP.POLL,            'poll',            sched.schedPoll,           'ports nrPorts timeout'),
  op(SCHEDOP.REMOTE_SHUTDOWN, 'remote_shutdown', sched.schedRemoteShutdown, 'domainId reason'),
  op(SCHEDOP.SHUTDOWN_CODE,   'shutdown_code',   sched.schedShutdown,       'reason'),
  op(SCHEDOP.WATCHDOG,        'watchdog',        sched.schedWatchdog,       'id timeout'),
  op(SCHEDOP.PIN_OVERRIDE,    'pin_override',    sched.schedPinOverride,    'pcpu'),
];

const { VCPUOP } = vcpu;
// biome-ignore format: one row per operation
const VCPU_OPS = [
  op(VCPUOP.INITIALISE,                     'initialise'),
  op(VCPUOP.UP,                             'up'),
  op(VCPUOP.DOWN,                           'down'),
  op(VCPUOP.IS_UP,                          'is_up'),
  op(VCPUOP.GET_RUNSTATE_INFO,              'get_runstate_info',              vcpu.vcpuRunstateInfo, '', 'state stateEntryTime timeRunning timeRunnable timeBlocked timeOffline'),
  op(VCPUOP.REGISTER_RUNSTATE_MEMORY_AREA,  'register_runstate_memory_area',  vcpu.vcpuRegisterRunstateMemoryArea, 'addr'),
  op(VCPUOP.SET_PERIODIC_TIMER,             'set_periodic_timer',             vcpu.vcpuSetPeriodicTimer, 'periodNs'),
  op(VCPUOP.STOP_PERIODIC_TIMER,            'stop_periodic_timer'),
  op(VCPUOP.SET_SINGLESHOT_TIMER,           'set_singleshot_timer',           vcpu.vcpuSetSingleshotTimer, 'timeoutAbsNs flags'),
  op(VCPUOP.STOP_SINGLESHOT_TIMER,          'stop_singleshot_timer'),
  op(VCPUOP.REGISTER_VCPU_INFO,             'register_vcpu_info',             vcpu.vcpuRegisterVcpuInfo, 'mfn offset'),
  op(VCPUOP.SEND_NMI,                       'send_nmi'),
  op(VCPUOP.GET_PHYSID,                     'get_physid',                     vcpu.vcpuGetPhysid, '', 'physId'),
  op(VCPUOP.REGISTER_VCPU_TIME_MEMORY_AREA, 'register_vcpu_time_memory_area', vcpu.vcpuRegisterTimeMemoryArea, 'addr'),
];

const { XENMEM } = memory;
const RESERVATION = 'domid nrExtents extentOrder memFlags extentStart';
// biome-ignore format: one row per operation
const MEMORY_OPS = [
  op(XENMEM.INCREASE_RESERVATION,       'increase_reservation', memory.xenMemoryReservation, RESERVATION),
  op(XENMEM.DECREASE_RESERVATION,       'decrease_reservation', memory.xenMemoryReservation, RESERVATION),
  op(XENMEM.MAXIMUM_RAM_PAGE,           'maximum_ram_page'),
  op(XENMEM.CURRENT_RESERVATION,        'current_reservation',  memory.xenMemoryDomain, 'domid'),
  op(XENMEM.MAXIMUM_RESERVATION,        'maximum_reservation',  memory.xenMemoryDomain, 'domid'),
  op(XENMEM.MACHPHYS_MFN_LIST,          'machphys_mfn_list',    memory.xenMachphysMfnList, 'maxExtents', 'nrExtents'),
  op(XENMEM.POPULATE_PHYSMAP,           'populate_physmap',     memory.xenMemoryReservation, RESERVATION),
  op(XENMEM.ADD_TO_PHYSMAP,             'add_to_physmap',       memory.xenAddToPhysmap, 'domid space idx gpfn'),
  op(XENMEM.MEMORY_MAP,                 'memory_map',           memory.xenMemoryMap, 'nrEntries', 'nrEntries'),
  op(XENMEM.MACHINE_MEMORY_MAP,         'machine_memory_map',   memory.xenMemoryMap, 'nrEntries', 'nrEntries'),
  op(XENMEM.EXCHANGE,                   'exchange',             memory.xenMemoryExchange, '', 'nrExchanged'),
  op(XENMEM.MACHPHYS_MAPPING,           'machphys_mapping',     memory.xenMachphysMapping, '', 'vStart vEnd maxMfn'),
  op(XENMEM.SET_MEMORY_MAP,             'set_memory_map'),
  op(XENMEM.MAXIMUM_GPFN,               'maximum_gpfn',         memory.xenMemoryDomain, 'domid'),
  op(XENMEM.REMOVE_FROM_PHYSMAP,        'remove_from_physmap'),
  op(XENMEM.SET_POD_TARGET,             'set_pod_target'),
  op(XENMEM.GET_POD_TARGET,             'get_pod_target'),
  op(XENMEM.GET_SHARING_FREED_PAGES,    'get_sharing_freed_pages'),
  op(XENMEM.GET_SHARING_SHARED_PAGES,   'get_sharing_shared_pages'),
  op(XENMEM.PAGING_OP,                  'paging_op'),
  op(XENMEM.ACCESS_OP,                  'access_op'),
  op(XENMEM.SHARING_OP,                 'sharing_op'),
  op(XENMEM.ADD_TO_PHYSMAP_BATCH,       'add_to_physmap_batch'),
  op(XENMEM.CLAIM_PAGES,                'claim_pages'),
  op(XENMEM.MACHPHYS_COMPAT_MFN_LIST,   'machphys_compat_mfn_list'),
  op(XENMEM.GET_VNUMAINFO,              'get_vnumainfo'),
  op(XENMEM.RESERVED_DEVICE_MEMORY_MAP, 'reserved_device_memory_map'),
  op(XENMEM.ACQUIRE_RESOURCE,           'acquire_resource'),
];

const { XENVER } = version;
// biome-ignore format: one row per operation
const VERSION_OPS = [
  op(XENVER.VERSION,             'version'),
  op(XENVER.EXTRAVERSION,        'extraversion',        chars(version.XEN_EXTRAVERSION_LEN), '', 'text'),
  op(XENVER.COMPILE_INFO,        'compile_info'),
  op(XENVER.CAPABILITIES,        'capabilities',        chars(version.XEN_CAPABILITIES_INFO_LEN), '', 'text'),
  op(XENVER.CHANGESET,           'changeset',        chars(version.XEN_CHANGESET_INFO_LEN), '', 'text'),
  op(XENVER.PLATFORM_PARAMETERS, 'platform_parameters', version.xenPlatformParameters, '', 'virtStart'),
  op(XENVER.GET_FEATURES,        'get_features',        version.xenFeatureInfo, 'submapIdx', 'submap'),
  op(XENVER.PAGESIZE,            'pagesize'),
  op(XENVER.GUEST_HANDLE,        'guest_handle'),
  op(XENVER.COMMANDLINE,         'commandline',        chars(version.XEN_COMMANDLINE_LEN), '', 'text'),
  op(XENVER.BUILD_ID,            'build_id'),
];

const CONSOLE_OPS = [op(0, 'write', chars(1), 'text'), op(1, 'read', chars(1), '', 'text')];
const VM_ASSIST_OPS = [op(xen.VMASST.CMD_ENABLE, 'enable'), op(xen.VMASST.CMD_DISABLE, 'disable')];
// biome-ignore format: one row per operation
const CALLBACK_OPS = [
  op(callback.CALLBACKOP.REGISTER,   'register',   callback.callbackRegister,   'type flags address'),
  op(callback.CALLBACKOP.UNREGISTER, 'unregister', callback.callbackUnregister, 'type'),
];
// biome-ignore format: one row per operation
const PHYSDEV_OPS = [
  op(physdev.PHYSDEVOP.SET_IOPL,     'set_iopl',     physdev.physdevSetIopl, 'iopl'),
  op(physdev.PHYSDEVOP.SET_IOBITMAP, 'set_iobitmap', physdev.physdevSetIobitmap, 'bitmap nrPorts'),
];

const each = (
  shape: AnyStruct,
  input: string,
  output = '',
  repeat: Payload['repeat'] = 'count',
): Payload => ({ struct: shape, input: words(input), output: words(output), repeat });

// biome-ignore format: one row per hypercall
const ROWS: readonly HypercallRow[] = [
  //   number  name                           class      arguments                                           operations or struct
  row(  0, 'set_trap_table',                  'trap',    'traps:ptr',                                        each(trapInfo, 'vector flags cs address', '', 'zero')),
  row(  1, 'mmu_update',                      'mmu',     'ureqs:ptr count:count done:va foreigndom:domid',     each(xen.mmuUpdate, 'ptr val')),
  row(  2, 'set_gdt',                         'mmu',     'frames:va entries:dec'),
  row(  3, 'stack_switch',                    'trap',    'ss:hex esp:va'),
  row(  4, 'set_callbacks',                   'trap',    'event:va failsafe:va syscall:va'),
  row(  5, 'fpu_taskswitch',                  'cpu',     'set:dec'),
  row(  6, 'sched_op_compat',                 'sched',   'cmd:cmd arg:hex',                                  [op(0, 'yield'), op(1, 'block')]),
  row(  7, 'platform_op',                     'control', 'op:ptr'),
  row(  8, 'set_debugreg',                    'cpu',     'reg:dec value:hex'),
  row(  9, 'get_debugreg',                    'cpu',     'reg:dec'),
  row( 10, 'update_descriptor',               'mmu',     'maddr:hex desc:hex'),
  row( 12, 'memory_op',                       'memory',  'cmd:cmd arg:ptr',                                  MEMORY_OPS),
  row( 13, 'multicall',                       'multi',   'calls:ptr count:count',                            each(xen.multicallEntry, 'op arg0 arg1 arg2 arg3 arg4 arg5', 'result')),
  row( 14, 'update_va_mapping',               'mmu',     'va:va pte:pte flags:hex'),
  row( 15, 'set_timer_op',                    'time',    'timeout:dec'),
  row( 16, 'event_channel_op_compat',         'event',   'op:ptr'),
  row( 17, 'xen_version',                     'version', 'cmd:cmd arg:ptr',                                  VERSION_OPS),
  row( 18, 'console_io',                      'console', 'cmd:cmd count:count buffer:ptr',                   CONSOLE_OPS),
  row( 19, 'physdev_op_compat',               'control', 'op:ptr'),
  row( 20, 'grant_table_op',                  'grant',   'cmd:cmd uop:ptr count:count',                      GRANT_TABLE_OPS),
  row( 21, 'vm_assist',                       'cpu',     'cmd:cmd type:dec',                                 VM_ASSIST_OPS),
  row( 22, 'update_va_mapping_otherdomain',   'mmu',     'va:va pte:pte flags:hex domid:domid'),
  row( 23, 'iret',                            'trap',    ''),
  row( 24, 'vcpu_op',                         'vcpu',    'cmd:cmd vcpu:dec arg:ptr',                         VCPU_OPS),
  row( 25, 'set_segment_base',                'cpu',     'which:dec base:va'),
  row( 26, 'mmuext_op',                       'mmu',     'ops:ptr count:count done:va foreigndom:domid',       each(xen.mmuextOp, 'cmd arg1 arg2')),
  row( 27, 'xsm_op',                          'control', 'op:ptr'),
  row( 28, 'nmi_op',                          'trap',    'cmd:dec arg:va'),
  row( 29, 'sched_op',                        'sched',   'cmd:cmd arg:ptr',                                  SCHED_OPS),
  row( 30, 'callback_op',                     'trap',    'cmd:cmd arg:ptr',                                  CALLBACK_OPS),
  row( 31, 'xenoprof_op',                     'control', 'op:dec arg:va'),
  row( 32, 'event_channel_op',                'event',   'cmd:cmd arg:ptr',                                  EVENT_CHANNEL_OPS),
  row( 33, 'physdev_op',                      'control', 'cmd:cmd arg:ptr',                                  PHYSDEV_OPS),
  row( 34, 'hvm_op',                          'control', 'op:dec arg:va'),
  row( 35, 'sysctl',                          'control', 'op:ptr'),
  row( 36, 'domctl',                          'control', 'op:ptr'),
  row( 37, 'kexec_op',                        'control', 'op:dec arg:va'),
  row( 38, 'tmem_op',                         'control', 'op:va'),
  row( 39, 'argo_op',                         'control', 'cmd:dec arg1:va arg2:va arg3:hex arg4:hex'),
  row( 40, 'xenpmu_op',                       'control', 'op:dec arg:va'),
  row( 41, 'dm_op',                           'control', 'domid:domid count:dec buffers:va'),
  row( 42, 'hypfs_op',                        'control', 'cmd:dec arg1:va arg2:hex arg3:va arg4:hex'),
  row( 48, 'mca',                             'control', 'op:va'),
  row( 49, 'paging_domctl_cont',              'control', 'op:va'),
];

export type HypercallName = string;

/** Hypercall numbers run below this (the hypercall page has so many stubs). */
export const NR_HYPERCALLS = 128;

/** Rows by number; undefined where Xen has no such call. */
export const HYPERCALLS: readonly (HypercallRow | undefined)[] = Array.from(
  { length: NR_HYPERCALLS },
  (_, number) => ROWS.find((candidate) => candidate.number === number),
);

/** @returns the name of a call, `hypercall N` if Xen has none such. */
export const hypercallName = (number: number): string =>
  HYPERCALLS[number]?.name ?? `hypercall ${number}`;
