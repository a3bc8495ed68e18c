/** What the toolstack remembers of a domain, alive or ended. */

import type { Console } from '../../dom0/console.js';
import type { Guest } from '../../dom0/guest.js';
import type { CreatedDomain, DomainInfo, RestoreDomain } from '../../hypervisor/public/privcmd.js';
import type { Domain, DomainCreate, ShutdownReason } from '../schemas/domain.js';
import type { DomainDevices } from './domain-devices.js';
import { CommandError } from './errors.js';

const NS = 1e9;
const PAGES_PER_MIB = 256;

/** Makes a domain from something else than its kernel: it has memory and state already. */
export type BuildFrom = (params: RestoreDomain) => Promise<CreatedDomain>;

export interface DomainRecord {
  /** What each incarnation is built from. */
  config: DomainCreate;
  /** What the next one is to be built from instead. */
  next?: DomainCreate;
  devices: DomainDevices;
  /** What the first incarnation is built from instead, if that is not its kernel. */
  build?: BuildFrom | undefined;
  /** Name of the bytes of the kernel that it was built from (images.ts). */
  image?: string | undefined;
  readonly console: Console;
  /** Name and handle change when it is preserved and its successor takes them over. */
  name: string;
  uuid: string;
  /** The present incarnation's; 0 before the first has been built. */
  domid: number;
  /** undefined while it is being built, and again once it has been destroyed. */
  guest: Guest | undefined;
  createdAt: Date;
  endedAt?: Date;
  shutdownReason?: ShutdownReason;
  detail?: string;
  /** The last lines of the console of one that has stopped or ended. */
  lastOutput?: string[];
  /** Last figures of the hypervisor, for when it is gone. */
  lastInfo?: DomainInfo | undefined;
}

/** The public face of a record. */
export function describeDomain(record: DomainRecord, info = record.lastInfo): Domain {
  const { config, domid, uuid, name } = record;
  const reason = record.shutdownReason ?? info?.shutdownReason;
  const detail = record.detail ?? info?.crashReason;
  return {
    domid,
    uuid,
    name,
    state: record.endedAt ? 'ended' : stateOf(info),
    ...(reason && { shutdownReason: reason }),
    ...(detail && { detail }),
    ...lastWordsOf(record, reason),
    memory: {
      pages: info?.totPages ?? 0,
      maxPages: info?.maxPages ?? 0,
      targetPages: config.memory * PAGES_PER_MIB,
      staticMaxPages: (config.maxMemory ?? config.memory) * PAGES_PER_MIB,
    },
    vcpus: {
      online: info?.vcpus.filter(({ online }) => online).length ?? 0,
      max: info?.maxVcpus ?? config.maxVcpus ?? config.vcpus,
      list:
        info?.vcpus.map(({ id, state, cpuTime }) => ({ id, state, cpuSeconds: cpuTime / NS })) ??
        [],
    },
    weight: info?.weight ?? config.weight,
    cap: info?.cap ?? config.cap,
    cpuSeconds: (info?.cpuTime ?? 0) / NS,
    kernel: config.kernel,
    cmdline: config.cmdline,
    ...ramdiskOf(config),
    policies: policiesOf(config),
    disks: record.devices.disks(),
    vifs: record.devices.vifs(uuid),
    createdAt: record.createdAt.toISOString(),
    ...(record.endedAt && { endedAt: record.endedAt.toISOString() }),
    console: `/v1/domains/${uuid}/console`,
  };
}

const lastWordsOf = ({ lastOutput }: DomainRecord, reason: ShutdownReason | undefined) => ({
  ...(reason && { exitCode: EXIT_CODES[reason] }),
  ...(lastOutput && { lastOutput }),
});

/** As `xl run` exits. */
const EXIT_CODES: Readonly<Record<ShutdownReason, number>> = {
  poweroff: 0,
  reboot: 0,
  suspend: 0,
  soft_reset: 0,
  crash: 3,
  watchdog: 3,
};

const ramdiskOf = ({ ramdisk }: DomainCreate) => (ramdisk === undefined ? {} : { ramdisk });

const policiesOf = (config: DomainCreate): Domain['policies'] => ({
  poweroff: config.onPoweroff,
  reboot: config.onReboot,
  crash: config.onCrash,
  watchdog: config.onWatchdog,
  softReset: config.onSoftReset,
});

/** xl's precedence: a dying domain is not paused, a paused one not blocked. */
function stateOf(info: DomainInfo | undefined): Domain['state'] {
  if (info === undefined || info.dying) return 'dying';
  if (info.shutdown) return 'shutdown';
  if (info.paused) return 'paused';
  return info.running ? 'running' : 'blocked';
}

/** Throws `wrong-state`, naming the state and those in which it would be allowed. */
export function requireState(
  { domid, state, lastOutput: log }: Domain,
  allowed: readonly Domain['state'][],
  wanted: string,
): void {
  if (allowed.includes(state)) return;
  const message = `Domain ${domid} is ${state}; it can be ${wanted} while ${allowed.join(' or ')}.`;
  throw new CommandError('wrong-state', message, log && { log });
}
