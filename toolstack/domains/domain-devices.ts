/**
 * The devices of one domain: what it is to have, in each of its incarnations, and what it has now.
 *
 *   plan      before it is built: everything that can be refused is refused; images are held for it
 *   attach    after its nodes are there, before it runs
 *   detach    it stops; what it is to have stays
 *   forget    it has ended: images are let go of, temporary overlays removed
 */

import { rm } from 'node:fs/promises';
import { attachDisk } from '../../dom0/block/block-device.js';
import { parseVdev } from '../../dom0/block/disk-spec.js';
import { DiskError } from '../../dom0/block/storage.js';
import type { Device, DeviceEvent, DeviceEventKind } from '../../dom0/device.js';
import type { Dom0 } from '../../dom0/guest.js';
import { attachVif } from '../../dom0/netif/vif.js';
import { randomMac } from '../../dom0/netif/vif-spec.js';
import type { DeviceFigures } from '../schemas/device.js';
import { DEVICE_STATES } from '../schemas/device.js';
import type { DiskConfig, DomainDisk } from '../schemas/disk.js';
import type { DomainEvent } from '../schemas/event.js';
import type { DomainVif, VifConfig } from '../schemas/vif.js';
import type { DiskFile, DiskFolders } from './disk-folders.js';
import { CommandError } from './errors.js';
import type { Networks } from './networks.js';
import { parseRate } from './vif-rate.js';

/** How long a guest may take to let go of a device. */
const DETACH_MS = 10_000;

/** What the event stream calls what happens to a device. */
export const DEVICE_EVENTS: Readonly<Record<DeviceEventKind, DomainEvent['kind']>> = {
  connected: 'device-connected',
  closed: 'device-closed',
  'io-error': 'device-failed',
  'protocol-error': 'device-failed',
};

export interface DeviceHost {
  readonly dom0: Dom0;
  readonly disks: DiskFolders;
  readonly networks: Networks;
}

/** What the domain is to have. */
interface PlannedDisk {
  readonly config: DiskConfig;
  /** To its part of the request, for errors. */
  readonly pointer: string;
  readonly devid: number;
  readonly access: 'rw' | 'ro';
  readonly file: DiskFile;
  readonly overlay: string | undefined;
  /** Lets go of the image, and removes an overlay that ends with the domain. */
  forget(): Promise<void>;
  device?: Device | undefined;
}

interface PlannedVif {
  readonly pointer: string;
  readonly config: VifConfig & { readonly mac: string };
  readonly devid: number;
  device?: Device | undefined;
}

export class DomainDevices {
  readonly #host: DeviceHost;
  #disks: PlannedDisk[] = [];
  #vifs: PlannedVif[] = [];

  constructor(host: DeviceHost) {
    this.#host = host;
  }

  /** Whether there is anything at all. */
  get any(): boolean {
    return this.#disks.length + this.#vifs.length > 0;
  }

  /** Throws for the first that cannot be; then nothing is held. */
  async plan(disks: readonly DiskConfig[], vifs: readonly VifConfig[]): Promise<void> {
    try {
      for (const [n, vif] of vifs.entries()) this.planVif(vif, `/vifs/${n}`);
      for (const [n, disk] of disks.entries()) await this.planDisk(disk, `/disks/${n}`);
    } catch (error) {
      await this.forget();
      throw error;
    }
  }

