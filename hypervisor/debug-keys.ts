/** Debug keys, as on Xen's serial console: each answers from the state as it is, in lines that go into the log as well. */

import type { Domain } from './common/domain.js';
import type { FramePool } from './common/frame-pool.js';
import type { Scheduler } from './common/scheduler.js';
import type { Timers } from './common/timer.js';
import type { Inspection } from './inspection.js';
import type { Clock } from './machine/clock.js';
import { RUNSTATE } from './public/vcpu.js';

/** Lines about the ports or grants of one domain: there may be thousands. */
const MOST_LINES = 256;
const NS_PER_MS = 1e6;
const STATES = ['running', 'runnable', 'blocked', 'offline'] as const;

export interface DebugKeyParts {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly scheduler: Scheduler;
  readonly frames: FramePool;
  readonly domains: ReadonlyMap<number, Domain>;
  readonly inspection: Inspection;
}

interface DebugKey {
  readonly key: string;
  readonly what: string;
  lines(parts: DebugKeyParts): string[];
}

// biome-ignore format: one row per key
const KEYS: readonly DebugKey[] = [
  { key: 'h', what: 'show this help',                      lines: () => KEYS.map(({ key, what }) => `  ${key}  ${what}`) },
  { key: '*', what: 'show what all other keys show',       lines: (parts) => KEYS.slice(2).flatMap((key) => [`'${key.key}': ${key.what}`, ...key.lines(parts)]) },
  { key: 'a', what: 'show timers',                         lines: timers },
  { key: 'd', what: 'show registers of the vCPUs',         lines: registers },
  { key: 'e', what: 'show event channels',                 lines: (parts) => each(parts, ({ events }) => events.describe(MOST_LINES)) },
  { key: 'g', what: 'show grants in use and mappings',     lines: (parts) => each(parts, grants) },
  { key: 'H', what: 'show frames of the host',             lines: heap },
  { key: 'm', what: 'show memory of the domains',          lines: (parts) => guests(parts).map(memory) },
  { key: 'q', what: 'show domains and their vCPUs',        lines: (parts) => each(parts, domainLines) },
  { key: 'r', what: 'show the run queue',                  lines: runQueue },
  { key: 't', what: 'show clocks',                         lines: clocks },
];

/** @returns the lines that a key is answered with; undefined if there is no such key. */
export function pressDebugKey(parts: DebugKeyParts, key: string): string[] | undefined {
  const found = KEYS.find((row) => row.key === key);
  return found && [`'${key}' pressed: ${found.what}`, ...found.lines(parts)];
}

const guests = ({ domains }: DebugKeyParts): Domain[] =>
  [...domains.values()].filter(({ id }) => id !== 0);

/** Lines of each domain, below a line with its number. */
function each(parts: DebugKeyParts, lines: (domain: Domain, parts: DebugKeyParts) => string[]) {
  return [...parts.domains.values()].flatMap((domain) => [
    `d${domain.id}:`,
    ...lines(domain, parts).map((line) => `  ${line}`),
  ]);
}

function domainLines(domain: Domain, { clock }: DebugKeyParts): string[] {
  const { handle, pauseCount, isShutdown, shutdownReason, crashReason } = domain;
  const end = isShutdown ? `shut down (${crashReason ?? shutdownReason})` : 'not shut down';
  const now = clock.now();
  return [
    `handle ${handle}, pauses ${pauseCount}, ${end}`,
    `${memory(domain)}, ${domain.events.open} ports, ${domain.grants.frames.length} grant frames`,
    ...domain.vcpus.map((vcpu) => {
      const { runstate, upcallPending, upcallMask, pollPorts } = vcpu;
      const cpu = runstate.timeIn(RUNSTATE.RUNNING, now) / NS_PER_MS;
      const poll =
        pollPorts === undefined ? '' : `, polls ${pollPorts.join(' ') || 'for its timeout'}`;
      const upcall = `upcall ${upcallPending ? 'pending' : 'none'}${upcallMask ? ', masked' : ''}`;
      return `v${vcpu.id}: ${STATES[runstate.state]}, ${cpu.toFixed(3)} ms, ${upcall}${poll}`;
    }),
  ];
}

const memory = (domain: Domain): string =>
  `d${domain.id}: ${domain.totPages} of at most ${domain.maxPages} pages, MFNs up to ${domain.memory.machineFrames.maximum}`;

function grants({ grants: table }: Domain): string[] {
  const lines = table.describe();
  return [
    `version ${table.version}, ${table.frames.length} of ${table.maxFrames} frames, ${table.active} grants in use, ${table.maptrack.size} mapped of others`,
    ...lines.slice(0, MOST_LINES),
    ...(lines.length > MOST_LINES ? [`and ${lines.length - MOST_LINES} more`] : []),
  ];
}

function registers(parts: DebugKeyParts): string[] {
  return guests(parts).flatMap(({ id, vcpus }) =>
    vcpus
      .filter(({ isInitialised }) => isInitialised)
      .map((vcpu) => `d${id}v${vcpu.id}: ${parts.inspection.registers(vcpu)}`),
  );
}

function heap({ frames }: DebugKeyParts): string[] {
  return [
    `${frames.total} frames of 4 KiB, ${frames.free} free, ${frames.held} held by others than their owner`,
    `${frames.shared.size} frames shared by domains of one image, ${frames.shared.reserved} in reserve for them`,
  ];
}

function runQueue({ scheduler, clock }: DebugKeyParts): string[] {
  const { sliceLength, ratelimit, queue } = scheduler;
  const now = clock.now();
  return [
    `credit2: slice ${sliceLength / 1000} us, ratelimit ${ratelimit / 1000} us, ${queue.length} queued`,
    ...queue.map(({ id, domain, credit, isRunnable }) => {
      const cap = domain.cap.percent === 0 ? 'none' : `${domain.cap.percent} %`;
      const waits = domain.cap.available(now) > 0 ? '' : ', waits for its cap';
      const credits = `credit ${Math.round(credit / 1000)} us`;
      return `  d${domain.id}v${id}: ${credits}, weight ${domain.weight}, cap ${cap}${waits}${isRunnable ? '' : ', about to leave'}`;
    }),
  ];
}

const inMs = (at: number, now: number): string =>
  Number.isFinite(at) ? `in ${((at - now) / NS_PER_MS).toFixed(3)} ms` : 'none';

function clocks({ clock, timers }: DebugKeyParts): string[] {
  const now = clock.now();
  const wall = new Date((clock.wallClockAtStart + now) / NS_PER_MS).toISOString();
  return [`system time ${now} ns, wall clock ${wall}`, `next timer ${inMs(timers.next, now)}`];
}

function timers(parts: DebugKeyParts): string[] {
  const now = parts.clock.now();
  const armed = guests(parts).flatMap(({ id, vcpus }) =>
    vcpus.flatMap((vcpu) =>
      (['singleshot', 'periodic', 'pollTimeout'] as const)
        .filter((kind) => vcpu[kind].armed)
        .map((kind) => `  d${id}v${vcpu.id} ${kind}: ${inMs(vcpu[kind].at, now)}`),
    ),
  );
  return [`${parts.timers.size} timers, the next ${inMs(parts.timers.next, now)}`, ...armed];
}
