/** Filter expressions of the trace: what they mean, what they refuse, and what of them the hypervisor is told. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as evtchn from '../../hypervisor/public/event-channel.js';
import { TRACE_CLASS, TRACE_FLAG } from '../../hypervisor/public/trace.js';
import {
  type Expression,
  parseExpression,
  printExpression,
} from '../../toolstack/trace/expression.js';
import { ExpressionError } from '../../toolstack/trace/expression-tokens.js';
import { operatorsOf } from '../../toolstack/trace/fields.js';
import { FilterError, TraceFilter, type Wanted } from '../../toolstack/trace/filter.js';
import { CALLS, CLASSES, ERRORS, KINDS } from '../../toolstack/trace/names.js';
import { decodeOnce } from '../../toolstack/trace/subject.js';
import { textMatcher } from '../../toolstack/trace/text-match.js';
import { type RecordFields, viewOf } from '../support/trace-records.js';

const DOMAINS: Readonly<Record<string, number>> = { one: 1, two: 2 };

function filterOf(wanted: Wanted): TraceFilter {
  const filter = new TraceFilter(wanted, decodeOnce());
  filter.refresh((id) => DOMAINS[id]);
  return filter;
}

const unbound = new Uint8Array(evtchn.evtchnAllocUnbound.size);
evtchn.evtchnAllocUnbound.encode(new DataView(unbound.buffer), 0, { dom: 0x7ff0, remoteDom: 3 });

// biome-ignore format: one row per record
const RECORDS: Readonly<Record<string, RecordFields>> = {
  version: { op: 'xen_version', domid: 1, vcpu: 0, args: [0], result: 0x40011, duration: 900 },
  slow:    { op: 'xen_version', domid: 2, vcpu: 1, args: [0], result: 0x40011, duration: 2_000_000 },
  refused: { op: 'mmu_update', domid: 2, args: [0x1000, 1, 0, 0x7ff0], result: -22, duration: 5000 },
  unbound: { op: 'event_channel_op', domid: 1, args: [6], input: unbound, duration: 1500 },
  pending: { op: 'mmuext_op', domid: 1, flags: TRACE_FLAG.PREEMPTED, result: 0, duration: 50 },
  fault:   { kind: 'FAULT', domid: 1, op: 14, args: [2, 0x1234, 2], rip: 0xffffffff81000042n, duration: 0 },
  switch:  { kind: 'SWITCH', domid: 2, vcpu: 1, duration: 0 },
  crash:   { kind: 'DOMAIN', domid: 2, input: new TextEncoder().encode('crashed: no handler'), duration: 0 },
};

const wantedOf = (filter: string): string[] => {
  const wants = filterOf({ filter });
  return Object.keys(RECORDS).filter((name) => wants.wants(viewOf(RECORDS[name] ?? {})));
};

describe('an expression', () => {
  // biome-ignore format: one row per expression
  test.each([
    ['domain=two',                                      ['slow', 'refused', 'crash']],
    ['domain=1,two and kind=hypercall',                 ['version', 'slow', 'refused', 'unbound', 'pending']],
    ['domain!=two',                                     ['version', 'unbound', 'pending']],
    ['domain=nobody',                                   []],
    ['vcpu=1',                                          ['slow']],
    ['vcpu=1 and (class=switch or kind=hypercall)',     ['slow', 'switch']],
    ['call=mmu_update,mmuext_op',                       ['refused', 'pending']],
    ['call~mmu',                                        ['refused', 'pending']],
    ['call~"mmu*op"',                                   ['pending']],
    ['call!=xen_version',                               ['refused', 'unbound', 'pending', 'crash']],
    ['op=alloc_unbound',                                ['unbound']],
    ['op~unbound',                                      ['unbound']],
    ['class=event',                                     ['unbound']],
    ['kind=fault',                                      ['fault']],
    ['kind!=hypercall',                                 ['crash']],
    ['errno=EINVAL',                                    ['refused']],
    ['errno=ENOENT,EINVAL',                             ['refused']],
    ['errno~E*',                                        ['refused']],
    ['errno!=EINVAL and kind=hypercall',                ['version', 'slow', 'unbound', 'pending']],
    ['result<0',                                        ['refused']],
    ['result=-22',                                      ['refused']],
    ['result=0x40011',                                  ['version', 'slow']],
    ['result>=0',                                       ['version', 'slow', 'unbound']],
    ['duration>10us',                                   ['slow']],
    ['duration>1.5ms && duration<=2ms',                 ['slow']],
    ['duration<1us',                                    ['version', 'pending']],
    ['duration=1500',                                   ['unbound']],
    ['rip=0xffffffff81000042 and class=fault',          ['fault']],
    ['rip>0xffffffff81000000 and kind=fault',           ['fault']],
    ['text~"= -EINVAL"',                                ['refused']],
    ['text~"d2*@*" and text~mmu',                       ['refused']],
    ['args.remote_dom=3',                               ['unbound']],
    ['args.remote_dom=0x3',                             ['unbound']],
    ['args.remote_dom<4',                               ['unbound']],
    ['args.remote_dom>3',                               []],
    ['args.dom=SELF',                                   ['unbound']],
    ['args.address=0x1234 and kind=fault',              ['fault']],
    ['args.nothing=1',                                  []],
    ['not call=xen_version and kind=hypercall',         ['refused', 'unbound', 'pending']],
    ['!(class=version || class=event) && result<=0',    ['refused']],
    ['call=xen_version or errno=EINVAL and vcpu=9',     ['version', 'slow']],
    ['(call=xen_version or errno=EINVAL) and vcpu=0',   ['version', 'refused']],
    ['not not class=event',                             ['unbound']],
  ])('%s', (filter, names) => {
    expect(wantedOf(filter)).toEqual(names);
  });

  // biome-ignore format: one row per mistake
  test.each([
    ['',                         1, 'a field',                        'the end'],
    ['call',                     5, 'one of = != ~ after "call"',     'the end'],
    ['call=',                    6, 'a value',                        'the end'],
    ['call=nonsense',            6, 'mmu_update',                     '"nonsense"'],
    ['call=iret,nonsense',      11, 'mmu_update',                     '"nonsense"'],
    ['call<iret',                5, 'one of = != ~ after "call"',     '"<"'],
    ['result=many',              8, 'a whole number',                 '"many"'],
    ['result~1',                 7, 'one of = != < <= > >= after',    '"~"'],
    ['result<1,2',              10, 'one value only',                 '"2"'],
    ['duration>1h',             10, 'a time such as',                 '"1h"'],
    ['rip=start_kernel',         5, 'an address',                     '"start_kernel"'],
    ['errno=EWHAT',              7, 'EINVAL',                         '"EWHAT"'],
    ['class=page',               7, 'mmu, memory',                    '"page"'],
    ['kind=call',                6, 'hypercall, fault',               '"call"'],
    ['args.x<y',                 8, 'a whole number',                 '"y"'],
    ['what=ever',                1, 'a field (domain, vcpu',          '"what"'],
    ['vcpu=1 vcpu=2',            8, '"and", "or" or the end',         '"vcpu"'],
    ['(vcpu=1',                  8, '"and", "or" or ")"',             'the end'],
    ['vcpu=1)',                  7, '"and", "or" or the end',         '")"'],
    ['vcpu=1 and',              11, 'a field',                        'the end'],
    ['text~"mmu',                6, 'a text that ends with "',        'the end'],
    ['vcpu=1 & vcpu=2',          8, 'a word or an operator',          '"&"'],
    ['('.repeat(65),            66, 'at most 64 levels',              'the end'],
  ])('%s is refused at character %i', (filter, at, expected, found) => {
    const refusal = refusalOf(filter);
    expect(refusal).toMatchObject({ at });
    expect(refusal?.expected).toContain(expected);
    expect(refusal?.found).toContain(found);
  });
});

function refusalOf(filter: string): ExpressionError | undefined {
  try {
    parseExpression(filter);
    return undefined;
  } catch (error) {
    if (error instanceof ExpressionError) return error;
    throw error;
  }
}

const oneOf = (names: ReadonlyMap<string, number>) => fc.constantFrom(...names.keys());
// biome-ignore format: one row per field
const VALUES: Readonly<Record<string, fc.Arbitrary<string>>> = {
  domain:     fc.string(),
  vcpu:       fc.nat().map(String),
  call:       oneOf(CALLS),
  op:         fc.string(),
  class:      oneOf(CLASSES),
  kind:       oneOf(KINDS),
  errno:      oneOf(ERRORS),
  result:     fc.integer().map(String),
  duration:   fc.tuple(fc.nat(), fc.constantFrom('', 'ns', 'us', 'ms')).map((parts) => parts.join('')),
  rip:        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((value) => `0x${value.toString(16)}`),
  text:       fc.string(),
  'args.dom': fc.nat().map(String),
};
const terms: fc.Arbitrary<Expression> = fc
  .constantFrom(...Object.keys(VALUES))
  .chain((field) => fc.tuple(fc.constant(field), fc.constantFrom(...operatorsOf(field))))
  .chain(([field, operator]) => {
    const isOrder = operator.startsWith('<') || operator.startsWith('>');
    const values = fc.array(VALUES[field] ?? fc.string(), {
      minLength: 1,
      maxLength: isOrder ? 1 : 3,
    });
    return values.map((list) => ({ kind: 'term', field, operator, values: list }) as const);
  });
const expressions = fc.letrec<{ whole: Expression }>((tie) => ({
  whole: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    terms,
    fc.record({ kind: fc.constant('not' as const), of: tie('whole') }),
    fc.record({
      kind: fc.constantFrom('and' as const, 'or' as const),
      of: fc.array(tie('whole'), { minLength: 2, maxLength: 3 }),
    }),
  ),
})).whole;

test('what is printed of an expression is read as the same expression', () => {
  fc.assert(
    fc.property(expressions, (expression) => {
      expect(parseExpression(printExpression(expression))).toEqual(expression);
    }),
  );
});

test('whatever is written, it is an expression or refused at a place that it has', () => {
  const words = fc.constantFrom(
    ...'( ) not and or ! && || = != < ~ , call vcpu args.x text iret 1 -5 "a b" \' " \\ *'.split(
      ' ',
    ),
  );
  const texts = fc.oneof(
    fc.string(),
    fc.array(words).map((list) => list.join(' ')),
  );
  fc.assert(
    fc.property(texts, (text) => {
      const refusal = refusalOf(text);
      if (refusal === undefined) return;
      expect(refusal.at).toBeGreaterThan(0);
      expect(refusal.at).toBeLessThanOrEqual(text.length + 1);
    }),
    { numRuns: 500 },
  );
});

test('what the hypervisor does not write for an expression, the expression does not want', () => {
  fc.assert(
    fc.property(expressions, fc.constantFrom(...Object.values(RECORDS)), (expression, record) => {
      // A record that comes from elsewhere: everything that is decided at the source is decided again.
      const filter = filterOf({ filter: printExpression(expression), class: [...CLASSES.keys()] });
      const view = viewOf(record);
      if (!filter.wants(view)) return;
      expect(filter.wantsDomain(view.domid)).toBe(true);
      if ((record.kind ?? 'HYPERCALL') === 'HYPERCALL') expect(filter.calls).toContain(view.op);
    }),
  );
});

describe('the hypervisor is told', () => {
  const numbers = (...names: string[]) => new Set(names.map((name) => CALLS.get(name)));

  // biome-ignore format: one row per expression
  test.each([
    ['call=iret',                                  ['iret']],
    ['call=iret,sched_op',                         ['iret', 'sched_op']],
    ['call=iret or call=sched_op and errno=EINVAL', ['iret', 'sched_op']],
    ['class=grant and text~x',                     ['grant_table_op']],
    ['call=iret,sched_op and not call=iret',       ['sched_op']],
    ['call=iret and kind=fault',                   []],
    ['class=fault',                                []],
  ])('of %s the calls that it can hold for', (filter, names) => {
    expect(filterOf({ filter }).calls).toEqual(numbers(...names));
  });

  test('which classes, faults and switches only where they are named', () => {
    expect(filterOf({ filter: 'class=grant,console' }).mask).toBe(
      TRACE_CLASS.grant | TRACE_CLASS.console,
    );
    expect(filterOf({ filter: 'kind=fault' }).mask).toBe(TRACE_CLASS.fault);
    expect(filterOf({ filter: 'domain=1' }).mask & TRACE_CLASS.switch).toBe(0);
    expect(filterOf({ filter: 'domain=1 and kind!=fault' }).mask & TRACE_CLASS.fault).toBe(0);
    expect(filterOf({ filter: 'vcpu=0', class: ['switch'] }).mask).toBe(TRACE_CLASS.switch);
    expect(filterOf({ filter: 'class=event', call: ['iret'] }).mask).toBe(0);
  });

  test('which domains it can hold for, those to come as well', () => {
    const filter = filterOf({ filter: 'domain=two and errno=EINVAL or domain=later' });
    expect([1, 2, 7].map((domid) => filter.wantsDomain(domid))).toEqual([false, true, false]);
    filter.refresh((id) => (id === 'later' ? 7 : undefined));
    expect([1, 2, 7].map((domid) => filter.wantsDomain(domid))).toEqual([false, true, true]);
    const other = filterOf({ filter: 'domain!=two and vcpu=0' });
    expect([1, 2].map((domid) => other.wantsDomain(domid))).toEqual([true, false]);
  });
});

test('a record that its head rules out is not taken apart', () => {
  let decoded = 0;
  const decode = decodeOnce();
  const filter = new TraceFilter({ filter: 'text~hypercall or text~x and call=iret' }, (record) => {
    decoded++;
    return decode(record);
  });
  filter.wants(viewOf(RECORDS['version'] ?? {}));
  expect(decoded).toBe(1);
  const cheap = new TraceFilter({ filter: 'text~x and call=iret and duration>1s' }, () => {
    throw new Error('taken apart');
  });
  expect(cheap.wants(viewOf({ op: 'iret' }))).toBe(false);
});

test('a filter that cannot be read is refused by name', () => {
  expect(() => filterOf({ filter: 'call=' })).toThrow(FilterError);
  expect(() => filterOf({ call: ['nonsense'] })).toThrow('There is no call "nonsense".');
});

describe('~', () => {
  // biome-ignore format: one row per pattern
  test.each([
    ['mmu',     'do_mmu_update', true],
    ['mmu*',    'do_mmu_update', false],
    ['*mmu*',   'do_mmu_update', true],
    ['do*date', 'do_mmu_update', true],
    ['do*up*x', 'do_mmu_update', false],
    ['ab*ba',   'aba',           false],
    ['*',       '',              true],
    ['a**b',    'ab',            true],
    ['a*b*c',   'acb',           false],
  ])('%s fits %s: %s', (pattern, text, fits) => {
    expect(textMatcher(pattern)(text)).toBe(fits);
  });

  test('is as the same pattern is as a regular expression', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', '*'), maxLength: 8 });
    const texts = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 12 });
    fc.assert(
      fc.property(letters, texts, (pattern, text) => {
        const regex = pattern.includes('*') ? `^${pattern.replaceAll('*', '.*')}$` : pattern;
        expect(textMatcher(pattern)(text)).toBe(new RegExp(regex).test(text));
      }),
    );
  });
});
