/** Facts of xen/include/public/grant_table.h: grant entries, operations, status codes. */

import { struct } from './struct.js';

/** Commands of grant_table_op. */
// biome-ignore format: one row per command
export const GNTTABOP = {
  MAP_GRANT_REF:     0,
  UNMAP_GRANT_REF:   1,
  SETUP_TABLE:       2,
  DUMP_TABLE:        3,
  TRANSFER:          4,
  COPY:              5,
  QUERY_SIZE:        6,
  UNMAP_AND_REPLACE: 7,
  SET_VERSION:       8,
  GET_STATUS_FRAMES: 9,
  GET_VERSION:       10,
  SWAP_GRANT_REF:    11,
  CACHE_FLUSH:       12,
} as const;

/** Flags of a grant entry. */
// biome-ignore format: one row per flag
export const GTF = {
  TYPE_MASK:       3,
  INVALID:         0,
  PERMIT_ACCESS:   1,
  ACCEPT_TRANSFER: 2,
  TRANSITIVE:      3,
  READONLY:        1 << 2, // set by the granter
  READING:         1 << 3, // set by Xen while mapped for reading
  WRITING:         1 << 4, // set by Xen while mapped for writing
  SUB_PAGE:        1 << 8, // version 2
  // for ACCEPT_TRANSFER, in the place of READONLY and READING:
  TRANSFER_COMMITTED: 1 << 2,
  TRANSFER_COMPLETED: 1 << 3,
} as const;

/** Flags of gnttab_map_grant_ref. */
// biome-ignore format: one row per flag
export const GNTMAP = {
  DEVICE_MAP:      1 << 0,
  HOST_MAP:        1 << 1,
  READONLY:        1 << 2,
  APPLICATION_MAP: 1 << 3, // the mapping is for guest-user mode too
  CONTAINS_PTE:    1 << 4, // host_addr is the machine address of the entry, not a virtual address
  AVAIL_SHIFT:     16,
} as const;

/** Flags of gnttab_copy. */
export const GNTCOPY = { SOURCE_GREF: 1, DEST_GREF: 2 } as const;

/** Status of one grant operation. */
// biome-ignore format: one row per status
export const GNTST = {
  okay:               0,
  general_error:     -1,
  bad_domain:        -2,
  bad_gntref:        -3,
  bad_handle:        -4,
  bad_virt_addr:     -5,
  bad_dev_addr:      -6,
  no_device_space:   -7,
  permission_denied: -8,
  bad_page:          -9,
  bad_copy_arg:      -10,
  address_too_big:   -11,
  eagain:            -12,
  no_space:          -13,
} as const;

export type GrantStatus = (typeof GNTST)[keyof typeof GNTST];

const NAMES = Object.keys(GNTST);
/** @returns the name of a status, such as `bad_gntref`. */
export const grantStatusName = (status: number): string => NAMES[-status] ?? `status ${status}`;

export const grantEntryV1 = struct('grant_entry_v1', {
  flags: 'u16', // GTF.*
  domid: 'u16', // who may use it
  frame: 'u32', // MFN granted
});

export const grantEntryV2 = struct('union grant_entry_v2', {
  flags: 'u16', // GTF.* without READING and WRITING, which are in the status frames
  domid: 'u16', // who may use it
  first: 'u16', // SUB_PAGE: first byte granted. TRANSITIVE: whose grant stands behind it
  second: 'u16', // SUB_PAGE: bytes granted
  frame: 'u64', // MFN granted. TRANSITIVE: the reference, in the low half
});

/** First references, which the toolstack fills in. */
export const GNTTAB_NR_RESERVED_ENTRIES = 8;
export const GNTTAB_RESERVED_CONSOLE = 0;
export const GNTTAB_RESERVED_XENSTORE = 1;

export const gnttabMapGrantRef = struct('gnttab_map_grant_ref', {
  hostAddr: 'u64',
  flags: 'u32', // GNTMAP.*
  ref: 'u32',
  dom: 'u16',
  status: 's16', // out
  handle: 'u32', // out
  devBusAddr: 'u64', // out
});

export const gnttabUnmapGrantRef = struct('gnttab_unmap_grant_ref', {
  hostAddr: 'u64',
  devBusAddr: 'u64',
  handle: 'u32',
  status: 's16', // out
});

export const gnttabSetupTable = struct('gnttab_setup_table', {
  dom: 'u16',
  nrFrames: 'u32',
  status: 's16', // out
  frameList: 'u64', // pointer to xen_pfn_t[nrFrames]
});

export const gnttabDumpTable = struct('gnttab_dump_table', {
  dom: 'u16',
  status: 's16', // out
});

export const gnttabTransfer = struct('gnttab_transfer', {
  mfn: 'u64',
  domid: 'u16',
  ref: 'u32',
  status: 's16', // out
});

export const gnttabCopy = struct('gnttab_copy', {
  source: 'u64', // reference (low half) or MFN
  sourceDomid: 'u16',
  sourceOffset: 'u16',
  dest: 'u64',
  destDomid: 'u16',
  destOffset: 'u16',
  destPadding: { bytes: 4, align: 4 }, // source and dest are structs of 16 bytes in C
  len: 'u16',
  flags: 'u16', // GNTCOPY.*
  status: 's16', // out
});

export const gnttabQuerySize = struct('gnttab_query_size', {
  dom: 'u16',
  nrFrames: 'u32', // out
  maxNrFrames: 'u32', // out
  status: 's16', // out
});

export const gnttabUnmapAndReplace = struct('gnttab_unmap_and_replace', {
  hostAddr: 'u64',
  newAddr: 'u64',
  handle: 'u32',
  status: 's16', // out
});

export const gnttabSetVersion = struct('gnttab_set_version', {
  version: 'u32', // in and out
});

export const gnttabGetStatusFrames = struct('gnttab_get_status_frames', {
  nrFrames: 'u32',
  dom: 'u16',
  status: 's16', // out
  frameList: 'u64',
});

export const gnttabGetVersion = struct('gnttab_get_version', {
  dom: 'u16',
  pad: 'u16',
  version: 'u32', // out
});

export const gnttabSwapGrantRef = struct('gnttab_swap_grant_ref', {
  refA: 'u32',
  refB: 'u32',
  status: 's16', // out
});
