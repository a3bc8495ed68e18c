/** The summary of a trace as strace -c prints its own, with the spread of the times besides. */

import type { TraceSummary } from '../schemas/trace.js';

type Row = TraceSummary['rows'][number];

const US = 1e3;
const S = 1e9;

interface Column {
  readonly title: string;
  readonly width: number;
  of(row: Row): string;
}

const micros = (ns: number): string => (ns / US).toFixed(ns < 10 * US ? 1 : 0);

// biome-ignore format: one row per column
const COLUMNS: readonly Column[] = [
  { title: '% time',     width:  6, of: ({ share }) => (share * 100).toFixed(2) },
  { title: 'seconds',    width: 11, of: ({ total }) => (total / S).toFixed(6) },
  { title: 'usecs/call', width: 11, of: ({ average }) => micros(average) },
  { title: 'min',        width:  7, of: ({ min }) => micros(min) },
  { title: 'p50',        width:  7, of: ({ p50 }) => micros(p50) },
  { title: 'p99',        width:  7, of: ({ p99 }) => micros(p99) },
  { title: 'max',        width:  7, of: ({ max }) => micros(max) },
  { title: 'calls',      width:  9, of: ({ calls }) => String(calls) },
  { title: 'errors',     width:  9, of: ({ errors }) => (errors === 0 ? '' : String(errors)) },
];
const DOMAIN: Column = { title: 'domid', width: 5, of: ({ domid }) => String(domid ?? '') };
const CALL = 'hypercall';

export function summaryTable(summary: TraceSummary): string {
  const { rows, calls, errors, total, dropped } = summary;
  const byDomain = rows.some(({ domid }) => domid !== undefined);
  const columns = byDomain ? [...COLUMNS, DOMAIN] : COLUMNS;
  const line = columns.map(({ width }) => '-'.repeat(width)).join(' ');
  const rule = `${line} ${'-'.repeat(16)}`;
  const titles = columns.map(({ title, width }) => title.padStart(width));
  const sum: Row = {
    ...{ call: 'total', calls, errors, total, errnos: {}, share: calls === 0 ? 0 : 1 },
    ...{ average: calls === 0 ? 0 : total / calls, min: 0, p50: 0, p99: 0, max: 0 },
  };
  const spread = new Set(['min', 'p50', 'p99', 'max']);
  const totals = columns.map(({ title, width, of }) =>
    (spread.has(title) ? '' : of(sum)).padStart(width),
  );
  return [
    `${titles.join(' ')} ${CALL}`,
    rule,
    ...rows.map((row) => `${cells(columns, row)} ${row.call}${errorNames(row)}`),
    rule,
    `${totals.join(' ')} total`,
    ...(dropped === 0 ? [] : [`… ${dropped} records dropped …`]),
  ].join('\n');
}

const cells = (columns: readonly Column[], row: Row): string =>
  columns.map(({ of, width }) => of(row).padStart(width)).join(' ');

function errorNames({ errnos }: Row): string {
  const names = Object.entries(errnos).sort(([, a], [, b]) => b - a);
  return names.length === 0 ? '' : ` (${names.map((pair) => pair.join(' ')).join(', ')})`;
}
