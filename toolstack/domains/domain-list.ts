/** The list of domains cut to what is asked for: filters, pages, fields. */

import { Domain, type DomainListQuery } from '../schemas/domain.js';
import { CommandError } from './errors.js';

type Value = string | number;
type Kind = 'number' | 'text' | 'time';

interface Field {
  readonly kind: Kind;
  of(domain: Domain): Value | undefined;
}

// biome-ignore format: one row per field
const FIELDS: Readonly<Record<string, Field>> = {
  domid:            { kind: 'number', of: ({ domid }) => domid },
  uuid:             { kind: 'text',   of: ({ uuid }) => uuid },
  name:             { kind: 'text',   of: ({ name }) => name },
  state:            { kind: 'text',   of: ({ state }) => state },
  shutdownReason:   { kind: 'text',   of: ({ shutdownReason }) => shutdownReason },
  kernel:           { kind: 'text',   of: ({ kernel }) => kernel },
  cmdline:          { kind: 'text',   of: ({ cmdline }) => cmdline },
  weight:           { kind: 'number', of: ({ weight }) => weight },
  cap:              { kind: 'number', of: ({ cap }) => cap },
  cpuSeconds:       { kind: 'number', of: ({ cpuSeconds }) => cpuSeconds },
  'memory.pages':   { kind: 'number', of: ({ memory }) => memory.pages },
  'memory.maxPages': { kind: 'number', of: ({ memory }) => memory.maxPages },
  'vcpus.online':   { kind: 'number', of: ({ vcpus }) => vcpus.online },
  'vcpus.max':      { kind: 'number', of: ({ vcpus }) => vcpus.max },
  createdAt:        { kind: 'time',   of: ({ createdAt }) => Date.parse(createdAt) },
  endedAt:          { kind: 'time',   of: ({ endedAt }) => endedAt === undefined ? undefined : Date.parse(endedAt) },
};

type Test = (have: Value, want: Value) => boolean;
// biome-ignore format: one row per operator
const OPERATORS: Readonly<Record<string, { kinds: readonly Kind[]; holds: Test }>> = {
  eq:       { kinds: ['number', 'text', 'time'], holds: (have, want) => have === want },
  ne:       { kinds: ['number', 'text', 'time'], holds: (have, want) => have !== want },
  lt:       { kinds: ['number', 'time'],         holds: (have, want) => have < want },
  le:       { kinds: ['number', 'time'],         holds: (have, want) => have <= want },
  gt:       { kinds: ['number', 'time'],         holds: (have, want) => have > want },
  ge:       { kinds: ['number', 'time'],         holds: (have, want) => have >= want },
  prefix:   { kinds: ['text'],                   holds: (have, want) => String(have).startsWith(String(want)) },
  contains: { kinds: ['text'],                   holds: (have, want) => String(have).includes(String(want)) },
};

export interface DomainPage {
  /** With `fields`, only those of each. */
  readonly domains: Partial<Domain>[];
  /** Where the next page begins; undefined if this is the last. */
  readonly next?: string;
}

/** @param all by ascending domid. Throws `bad-value` naming the parameter. */
export function pageOf(all: readonly Domain[], query: DomainListQuery): DomainPage {
  const { filter = [], fields, limit, cursor } = query;
  const tests = [filter].flat().map(parseFilter);
  const wanted = all.filter((domain) => tests.every((holds) => holds(domain)));
  const rest = cursor === undefined ? wanted : wanted.filter(comesAfter(cursor));
  const page = limit === undefined ? rest : rest.slice(0, limit);
  const last = page.at(-1);
  const domains = fields === undefined ? page : page.map(only(fields.split(',')));
  const hasMore = last !== undefined && page.length < rest.length;
  return { domains, ...(hasMore && { next: cursorOf(last) }) };
}

function parseFilter(text: string): (domain: Domain) => boolean {
  const [, name = '', operator = '', value = ''] = /^([^:]*):([^:]*):(.*)$/s.exec(text) ?? [];
  const field = Object.hasOwn(FIELDS, name) ? FIELDS[name] : undefined;
  const test = Object.hasOwn(OPERATORS, operator) ? OPERATORS[operator] : undefined;
  if (field === undefined) throw badFilter(text, `a field of ${Object.keys(FIELDS).join(', ')}`);
  if (!test?.kinds.includes(field.kind)) {
    const fitting = Object.entries(OPERATORS).filter(([, { kinds }]) => kinds.includes(field.kind));
    throw badFilter(text, `for ${name}, an operator of ${fitting.map(([op]) => op).join(', ')}`);
  }
  const want = parsedValue(field.kind, value);
  if (want === undefined) throw badFilter(text, `a ${field.kind}`);
  return (domain) => {
    const have = field.of(domain);
    return have === undefined ? operator === 'ne' : test.holds(have, want);
  };
}

function parsedValue(kind: Kind, text: string): Value | undefined {
  if (kind === 'text') return text;
  const value = kind === 'time' ? Date.parse(text) : Number(text.trim() === '' ? 'x' : text);
  return Number.isFinite(value) ? value : undefined;
}

const badFilter = (found: string, expected: string): CommandError =>
  badParameter('?filter', `expected field:operator:value, with ${expected}`, found);

function badParameter(pointer: string, detail: string, found: string): CommandError {
  return new CommandError('bad-value', `${pointer}: ${detail}.`, {
    errors: [{ pointer, detail, found }],
  });
}

/** Ended domains may share a domid with one that came later. */
const cursorOf = ({ domid, uuid }: Domain): string =>
  Buffer.from(`${domid} ${uuid}`).toString('base64url');

function comesAfter(cursor: string): (domain: Domain) => boolean {
  const text = Buffer.from(cursor, 'base64url').toString();
  const [, domid = '', uuid = ''] = /^(\d{1,5}) ([0-9a-f-]{36})$/.exec(text) ?? [];
  if (uuid === '') throw badParameter('?cursor', 'is none of ours', cursor);
  const at = Number(domid);
  return (domain) => domain.domid > at || (domain.domid === at && domain.uuid > uuid);
}

function only(names: readonly string[]): (domain: Domain) => Partial<Domain> {
  const unknown = names.find((name) => !Object.hasOwn(Domain.shape, name));
  if (unknown !== undefined) throw badParameter('?fields', `there is no field ${unknown}`, unknown);
  return (domain) =>
    Object.fromEntries(Object.entries(domain).filter(([name]) => names.includes(name)));
}
