/** Tables and lines as xl's users know them. */

import type { Domain } from '../schemas/domain.js';
import type { Host } from '../schemas/host.js';

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
