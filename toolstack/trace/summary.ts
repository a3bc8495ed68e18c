/**
 * The trace summed up by call, as strace -c does: how often, with which errors, how long. A call that was preempted counts once, with all of its
 * time; a multicall counts without the time of its calls, as far as they are summed up too. Faults are counted, they take no time.
 */

import { decodeTrace } from '../../dom0/trace-format.js';
import type { TraceView } from '../../dom0/trace-view.js';
import { errnoName } from '../../hypervisor/public/errno.js';
import { hypercallName } from '../../hypervisor/public/hypercalls.js';
import { TRACE_FLAG, TRACE_KIND } from '../../hypervisor/public/trace.js';
import { Durations } from './durations.js';
import { CALLS } from './names.js';

/** Times are nanoseconds. */
export interface SummaryRow {
  /** Only if it is by domain. */
  readonly domid?: number;
  /** Name of the call, or of the exception. */
  readonly call: string;
  readonly calls: number;
  readonly errors: number;
  readonly errnos: Readonly<Record<string, number>>;
  readonly total: number;
  /** Of the time of all rows, 0 to 1. */
  readonly share: number;
  readonly average: number;
  readonly min: number;
  readonly max: number;
  readonly p50: number;
  readonly p99: number;
}

export interface Summary {
  /** What it is a summary of, in seconds. */
  readonly seconds: number;
  readonly calls: number;
  readonly errors: number;
  readonly total: number;
  /** Records that are missing in it. */
  readonly dropped: number;
  /** Those that took most time come first. */
  readonly rows: SummaryRow[];
}

class Sum {
  readonly call: string;
  readonly domid: number | undefined;
  readonly durations = new Durations();
  readonly errnos = new Map<number, number>();
  calls = 0;
  errors = 0;

  constructor(call: string, domid: number | undefined) {
    this.call = call;
    this.domid = domid;
  }
}

/** What a vCPU has done of calls that go on. */
interface Underway {
  /** Of a call, and of one in its multicall: number and nanoseconds. */
  readonly calls: [Part, Part];
  /** Nanoseconds in the calls of a multicall. */
  inner: number;
}

interface Part {
  readonly op: number;
  readonly time: number;
}
const NOTHING: Part = { op: -1, time: 0 };

const MULTICALL = CALLS.get('multicall');
const NS = 1e9;
const { HYPERCALL, FAULT } = TRACE_KIND;
const VCPUS = 0x1_0000;

export class TraceSummary {
  readonly #byDomain: boolean;
  readonly #sums = new Map<string | number, Sum>();
  readonly #underway = new Map<number, Underway>();
  #dropped = 0;
  #first: number | undefined;
  #last = 0;

  constructor(options: { readonly byDomain: boolean }) {
    this.#byDomain = options.byDomain;
  }

  take(view: TraceView): void {
    this.#first ??= view.time;
    this.#last = view.time;
    if (view.kind === HYPERCALL) this.#takeCall(view);
    else if (view.kind === FAULT) this.#sumOf(view, decodeTrace(view.record).name).calls += 1;
  }

  drop(records: number): void {
    this.#dropped += records;
  }

  /** @param seconds that it is of; if absent, those from the first record to the last. */
  table(seconds = (this.#last - (this.#first ?? 0)) / NS): Summary {
    const sums = [...this.#sums.values()];
    const total = add(sums.map(({ durations }) => durations.total));
    const rows = sums.map((sum) => rowOf(sum, total));
    return {
      seconds,
      calls: add(rows.map(({ calls }) => calls)),
      errors: add(rows.map(({ errors }) => errors)),
      total,
      dropped: this.#dropped,
      rows: rows.sort((a, b) => b.total - a.total || b.calls - a.calls),
    };
  }

  #takeCall(view: TraceView): void {
    const { op, flags, result } = view;
    const took = this.#ownTime(view);
    if (took === undefined) return;
    const sum = this.#sumOf(view, op);
    sum.calls += 1;
    sum.durations.add(took);
    if (result >= 0 || (flags & TRACE_FLAG.NO_RESULT) !== 0) return;
    sum.errors += 1;
    sum.errnos.set(-result, (sum.errnos.get(-result) ?? 0) + 1);
  }

  /** @returns nanoseconds of all that there was of it, or undefined if the call goes on. */
  #ownTime({ domid, vcpu, op, flags, duration }: TraceView): number | undefined {
    const depth = (flags & TRACE_FLAG.MULTICALL) === 0 ? 0 : 1;
    const goesOn = (flags & TRACE_FLAG.PREEMPTED) !== 0;
    const key = domid * VCPUS + vcpu;
    let underway = this.#underway.get(key);
    if (underway === undefined) {
      if (depth === 0 && !goesOn) return duration;
      underway = { calls: [NOTHING, NOTHING], inner: 0 };
      this.#underway.set(key, underway);
    }
    const before = underway.calls[depth];
    let time = duration + (before.op === op ? before.time : 0);
    if (depth === 1) underway.inner += duration;
    if (op === MULTICALL) {
      time = Math.max(0, time - underway.inner);
      underway.inner = 0;
    }
    underway.calls[depth] = goesOn ? { op, time } : NOTHING;
    return goesOn ? undefined : time;
  }

  #sumOf({ domid }: TraceView, call: number | string): Sum {
    const key = this.#byDomain ? `${domid} ${call}` : call;
    const known = this.#sums.get(key);
    if (known !== undefined) return known;
    const name = typeof call === 'number' ? hypercallName(call) : call;
    const sum = new Sum(name, this.#byDomain ? domid : undefined);
    this.#sums.set(key, sum);
    return sum;
  }
}

function rowOf({ call, domid, calls, errors, errnos, durations }: Sum, all: number): SummaryRow {
  const { total, min, max } = durations;
  const named = [...errnos].map(([number, count]) => [errnoName(number) ?? `${number}`, count]);
  return {
    ...(domid !== undefined && { domid }),
    call,
    calls,
    errors,
    errnos: Object.fromEntries(named),
    total,
    share: all === 0 ? 0 : total / all,
    average: calls === 0 ? 0 : total / calls,
    min,
    max,
    p50: durations.quantile(0.5),
    p99: durations.quantile(0.99),
  };
}

const add = (numbers: readonly number[]): number => numbers.reduce((sum, n) => sum + n, 0);
