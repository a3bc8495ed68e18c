/** Which records a reader of the trace wants, decided before a record is put into words: by domain, call and class. */

import type { TraceView } from '../../dom0/trace-view.js';
import { HYPERCALLS, NR_HYPERCALLS } from '../../hypervisor/public/hypercalls.js';
import { TRACE_ALL, TRACE_CLASS, TRACE_KIND } from '../../hypervisor/public/trace.js';
import type { TraceQuery } from '../schemas/trace.js';
import { CommandError } from './errors.js';

/** Classes of what is no hypercall. */
const NO_CALLS = TRACE_CLASS.fault | TRACE_CLASS.switch | TRACE_CLASS.domain;
/** Faults and vCPU switches come by the thousand: only for those who ask for them. */
const DEFAULT_MASK = TRACE_ALL & ~(TRACE_CLASS.fault | TRACE_CLASS.switch);

const CLASSES: Readonly<Record<string, number>> = TRACE_CLASS;
const NUMBERS = new Map(
  HYPERCALLS.flatMap((row) => (row ? [[row.name, row.number] as const] : [])),
);

export class TraceFilter {
  /** Classes wanted, as bits. */
  readonly mask: number;
  /** Numbers of the calls wanted. */
  readonly calls: ReadonlySet<number>;
  readonly #ids: readonly string[] | undefined;
  readonly #domids = new Set<number>();

  /** Throws `bad-value` if a call or class has no such name. */
  constructor(query: Pick<TraceQuery, 'domain' | 'call' | 'class'>) {
    this.#ids = query.domain;
    const mask = query.class
      ? query.class.reduce((bits, name) => bits | requireClass(name), 0)
      : DEFAULT_MASK;
    this.mask = query.call ? mask & ~NO_CALLS : mask;
    const numbers = query.call?.map(requireCall) ?? ALL_NUMBERS;
    this.calls = new Set(numbers.filter((number) => (classOf(number) & mask) !== 0));
  }

  /** Looks up which domains the names mean now. One that was meant once stays meant, though it has ended. */
  refresh(domidOf: (id: string) => number | undefined): void {
    for (const id of this.#ids ?? []) {
      const domid = /^\d+$/.test(id) ? Number(id) : domidOf(id);
      if (domid !== undefined) this.#domids.add(domid);
    }
  }

  /** As of the last refresh. */
  wantsDomain(domid: number): boolean {
    return this.#ids === undefined || this.#domids.has(domid);
  }

  wants(view: TraceView): boolean {
    if (!this.wantsDomain(view.domid)) return false;
    const { kind } = view;
    if (kind === TRACE_KIND.HYPERCALL) return this.calls.has(view.op);
    return (this.mask & (CLASS_OF_KIND[kind] ?? 0)) !== 0;
  }
}

const CLASS_OF_KIND: Readonly<Record<number, number>> = {
  [TRACE_KIND.FAULT]: TRACE_CLASS.fault,
  [TRACE_KIND.SWITCH]: TRACE_CLASS.switch,
  [TRACE_KIND.DOMAIN]: TRACE_CLASS.domain,
};

const ALL_NUMBERS = Array.from({ length: NR_HYPERCALLS }, (_, number) => number);

const classOf = (number: number): number =>
  TRACE_CLASS[HYPERCALLS[number]?.traceClass ?? 'control'];

const requireCall = (name: string): number => {
  const number = NUMBERS.get(name);
  if (number === undefined) throw unknownName('call', name, [...NUMBERS.keys()]);
  return number;
};

const requireClass = (name: string): number => {
  const bit = Object.hasOwn(CLASSES, name) ? CLASSES[name] : undefined;
  if (bit === undefined) throw unknownName('class', name, Object.keys(CLASSES));
  return bit;
};

const unknownName = (field: string, name: string, known: string[]): CommandError =>
  new CommandError('bad-value', `There is no ${field} "${name}".`, {
    errors: [
      { pointer: `?${field}`, detail: 'no such name', expected: known.join(', '), found: name },
    ],
  });
