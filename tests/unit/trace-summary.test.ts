/** The trace summed up: what counts as a call, whose time is whose, how close the quantiles are. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TRACE_FLAG } from '../../hypervisor/public/trace.js';
import { summaryTable } from '../../toolstack/cli/trace-table.js';
import { Durations } from '../../toolstack/trace/durations.js';
import { type Summary, TraceSummary } from '../../toolstack/trace/summary.js';
import { type RecordFields, viewOf } from '../support/trace-records.js';

const { PREEMPTED, MULTICALL, NO_RESULT } = TRACE_FLAG;

function summaryOf(records: readonly RecordFields[], byDomain = false): Summary {
  const summary = new TraceSummary({ byDomain });
  for (const record of records) summary.take(viewOf(record));
  return summary.table();
}

const rowOf = (summary: Summary, call: string) => summary.rows.find((row) => row.call === call);

describe('a summary', () => {
  test('counts calls, errors by name and times; the call with most time comes first', () => {
    const summary = summaryOf([
      { op: 'xen_version', duration: 100, time: 1e9 },
      { op: 'xen_version', duration: 300, result: -38, time: 2e9 },
      { op: 'mmu_update', duration: 4000, result: -22, time: 3e9 },
      { op: 'mmu_update', duration: 5600, result: -22, time: 4e9 },
      { kind: 'SWITCH', time: 5e9 },
    ]);
    expect(summary).toMatchObject({ seconds: 4, calls: 4, errors: 3, total: 10_000, dropped: 0 });
    expect(summary.rows).toMatchObject([
      { call: 'mmu_update', calls: 2, errors: 2, errnos: { EINVAL: 2 }, share: 0.96 },
      { call: 'xen_version', calls: 2, errnos: { ENOSYS: 1 }, average: 200, min: 100, max: 300 },
    ]);
  });

  test('has a row for each domain if it is by domain', () => {
    const records = [{ domid: 1 }, { domid: 2 }, { domid: 2 }];
    expect(summaryOf(records).rows).toMatchObject([{ calls: 3 }]);
    expect(summaryOf(records, true).rows).toMatchObject([
      { domid: 2, calls: 2 },
      { domid: 1, calls: 1 },
    ]);
  });

  test('a preempted call counts once, with all of its time', () => {
    const part = { op: 'mmu_update', flags: PREEMPTED };
    const summary = summaryOf([
      { ...part, duration: 500 },
      { ...part, vcpu: 1, duration: 7 },
      { ...part, duration: 600 },
      { op: 'mmu_update', duration: 50 },
    ]);
    expect(rowOf(summary, 'mmu_update')).toMatchObject({ calls: 1, total: 1150, max: 1150 });
  });

  test('a multicall counts without the time of its calls', () => {
    const inner = { op: 'update_va_mapping', flags: MULTICALL, duration: 300 };
    const summary = summaryOf([
      inner,
      { ...inner, domid: 2 },
      inner,
      { op: 'multicall', duration: 700 },
      { op: 'multicall', duration: 80 },
    ]);
    expect(rowOf(summary, 'multicall')).toMatchObject({ calls: 2, total: 180, max: 100 });
    expect(summary.total).toBe(1080);
  });

  test('what has no result has no error; faults are counted by name', () => {
    const summary = summaryOf([
      { op: 'iret', result: -1, flags: NO_RESULT },
      { kind: 'FAULT', op: 14, args: [2, 0, 2], duration: 0 },
    ]);
    expect(summary).toMatchObject({ calls: 2, errors: 0 });
    expect(rowOf(summary, '#PF')).toMatchObject({ calls: 1, total: 0 });
  });

  test('of nothing is a table of nothing', () => {
    expect(summaryOf([])).toEqual({
      ...{ seconds: 0, calls: 0, errors: 0, total: 0, dropped: 0, rows: [] },
    });
  });
});

test('the quantiles are within a thirtieth of what they are', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat({ max: 2 ** 32 - 1 }), { minLength: 1, maxLength: 50 }),
      fc.constantFrom(0, 0.5, 0.99, 1),
      (values, share) => {
        const durations = new Durations();
        for (const value of values) durations.add(value);
        const sorted = values.toSorted((a, b) => a - b);
        const exact = sorted[Math.max(0, Math.ceil(share * values.length) - 1)] ?? 0;
        expect(Math.abs(durations.quantile(share) - exact)).toBeLessThanOrEqual(exact / 30);
        expect([durations.min, durations.max]).toEqual([sorted[0], sorted.at(-1)]);
      },
    ),
  );
});

test('xl prints it as strace does', () => {
  const summary = summaryOf([
    { op: 'mmu_update', duration: 9000, result: -22 },
    { op: 'xen_version', duration: 1000 },
  ]);
  expect(summaryTable({ ...summary, dropped: 3 })).toBe(
    `
% time     seconds  usecs/call     min     p50     p99     max     calls    errors hypercall
------ ----------- ----------- ------- ------- ------- ------- --------- --------- ----------------
 90.00    0.000009         9.0     9.0     9.0     9.0     9.0         1         1 mmu_update (EINVAL 1)
 10.00    0.000001         1.0     1.0     1.0     1.0     1.0         1           xen_version
------ ----------- ----------- ------- ------- ------- ------- --------- --------- ----------------
100.00    0.000010         5.0                                         2         1 total
… 3 records dropped …`.slice(1),
  );
});
