/**
 * What a frontend has published of its rings: the guest's own words, checked.
 * Spec: hypervisor/public/io/blkif.ts, BLKFRONT_NODES.
 */

import { BLKFRONT_NODES, BLKIF_ABI } from '../../hypervisor/public/io/blkif.js';
import { decodeU32 } from '../xenbus.js';
import type { ReadFrontend } from '../xenbus-device.js';
import type { BlkAbi } from './blk-request.js';

export interface QueueDetails {
  readonly ringRefs: readonly number[];
  readonly port: number;
}

export interface FrontendDetails {
  readonly abi: BlkAbi;
  readonly persistent: boolean;
  readonly queues: readonly QueueDetails[];
}

/** What the backend has offered. */
export interface Offer {
  readonly maxQueues: number;
  readonly maxRingPageOrder: number;
}

/** The frontend has published nonsense. */
class DetailsError extends Error {
  override readonly name = 'DetailsError';
}

/** @throws DetailsError */
export async function readFrontendDetails(
  read: ReadFrontend,
  { maxQueues, maxRingPageOrder }: Offer,
): Promise<FrontendDetails> {
  const protocol = await read(BLKFRONT_NODES.PROTOCOL);
  const persistent = (await read(BLKFRONT_NODES.FEATURE_PERSISTENT)) === '1';
  const count = await readNumber(read, BLKFRONT_NODES.NUM_QUEUES, 1);
  const order = await readNumber(read, BLKFRONT_NODES.RING_PAGE_ORDER, 0);
  if (count < 1 || count > maxQueues) throw new DetailsError(`${count} queues`);
  if (order > maxRingPageOrder) throw new DetailsError(`a ring of 2^${order} pages`);
  const queues: QueueDetails[] = [];
  for (let n = 0; n < count; n += 1) {
    queues.push(await readQueue(read, count === 1 ? '' : `queue-${n}/`, 2 ** order));
  }
  return { abi: requireAbi(protocol), persistent, queues };
}

/** Without the node it is the backend's native one. */
function requireAbi(protocol: string | undefined): BlkAbi {
  if (protocol === undefined) return 'x86_64-abi';
  if (!Object.hasOwn(BLKIF_ABI, protocol)) {
    throw new DetailsError(`unknown protocol ${JSON.stringify(protocol.slice(0, 40))}`);
  }
  return protocol as BlkAbi;
}

async function readQueue(read: ReadFrontend, at: string, pages: number): Promise<QueueDetails> {
  const port = await readNumber(read, at + BLKFRONT_NODES.EVENT_CHANNEL);
  const ringRefs: number[] = [];
  for (let page = 0; page < pages; page += 1) {
    const numbered = `${at}${BLKFRONT_NODES.RING_REF}${page}`;
    const single = `${at}${BLKFRONT_NODES.RING_REF}`;
    const isNumbered = pages > 1 || (await read(single)) === undefined;
    ringRefs.push(await readNumber(read, isNumbered ? numbered : single));
  }
  return { ringRefs, port };
}

/** A u32 in decimal. */
async function readNumber(read: ReadFrontend, node: string, absent?: number): Promise<number> {
  const text = await read(node);
  if (text === undefined && absent !== undefined) return absent;
  const value = decodeU32(text);
  if (value === undefined) {
    throw new DetailsError(`${node} is ${JSON.stringify(text?.slice(0, 40) ?? 'missing')}`);
  }
  return value;
}
