/** What xl top knows of each domain, and its table. Spec: xentop(1). */

import type { Domain } from '../schemas/domain.js';
import type { Host } from '../schemas/host.js';
import { DOMAIN0_NAME, domain0Of } from './domain0.js';

const KIB_PER_PAGE = 4;
const KIB = 1024;
const SECTOR = 512;

/** One look at host and domains. */
export interface Look {
  /** Milliseconds of a clock that only goes forward. */
  readonly at: number;
  readonly host: Host;
  readonly domains: readonly Domain[];
}

export interface Figures {
  readonly name: string;
  readonly domid: number;
  /** d s b c p r, as xentop has them. */
  readonly state: string;
  readonly cpuSeconds: number;
  /** Per cent of a CPU since the look before; 0 at the first. */
  readonly cpuShare: number;
  readonly memoryKib: number;
  /** Of what the host has for guests, per cent; domain 0 takes nothing of that. */
  readonly memoryShare: number | undefined;
  /** undefined: no limit. */
  readonly maxMemoryKib: number | undefined;
  readonly maxMemoryShare: number | undefined;
  readonly vcpus: number;
  readonly nets: number;
  readonly txKib: number;
  readonly rxKib: number;
  readonly vbds: number;
  readonly reads: number;
  readonly writes: number;
  readonly readSectors: number;
  readonly writtenSectors: number;
  /** Of which the second lines tell; domain 0 has none. */
  readonly domain?: Domain;
}

export function figuresOf(look: Look, before: Look | undefined): Figures[] {
  const total = look.host.memory.totalFrames * KIB_PER_PAGE;
  const earlier = new Map(before?.domains.map(({ domid, cpuSeconds }) => [domid, cpuSeconds]));
  const seconds = before === undefined ? 0 : (look.at - before.at) / 1000;
  const share = (now: number, then: number | undefined): number =>
    seconds > 0 && then !== undefined ? Math.max(0, ((now - then) / seconds) * 100) : 0;
  const domain0 = domain0Of(look.host, look.domains);
  const domain0Then = before && domain0Of(before.host, before.domains).cpuSeconds;
  return [
    {
      ...NO_DEVICES,
      name: DOMAIN0_NAME,
      domid: 0,
      state: '-----r',
      cpuSeconds: domain0.cpuSeconds,
      cpuShare: share(domain0.cpuSeconds, domain0Then),
      memoryKib: domain0.kib,
      memoryShare: undefined,
      maxMemoryKib: undefined,
      maxMemoryShare: undefined,
      vcpus: 1,
    },
    ...look.domains.map((domain) => ({
      ...devicesOf(domain),
      name: domain.name,
      domid: domain.domid,
      state: stateOf(domain),
      cpuSeconds: domain.cpuSeconds,
      cpuShare: share(domain.cpuSeconds, earlier.get(domain.domid)),
      memoryKib: domain.memory.pages * KIB_PER_PAGE,
      memoryShare: ((domain.memory.pages * KIB_PER_PAGE) / total) * 100,
      maxMemoryKib: domain.memory.maxPages * KIB_PER_PAGE,
      maxMemoryShare: ((domain.memory.maxPages * KIB_PER_PAGE) / total) * 100,
      vcpus: domain.vcpus.online,
      domain,
    })),
  ];
}

const NO_DEVICES = {
  nets: 0,
  txKib: 0,
  rxKib: 0,
  vbds: 0,
  reads: 0,
  writes: 0,
  readSectors: 0,
  writtenSectors: 0,
};

function devicesOf({ disks, vifs }: Domain): typeof NO_DEVICES {
  const sum = (devices: readonly { counters: Record<string, number> }[], counter: string): number =>
    devices.reduce((total, { counters }) => total + (counters[counter] ?? 0), 0);
  return {
    nets: vifs.length,
    txKib: Math.floor(sum(vifs, 'txBytes') / KIB),
    rxKib: Math.floor(sum(vifs, 'rxBytes') / KIB),
    vbds: disks.length,
    reads: sum(disks, 'readRequests'),
    writes: sum(disks, 'writeRequests'),
    readSectors: Math.floor(sum(disks, 'bytesRead') / SECTOR),
    writtenSectors: Math.floor(sum(disks, 'bytesWritten') / SECTOR),
  };
}

function stateOf({ state, shutdownReason }: Domain): string {
  const crashed = state === 'shutdown' && shutdownReason === 'crash';
  // biome-ignore format: one row per flag
  return [
    state === 'dying'                 ? 'd' : '-',
    state === 'shutdown' && !crashed  ? 's' : '-',
    state === 'blocked'               ? 'b' : '-',
    crashed                           ? 'c' : '-',
    state === 'paused'                ? 'p' : '-',
    state === 'running'               ? 'r' : '-',
  ].join('');
}

interface Column {
  readonly title: string;
  readonly width: number;
  show(figures: Figures): string;
  /** What it is sorted by, the greatest first; names go by the alphabet. */
  by(figures: Figures): number | string;
}

const column = (
  title: string,
  width: number,
  by: Column['by'],
  show: (figures: Figures) => string | number = by,
): Column => ({ title, width, by, show: (figures) => String(show(figures)) });

