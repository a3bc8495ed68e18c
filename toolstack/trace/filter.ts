/**
 * Which records a reader of the trace wants: by domain, call and class, and by a filter expression. What can be decided by domain, call and
 * class is told to the hypervisor, which writes nothing else; the rest is asked of each record, before it is put into words where that will do.
 */

import type { TraceView } from '../../dom0/trace-view.js';
import { NR_HYPERCALLS } from '../../hypervisor/public/hypercalls.js';
import { TRACE_ALL, TRACE_CLASS, TRACE_KIND } from '../../hypervisor/public/trace.js';
import { type Expression, parseExpression } from './expression.js';
import { ExpressionError } from './expression-tokens.js';
import type { Test } from './fields.js';
import { CALLS, CLASSES, classOf, KINDS, type Names } from './names.js';
import { compileExpression, mentions } from './predicate.js';
import { RecordSubject, type TraceDecoder } from './subject.js';

/** What may be asked for, each undefined if it is all the same. */
export interface Wanted {
  /** domids, names or uuids. */
  readonly domain?: readonly string[] | undefined;
  readonly call?: readonly string[] | undefined;
  readonly class?: readonly string[] | undefined;
  /** An expression. */
  readonly filter?: string | undefined;
}

/** Something is asked for that there is not. */
export class FilterError extends Error {
  override readonly name = 'FilterError';
  /** Which part of what was asked for. */
  readonly part: keyof Wanted;
  readonly detail: string;
  readonly expected: string;
  readonly found: string;

  constructor(
    part: keyof Wanted,
    message: string,
    detail: string,
    expected: string,
    found: string,
  ) {
    super(message);
    this.part = part;
    this.detail = detail;
    this.expected = expected;
    this.found = found;
  }
}

/** Faults and vCPU switches come by the thousand: only for those who name them. */
const UNASKED = ['fault', 'switch'] as const;
const { HYPERCALL } = TRACE_KIND;
const OTHER_KINDS = [...KINDS.values()].filter((kind) => kind !== HYPERCALL);
const ALL_NUMBERS = Array.from({ length: NR_HYPERCALLS }, (_, number) => number);

/** Domains by what they are called, and the domids that this means or has meant. */
interface Meant {
  readonly ids: readonly string[];
  readonly domids: Set<number>;
}

export class TraceFilter {
  /** Classes wanted, as bits. */
  readonly mask: number;
  /** Numbers of the calls wanted. */
  readonly calls: ReadonlySet<number>;
  readonly #meant: Meant[] = [];
  /** Undefined for any domain. */
  readonly #domids: ReadonlySet<number> | undefined;
  readonly #test: Test | undefined;
  readonly #subject: RecordSubject;

  /** Throws FilterError. @param decode takes apart the records that cannot be judged without. */
  constructor(wanted: Wanted, decode: TraceDecoder) {
    const expression = wanted.filter === undefined ? undefined : parsed(wanted.filter);
    const domidsOf = (ids: readonly string[]) => this.#domidsOf(ids);
    this.#domids = wanted.domain && domidsOf(wanted.domain);
    this.#test = expression && compileExpression(expression, domidsOf);
    this.#subject = new RecordSubject(decode);
    const asked = wanted.class?.reduce((bits, name) => bits | numberOf('class', CLASSES, name), 0);
    const mask = asked ?? usualMask(expression);
    const numbers = wanted.call?.map((name) => numberOf('call', CALLS, name)) ?? ALL_NUMBERS;
    const kinds = wanted.call ? [] : OTHER_KINDS;
    const mayWant = (kind: number, op: number): boolean =>
      (classOf(kind, op) & mask) !== 0 && this.#test?.({ kind, op }) !== false;
    this.calls = new Set(numbers.filter((number) => mayWant(HYPERCALL, number)));
    const bits = [
      ...[...this.calls].map((number) => classOf(HYPERCALL, number)),
      ...kinds.filter((kind) => mayWant(kind, 0)).map((kind) => classOf(kind, 0)),
    ];
    this.mask = bits.reduce((all, bit) => all | bit, 0);
  }

  /** Looks up which domains the names mean now. One that was meant once stays meant, though it has ended. */
  refresh(domidOf: (id: string) => number | undefined): void {
    for (const { ids, domids } of this.#meant) {
      for (const id of ids) {
        const domid = isNumber(id) ? Number(id) : domidOf(id);
        if (domid !== undefined) domids.add(domid);
      }
    }
  }

  /** Whether records of the domain can be wanted at all, as of the last refresh. */
  wantsDomain(domid: number): boolean {
    return this.#isMeant(domid) && this.#test?.({ domid }) !== false;
  }

  /** As of the last refresh. */
  wants(view: TraceView): boolean {
    if (!this.#isMeant(view.domid)) return false;
    const { kind } = view;
    const isAsked =
      kind === HYPERCALL ? this.calls.has(view.op) : (this.mask & classOf(kind, 0)) !== 0;
    return isAsked && (this.#test === undefined || this.#test(this.#subject.of(view)) === true);
  }

  #isMeant(domid: number): boolean {
    return this.#domids === undefined || this.#domids.has(domid);
  }

  #domidsOf(ids: readonly string[]): ReadonlySet<number> {
    const domids = new Set<number>();
    this.#meant.push({ ids, domids });
    return domids;
  }
}

const isNumber = (id: string): boolean => /^\d+$/.test(id);

function parsed(filter: string): Expression {
  try {
    return parseExpression(filter);
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    const { at, expected, found } = error;
    const message = `The filter cannot be read ${error.message}.`;
    throw new FilterError('filter', message, `at character ${at}`, expected, found);
  }
}

/** All classes but those that only who names them gets. */
function usualMask(expression: Expression | undefined): number {
  const isNamed = (name: string): boolean =>
    expression !== undefined && mentions(expression, ['class', 'kind'], name);
  const unasked = UNASKED.filter((name) => !isNamed(name));
  return unasked.reduce((mask, name) => mask & ~TRACE_CLASS[name], TRACE_ALL);
}

function numberOf(part: 'call' | 'class', names: Names, name: string): number {
  const number = names.get(name);
  if (number !== undefined) return number;
  const message = `There is no ${part} "${name}".`;
  throw new FilterError(part, message, 'no such name', [...names.keys()].join(', '), name);
}
