/** Building and tearing down one incarnation of a domain: image, hypervisor, dom0's side, in this order and back. */

import { CONSOLE_LIMIT } from '../../dom0/console.js';
import type { DeviceEvent } from '../../dom0/device.js';
import { connectGuest, type Dom0, disconnectGuest } from '../../dom0/guest.js';
import type { GuestFacts } from '../../dom0/guest-nodes.js';
import type { CreateDomain, CreatedDomain } from '../../hypervisor/public/privcmd.js';
import type { DomainCreate } from '../schemas/domain.js';
import type { Images } from './images.js';
import type { DomainRecord } from './record.js';

const PAGES_PER_MIB = 256;
const KIB_PER_MIB = 1024;

/**
 * Builds the domain, paused. What it took is given back if a step fails, and the step's error thrown.
 * @param tell hears of its devices.
 */
export async function buildDomain(
  dom0: Dom0,
  images: Images,
  record: DomainRecord,
  tell: (event: DeviceEvent) => void,
): Promise<void> {
  const { config } = record;
  const created = await createDomain(dom0, images, record);
  record.domid = created.domid;
  try {
    record.guest = await connectGuest(dom0, guestFacts(record, config, created), record.console);
    if (record.devices.any) await record.devices.attach(created.domid, tell);
  } catch (error) {
    if (record.guest === undefined) {
      await dom0.privcmd.call('destroydomain', { domid: created.domid }).catch(() => undefined);
    } else {
      await tearDown(dom0, record);
    }
    throw error;
  }
}

/** The first incarnation of a restored domain comes from what was saved, all others from the kernel. */
async function createDomain(
  dom0: Dom0,
  images: Images,
  record: DomainRecord,
): Promise<CreatedDomain> {
  const { config, build } = record;
  record.image = undefined;
  const params = {
    handle: record.uuid,
    memoryPages: config.memory * PAGES_PER_MIB,
    maxPages: (config.maxMemory ?? config.memory) * PAGES_PER_MIB,
    vcpus: config.vcpus,
    maxVcpus: config.maxVcpus ?? config.vcpus,
    weight: config.weight,
    cap: config.cap,
    ...limits(config),
  };
  if (build !== undefined) {
    record.build = undefined;
    return build(params);
  }
  const [kernel, ramdisk] = await Promise.all([
    images.load(config.kernel, 'kernel'),
    config.ramdisk === undefined ? undefined : images.load(config.ramdisk, 'ramdisk'),
  ]);
  record.image = kernel.name;
  return dom0.privcmd.call('createdomain', {
    ...params,
    kernel: kernel.bytes,
    kernelName: kernel.name,
    ...(ramdisk && { ramdisk: ramdisk.bytes, ramdiskName: ramdisk.name }),
    cmdline: config.cmdline,
    paused: true,
  });
}

/** Ends the present incarnation and keeps its last figures. Nothing happens if there is none. */
export async function tearDown(dom0: Dom0, record: DomainRecord): Promise<void> {
  const { guest, domid } = record;
  if (guest === undefined) return;
  record.guest = undefined;
  if (record.devices.any) await record.devices.detach();
  const last = dom0.privcmd.call('getdomaininfo', { domid }).catch(() => undefined);
  await disconnectGuest(dom0, guest);
  record.lastInfo = (await last) ?? record.lastInfo;
  await dom0.privcmd.call('destroydomain', { domid });
}

/** What the hypervisor has defaults for. */
function limits(config: DomainCreate): Partial<CreateDomain> {
  const { maxGrantFrames, maxMaptrackFrames, maxEventChannels } = config;
  return {
    ...(maxGrantFrames !== undefined && { maxGrantFrames }),
    ...(maxMaptrackFrames !== undefined && { maxMaptrackFrames }),
    ...(maxEventChannels !== undefined && { maxEventChannels }),
  };
}

function guestFacts(
  record: DomainRecord,
  config: DomainCreate,
  created: CreatedDomain,
): GuestFacts {
  return {
    ...created,
    uuid: record.uuid,
    name: record.name,
    memoryKib: config.memory * KIB_PER_MIB,
    maxMemoryKib: (config.maxMemory ?? config.memory) * KIB_PER_MIB,
    vcpus: config.vcpus,
    maxVcpus: config.maxVcpus ?? config.vcpus,
    consoleLimit: CONSOLE_LIMIT,
  };
}