const share = (part: number | undefined): string => part?.toFixed(1) ?? 'n/a';

// biome-ignore format: one row per column, the widths are xentop's
export const COLUMNS: readonly Column[] = [
  column('NAME',      10, (f) => f.name),
  column('STATE',      6, (f) => f.state),
  column('CPU(sec)',  10, (f) => f.cpuSeconds,         (f) => Math.floor(f.cpuSeconds)),
  column('CPU(%)',     6, (f) => f.cpuShare,           (f) => share(f.cpuShare)),
  column('MEM(k)',    10, (f) => f.memoryKib),
  column('MEM(%)',     6, (f) => f.memoryShare ?? 0,   (f) => share(f.memoryShare)),
  column('MAXMEM(k)', 10, (f) => f.maxMemoryKib ?? 0,  (f) => f.maxMemoryKib ?? 'no limit'),
  column('MAXMEM(%)',  9, (f) => f.maxMemoryKib ?? 0,  (f) => share(f.maxMemoryShare)),
  column('VCPUS',      5, (f) => f.vcpus),
  column('NETS',       4, (f) => f.nets),
  column('NETTX(k)',   8, (f) => f.txKib),
  column('NETRX(k)',   8, (f) => f.rxKib),
  column('VBDS',       4, (f) => f.vbds),
  column('VBD_OO',     8, () => 0),
  column('VBD_RD',     8, (f) => f.reads),
  column('VBD_WR',     8, (f) => f.writes),
  column('VBD_RSECT', 10, (f) => f.readSectors),
  column('VBD_WSECT', 10, (f) => f.writtenSectors),
  column('SSID',       4, () => 0),
];

export interface Shown {
  readonly fullNames?: boolean;
  readonly networks?: boolean;
  readonly vbds?: boolean;
  readonly vcpus?: boolean;
  readonly repeatHeader?: boolean;
}

/** Lines of the table; the first is the header. @param columns of COLUMNS. */
export function tableOf(
  rows: readonly Figures[],
  columns: readonly Column[],
  shown: Shown,
): string[] {
  const cell = ({ width, title }: Column, text: string): string =>
    title === 'NAME' && !shown.fullNames
      ? text.slice(0, width).padStart(width)
      : text.padStart(width);
  const header = columns.map((each) => cell(each, each.title)).join(' ');
  return [
    header,
    ...rows.flatMap((figures, n) => [
      ...(shown.repeatHeader && n > 0 ? [header] : []),
      columns.map((each) => cell(each, each.show(figures))).join(' '),
      ...secondLines(figures, shown),
    ]),
  ];
}

export function sorted(rows: readonly Figures[], { by }: Column): Figures[] {
  return [...rows].sort((a, b) => {
    const [left, right] = [by(a), by(b)];
    if (typeof left === 'string') return left < String(right) ? -1 : Number(left > String(right));
    return Number(right) - left || a.domid - b.domid;
  });
}

function secondLines({ domain }: Figures, { networks, vbds, vcpus }: Shown): string[] {
  if (domain === undefined) return [];
  const count = (counters: Record<string, number>, name: string): string =>
    String(counters[name] ?? 0).padStart(8);
  return [
    ...(vcpus ? [`VCPUs(sec): ${domain.vcpus.list.map(vcpuTime).join(' ')}`] : []),
    ...(networks ? domain.vifs : []).flatMap(({ devid, counters: c }) => [
      `Net${devid} RX: ${count(c, 'rxBytes')}bytes ${count(c, 'rxPackets')}pkts ${count(c, 'rxErrors')}err`,
      `     TX: ${count(c, 'txBytes')}bytes ${count(c, 'txPackets')}pkts ${count(c, 'txErrors')}err`,
    ]),
    ...(vbds ? domain.disks : []).map(
      ({ devid, vdev, counters: c }) =>
        `VBD BlkBack ${devid} [${vdev}] RD: ${count(c, 'readRequests')} WR: ${count(c, 'writeRequests')}`,
    ),
  ];
}

const vcpuTime = ({ id, cpuSeconds }: Domain['vcpus']['list'][number]): string =>
  `${id}: ${Math.floor(cpuSeconds)}s`;

/** How many domains are in which state, and how much memory there is. */
export function summary({ host, domains }: Look, now: Date): string[] {
  const count = (state: Domain['state']): number =>
    domains.filter((domain) => domain.state === state).length;
  const crashed = domains.filter((domain) => stateOf(domain)[3] === 'c').length;
  const kib = (frames: number): string => `${frames * KIB_PER_PAGE}k`;
  const { totalFrames, freeFrames } = host.memory;
  return [
    `xl top - ${now.toTimeString().slice(0, 8)}   Xen ${host.xenVersion}`,
    `${domains.length + 1} domains: ${count('running') + 1} running, ${count('blocked')} blocked, ${count('paused')} paused, ${crashed} crashed, ${count('dying')} dying, ${count('shutdown') - crashed} shutdown`,
    `Mem: ${kib(totalFrames)} total, ${kib(totalFrames - freeFrames)} used, ${kib(freeFrames)} free    CPUs: 1`,
  ];
}
