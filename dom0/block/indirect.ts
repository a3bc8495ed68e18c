/** Fetches the segments of indirect requests out of the guest's pages: all of a sweep in one call. */

import { BLKIF_RSP, BLKIF_SEGMENT } from '../../hypervisor/public/io/blkif.js';
import type { Privcmd } from '../privcmd.js';
import {
  type DiskLimits,
  decodeIndirectSegments,
  type Indirect,
  type Refused,
  type Transfer,
} from './blk-request.js';
import type { PersistentGrants } from './persistent-grants.js';

const PAGE_SIZE = 4096;

interface Source {
  readonly privcmd: Privcmd;
  readonly domid: number;
  readonly grants: PersistentGrants | undefined;
  readonly disk: { readonly limits: DiskLimits };
}

/** A page of segments, and its private copy once there is one. */
interface SegmentPage {
  readonly ref: number;
  readonly length: number;
  bytes?: Uint8Array | undefined;
}

/** @returns the requests in their order, indirect ones replaced by what they stand for. */
export async function fetchIndirect<Other extends { readonly kind: string }>(
  source: Source,
  requests: readonly (Other | Indirect)[],
): Promise<(Other | Transfer | Refused)[]> {
  const pagesOf = new Map<Other | Indirect, SegmentPage[]>();
  for (const request of requests) if (isIndirect(request)) pagesOf.set(request, planPages(request));
  const pages = [...pagesOf.values()].flat();
  if (pages.length > 0) await fetchPages(source, pages);
  return requests.map((request) =>
    isIndirect(request)
      ? resolve(request, pagesOf.get(request) ?? [], source.disk.limits)
      : request,
  );
}

const isIndirect = (request: { readonly kind: string }): request is Indirect =>
  request.kind === 'indirect';

function planPages({ pages, count }: Indirect): SegmentPage[] {
  const bytes = count * BLKIF_SEGMENT.size;
  return pages.map((ref, n) => ({ ref, length: Math.min(bytes - n * PAGE_SIZE, PAGE_SIZE) }));
}

async function fetchPages(source: Source, pages: readonly SegmentPage[]): Promise<void> {
  const { grants } = source;
  if (grants !== undefined) {
    const missing = grants.missing(pages.map(({ ref }) => ref));
    if (missing.length > 0) await grants.map(missing);
    for (const page of pages) page.bytes = grants.lookup(page.ref)?.bytes.slice(0, page.length);
  }
  const others = pages.filter(({ bytes }) => bytes === undefined);
  if (others.length > 0) await copyPages(source, others);
}

async function copyPages({ privcmd, domid }: Source, pages: readonly SegmentPage[]): Promise<void> {
  const run = await privcmd.bounce.take(pages.length);
  try {
    const copies = pages.map(({ ref, length }, n) => ({
      ref,
      offset: 0,
      length,
      at: run.at + n * PAGE_SIZE,
    }));
    const statuses = await privcmd.copyFromGrants(domid, copies);
    for (const [n, page] of pages.entries()) {
      const at = n * PAGE_SIZE;
      if (statuses[n] === 0) page.bytes = run.bytes.slice(at, at + page.length);
    }
  } finally {
    run.free();
  }
}

function resolve(
  request: Indirect,
  pages: readonly SegmentPage[],
  limits: DiskLimits,
): Transfer | Refused {
  const parts = pages.flatMap(({ bytes }) => (bytes === undefined ? [] : [bytes]));
  if (parts.length < pages.length) {
    const { id, operation } = request;
    const why = 'a page of segments is not granted';
    return { kind: 'refused', id, operation, status: BLKIF_RSP.ERROR, why };
  }
  const bytes = new Uint8Array(request.count * BLKIF_SEGMENT.size);
  for (const [n, part] of parts.entries()) bytes.set(part, n * PAGE_SIZE);
  return decodeIndirectSegments(request, new DataView(bytes.buffer), limits);
}
