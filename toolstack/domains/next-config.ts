/**
 * What the next incarnation of a domain is built from, where that is not what this one was built from: set while the domain runs,
 * heeded when it reboots. What is changed of the running domain afterwards is changed in it, too; devices are not.
 */

import { randomMac } from '../../dom0/netif/vif-spec.js';
import type { DomainCreate } from '../schemas/domain.js';
import { type DeviceHost, DomainDevices } from './domain-devices.js';
import { CommandError } from './errors.js';
import type { DomainRecord } from './record.js';

/** Throws for the first thing that cannot be; then nothing has changed. */
export async function planNext(
  host: DeviceHost,
  record: DomainRecord,
  config: DomainCreate,
): Promise<void> {
  const { name, uuid } = record;
  if (config.name !== name) throw mustStay('/name', name, config.name);
  const wanted = config.uuid?.toLowerCase() ?? uuid;
  if (wanted !== uuid) throw mustStay('/uuid', uuid, wanted);
  // An interface keeps its address, and one that is new has the same whenever it is asked for.
  const macs = record.devices.vifs(uuid).map(({ mac }) => mac);
  const vifs = config.vifs.map((vif, n) => ({ ...vif, mac: vif.mac ?? macs[n] ?? randomMac() }));
  const trial = new DomainDevices(host);
  await trial.plan(config.disks, vifs);
  await trial.forget();
  record.next = { ...config, uuid, vifs };
}

/** The incarnation before has been torn down. */
export async function adoptNext(host: DeviceHost, record: DomainRecord): Promise<void> {
  const { next } = record;
  if (next === undefined) return;
  delete record.next;
  record.config = next;
  await record.devices.forget();
  record.devices = new DomainDevices(host);
  await record.devices.plan(next.disks, next.vifs);
}

function mustStay(pointer: string, expected: string, found: string): CommandError {
  const detail = 'of a domain that exists stays as it is';
  return new CommandError('bad-value', `${pointer.slice(1)} ${detail}: ${expected}.`, {
    errors: [{ pointer, detail, expected, found }],
  });
}
