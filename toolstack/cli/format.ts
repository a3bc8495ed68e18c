/** Tables and lines as xl's users know them. */

import { DEVICE_STATES, type DeviceState } from '../schemas/device.js';
import type { DomainDisk } from '../schemas/disk.js';
import type { Host } from '../schemas/host.js';
import type { SchedulerParameters } from '../schemas/host-control.js';
import type { DomainVif } from '../schemas/vif.js';

const PAGES_PER_MIB = 256;

/** @param scheduler its name. */
export function formatInfo(host: Host, scheduler: string, url: string): string {
  const mib = (frames: number): number => Math.floor(frames / PAGES_PER_MIB);
  const [major = '', minor = '', extra = ''] = versionOf(host.xenVersion);
  // biome-ignore format: one row per fact
  const rows: (readonly [string, string | number])[] = [
    ['host',               url],
    ['release',            host.product],
    ['node',               host.node],
    ['machine',            'x86_64'],
    ['nr_cpus',            1],
    ['max_cpu_id',         0],
    ['nr_nodes',           1],
    ['cores_per_socket',   1],
    ['threads_per_core',   1],
    ['total_memory',       mib(host.memory.totalFrames)],
    ['free_memory',        mib(host.memory.freeFrames)],
    ['outstanding_claims', 0],
    ['free_cpus',          0],
    ['xen_major',          major],
    ['xen_minor',          minor],
    ['xen_extra',          extra],
    ['xen_version',        host.xenVersion],
    ['xen_caps',           'xen-3.0-x86_64'],
    ['xen_scheduler',      scheduler],
    ['xen_pagesize',       4096],
    ['uptime_s',           host.uptimeSeconds.toFixed(1)],
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

const versionOf = (version: string): readonly string[] =>
  /^(\d+)\.(\d+)(.*)$/.exec(version)?.slice(1) ?? [version, '', ''];

/** One CPU, one node. */
export function formatNuma({ memory }: Host): string {
  const mib = (frames: number): string => String(Math.floor(frames / PAGES_PER_MIB)).padStart(6);
  return [
    'cpu_topology           :',
    'cpu:    core    socket     node',
    '  0:       0        0        0',
    'numa_info              :',
    'node:    memsize    memfree    distances',
    `   0:    ${mib(memory.totalFrames)}     ${mib(memory.freeFrames)}      10`,
  ].join('\n');
}

/** Numbers of xenbus states, as xl prints them. */
const stateNumber = (state: DeviceState): string => String(DEVICE_STATES.indexOf(state));

/** Where the guest's end of a device is met: numbers that it has written to XenStore, -1 for what it has not. */
export interface Meeting {
  readonly port: number;
  readonly rings: readonly number[];
  readonly backend: string;
}

const DOM0 = '0';

export function formatDisks(
  disks: readonly { disk: DomainDisk; domid: number; meeting: Meeting }[],
): string {
  const rows = disks.map(({ disk: { devid, frontendState }, domid, meeting }) => [
    String(devid).padEnd(5),
    DOM0.padEnd(3),
    String(domid).padEnd(6),
    stateNumber(frontendState).padEnd(5),
    String(meeting.port).padEnd(6),
    String(meeting.rings[0]).padEnd(8),
    meeting.backend,
  ]);
  return [
    'Vdev  BE  handle state evt-ch ring-ref BE-path',
    ...rows.map((row) => row.join(' ')),
  ].join('\n');
}

export function formatVifs(vifs: readonly { vif: DomainVif; meeting: Meeting }[]): string {
  const rows = vifs.map(
    ({ vif: { devid, mac, frontendState }, meeting: { port, rings, backend } }) => [
      String(devid).padEnd(3),
      DOM0.padEnd(2),
      mac,
      String(devid).padStart(6),
      stateNumber(frontendState).padStart(5),
      String(port).padStart(6),
      `${String(rings[0]).padStart(5)}/${String(rings[1]).padEnd(11)}`,
      backend,
    ],
  );
  return [
    'Idx BE Mac Addr.         handle state evt-ch   tx-/rx-ring-ref BE-path',
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

// biome-ignore format: one row per state
/** The CPU on which it is, and what it does there. */
const VCPU_STATES: Readonly<Record<string, string>> = {
  running:  '    0   r--',
  runnable: '    0   ---',
  blocked:  '    0   -b-',
  offline:  '    -   --p',
};

export function formatVcpus(vcpus: readonly VcpuRow[]): string {
  const rows = vcpus.map(({ name, domid, id, state, cpuSeconds }) =>
    [
      name.padEnd(32),
      String(domid).padStart(5),
      `${String(id).padStart(5)}${VCPU_STATES[state]}`,
      `${cpuSeconds.toFixed(1).padStart(9)}  all / all`,
    ].join(' '),
  );
  return [
    'Name                                ID  VCPU   CPU State   Time(s) Affinity (Hard / Soft)',
    ...rows,
  ].join('\n');
}

interface Share {
  readonly name: string;
  readonly domid: number;
  readonly weight: number;
  readonly cap: number;
}

/** @param scheduler undefined: not asked for; @param shares likewise. */
export function formatShares(
  pool: string,
  scheduler: SchedulerParameters | undefined,
  shares: readonly Share[] | undefined,
): string {
  const row = (name: string, domid: string, weight: string, cap: string): string =>
    [name.padEnd(33), domid.padStart(4), weight.padStart(6), cap.padStart(4)].join(' ');
  return [
    ...(scheduler ? [`Cpupool ${pool}: ratelimit=${scheduler.ratelimitUs}us`] : []),
    ...(shares ? [row('Name', 'ID', 'Weight', 'Cap')] : []),
    ...(shares ?? []).map(({ name, domid, weight, cap }) =>
      row(name, String(domid), String(weight), String(cap)),
    ),
  ].join('\n');
}

export function formatPool(
  name: string,
  scheduler: string,
  domains: number,
  cpus: boolean,
): string {
  const [title, facts] = cpus
    ? ['CPU list', '0']
    : [
        'CPUs   Sched     Active   Domain count',
        `  1 ${scheduler.padStart(9)}       y       ${String(domains).padStart(4)}`,
      ];
  return [`${'Name'.padEnd(19)}${title}`, `${name.padEnd(19)}${facts}`].join('\n');
}