  /** @returns its name. */
  async planDisk(config: DiskConfig, pointer = ''): Promise<string> {
    const { vdev, target, overlay } = config;
    const devid = parseVdev(vdev);
    if (devid === undefined) throw badField(`${pointer}/vdev`, 'stands for no device', vdev);
    if (this.#disks.some((disk) => disk.devid === devid)) throw deviceExists(vdev);
    const file = await this.#host.disks.resolve(target, `${pointer}/target`);
    const path = overlay === false ? undefined : await this.#host.disks.overlayPath(overlay);
    const isTemporary = overlay === true;
    const held = path === undefined ? [file.path] : [file.path, path];
    const releases = held.map((each) => this.#host.disks.hold(each));
    const disk: PlannedDisk = {
      config,
      pointer,
      devid,
      access: config.access ?? (config.cdrom ? 'ro' : 'rw'),
      file,
      overlay: path,
      forget: async () => {
        for (const release of releases) release();
        if (isTemporary && path !== undefined) await rm(path, { force: true });
      },
    };
    this.#disks.push(disk);
    return vdev;
  }

  /** @returns its number. */
  planVif(config: VifConfig, pointer = ''): number {
    if (config.rate !== undefined && parseRate(config.rate) === undefined) {
      throw badField(`${pointer}/rate`, 'lets nothing through', config.rate);
    }
    const numbers = this.#vifs.map(({ devid }) => devid);
    let devid = 0;
    while (numbers.includes(devid)) devid += 1;
    const mac = config.mac?.toLowerCase() ?? randomMac();
    this.#host.networks.reserve({ ...config, mac }, pointer);
    this.#vifs.push({ config: { ...config, mac }, pointer, devid });
    return devid;
  }

  /** Attaches what is not attached yet. Throws if one cannot be; those before it stay. */
  async attach(domid: number, tell: (event: DeviceEvent) => void): Promise<void> {
    for (const disk of this.#disks) disk.device ??= await this.#attachDisk(domid, disk, tell);
    for (const vif of this.#vifs) vif.device ??= await this.#attachVif(domid, vif, tell);
  }

  /** Takes all away at once: the guest is dying. Cannot fail. */
  async detach(): Promise<void> {
    const all = [...this.#disks, ...this.#vifs];
    const devices = all.flatMap(({ device }) => (device ? [device] : []));
    for (const each of all) each.device = undefined;
    await Promise.all(devices.map((device) => device.detach({ waitMs: 0 })));
  }

  async forget(): Promise<void> {
    const disks = this.#disks;
    this.#disks = [];
    this.#vifs = [];
    await Promise.all(disks.map((disk) => disk.forget()));
  }

  /** Takes one disk away for good. Throws `no-such-device`. */
  async removeDisk(vdev: string, force: boolean): Promise<void> {
    const disk = this.#requireDisk(vdev);
    await disk.device?.detach({ waitMs: force ? 0 : DETACH_MS });
    this.#disks = this.#disks.filter((other) => other !== disk);
    await disk.forget();
  }

  /** Takes one interface away for good. Throws `no-such-device`. */
  async removeVif(devid: number, force: boolean): Promise<void> {
    const vif = this.#requireVif(devid);
    await vif.device?.detach({ waitMs: force ? 0 : DETACH_MS });
    this.#vifs = this.#vifs.filter((other) => other !== vif);
  }

  disks(): DomainDisk[] {
    return this.#disks.map(describeDisk);
  }

  disk(vdev: string): DomainDisk {
    return describeDisk(this.#requireDisk(vdev));
  }

  /** @param id of the domain, for the paths of its captures. */
  vifs(id: string): DomainVif[] {
    return this.#vifs.map((vif) => this.#describeVif(id, vif));
  }

  vif(id: string, devid: number): DomainVif {
    return this.#describeVif(id, this.#requireVif(devid));
  }

  async #attachDisk(
    domid: number,
    { config, pointer, access, file, overlay }: PlannedDisk,
    tell: (event: DeviceEvent) => void,
  ): Promise<Device> {
    const { vdev, discard, cdrom } = config;
    const spec = {
      vdev,
      path: file.path,
      readonly: access === 'ro',
      discard,
      cdrom,
      ...(overlay !== undefined && { overlay: { path: overlay } }),
    };
    try {
      return await attachDisk(this.#host.dom0, domid, spec, tell);
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      const code = error.code === 'in-use' ? 'disk-in-use' : 'bad-disk';
      throw new CommandError(code, `The disk ${vdev}: ${error.message}.`, {
        errors: [{ pointer: `${pointer}/target`, detail: error.message, found: config.target }],
      });
    }
  }

  async #attachVif(
    domid: number,
    { config, pointer, devid }: PlannedVif,
    tell: (event: DeviceEvent) => void,
  ): Promise<Device> {
    const { mac, bridge, ip, mtu, antiSpoof } = config;
    const rate = config.rate === undefined ? undefined : parseRate(config.rate);
    const network = this.#host.networks.switch(bridge);
    const spec = { devid, mac, bridge, rate, ip, mtu, antiSpoof };
    try {
      return await attachVif(this.#host.dom0, domid, spec, network, tell);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      throw new CommandError('device-exists', `Interface ${devid}: ${error.message}.`, {
        errors: [{ pointer: `${pointer}/mac`, detail: error.message, found: mac }],
      });
    }
  }

  #requireDisk(vdev: string): PlannedDisk {
    const found = this.#disks.find(({ config }) => config.vdev === vdev);
    if (found === undefined) throw noDevice(`disk "${vdev}"`);
    return found;
  }

  #requireVif(devid: number): PlannedVif {
    const found = this.#vifs.find((vif) => vif.devid === devid);
    if (found === undefined) throw noDevice(`network interface ${devid}`);
    return found;
  }

  #describeVif(id: string, { config, devid, device }: PlannedVif): DomainVif {
    const { mac, bridge, rate } = config;
    const ip = this.#host.networks.addressOf(bridge, mac) ?? config.ip;
    return {
      devid,
      mac,
      bridge,
      ...(rate && { rate }),
      ...(ip && { ip }),
      capture: `/v1/domains/${id}/vifs/${devid}/capture`,
      ...figures(device),
    };
  }
}

function describeDisk({ config, devid, access, file, device }: PlannedDisk): DomainDisk {
  const { vdev, target, overlay, cdrom } = config;
  const { path, bytes } = file;
  return { vdev, devid, target, path, bytes, access, overlay, cdrom, ...figures(device) };
}

/** Of a device that is not attached, as its domain has ended: nothing. */
function figures(device: Device | undefined): DeviceFigures {
  if (device === undefined) {
    return { state: 'closed', frontendState: 'unknown', counters: {}, negotiated: {} };
  }
  const { backendState, frontendState, counters, negotiated } = device.status();
  return {
    state: DEVICE_STATES[backendState] ?? 'unknown',
    frontendState: DEVICE_STATES[frontendState] ?? 'unknown',
    counters: { ...counters },
    negotiated: { ...negotiated },
  };
}

const noDevice = (what: string): CommandError =>
  new CommandError('no-such-device', `The domain has no ${what}.`);

const deviceExists = (vdev: string): CommandError =>
  new CommandError('device-exists', `The domain has a disk ${vdev} already.`, {
    errors: [{ pointer: '/vdev', detail: 'is there already', found: vdev }],
  });

const badField = (pointer: string, detail: string, found: string): CommandError =>
  new CommandError('bad-value', `${pointer.slice(1)} ${detail}: "${found}".`, {
    errors: [{ pointer, detail, found }],
  });
