/** The fields of a filter expression, one row each: what values they have, and where a record has them. */

import type { TraceView } from '../../dom0/trace-view.js';
import { TRACE_FLAG, TRACE_KIND } from '../../hypervisor/public/trace.js';
import type { Operator } from './expression-tokens.js';
import { CALLS, CLASSES, classOf, ERRORS, KINDS, type Names } from './names.js';
import type { Subject } from './subject.js';
import { textMatcher } from './text-match.js';

/** A value that a field cannot have. */
export class ValueError extends Error {
  override readonly name = 'ValueError';
  /** Which of the values it is. */
  readonly index: number;
  readonly expected: string;

  constructor(index: number, expected: string) {
    super(`value ${index}: expected ${expected}`);
    this.index = index;
    this.expected = expected;
  }
}

/** Undefined if it depends on what is not known of the subject. */
export type Test = (subject: Subject) => boolean | undefined;

export interface CompiledTerm {
  readonly test: Test;
  /** What it takes to answer: 0 the head of a record, 1 the record, 2 the record in words. Dear terms come last. */
  readonly cost: number;
}

type Value = number | bigint | string;
/** The record has no such field. */
const ABSENT = Symbol('absent');
type Found = Value | typeof ABSENT | undefined;

interface Type {
  readonly operators: readonly Operator[];
  /** What a value has to be, in words. */
  expected(row: Field): string;
  /** Undefined if the text is no such value. */
  read(text: string, row: Field): Value | undefined;
}

interface Field {
  readonly type: Type;
  readonly cost: number;
  of(subject: Subject): Found;
  readonly names?: Names;
}

const EQUALITY = ['=', '!='] as const;
const ORDER = ['<', '<=', '>', '>='] as const;
const UNITS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9 };

const NAME: Type = {
  operators: [...EQUALITY, '~'],
  expected: ({ names = new Map() }) => `one of ${[...names.keys()].join(', ')}`,
  read: (text, { names }) => names?.get(text),
};
const NUMBER: Type = {
  operators: [...EQUALITY, ...ORDER],
  expected: () => 'a whole number',
  read: (text) => {
    const value = integerOf(text);
    return value === undefined ? undefined : Number(value);
  },
};
const TIME: Type = {
  operators: [...EQUALITY, ...ORDER],
  expected: () => 'a time such as 1500, 10us, 2.5ms or 1s (ns without a unit)',
  read: (text) => {
    const [, number, unit = 'ns'] = /^(\d{1,15}(?:\.\d{1,9})?)(ns|us|µs|ms|s)?$/.exec(text) ?? [];
    return number === undefined ? undefined : Number(number) * (UNITS[unit] ?? 1);
  },
};
const ADDRESS: Type = {
  operators: [...EQUALITY, ...ORDER],
  expected: () => 'an address such as 0xffffffff81000000',
  read: (text) => integerOf(text),
};
const TEXT: Type = {
  operators: [...EQUALITY, '~'],
  expected: () => 'a text',
  read: (text) => text,
};

/** Whole numbers, decimal or hexadecimal, of at most 64 bits. */
function integerOf(text: string): bigint | undefined {
  const [, sign, digits] = /^(-?)(0x[0-9a-f]{1,16}|\d{1,20})$/i.exec(text) ?? [];
  if (digits === undefined) return undefined;
  return sign === '-' ? -BigInt(digits) : BigInt(digits);
}

const isCall = ({ kind }: { readonly kind?: number }): boolean => kind === TRACE_KIND.HYPERCALL;
const hasCode = ({ kind }: TraceView): boolean =>
  kind === TRACE_KIND.HYPERCALL || kind === TRACE_KIND.FAULT;

function callOf({ kind, op }: Subject): Found {
  if (kind === undefined) return undefined;
  return kind === TRACE_KIND.HYPERCALL ? op : ABSENT;
}

function classOfSubject({ kind, op }: Subject): Found {
  if (kind === undefined || (op === undefined && kind === TRACE_KIND.HYPERCALL)) return undefined;
  return classOf(kind, op ?? 0);
}

/** What the call has returned, if it has. */
function resultOf(view: TraceView): number | typeof ABSENT {
  const hasNone = (view.flags & (TRACE_FLAG.PREEMPTED | TRACE_FLAG.NO_RESULT)) !== 0;
  return !isCall(view) || hasNone ? ABSENT : view.result;
}

function errorOf(view: TraceView): Found {
  const result = resultOf(view);
  return result === ABSENT || result >= 0 ? ABSENT : -result;
}

/** Asks the record itself, once there is one. */
const ofView =
  (read: (view: TraceView) => Found) =>
  ({ whole }: Subject): Found =>
    whole && read(whole.view);

// biome-ignore format: one row per field
const FIELDS: Readonly<Record<string, Field>> = {
  vcpu:     { type: NUMBER,  cost: 1, of: ofView(({ vcpu }) => vcpu) },
  call:     { type: NAME,    cost: 0, of: callOf, names: CALLS },
  op:       { type: TEXT,    cost: 2, of: ({ whole }) => whole && (isCall(whole.view) ? (whole.event.op ?? ABSENT) : ABSENT) },
  class:    { type: NAME,    cost: 0, of: classOfSubject, names: CLASSES },
  kind:     { type: NAME,    cost: 0, of: ({ kind }) => kind, names: KINDS },
  errno:    { type: NAME,    cost: 1, of: ofView(errorOf), names: ERRORS },
  result:   { type: NUMBER,  cost: 1, of: ofView(resultOf) },
  duration: { type: TIME,    cost: 1, of: ofView((view) => (isCall(view) ? view.duration : ABSENT)) },
  rip:      { type: ADDRESS, cost: 2, of: ofView((view) => (hasCode(view) ? view.record.rip : ABSENT)) },
  symbol:   { type: TEXT,    cost: 2, of: ({ whole }) => whole && (whole.event.symbol ?? ABSENT) },
  text:     { type: TEXT,    cost: 2, of: ({ whole }) => whole?.event.text },
};

