/**
 * Block devices: requests and responses of the ring, and the XenStore nodes by which both ends agree.
 * Spec: Xen public/io/blkif.h; protocols.h; xen-vbd-interface(7).
 *
 *     request   0 operation  1 nr_segments  2 handle    id  sector_number  seg[11]     x86_64: id at 8, 112 bytes
 *     discard   0 operation  1 flag         2 handle    id  sector_number  nr_sectors  x86_32: id at 4, 108 bytes
 *     indirect  0 operation  1 indirect_op  2 nr_segs   id  sector_number  handle  indirect_grefs[8]
 *     response  0 id  8 operation  10 status                                           x86_64: 16, x86_32: 12 bytes
 *
 * What follows the id keeps its distance from it in both ABIs. Sectors have 512 bytes, whatever the medium has.
 */

import { struct } from '../struct.js';

/** Bytes of a sector, in requests as in the node `sectors`. */
export const BLKIF_SECTOR = 512;

/** BLKIF_OP_*: `operation` of a request. */
export const BLKIF_OP = {
  READ: 0,
  WRITE: 1,
  /** A write after all earlier writes and before all later ones. */
  WRITE_BARRIER: 2,
  /** Everything that was answered is on stable storage when this is answered. */
  FLUSH_DISKCACHE: 3,
  // 4 is reserved for packets of device commands.
  /** The sectors' content is of no interest any more. */
  DISCARD: 5,
  /** READ or WRITE (in `indirect_op`) whose segments lie in pages of their own. */
  INDIRECT: 6,
} as const;

/** BLKIF_RSP_*: `status` of a response. */
export const BLKIF_RSP = {
  OKAY: 0,
  ERROR: -1,
  /** The operation is not supported; that of a barrier may end so at any time. */
  EOPNOTSUPP: -2,
} as const;

export const BLKIF_LIMIT = {
  /** Segments within a request. */
  SEGMENTS: 11,
  /** Pages of segments of an indirect request. */
  INDIRECT_PAGES: 8,
  /** Segments in one of those pages. */
  SEGMENTS_PER_PAGE: 512,
} as const;

/** BLKIF_DISCARD_SECURE, bit of `flag`: no copy of the sectors may be recoverable. */
export const BLKIF_DISCARD_SECURE = 1;

/** VDISK_*: bits of the node `info`. */
export const VDISK = { CDROM: 1, REMOVABLE: 2, READONLY: 4 } as const;

/** `struct blkif_request_segment`: the same in all ABIs. */
export const BLKIF_SEGMENT = struct('struct blkif_request_segment', {
  gref: 'u32',
  /** First and last sector within the page, both inclusive. */
  first_sect: 'u8',
  last_sect: 'u8',
});

/** `struct blkif_request`, native. */
export const BLKIF_REQUEST = struct('struct blkif_request', {
  operation: 'u8',
  nr_segments: 'u8',
  handle: 'u16',
  id: 'u64',
  sector_number: 'u64',
  seg: { bytes: 88, align: 4 },
});

/** `struct blkif_request_discard`, native. */
export const BLKIF_DISCARD = struct('struct blkif_request_discard', {
  operation: 'u8',
  flag: 'u8',
  handle: 'u16',
  id: 'u64',
  sector_number: 'u64',
  nr_sectors: 'u64',
});

/** `struct blkif_request_indirect`, native. */
export const BLKIF_INDIRECT = struct('struct blkif_request_indirect', {
  operation: 'u8',
  indirect_op: 'u8',
  nr_segments: 'u16',
  id: 'u64',
  sector_number: 'u64',
  handle: 'u16',
  indirect_grefs: { bytes: 32, align: 4 },
});

/** `struct blkif_response`, native. */
export const BLKIF_RESPONSE = struct('struct blkif_response', {
  id: 'u64',
  operation: 'u8',
  status: 's16',
});

/**
 * XEN_IO_PROTO_ABI_*: what the frontend's node `protocol` may say; without one it is the backend's native ABI, x86_64.
 * ID is the offset of `id` in a request; the other two are bytes.
 */
// biome-ignore format: one row per ABI
export const BLKIF_ABI = {
  'x86_64-abi': { ID: 8, REQUEST: 112, RESPONSE: 16 },
  'x86_32-abi': { ID: 4, REQUEST: 108, RESPONSE: 12 },
} as const;

