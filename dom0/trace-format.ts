/**
 * Trace records as text and as values: `d1v0 event_channel_op(alloc_unbound {dom=SELF, remote_dom=0}) = 0 {port=3}`.
 * Everything follows from the rows of hypervisor/public/hypercalls.ts.
 */

import { errnoName } from '../hypervisor/public/errno.js';
import {
  type Argument,
  CHAR,
  HYPERCALLS,
  type HypercallRow,
  hypercallName,
  type Payload,
} from '../hypervisor/public/hypercalls.js';
import { MEMOP_CMD_MASK } from '../hypervisor/public/memory.js';
import { TRACE_FLAG, TRACE_KIND, TRACE_STOP, type TraceClass } from '../hypervisor/public/trace.js';
import {
  braces,
  decodeEntries,
  domidName,
  entriesText,
  type Fields,
  hex,
} from './trace-payload.js';
import type { TraceRecord } from './trace-view.js';

/** A record taken apart, for JSON. Numbers that may exceed 2^53 are hexadecimal text. */
export interface TraceEvent {
  readonly seq: number;
  /** Nanoseconds since the hypervisor started. */
  readonly time: number;
  readonly kind: 'hypercall' | 'fault' | 'switch' | 'domain';
  readonly domid: number;
  readonly vcpu: number;
  readonly class: TraceClass;
  /** Name of the call, of the exception, or what happened. */
  readonly name: string;
  /** Sub-operation, where the call has them. */
  readonly op?: string;
  /** Arguments by name, the struct's fields among them. */
  readonly args: Readonly<Record<string, string>>;
  /** Fields of the struct that the call has filled in. */
  readonly output: Readonly<Record<string, string>>;
  /** All structs behind the pointer, where there can be several: those that were kept. */
  readonly entries?: readonly Readonly<Record<string, string>>[];
  readonly result?: number;
  /** `EINVAL` for a result of -22. */
  readonly errno?: string;
  /** Nanoseconds. */
  readonly duration: number;
  /** Guest address behind the call. */
  readonly rip: string;
  /** Where the hypercall page returns to, if the call was made through it. */
  readonly caller?: string;
  /** The caller, or else rip, by the symbols of the guest's kernel: `start_kernel+0x1a`. */
  readonly symbol?: string;
  readonly preempted: boolean;
  readonly multicall: boolean;
  /** Why the hypervisor refused something. */
  readonly why: readonly string[];
  /** The whole as one line. */
  readonly text: string;
}

/** Names an address of a domain's kernel; undefined if it cannot. */
export type NameAddress = (domid: number, address: bigint) => string | undefined;

function argumentText({ kind }: Argument, value: bigint): string {
  if (kind === 'domid') return domidName(Number(value & 0xffffn));
  if (kind === 'dec' || kind === 'count') return `${BigInt.asIntN(64, value)}`;
  return hex(value);
}

/** The sub-operation of a call, by the number in its first argument. */
function subOp(record: TraceRecord, row: HypercallRow | undefined) {
  if (row?.args[0]?.kind !== 'cmd') return undefined;
  const cmd = Number((record.args[0] ?? 0n) & 0xffff_ffffn);
  // Above the command of memory_op lies what a continued call has done.
  const number = row.name === 'memory_op' ? cmd & MEMOP_CMD_MASK : cmd;
  const found = row.ops.find((candidate) => candidate.number === number);
  return { name: found?.name ?? `${number}`, payload: found?.payload };
}

/** How one argument is shown: '' if it is left out. */
function shownArgument(argument: Argument, value: bigint, op: string, payload: string): string {
  switch (argument.kind) {
    case 'cmd':
      return op;
    case 'ptr':
      return payload || (value === 0n ? '' : hex(value));
    case 'count':
      return value === 1n ? '' : `${argument.name}=${argumentText(argument, value)}`;
    default:
      return `${argument.name}=${argumentText(argument, value)}`;
  }
}

/** What a call was asked, as text between its parentheses and as values by name. */
function decodeCall(record: TraceRecord, row: HypercallRow | undefined) {
  const op = subOp(record, row);
  const payload = op?.payload ?? row?.payload;
  const entries = decodeEntries(payload, record);
  const total = totalOf(record, row, payload, entries.length);
  const input = entriesText(
    entries.map((entry) => entry.input),
    total,
  );
  const args: Fields = {};
  const parts: string[] = [];
  for (const [n, argument] of (row?.args ?? []).entries()) {
    const value = record.args[n] ?? 0n;
    if (argument.kind !== 'cmd') args[argument.name] = argumentText(argument, value);
    const part = shownArgument(argument, value, op?.name ?? '', input);
    if (part !== '') parts.push(part);
  }
  // The operation and its struct read as one: alloc_unbound {dom=SELF}.
  if (op) parts.splice(0, 2, parts.slice(0, 2).join(' '));
  return { op: op?.name, entries, total, args, text: parts.join(', ') };
}

/** How many structs the guest says lie behind the pointer: not all of them may have been kept. */
function totalOf(
  record: TraceRecord,
  row: HypercallRow | undefined,
  payload: Payload | undefined,
  kept: number,
): number {
  if (payload?.repeat !== 'count' || payload.struct.name === CHAR) return kept;
  const index = row?.args.findIndex(({ kind }) => kind === 'count') ?? -1;
  return Number((record.args[index] ?? 0n) & 0xffff_ffffn);
}

