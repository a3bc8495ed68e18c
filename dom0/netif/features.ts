/**
 * What the two ends of a vif agree on: the nodes the backend announces, and the frontend's answer.
 * Spec: Xen public/io/netif.h; the set is that of Linux's backend, without its control ring.
 */

import {
  NETIF_BACKEND_NODES as BACKEND,
  NETIF_FRONTEND_NODES as FRONTEND,
  queueDirectory,
} from '../../hypervisor/public/io/netif.js';
import { decodeU32 } from '../xenbus.js';
import type { ReadFrontend } from '../xenbus-device.js';
import type { VifSpec } from './vif-spec.js';

/** Queues a frontend may use: more than there are vCPUs in most guests. */
const MAX_QUEUES = 4;

/** Where one queue is. */
export interface QueueNodes {
  readonly txRef: number;
  readonly rxRef: number;
  /** The guest's ports; the same one twice if both rings share a channel. */
  readonly txPort: number;
  readonly rxPort: number;
}

/** What the frontend can take and wants. */
export interface FrontendFeatures {
  readonly sg: boolean;
  readonly gsoTcp4: boolean;
  readonly gsoTcp6: boolean;
  readonly checksum: boolean;
  readonly checksum6: boolean;
  /** It sends an event when it has posted receive buffers that were asked for. */
  readonly rxNotify: boolean;
  readonly queues: readonly QueueNodes[];
}

/** The backend's directory, besides what every backend has. */
export function backendNodes(spec: VifSpec): Readonly<Record<string, string>> {
  const { devid, mac, bridge, rate, ip } = spec;
  return {
    [BACKEND.SCRIPT]: '',
    [BACKEND.MAC]: mac,
    [BACKEND.BRIDGE]: bridge,
    [BACKEND.HANDLE]: String(devid),
    type: 'vif',
    ...(rate && { [BACKEND.RATE]: `${rate.bytes},${rate.intervalUs}` }),
    ...(ip !== undefined && { [BACKEND.IP]: ip }),
    [BACKEND.HOTPLUG_STATUS]: 'connected',
    [BACKEND.SG]: '1',
    [BACKEND.GSO_TCPV4]: '1',
    [BACKEND.GSO_TCPV6]: '1',
    [BACKEND.IPV6_CSUM]: '1',
    [BACKEND.RX_COPY]: '1',
    [BACKEND.RX_FLIP]: '0',
    [BACKEND.MULTICAST_CONTROL]: '1',
    [BACKEND.DYNAMIC_MULTICAST_CONTROL]: '1',
    [BACKEND.SPLIT_EVENT_CHANNELS]: '1',
    [BACKEND.MAX_QUEUES]: String(MAX_QUEUES),
  };
}

/** The frontend's directory, besides what every frontend has. */
export function frontendNodes({ devid, mac, mtu }: VifSpec): Readonly<Record<string, string>> {
  return {
    [BACKEND.HANDLE]: String(devid),
    [BACKEND.MAC]: mac,
    ...(mtu !== undefined && { [FRONTEND.MTU]: String(mtu) }),
  };
}

/** @throws Error with what is wrong, in words: a frontend like that is not connected. */
export async function readFeatures(read: ReadFrontend): Promise<FrontendFeatures> {
  const flag = async (node: string): Promise<boolean> => (await read(node)) === '1';
  if (!(await flag(FRONTEND.REQUEST_RX_COPY))) {
    throw new Error(`${FRONTEND.REQUEST_RX_COPY} is not 1: pages are not exchanged`);
  }
  const sg = await flag(FRONTEND.SG);
  return {
    sg,
    gsoTcp4: sg && (await flag(FRONTEND.GSO_TCPV4)),
    gsoTcp6: sg && (await flag(FRONTEND.GSO_TCPV6)),
    checksum: !(await flag(FRONTEND.NO_CSUM)),
    checksum6: await flag(FRONTEND.IPV6_CSUM),
    rxNotify: await flag(FRONTEND.RX_NOTIFY),
    queues: await readQueues(read),
  };
}

async function readQueues(read: ReadFrontend): Promise<QueueNodes[]> {
  const text = (await read(FRONTEND.NUM_QUEUES)) ?? '1';
  const count = decodeU32(text);
  if (count === undefined || count < 1 || count > MAX_QUEUES) {
    throw new Error(`${FRONTEND.NUM_QUEUES} is ${JSON.stringify(text)}, not 1 to ${MAX_QUEUES}`);
  }
  if (count === 1) return [await readQueue(read, '')];
  const directories = Array.from({ length: count }, (_, queue) => `${queueDirectory(queue)}/`);
  return Promise.all(directories.map((directory) => readQueue(read, directory)));
}

async function readQueue(read: ReadFrontend, directory: string): Promise<QueueNodes> {
  const require = async (node: string): Promise<number> => {
    const text = await read(`${directory}${node}`);
    const value = decodeU32(text);
    if (value === undefined) throw new Error(`${directory}${node} is ${JSON.stringify(text)}`);
    return value;
  };
  const isSplit = (await read(`${directory}${FRONTEND.EVENT_CHANNEL_TX}`)) !== undefined;
  const [txRef, rxRef, txPort, rxPort] = await Promise.all([
    require(FRONTEND.TX_RING_REF),
    require(FRONTEND.RX_RING_REF),
    require(isSplit ? FRONTEND.EVENT_CHANNEL_TX : FRONTEND.EVENT_CHANNEL),
    require(isSplit ? FRONTEND.EVENT_CHANNEL_RX : FRONTEND.EVENT_CHANNEL),
  ]);
  return { txRef, rxRef, txPort, rxPort };
}
