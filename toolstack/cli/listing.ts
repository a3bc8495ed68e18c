/** What xl list and xl vm-list print. Spec: xl(1), list. */

import { type Domain, SHUTDOWN_REASONS } from '../schemas/domain.js';
import { DOMAIN0_NAME, type Domain0 } from './domain0.js';

const KIB_PER_PAGE = 4;
const KIB_PER_MIB = 1024;
const POOL = 'Pool-0';

export interface Columns {
  /** Handle, reason of the end, label. */
  readonly verbose?: true;
  readonly context?: true;
  readonly cpupool?: true;
  readonly numa?: true;
}

interface Row {
  readonly name: string;
  readonly domid: number;
  readonly kib: number;
  readonly vcpus: number;
  readonly flags: string;
  readonly cpuSeconds: number;
  readonly uuid: string;
  readonly reason?: number;
}

const HEADER = 'Name                                        ID   Mem VCPUs\tState\tTime(s)';

export function formatList(
  domain0: Domain0 | undefined,
  domains: readonly Domain[],
  columns: Columns,
): string {
  const rows = [...(domain0 ? [rowOfDomain0(domain0)] : []), ...domains.map(rowOf)];
  const { verbose, context, cpupool, numa } = columns;
  const header = [
    HEADER,
    verbose && '   UUID                            Reason-Code\tSecurity Label',
    context && !verbose && '   Security Label',
    cpupool && '         Cpupool',
    numa && ' NODE Affinity',
  ];
  const lines = rows.map((row) => [inShort(row), ...further(row, columns)]);
  return [header, ...lines].map((parts) => parts.filter(Boolean).join('')).join('\n');
}

function inShort({ name, domid, kib, vcpus, flags, cpuSeconds }: Row): string {
  return [
    name.padEnd(40),
    String(domid).padStart(5),
    String(Math.ceil(kib / KIB_PER_MIB)).padStart(5),
    String(vcpus).padStart(5),
    `    ${flags} `,
    cpuSeconds.toFixed(1).padStart(8),
  ].join(' ');
}

function further({ uuid, reason }: Row, { verbose, context, cpupool, numa }: Columns) {
  return [
    verbose && ` ${uuid} ${(reason?.toString(16) ?? '-').padStart(8)}`,
    (verbose || context) && ` ${'-'.padStart(16)}`,
    cpupool && POOL.padStart(16),
    numa && ' all',
  ];
}

function rowOf(domain: Domain): Row {
  const { name, domid, memory, vcpus, cpuSeconds, uuid, shutdownReason } = domain;
  const kib = memory.pages * KIB_PER_PAGE;
  const row = { name, domid, kib, vcpus: vcpus.online, flags: flags(domain), cpuSeconds, uuid };
  if (shutdownReason === undefined) return row;
  return { ...row, reason: SHUTDOWN_REASONS.indexOf(shutdownReason) };
}

const rowOfDomain0 = ({ kib, cpuSeconds }: Domain0): Row => ({
  name: DOMAIN0_NAME,
  domid: 0,
  kib,
  vcpus: 1,
  flags: 'r-----',
  cpuSeconds,
  uuid: '00000000-0000-0000-0000-000000000000',
});

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

export function formatVms(domains: readonly Domain[]): string {
  const rows = domains.map(({ uuid, domid, name }) => `${uuid}  ${domid}    ${name}`);
  return ['UUID                                  ID    name', ...rows].join('\n');
}