/** Offsets behind `id`, in both ABIs. */
export const BLKIF_AFTER_ID = {
  SECTOR_NUMBER: 8,
  SEGMENTS: 16,
  /** Of a discard. */
  NR_SECTORS: 16,
  /** Of an indirect request; between the sector and these is the handle. */
  INDIRECT_GREFS: 20,
} as const;

/**
 * Nodes of a frontend, below `/local/domain/<domid>/device/vbd/<virtual-device>/`.
 *
 * virtual-device
 *   Values:        <number>
 *   The device's number as xen-vbd-interface(7) derives it from a name; written by the toolstack.
 * device-type
 *   Values:        "disk", "cdrom"
 *   Written by the toolstack.
 * protocol
 *   Values:        "x86_64-abi", "x86_32-abi"
 *   The ABI by which requests and responses are laid out.
 * ring-page-order
 *   Values:        0 … max-ring-page-order
 *   Default Value: 0
 *   Binary logarithm of the ring's pages.
 * ring-ref, ring-ref0, ring-ref1, …
 *   Values:        <grant reference>
 *   The ring's page; the numbered ones if there are several.
 * event-channel
 *   Values:        <event-channel port>
 *   The frontend's end.
 * multi-queue-num-queues
 *   Values:        1 … multi-queue-max-queues
 *   Default Value: 1
 *   With more than one, ring-ref… and event-channel lie below `queue-<n>/`.
 * feature-persistent
 *   Values:        0, 1
 *   Default Value: 0
 *   The frontend uses the same grants again and again: they can be kept mapped.
 */
export const BLKFRONT_NODES = {
  VIRTUAL_DEVICE: 'virtual-device',
  DEVICE_TYPE: 'device-type',
  PROTOCOL: 'protocol',
  RING_PAGE_ORDER: 'ring-page-order',
  RING_REF: 'ring-ref',
  EVENT_CHANNEL: 'event-channel',
  NUM_QUEUES: 'multi-queue-num-queues',
  FEATURE_PERSISTENT: 'feature-persistent',
} as const;

/**
 * Nodes of a backend, below `/local/domain/0/backend/vbd/<domid>/<virtual-device>/`.
 *
 * dev
 *   Values:        <name>
 *   The device's name as the configuration has it.
 * type, params, physical-device-path, mode, device-type, removable, bootable, hotplug-status, discard-enable
 *   What the toolstack says of the device; mode is "r" or "w".
 * sectors
 *   Values:        <number>
 *   Its size in units of `sector-size`.
 * sector-size, physical-sector-size
 *   Values:        <bytes>
 *   512, since frontends count so; what the medium works best with.
 * info
 *   Values:        VDISK bits
 * feature-barrier, feature-flush-cache, feature-discard, feature-persistent
 *   Values:        0, 1
 *   Default Value: 0
 * discard-granularity, discard-alignment, discard-secure
 *   Values:        <bytes>, <bytes>, 0 or 1
 * feature-max-indirect-segments
 *   Values:        <number>
 *   Segments of an indirect request.
 * max-ring-page-order
 *   Values:        <number>
 *   Default Value: 0
 * multi-queue-max-queues
 *   Values:        <number>
 *   Default Value: 1
 */
export const BLKBACK_NODES = {
  DEV: 'dev',
  TYPE: 'type',
  PARAMS: 'params',
  PHYSICAL_DEVICE_PATH: 'physical-device-path',
  MODE: 'mode',
  DEVICE_TYPE: 'device-type',
  REMOVABLE: 'removable',
  BOOTABLE: 'bootable',
  HOTPLUG_STATUS: 'hotplug-status',
  DISCARD_ENABLE: 'discard-enable',
  SECTORS: 'sectors',
  SECTOR_SIZE: 'sector-size',
  PHYSICAL_SECTOR_SIZE: 'physical-sector-size',
  INFO: 'info',
  FEATURE_BARRIER: 'feature-barrier',
  FEATURE_FLUSH_CACHE: 'feature-flush-cache',
  FEATURE_DISCARD: 'feature-discard',
  FEATURE_PERSISTENT: 'feature-persistent',
  DISCARD_GRANULARITY: 'discard-granularity',
  DISCARD_ALIGNMENT: 'discard-alignment',
  DISCARD_SECURE: 'discard-secure',
  MAX_INDIRECT_SEGMENTS: 'feature-max-indirect-segments',
  MAX_RING_PAGE_ORDER: 'max-ring-page-order',
  MAX_QUEUES: 'multi-queue-max-queues',
} as const;
