/** Which records a reader of the trace wants, decided before a record is put into words. */

import type { TraceRecord } from '../../dom0/trace-reader.js';
import { HYPERCALLS } from '../../hypervisor/public/hypercalls.js';
import { TRACE_ALL, TRACE_CLASS, TRACE_KIND } from '../../hypervisor/public/trace.js';
import type { TraceQuery } from '../schemas/trace.js';
import { CommandError } from './errors.js';

/** Faults and vCPU switches come by the thousand: only for those who ask for them. */
const DEFAULT_MASK = TRACE_ALL & ~(TRACE_CLASS.fault | TRACE_CLASS.switch);

const CLASSES: Readonly<Record<string, number>> = TRACE_CLASS;
const NUMBERS = new Map(
  HYPERCALLS.flatMap((row) => (row ? [[row.name, row.number] as const] : [])),
);

export class TraceFilter {
  /** Classes wanted, as bits. */
  readonly mask: number;
  readonly #calls: ReadonlySet<number> | undefined;
  readonly #ids: readonly string[] | undefined;
  readonly #domids = new Set<number>();

  /** Throws `bad-value` if a call or class has no such name. */
  constructor(query: Pick<TraceQuery, 'domain' | 'call' | 'class'>) {
    this.#ids = query.domain;
    this.#calls = query.call && new Set(query.call.map(requireCall));
    this.mask = query.class
      ? query.class.reduce((mask, name) => mask | requireClass(name), 0)
      : DEFAULT_MASK;
  }

  /** Looks up which domains the names mean now. One that was meant once stays meant, though it has ended. */
  refresh(domidOf: (id: string) => number | undefined): void {
    for (const id of this.#ids ?? []) {
      const domid = /^\d+$/.test(id) ? Number(id) : domidOf(id);
      if (domid !== undefined) this.#domids.add(domid);
    }
  }

  wants({ kind, op, domid }: TraceRecord): boolean {
    if (this.#ids !== undefined && !this.#domids.has(domid)) return false;
    if (kind !== TRACE_KIND.HYPERCALL) {
      return this.#calls === undefined && (this.mask & (CLASS_OF_KIND[kind] ?? 0)) !== 0;
    }
    if (this.#calls !== undefined && !this.#calls.has(op)) return false;
    const row = HYPERCALLS[op];
    return (this.mask & (row ? TRACE_CLASS[row.traceClass] : TRACE_CLASS.control)) !== 0;
  }
}

const CLASS_OF_KIND: Readonly<Record<number, number>> = {
  [TRACE_KIND.FAULT]: TRACE_CLASS.fault,
  [TRACE_KIND.SWITCH]: TRACE_CLASS.switch,
  [TRACE_KIND.DOMAIN]: TRACE_CLASS.domain,
};

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
