/** Disks of domains: a storage, its nodes in XenStore, and the queues while a frontend is connected. */

import {
  BLKBACK_NODES,
  BLKFRONT_NODES,
  BLKIF_ABI,
  BLKIF_SECTOR,
  VDISK,
} from '../../hypervisor/public/io/blkif.js';
import type { Device, DeviceEvent, DeviceStatus } from '../device.js';
import type { Dom0 } from '../guest.js';
import type { MappedGrant } from '../privcmd.js';
import { SharedRing } from '../shared-ring.js';
import { type ReadFrontend, XenbusDevice } from '../xenbus-device.js';
import type { DiskLimits } from './blk-request.js';
import { BlockQueue } from './block-queue.js';
import { Disk } from './disk.js';
import { type DiskSpec, parseVdev } from './disk-spec.js';
import {
  type FrontendDetails,
  type QueueDetails,
  readFrontendDetails,
} from './frontend-details.js';
import { openStorage } from './open-storage.js';
import { PersistentGrants } from './persistent-grants.js';
import { DiskError, type Storage } from './storage.js';

/** As many as Linux uses of its own accord on a machine of so many processors. */
const MAX_QUEUES = 4;
/** 16 pages, 512 requests. */
const MAX_RING_PAGE_ORDER = 4;
/** A megabyte; the largest request then needs one page of segments. */
const MAX_INDIRECT_SEGMENTS = 256;
/** Pages kept mapped for a queue: 16 MiB, and a ring of one page full of the largest requests has twice that. */
const MAX_PERSISTENT_GRANTS = 4096;
/** Images lie in files of pages. */
const PHYSICAL_SECTOR = 4096;

/**
 * Opens the storage and makes the device visible to the guest; with `domid` paused or running.
 * @param onEvent must not block, and is called until `detach` has resolved.
 * @throws DiskError; then there is nothing to undo.
 */
export async function attachDisk(
  dom0: Dom0,
  domid: number,
  spec: DiskSpec,
  onEvent: (event: DeviceEvent) => void,
): Promise<Device> {
  const devid = parseVdev(spec.vdev);
  if (devid === undefined) throw new DiskError('not-a-disk', `no device is called ${spec.vdev}`);
  const storage = await openStorage(spec);
  try {
    const device = new BlockDevice(dom0, domid, devid, spec, storage, onEvent);
    await device.attach();
    return device;
  } catch (error) {
    await storage.close();
    throw error;
  }
}

class BlockDevice implements Device {
  readonly kind = 'vbd';
  readonly devid: number;
  readonly #dom0: Dom0;
  readonly #domid: number;
  readonly #storage: Storage;
  readonly #disk: Disk;
  readonly #xenbus: XenbusDevice;
  #details: FrontendDetails | undefined;
  #queues: BlockQueue[] = [];
  #ringPages: MappedGrant[] = [];
  #grants: PersistentGrants[] = [];

