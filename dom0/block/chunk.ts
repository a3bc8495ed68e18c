/**
 * The part of a sweep that is prepared as one: where the bytes of its requests are while the file is read or written.
 * They are in the guest's own pages if those are mapped, else in one run of the bounce buffer.
 */

import type { BounceRun } from '../bounce-buffer.js';
import type { GrantCopy, MappedGrant, Privcmd } from '../privcmd.js';
import type { Discard, Refused, Segment, Transfer } from './blk-request.js';
import type { PersistentGrants } from './persistent-grants.js';

const PAGE_SIZE = 4096;
/** Pages of a run at most: twice the largest request. */
const MOST_PAGES = 512;

export type Request = Transfer | Discard | Refused;

interface Guest {
  readonly privcmd: Privcmd;
  readonly domid: number;
  readonly grants: PersistentGrants | undefined;
}

/** A transfer and its bytes. */
export interface Placed {
  readonly request: Request;
  readonly views: readonly Uint8Array[];
  /** Mapped pages that the views are parts of. */
  readonly mapped: readonly MappedGrant[];
  /** How the bytes come out of the guest's pages and back. */
  readonly copies: readonly GrantCopy[];
  /** A copy was refused: the guest has not granted what it names. */
  isLost: boolean;
}

export interface Chunk {
  readonly placed: readonly Placed[];
  /** Gives back the run. */
  free(): void;
}

/** Cuts a sweep into chunks, in order; a request alone may be as large as it can be. */
export function chunksOf(
  requests: readonly Request[],
  grants: PersistentGrants | undefined,
): Request[][] {
  const chunks: Request[][] = [];
  let pages = Number.POSITIVE_INFINITY;
  for (const request of requests) {
    const own = pagesOf(request, grants);
    if (pages + own > MOST_PAGES) {
      chunks.push([]);
      pages = 0;
    }
    pages += own;
    chunks.at(-1)?.push(request);
  }
  return chunks;
}

/** Finds a place for the bytes of all requests, and copies what is to be written out of the guest: one call. */
export async function fetchChunk(guest: Guest, requests: readonly Request[]): Promise<Chunk> {
  const pages = requests.reduce((sum, request) => sum + pagesOf(request, guest.grants), 0);
  const run = pages === 0 ? undefined : await guest.privcmd.bounce.take(pages);
  try {
    let page = 0;
    const placed = requests.map((request) => {
      const own = pagesOf(request, guest.grants);
      page += own;
      return own === 0 || run === undefined
        ? placeMapped(request, guest.grants)
        : placeCopied(request, run, (page - own) * PAGE_SIZE);
    });
    await copy(guest, placed.filter(isWritten), 'copyFromGrants');
    return { placed, free: () => run?.free() };
  } catch (error) {
    run?.free();
    throw error;
  }
}

/** Copies what was read into the guest's pages: one call. */
export const returnChunk = (guest: Guest, placed: readonly Placed[]): Promise<void> =>
  copy(guest, placed, 'copyToGrants');

const isWritten = ({ request }: Placed): boolean => request.kind !== 'read';

const segmentsOf = (request: Request): readonly Segment[] =>
  'segments' in request ? request.segments : [];

/** Pages of the bounce buffer that it needs; none if all its own are mapped. */
function pagesOf(request: Request, grants: PersistentGrants | undefined): number {
  const segments = segmentsOf(request);
  if (grants !== undefined && segments.every(({ ref }) => grants.lookup(ref) !== undefined)) {
    return 0;
  }
  return segments.length;
}

function placeMapped(request: Request, grants: PersistentGrants | undefined): Placed {
  const views: Uint8Array[] = [];
  const mapped: MappedGrant[] = [];
  for (const { ref, offset, length } of segmentsOf(request)) {
    const grant = grants?.lookup(ref);
    if (grant === undefined) continue;
    mapped.push(grant);
    addView(views, grant.bytes, offset, length);
  }
  return { request, views, mapped, copies: [], isLost: false };
}

/** Neighbours in memory become one view: one buffer less for the system call. */
function addView(views: Uint8Array[], page: Uint8Array, offset: number, length: number): void {
  const start = page.byteOffset + offset;
  const last = views.at(-1);
  if (last !== undefined && last.byteOffset + last.length === start) {
    views[views.length - 1] = new Uint8Array(last.buffer, last.byteOffset, last.length + length);
  } else {
    views.push(page.subarray(offset, offset + length));
  }
}

function placeCopied(request: Request, run: BounceRun, start: number): Placed {
  let end = start;
  const copies = segmentsOf(request).map(({ ref, offset, length }): GrantCopy => {
    end += length;
    return { ref, offset, length, at: run.at + end - length };
  });
  return { request, views: [run.bytes.subarray(start, end)], mapped: [], copies, isLost: false };
}

async function copy(
  { privcmd, domid }: Guest,
  placed: readonly Placed[],
  direction: 'copyToGrants' | 'copyFromGrants',
): Promise<void> {
  const copies = placed.flatMap((item) => item.copies);
  if (copies.length === 0) return;
  const statuses = await privcmd[direction](domid, copies);
  let first = 0;
  for (const item of placed) {
    const own = statuses.subarray(first, first + item.copies.length);
    first += item.copies.length;
    item.isLost = own.some((status) => status !== 0);
  }
}
