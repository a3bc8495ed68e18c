/** Facts of xen/include/public/memory.h: reservations, the machine-to-physical table, memory maps. */

import { struct } from './struct.js';

/** Commands of memory_op, in bits 5:0; the bits above count what a preempted call has done. */
// biome-ignore format: one row per command
export const XENMEM = {
  INCREASE_RESERVATION:        0,
  DECREASE_RESERVATION:        1,
  MAXIMUM_RAM_PAGE:            2,
  CURRENT_RESERVATION:         3,
  MAXIMUM_RESERVATION:         4,
  MACHPHYS_MFN_LIST:           5,
  POPULATE_PHYSMAP:            6,
  ADD_TO_PHYSMAP:              7,
  MEMORY_MAP:                  9,
  MACHINE_MEMORY_MAP:          10,
  EXCHANGE:                    11,
  MACHPHYS_MAPPING:            12,
  SET_MEMORY_MAP:              13,
  MAXIMUM_GPFN:                14,
  REMOVE_FROM_PHYSMAP:         15,
  SET_POD_TARGET:              16,
  GET_POD_TARGET:              17,
  GET_SHARING_FREED_PAGES:     18,
  GET_SHARING_SHARED_PAGES:    19,
  PAGING_OP:                   20,
  ACCESS_OP:                   21,
  SHARING_OP:                  22,
  ADD_TO_PHYSMAP_BATCH:        23,
  CLAIM_PAGES:                 24,
  MACHPHYS_COMPAT_MFN_LIST:    25,
  GET_VNUMAINFO:               26,
  RESERVED_DEVICE_MEMORY_MAP:  27,
  ACQUIRE_RESOURCE:            28,
} as const;

/** MEMOP_EXTENT_SHIFT: the command's low bits; above lies the first extent of a continued call. */
export const MEMOP_EXTENT_SHIFT = 6;
export const MEMOP_CMD_MASK = (1 << MEMOP_EXTENT_SHIFT) - 1;
/** Largest extent that an unprivileged domain may ask for: 2 MiB. */
export const DOMU_MAX_ORDER = 9;

export const xenMemoryReservation = struct('xen_memory_reservation', {
  extentStart: 'u64', // pointer to xen_pfn_t[nrExtents]
  nrExtents: 'u64',
  extentOrder: 'u32',
  memFlags: 'u32',
  domid: 'u16',
});

export const xenMemoryExchange = struct('xen_memory_exchange', {
  in: { bytes: 32, align: 8 },
  out: { bytes: 32, align: 8 },
  nrExchanged: 'u64', // out
});

export const xenMemoryDomain = struct('xen_memory_domain', { domid: 'u16' });

export const xenMachphysMfnList = struct('xen_machphys_mfn_list', {
  maxExtents: 'u32',
  extentStart: 'u64', // pointer to xen_pfn_t[maxExtents]
  nrExtents: 'u32', // out
});

export const xenMachphysMapping = struct('xen_machphys_mapping', {
  vStart: 'u64', // out
  vEnd: 'u64', // out
  maxMfn: 'u64', // out
});

export const xenAddToPhysmap = struct('xen_add_to_physmap', {
  domid: 'u16',
  size: 'u16',
  space: 'u32',
  idx: 'u64',
  gpfn: 'u64',
});

export const xenMemoryMap = struct('xen_memory_map', {
  nrEntries: 'u32', // in and out
  buffer: 'u64', // pointer to e820entry[nrEntries]
});

/** struct e820entry is packed: u64 address, u64 size, u32 type. */
export const E820_ENTRY_SIZE = 20;
/** Types of E820 entries. */
export const E820 = { RAM: 1, RESERVED: 2 } as const;