  constructor(
    dom0: Dom0,
    domid: number,
    devid: number,
    spec: DiskSpec,
    storage: Storage,
    onEvent: (event: DeviceEvent) => void,
  ) {
    const name = `vbd ${devid} (${spec.vdev})`;
    const limits: DiskLimits = {
      sectors: storage.bytes / BLKIF_SECTOR,
      readonly: spec.readonly,
      canDiscard: spec.discard && storage.discardGranularity !== undefined && !spec.readonly,
      maxIndirectSegments: MAX_INDIRECT_SEGMENTS,
    };
    this.devid = devid;
    this.#dom0 = dom0;
    this.#domid = domid;
    this.#storage = storage;
    this.#disk = new Disk(storage, limits, (kind, detail) =>
      onEvent({ kind, domid, device: name, detail }),
    );
    const nodes = {
      frontendNodes: frontendNodes(devid, spec),
      backendNodes: backendNodes(spec, storage, limits),
    };
    this.#xenbus = new XenbusDevice(
      dom0,
      { kind: 'vbd', domid, devid, name, ...nodes },
      {
        connect: (read) => this.#connect(read),
        disconnect: () => this.#disconnect(),
        event: onEvent,
      },
    );
  }

  attach(): Promise<void> {
    return this.#xenbus.attach();
  }

  status(): DeviceStatus {
    const { backendState, frontendState } = this.#xenbus;
    return {
      kind: this.kind,
      devid: this.devid,
      backendState,
      frontendState,
      counters: { ...this.#disk.counters },
      negotiated: this.#negotiated(),
    };
  }

  async detach(options: { readonly waitMs: number }): Promise<void> {
    await this.#xenbus.detach(options);
    await this.#storage.close();
  }

  #negotiated(): DeviceStatus['negotiated'] {
    if (this.#details === undefined) return {};
    const { abi, persistent, queues } = this.#details;
    return {
      protocol: abi,
      persistentGrants: persistent,
      queues: queues.length,
      ringPages: queues[0]?.ringRefs.length ?? 0,
      mappedGrants: this.#grants.reduce((sum, { size }) => sum + size, 0),
    };
  }

  async #connect(read: ReadFrontend): Promise<void> {
    const offer = { maxQueues: MAX_QUEUES, maxRingPageOrder: MAX_RING_PAGE_ORDER };
    const details = await readFrontendDetails(read, offer);
    for (const queue of details.queues) await this.#connectQueue(details, queue);
    this.#details = details;
  }

  async #connectQueue(
    { abi, persistent }: FrontendDetails,
    { ringRefs, port }: QueueDetails,
  ): Promise<void> {
    const { privcmd } = this.#dom0;
    const domid = this.#domid;
    const pages = await privcmd.mapGrants(domid, ringRefs);
    this.#ringPages.push(...pages);
    const ring = new SharedRing(
      pages.map(({ bytes }) => bytes),
      BLKIF_ABI[abi].REQUEST,
    );
    const grants = persistent
      ? new PersistentGrants(privcmd, domid, MAX_PERSISTENT_GRANTS)
      : undefined;
    if (grants !== undefined) this.#grants.push(grants);
    const fail = (reason: string): void => this.#xenbus.fail(reason);
    const queue = new BlockQueue({ privcmd, domid, ring, abi, disk: this.#disk, grants, fail });
    const channel = await privcmd.bindInterdomain(domid, port, () => queue.pump());
    this.#queues.push(queue);
    queue.start(channel);
  }

  async #disconnect(): Promise<void> {
    await Promise.all(this.#queues.map((queue) => queue.stop()));
    await this.#dom0.privcmd.unmapGrants(this.#ringPages);
    this.#queues = [];
    this.#ringPages = [];
    this.#grants = [];
    this.#details = undefined;
  }
}

const deviceType = ({ cdrom }: DiskSpec): string => (cdrom === true ? 'cdrom' : 'disk');

const frontendNodes = (devid: number, spec: DiskSpec): Record<string, string> => ({
  [BLKFRONT_NODES.VIRTUAL_DEVICE]: String(devid),
  [BLKFRONT_NODES.DEVICE_TYPE]: deviceType(spec),
});

/** What libxl says of a disk, then what a backend of it offers. */
function backendNodes(
  spec: DiskSpec,
  { bytes, discardGranularity }: Storage,
  { readonly, canDiscard }: DiskLimits,
): Record<string, string> {
  const isCdrom = spec.cdrom === true;
  const info = (isCdrom ? VDISK.CDROM | VDISK.REMOVABLE : 0) | (readonly ? VDISK.READONLY : 0);
  // biome-ignore format: one row per node
  return {
    [BLKBACK_NODES.DEV]:                   spec.vdev,
    [BLKBACK_NODES.TYPE]:                  'file',
    [BLKBACK_NODES.PARAMS]:                spec.path,
    [BLKBACK_NODES.PHYSICAL_DEVICE_PATH]:  spec.path,
    [BLKBACK_NODES.MODE]:                  readonly ? 'r' : 'w',
    [BLKBACK_NODES.DEVICE_TYPE]:           deviceType(spec),
    [BLKBACK_NODES.REMOVABLE]:             isCdrom ? '1' : '0',
    [BLKBACK_NODES.BOOTABLE]:              '1',
    [BLKBACK_NODES.HOTPLUG_STATUS]:        'connected',
    [BLKBACK_NODES.DISCARD_ENABLE]:        canDiscard ? '1' : '0',
    [BLKBACK_NODES.SECTORS]:               String(bytes / BLKIF_SECTOR),
    [BLKBACK_NODES.SECTOR_SIZE]:           String(BLKIF_SECTOR),
    [BLKBACK_NODES.PHYSICAL_SECTOR_SIZE]:  String(bytes % PHYSICAL_SECTOR === 0 ? PHYSICAL_SECTOR : BLKIF_SECTOR),
    [BLKBACK_NODES.INFO]:                  String(info),
    [BLKBACK_NODES.FEATURE_BARRIER]:       '1',
    [BLKBACK_NODES.FEATURE_FLUSH_CACHE]:   '1',
    [BLKBACK_NODES.FEATURE_PERSISTENT]:    '1',
    [BLKBACK_NODES.MAX_INDIRECT_SEGMENTS]: String(MAX_INDIRECT_SEGMENTS),
    [BLKBACK_NODES.MAX_RING_PAGE_ORDER]:   String(MAX_RING_PAGE_ORDER),
    [BLKBACK_NODES.MAX_QUEUES]:            String(MAX_QUEUES),
    [BLKBACK_NODES.FEATURE_DISCARD]:       canDiscard ? '1' : '0',
    ...(canDiscard && {
      [BLKBACK_NODES.DISCARD_GRANULARITY]: String(discardGranularity),
      [BLKBACK_NODES.DISCARD_ALIGNMENT]:   '0',
      [BLKBACK_NODES.DISCARD_SECURE]:      '0',
    }),
  };
}
