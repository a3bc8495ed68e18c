/**
 * Requests as they lie in the ring, in the frontend's ABI: taken apart and checked against the disk. Everything here is
 * the guest's word; what is wrong with it is a value.
 * Spec: hypervisor/public/io/blkif.ts.
 */

import {
  BLKIF_ABI,
  BLKIF_AFTER_ID,
  BLKIF_INDIRECT,
  BLKIF_LIMIT,
  BLKIF_OP,
  BLKIF_REQUEST,
  BLKIF_RESPONSE,
  BLKIF_RSP,
  BLKIF_SECTOR,
  BLKIF_SEGMENT,
} from '../../hypervisor/public/io/blkif.js';

export type BlkAbi = keyof typeof BLKIF_ABI;
export type BlkStatus = (typeof BLKIF_RSP)[keyof typeof BLKIF_RSP];

/** What of the disk decides whether a request is sound. */
export interface DiskLimits {
  readonly sectors: number;
  readonly readonly: boolean;
  readonly canDiscard: boolean;
  readonly maxIndirectSegments: number;
}

/** A part of a granted page. */
export interface Segment {
  readonly ref: number;
  /** Bytes. */
  readonly offset: number;
  readonly length: number;
}

interface Common {
  readonly id: bigint;
  /** As the response has to say. */
  readonly operation: number;
}

export interface Transfer extends Common {
  readonly kind: 'read' | 'write' | 'barrier' | 'flush';
  /** First byte on the disk. */
  readonly position: number;
  /** None in a flush without data. */
  readonly segments: readonly Segment[];
  readonly length: number;
}

/** Segments that are still to be fetched from the guest's pages. */
export interface Indirect extends Common {
  readonly kind: 'indirect';
  readonly sector: number;
  readonly count: number;
  readonly pages: readonly number[];
}

export interface Discard extends Common {
  readonly kind: 'discard';
  readonly position: number;
  readonly length: number;
}

export interface Refused extends Common {
  readonly kind: 'refused';
  readonly status: BlkStatus;
  readonly why: string;
}

const PAGE_SIZE = 4096;
const SECTORS_PER_PAGE = PAGE_SIZE / BLKIF_SECTOR;

// biome-ignore format: one row per operation
const TRANSFERS = new Map<number, Transfer['kind']>([
  [BLKIF_OP.READ,            'read'],
  [BLKIF_OP.WRITE,           'write'],
  [BLKIF_OP.WRITE_BARRIER,   'barrier'],
  [BLKIF_OP.FLUSH_DISKCACHE, 'flush'],
]);

/** @param view a private copy of the slot. */
export function decodeRequest(
  view: DataView,
  abi: BlkAbi,
  limits: DiskLimits,
): Transfer | Indirect | Discard | Refused {
  const base = BLKIF_ABI[abi].ID;
  const operation = view.getUint8(BLKIF_REQUEST.offset.operation);
  const id = view.getBigUint64(base, true);
  const sector = u64(view, base + BLKIF_AFTER_ID.SECTOR_NUMBER);
  switch (operation) {
    case BLKIF_OP.INDIRECT:
      return decodeIndirect(view, base, id, sector, limits);
    case BLKIF_OP.DISCARD: {
      const count = u64(view, base + BLKIF_AFTER_ID.NR_SECTORS);
      return checkDiscard({ id, operation }, sector, count, limits);
    }
    default: {
      const kind = TRANSFERS.get(operation);
      const count = view.getUint8(BLKIF_REQUEST.offset.nr_segments);
      if (kind === undefined) return refuse({ id, operation }, 'unknown operation', EOPNOTSUPP);
      if (count > BLKIF_LIMIT.SEGMENTS) return refuse({ id, operation }, 'too many segments');
      const segments = decodeSegments(view, base + BLKIF_AFTER_ID.SEGMENTS, count);
      return checkTransfer({ id, operation, kind }, sector, segments, limits);
    }
  }
}

const { EOPNOTSUPP } = BLKIF_RSP;

const refuse = (
  { id, operation }: Common,
  why: string,
  status: BlkStatus = BLKIF_RSP.ERROR,
): Refused => ({ kind: 'refused', id, operation, status, why });

