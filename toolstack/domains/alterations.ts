/** Commands that change a domain that goes on: what it is, and what devices it has. */

import type { DeviceEvent } from '../../dom0/device.js';
import type { DomainEvent } from '../schemas/event.js';
import type { DomainCommand } from './commands.js';
import { changeDomain, pressSysrq, sendNmi } from './domain-changes.js';
import type { DeviceHost } from './domain-devices.js';
import { planNext } from './next-config.js';
import type { DomainRecord } from './record.js';

type Kind =
  | 'change'
  | 'sysrq'
  | 'nmi'
  | 'configure'
  | 'attach-disk'
  | 'detach-disk'
  | 'attach-vif'
  | 'detach-vif';
export type Alteration = Extract<DomainCommand, { kind: Kind }>;

/** What is said of it in the event stream. */
type Said = Pick<DomainEvent, 'kind' | 'device' | 'detail'>;

export async function alterDomain(
  host: DeviceHost,
  record: DomainRecord,
  command: Alteration,
  tell: (event: DeviceEvent) => void,
): Promise<Said> {
  const { dom0 } = host;
  const { devices, domid } = record;
  switch (command.kind) {
    case 'change':
      await changeDomain(dom0, record, command.change);
      return { kind: 'changed', detail: JSON.stringify(command.change) };
    case 'sysrq':
      await pressSysrq(dom0, domid, command.key);
      return { kind: 'changed', detail: `sysrq ${command.key}` };
    case 'nmi':
      await sendNmi(dom0, record, command.vcpu);
      return { kind: 'changed', detail: `nmi to vCPU ${command.vcpu}` };
    case 'configure':
      await planNext(host, record, command.config);
      return { kind: 'changed', detail: 'what it is built from when it reboots' };
    case 'attach-disk': {
      const vdev = await devices.planDisk(command.disk);
      await orElse(devices.attach(domid, tell), () => devices.removeDisk(vdev, true));
      return { kind: 'device-attached', device: `disk ${vdev}` };
    }
    case 'detach-disk':
      await devices.removeDisk(command.vdev, command.force);
      return { kind: 'device-detached', device: `disk ${command.vdev}` };
    case 'attach-vif': {
      const devid = devices.planVif(command.vif);
      await orElse(devices.attach(domid, tell), () => devices.removeVif(devid, true));
      return { kind: 'device-attached', device: `vif ${devid}` };
    }
    case 'detach-vif':
      await devices.removeVif(command.devid, command.force);
      return { kind: 'device-detached', device: `vif ${command.devid}` };
  }
}

async function orElse(step: Promise<void>, undo: () => Promise<void>): Promise<void> {
  try {
    await step;
  } catch (error) {
    await undo();
    throw error;
  }
}
