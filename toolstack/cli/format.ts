/** Tables and lines as xl's users know them. */

import { DEVICE_STATES, type DeviceState } from '../schemas/device.js';
import type { DomainDisk } from '../schemas/disk.js';
import type { Domain } from '../schemas/domain.js';
import type { Host } from '../schemas/host.js';
import type { DomainVif } from '../schemas/vif.js';

const PAGES_PER_MIB = 256;

const HEADER = 'Name                                        ID   Mem VCPUs\tState\tTime(s)';

export function formatList(domains: readonly Domain[]): string {
  return [HEADER, ...domains.map(formatRow)].join('\n');
}

function formatRow(domain: Domain): string {
  const { name, domid, memory, vcpus, cpuSeconds } = domain;
  const mib = Math.ceil(memory.pages / PAGES_PER_MIB);
  return [
    name.padEnd(40),
    String(domid).padStart(5),
    String(mib).padStart(5),
    String(vcpus.online).padStart(5),
    `    ${flags(domain)} `,
    cpuSeconds.toFixed(1).padStart(8),
  ].join(' ');
}

/** r b p s c d, as in xl-list(1). */
function flags({ state, shutdownReason }: Domain): string {
  const stopped = state === 'shutdown' || state === 'ended';
  const crashed = stopped && shutdownReason === 'crash';
  // biome-ignore format: one row per flag
  return [
    state === 'running' ? 'r' : '-',
    state === 'blocked' ? 'b' : '-',
    state === 'paused'  ? 'p' : '-',
    stopped && !crashed ? 's' : '-',
    crashed             ? 'c' : '-',
    state === 'dying'   ? 'd' : '-',
  ].join('');
}

export function formatInfo(host: Host, url: string): string {
  const mib = (frames: number): number => Math.floor(frames / PAGES_PER_MIB);
  // biome-ignore format: one row per fact
  const rows: (readonly [string, string | number])[] = [
    ['host',               url],
    ['product',            host.product],
    ['node',               host.node],
    ['xen_version',        host.xenVersion],
    ['uptime_s',           host.uptimeSeconds.toFixed(1)],
    ['total_memory',       mib(host.memory.totalFrames)],
    ['free_memory',        mib(host.memory.freeFrames)],
    ['total_frames',       host.memory.totalFrames],
    ['free_frames',        host.memory.freeFrames],
    ['nr_domains',         host.domains],
    ['nr_vcpus',           host.vcpus],
    ['hypercalls',         host.hypercalls.total],
    ['missing_hypercalls', Object.values(host.hypercalls.missing).reduce((sum, n) => sum + n, 0)],
    ['hypervisor_faults',  host.faults],
  ];
  return rows.map(([key, value]) => `${key.padEnd(22)} : ${value}`).join('\n');
}

/** Numbers of xenbus states, as xl prints them. */
const stateNumber = (state: DeviceState): number => DEVICE_STATES.indexOf(state);

export function formatDisks(
  domains: readonly { domid: number; disks: readonly DomainDisk[] }[],
): string {
  const rows = domains.flatMap(({ domid, disks }) =>
    disks.map(({ devid, vdev, access, state, path }) => [
      String(devid).padEnd(6),
      vdev.padEnd(8),
      String(domid).padEnd(6),
      String(stateNumber(state)).padEnd(5),
      access.padEnd(4),
      path,
    ]),
  );
  return ['Vdev   Name     Handle State Mode Image', ...rows.map((row) => row.join(' '))].join(
    '\n',
  );
}

export function formatVifs(vifs: readonly DomainVif[]): string {
  const rows = vifs.map(({ devid, mac, bridge, state, ip = '-' }) => [
    String(devid).padEnd(3),
    mac.padEnd(17),
    String(stateNumber(state)).padEnd(5),
    ip.padEnd(15),
    bridge,
  ]);
  return [
    'Idx Mac Addr.         State Address         Bridge',
    ...rows.map((row) => row.join(' ')),
  ].join('\n');
}

interface VcpuRow {
  readonly name: string;
  readonly domid: number;
  readonly id: number;
  readonly state: string;
  readonly cpuSeconds: number;
}

const VCPU_FLAGS: Readonly<Record<string, string>> = {
  running: 'r--',
  runnable: '---',
  blocked: '-b-',
  offline: '--p',
};

export function formatVcpus(vcpus: readonly VcpuRow[]): string {
  const rows = vcpus.map(({ name, domid, id, state, cpuSeconds }) =>
    [
      name.padEnd(32),
      String(domid).padStart(5),
      String(id).padStart(5),
      `  ${VCPU_FLAGS[state] ?? '---'}`,
      cpuSeconds.toFixed(1).padStart(9),
    ].join(' '),
  );
  return ['Name                                ID  VCPU  State   Time(s)', ...rows].join('\n');
}