/** Inexact beyond 2^53, where no disk reaches. */
const u64 = (view: DataView, at: number): number =>
  view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;

function decodeIndirect(
  view: DataView,
  base: number,
  id: bigint,
  sector: number,
  { maxIndirectSegments }: DiskLimits,
): Indirect | Refused {
  // The response names the operation that was done indirectly.
  const operation = view.getUint8(BLKIF_INDIRECT.offset.indirect_op);
  const count = view.getUint16(BLKIF_INDIRECT.offset.nr_segments, true);
  if (operation !== BLKIF_OP.READ && operation !== BLKIF_OP.WRITE) {
    return refuse({ id, operation }, 'indirect operation that is neither read nor write');
  }
  if (count === 0 || count > maxIndirectSegments) {
    return refuse({ id, operation }, `${count} indirect segments`);
  }
  const pages = Array.from({ length: Math.ceil(count / BLKIF_LIMIT.SEGMENTS_PER_PAGE) }, (_, n) =>
    view.getUint32(base + BLKIF_AFTER_ID.INDIRECT_GREFS + n * 4, true),
  );
  return { kind: 'indirect', id, operation, sector, count, pages };
}

/** @param pages private copies of the pages of segments, one after the other. */
export function decodeIndirectSegments(
  { id, operation, sector, count }: Indirect,
  pages: DataView,
  limits: DiskLimits,
): Transfer | Refused {
  const kind = operation === BLKIF_OP.READ ? 'read' : 'write';
  return checkTransfer({ id, operation, kind }, sector, decodeSegments(pages, 0, count), limits);
}

/** @returns undefined if one of them ends before it begins, or beyond its page. */
function decodeSegments(view: DataView, start: number, count: number): Segment[] | undefined {
  const { gref, first_sect, last_sect } = BLKIF_SEGMENT.offset;
  const segments: Segment[] = [];
  for (let n = 0; n < count; n += 1) {
    const at = start + n * BLKIF_SEGMENT.size;
    const first = view.getUint8(at + first_sect);
    const last = view.getUint8(at + last_sect);
    if (first > last || last >= SECTORS_PER_PAGE) return undefined;
    segments.push({
      ref: view.getUint32(at + gref, true),
      offset: first * BLKIF_SECTOR,
      length: (last - first + 1) * BLKIF_SECTOR,
    });
  }
  return segments;
}

function checkTransfer(
  request: Common & Pick<Transfer, 'kind'>,
  sector: number,
  segments: readonly Segment[] | undefined,
  limits: DiskLimits,
): Transfer | Refused {
  if (segments === undefined) return refuse(request, 'segment that is not within a page');
  const length = segments.reduce((sum, segment) => sum + segment.length, 0);
  if (length === 0 && request.kind !== 'flush') return refuse(request, 'no segments');
  if (length > 0 && sector + length / BLKIF_SECTOR > limits.sectors) {
    return refuse(request, 'sectors beyond the end of the disk');
  }
  if (length > 0 && request.kind !== 'read' && limits.readonly) {
    return refuse(request, 'write to a disk that is read-only');
  }
  return { ...request, position: length > 0 ? sector * BLKIF_SECTOR : 0, segments, length };
}

function checkDiscard(
  request: Common,
  sector: number,
  count: number,
  limits: DiskLimits,
): Discard | Refused {
  if (!limits.canDiscard) return refuse(request, 'discard is not offered', EOPNOTSUPP);
  if (limits.readonly) return refuse(request, 'discard on a disk that is read-only');
  if (sector + count > limits.sectors) return refuse(request, 'discard beyond the end of the disk');
  const position = sector * BLKIF_SECTOR;
  return { kind: 'discard', ...request, position, length: count * BLKIF_SECTOR };
}

/** A response in the ABI's layout. */
export function encodeResponse(
  { id, operation }: Common,
  status: BlkStatus,
  abi: BlkAbi,
): Uint8Array {
  const bytes = new Uint8Array(BLKIF_ABI[abi].RESPONSE);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(BLKIF_RESPONSE.offset.id, id, true);
  view.setUint8(BLKIF_RESPONSE.offset.operation, operation);
  view.setInt16(BLKIF_RESPONSE.offset.status, status, true);
  return bytes;
}