function resultText({ flags, result }: TraceRecord): string {
  if (flags & TRACE_FLAG.PREEMPTED) return ' = (preempted)';
  if (flags & TRACE_FLAG.NO_RESULT) return '';
  if (result >= 0) return ` = ${result > 0xffff ? hex(result) : result}`;
  return ` = -${errnoName(result) ?? -result}`;
}

const micros = (ns: number): string => `${(ns / 1000).toFixed(ns < 10_000 ? 1 : 0)}µs`;

function hypercallEvent(record: TraceRecord, nameOf: NameAddress): TraceEvent {
  const row = HYPERCALLS[record.op];
  const head = common(record, nameOf);
  const { op, entries, total, args, text } = decodeCall(record, row);
  const [first] = entries;
  const outputs = entriesText(
    entries.map(({ output }) => output),
    total,
  );
  const name = hypercallName(record.op);
  const failed = record.result < 0 ? errnoName(record.result) : undefined;
  const hasResult = (record.flags & (TRACE_FLAG.PREEMPTED | TRACE_FLAG.NO_RESULT)) === 0;
  const why = record.why.length === 0 ? '' : ` (${record.why.join('; ')})`;
  const line = `${name}(${text})${resultText(record)}${outputs && ` ${outputs}`}${why}`;
  return {
    ...head,
    kind: 'hypercall',
    class: row?.traceClass ?? 'control',
    name,
    ...(op === undefined ? {} : { op }),
    args: { ...args, ...first?.input },
    output: first?.output ?? {},
    ...(total > 1
      ? { entries: entries.map(({ input, output }) => ({ ...input, ...output })) }
      : {}),
    ...(hasResult ? { result: record.result } : {}),
    ...(failed === undefined ? {} : { errno: failed }),
    text: `${who(record)} ${line} <${micros(record.duration)}> ${where(record, head.symbol)}`,
  };
}

const who = ({ domid, vcpu }: TraceRecord): string => `d${domid}v${vcpu}`;

/** The code that made the call, or in which the fault happened. */
const codeOf = ({ caller, rip }: TraceRecord): bigint => (caller === 0n ? rip : caller);

function where(record: TraceRecord, symbol: string | undefined): string {
  return symbol === undefined ? `@${hex(record.rip)}` : `@${hex(codeOf(record))} ${symbol}`;
}

function common(record: TraceRecord, nameOf: NameAddress) {
  const { seq, time, domid, vcpu, duration, flags, why, caller } = record;
  const symbol = nameOf(domid, codeOf(record));
  return {
    seq,
    time,
    domid,
    vcpu,
    duration,
    rip: hex(record.rip),
    ...(caller === 0n ? {} : { caller: hex(caller) }),
    ...(symbol === undefined ? {} : { symbol }),
    preempted: (flags & TRACE_FLAG.PREEMPTED) !== 0,
    multicall: (flags & TRACE_FLAG.MULTICALL) !== 0,
    why,
  };
}

const EXCEPTIONS: Readonly<Record<number, string>> = {
  0: '#DE',
  1: '#DB',
  3: '#BP',
  4: '#OF',
  5: '#BR',
  6: '#UD',
  7: '#NM',
  8: '#DF',
  10: '#TS',
  11: '#NP',
  12: '#SS',
  13: '#GP',
  14: '#PF',
  16: '#MF',
  17: '#AC',
  19: '#XM',
};

function faultName(record: TraceRecord): string {
  const stop = Number(record.args[2] ?? 0n);
  if (stop === TRACE_STOP.SYSCALL) return 'syscall';
  if (stop === TRACE_STOP.INTERRUPT) return `int ${record.op}`;
  if (stop === TRACE_STOP.PRIVILEGED) return 'privileged instruction';
  return EXCEPTIONS[record.op] ?? `exception ${record.op}`;
}

function faultEvent(record: TraceRecord, nameOf: NameAddress): TraceEvent {
  const name = faultName(record);
  const head = common(record, nameOf);
  const args: Fields = {};
  if (name.startsWith('#')) args['error_code'] = hex(record.args[0] ?? 0n);
  if (name === '#PF') args['address'] = hex(record.args[1] ?? 0n);
  const shown = braces(args);
  const text = `${who(record)} ${name}${shown && ` ${shown}`} ${where(record, head.symbol)}`;
  return { ...head, kind: 'fault', class: 'fault', name, args, output: {}, text };
}

const NAMELESS: NameAddress = () => undefined;

/** Takes a record apart. */
export function decodeTrace(record: TraceRecord, nameOf = NAMELESS): TraceEvent {
  const rest = { args: {}, output: {} };
  switch (record.kind) {
    case TRACE_KIND.FAULT:
      return faultEvent(record, nameOf);
    case TRACE_KIND.SWITCH: {
      const text = `${who(record)} runs`;
      return {
        ...common(record, NAMELESS),
        ...rest,
        kind: 'switch',
        class: 'switch',
        name: 'runs',
        text,
      };
    }
    case TRACE_KIND.DOMAIN: {
      const text = `d${record.domid} ${record.text}`;
      const name = record.text;
      return { ...common(record, NAMELESS), ...rest, kind: 'domain', class: 'domain', name, text };
    }
    default:
      return hypercallEvent(record, nameOf);
  }
}

/** One line of text for a record. */
export const formatTrace = (record: TraceRecord): string => decodeTrace(record).text;
