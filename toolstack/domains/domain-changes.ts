/**
 * What can be different about a domain that exists: its name, its vCPUs, its memory, its share of the processor.
 * Its kernel is asked by XenStore to take vCPUs offline or online, and to blow up its balloon.
 * Spec: xenstore-paths(7), ~/cpu/N/availability, ~/memory/target, ~/memory/static-max.
 */

import type { Dom0 } from '../../dom0/guest.js';
import { domainPath } from '../../dom0/guest-nodes.js';
import { PrivcmdRefusal } from '../../dom0/privcmd.js';
import { CONTROL_NODES } from '../../hypervisor/public/io/xenbus.js';
import type { DomainChange, DomainCreate } from '../schemas/domain.js';
import { CommandError } from './errors.js';
import type { DomainRecord } from './record.js';

const PAGES_PER_MIB = 256;
const KIB_PER_MIB = 1024;
/** What a guest may hold beyond its target, pages: as libxl allows it. */
const SLACK_PAGES = 256;

/** Throws before anything is changed if a value cannot be. */
export async function changeDomain(
  dom0: Dom0,
  record: DomainRecord,
  change: DomainChange,
): Promise<void> {
  checkChange(record.config, change);
  if (change.vcpus !== undefined) await setVcpus(dom0, record, change.vcpus);
  if (change.maxMemory !== undefined) await setMaxMemory(dom0, record, change.maxMemory);
  if (change.memory !== undefined) await setTarget(dom0, record, change.memory);
  const { weight, cap } = change;
  if (weight !== undefined || cap !== undefined) {
    const { domid } = record;
    await dom0.privcmd.call('setscheduler', {
      domid,
      ...(weight !== undefined && { weight }),
      ...(cap !== undefined && { cap }),
    });
  }
  const { name, ...rest } = change;
  record.config = { ...record.config, ...defined(rest) };
  if (record.next !== undefined) record.next = { ...record.next, ...defined(rest) };
  if (name !== undefined) await rename(dom0, record, name);
}

/** Presses a magic key. */
export async function pressSysrq({ store }: Dom0, domid: number, key: string): Promise<void> {
  await store.write(`${domainPath(domid)}/${CONTROL_NODES.SYSRQ}`, key);
}

/** The NMI button. */
export async function sendNmi(
  { privcmd }: Dom0,
  record: DomainRecord,
  vcpu: number,
): Promise<void> {
  const { config, domid } = record;
  const last = (config.maxVcpus ?? config.vcpus) - 1;
  if (vcpu > last) throw tooMuch('/vcpu', vcpu, last);
  await privcmd.call('sendnmi', { domid, vcpu });
}

function checkChange(config: DomainCreate, { vcpus, memory, maxMemory }: DomainChange): void {
  const maxVcpus = config.maxVcpus ?? config.vcpus;
  if (vcpus !== undefined && vcpus > maxVcpus) throw tooMuch('/vcpus', vcpus, maxVcpus);
  const ceiling = maxMemory ?? config.maxMemory ?? config.memory;
  const target = memory ?? config.memory;
  if (target > ceiling) {
    throw memory === undefined
      ? tooLittle('/maxMemory', ceiling, target)
      : tooMuch('/memory', memory, ceiling);
  }
}

async function setVcpus({ store }: Dom0, record: DomainRecord, vcpus: number): Promise<void> {
  const { domid, config } = record;
  const max = config.maxVcpus ?? config.vcpus;
  record.config = { ...config, maxVcpus: max };
  await store.transaction(async (access) => {
    for (let cpu = 0; cpu < max; cpu++) {
      const path = `${domainPath(domid)}/cpu/${cpu}/availability`;
      await access.write(path, cpu < vcpus ? 'online' : 'offline');
    }
  });
}

async function setMaxMemory(dom0: Dom0, { domid }: DomainRecord, mib: number): Promise<void> {
  try {
    await dom0.privcmd.call('setmaxmem', { domid, maxPages: mib * PAGES_PER_MIB });
  } catch (error) {
    if (!(error instanceof PrivcmdRefusal) || error.errno !== 'EINVAL') throw error;
    const detail = 'more than it was created for: maxMemory of its creation says how much';
    throw new CommandError('bad-value', `${mib} MiB is ${detail}.`, {
      errno: error.errno,
      errors: [{ pointer: '/maxMemory', detail, found: String(mib) }],
    });
  }
  const path = `${domainPath(domid)}/memory/static-max`;
  await dom0.store.write(path, String(mib * KIB_PER_MIB));
}

/** The ceiling goes along, so that a kernel that does not obey cannot have more. */
async function setTarget(
  { privcmd, store }: Dom0,
  record: DomainRecord,
  mib: number,
): Promise<void> {
  const { domid, config } = record;
  const ceiling = (config.maxMemory ?? config.memory) * PAGES_PER_MIB;
  const maxPages = Math.min(mib * PAGES_PER_MIB + SLACK_PAGES, ceiling);
  await privcmd.call('setmaxmem', { domid, maxPages });
  await store.write(`${domainPath(domid)}/memory/target`, String(mib * KIB_PER_MIB));
}

async function rename({ store }: Dom0, record: DomainRecord, name: string): Promise<void> {
  record.name = name;
  await store.write(`${domainPath(record.domid)}/name`, name);
  await store.write(`/vm/${record.uuid}/name`, name);
}

const tooMuch = (pointer: string, found: number, most: number): CommandError =>
  outOfRange(pointer, found, `at most ${most}`);
const tooLittle = (pointer: string, found: number, least: number): CommandError =>
  outOfRange(pointer, found, `at least ${least}, its memory`);

function outOfRange(pointer: string, found: number, expected: string): CommandError {
  const message = `${pointer.slice(1)} is ${found}; it can be ${expected}.`;
  return new CommandError('bad-value', message, {
    errors: [{ pointer, detail: 'out of range', expected, found: String(found) }],
  });
}

const defined = <T extends object>(values: T): Partial<{ [K in keyof T]: NonNullable<T[K]> }> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