const ARGUMENT = /^args\.\w+$/;
const ARGUMENT_OPERATORS = [...EQUALITY, ...ORDER, '~'] as const;

export const FIELD_NAMES = ['domain', ...Object.keys(FIELDS), 'args.<name>'];

export const isField = (name: string): boolean =>
  name === 'domain' || Object.hasOwn(FIELDS, name) || ARGUMENT.test(name);

export function operatorsOf(field: string): readonly Operator[] {
  if (field === 'domain') return EQUALITY;
  return FIELDS[field]?.type.operators ?? ARGUMENT_OPERATORS;
}

/** Domids by what they are called: which ones are meant is looked up again and again. */
export type DomidsOf = (ids: readonly string[]) => ReadonlySet<number>;
const NOBODY: DomidsOf = () => new Set();

interface Named {
  readonly field: string;
  readonly operator: Operator;
  readonly values: readonly string[];
}

/** Throws ValueError. @param domidsOf finds the domains that the values of `domain` mean. */
export function compileTerm(term: Named, domidsOf: DomidsOf = NOBODY): CompiledTerm {
  const { field, operator, values } = term;
  const isNegated = operator === '!=';
  if (ORDER.some((each) => each === operator) && values.length > 1) {
    throw new ValueError(1, `one value only after "${operator}"`);
  }
  const { test, cost } = positiveTerm(field, isNegated ? '=' : operator, values, domidsOf);
  return { cost, test: isNegated ? negated(test) : test };
}

/** @returns a test that says no where this one says yes. */
export const negated =
  (test: Test): Test =>
  (subject) => {
    const holds = test(subject);
    return holds === undefined ? undefined : !holds;
  };

function positiveTerm(
  field: string,
  operator: Operator,
  values: readonly string[],
  domidsOf: DomidsOf,
): CompiledTerm {
  if (field === 'domain') {
    const domids = domidsOf(values);
    return { cost: 0, test: ({ domid }) => (domid === undefined ? undefined : domids.has(domid)) };
  }
  const row = FIELDS[field];
  if (row === undefined) return argumentTerm(field.slice('args.'.length), operator, values);
  const matches = matcherOf(row, operator, values);
  const test: Test = (subject) => {
    const found = row.of(subject);
    return found === undefined ? undefined : found !== ABSENT && matches(found);
  };
  return { cost: row.cost, test };
}

function matcherOf(
  row: Field,
  operator: Operator,
  values: readonly string[],
): (found: Value) => boolean {
  if (operator === '~') return patternMatcher(row, values);
  const wanted = values.map((text, index) => {
    const value = row.type.read(text, row);
    if (value === undefined) throw new ValueError(index, row.type.expected(row));
    return value;
  });
  return operator === '=' ? isOneOf(wanted) : isOrdered(operator, wanted[0] ?? 0);
}

function isOneOf(wanted: readonly Value[]): (found: Value) => boolean {
  const set = new Set(wanted);
  return (found) => set.has(found);
}

function isOrdered(operator: Operator, wanted: Value): (found: Value) => boolean {
  switch (operator) {
    case '<':
      return (found) => found < wanted;
    case '<=':
      return (found) => found <= wanted;
    case '>':
      return (found) => found > wanted;
    default:
      return (found) => found >= wanted;
  }
}

/** Where names stand for numbers, the numbers of those that fit. */
function patternMatcher({ names }: Field, patterns: readonly string[]): (found: Value) => boolean {
  const matchers = patterns.map(textMatcher);
  const fits = (text: string): boolean => matchers.some((matches) => matches(text));
  if (names === undefined) return (found) => fits(String(found));
  return isOneOf([...names].flatMap(([name, number]) => (fits(name) ? [number] : [])));
}

/** A field of what the call was given or has given back; where there are several structs, of any of them. */
function argumentTerm(name: string, operator: Operator, values: readonly string[]): CompiledTerm {
  const matches = argumentMatcher(operator, values);
  const test: Test = ({ whole }) => {
    if (whole === undefined) return undefined;
    const { args, output, entries = [] } = whole.event;
    return [args, output, ...entries].some((fields) => {
      const found = Object.hasOwn(fields, name) ? fields[name] : undefined;
      return found !== undefined && matches(found);
    });
  };
  return { cost: 2, test };
}

/** Numbers are compared as numbers, however they are written. */
function argumentMatcher(
  operator: Operator,
  values: readonly string[],
): (found: string) => boolean {
  if (operator === '~') {
    const matchers = values.map(textMatcher);
    return (found) => matchers.some((matches) => matches(found));
  }
  const wanted = values.map((text) => integerOf(text) ?? text);
  if (operator === '=') {
    const isWanted = isOneOf(wanted);
    return (found) => isWanted(integerOf(found) ?? found);
  }
  const [bound] = wanted;
  if (typeof bound !== 'bigint') throw new ValueError(0, 'a whole number');
  const isInOrder = isOrdered(operator, bound);
  return (found) => {
    const number = integerOf(found);
    return number !== undefined && isInOrder(number);
  };
}
