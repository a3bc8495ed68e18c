/** One reader of the trace, from its beginning to its end: in the form it wants, as much or as long as it wants. */

import type { TraceQuery, TraceSummaryQuery } from '../schemas/trace.js';
import type { TraceFilter } from '../trace/filter.js';
import { type Summary, TraceSummary } from '../trace/summary.js';
import {
  binaryConsumer,
  jsonConsumer,
  summaryConsumer,
  type TraceSink,
  upTo,
} from './trace-consumers.js';
import type { TraceConsumer, TraceSource } from './trace-feed.js';
import { type NamedDomains, recordingConsumer } from './trace-recorder.js';

const MS = 1000;
/** How often a summary is told, milliseconds. */
const SUMMARY_MS = 1000;

/** A sink that is told when nothing more will come. */
export interface SessionSink extends TraceSink {
  /** @param problem why it ends, if that is a mistake. */
  end(problem?: string): void;
}

export interface TraceSession {
  /** The reader has asked for what there is: of use for a summary. */
  ask(): void;
  close(): void;
}

interface Form {
  readonly consumer: TraceConsumer;
  ask(): void;
}

/** Where the records of a session come from, and who they are of. */
export interface NamedSource extends TraceSource {
  readonly named: NamedDomains;
}

export function openTrace(
  source: NamedSource,
  filter: TraceFilter,
  query: TraceQuery,
  sink: SessionSink,
): TraceSession {
  const { format, limit = Number.POSITIVE_INFINITY, seconds } = query;
  const form = format === 'summary' ? summaryForm(query, sink) : plainForm(format, source, sink);
  const timers: NodeJS.Timeout[] = [];
  let stop: (() => void) | undefined;
  const close = (): void => {
    for (const timer of timers) clearInterval(timer);
    stop?.();
    stop = undefined;
  };
  const end = (problem?: string): void => {
    form.consumer.flush();
    form.ask();
    close();
    sink.end(problem);
  };
  stop = source.subscribe(
    filter,
    upTo(limit, form.consumer, () => end()),
    end,
  );
  if (seconds !== undefined) timers.push(setTimeout(() => end(), seconds * MS));
  if (format === 'summary') timers.push(setInterval(form.ask, SUMMARY_MS));
  return { ask: form.ask, close };
}

const plainForm = (
  format: Exclude<TraceQuery['format'], 'summary'>,
  source: NamedSource,
  sink: TraceSink,
): Form => ({ consumer: plainConsumer(format, source, sink), ask: () => undefined });

function plainConsumer(
  format: Exclude<TraceQuery['format'], 'summary'>,
  { decode, named }: NamedSource,
  sink: TraceSink,
): TraceConsumer {
  if (format === 'json') return jsonConsumer(sink, decode);
  if (format === 'binary') return binaryConsumer(sink);
  return recordingConsumer(sink, named);
}

/** Each table is of all that has come: one that is not taken in time is not missed. */
function summaryForm({ by }: TraceQuery, sink: TraceSink): Form {
  const summary = new TraceSummary({ byDomain: by === 'domain' });
  const started = performance.now();
  return {
    consumer: summaryConsumer(summary),
    ask: () => {
      if (!sink.full) sink.deliver(JSON.stringify(summary.table(since(started))), 1);
    },
  };
}

const since = (started: number): number => (performance.now() - started) / MS;

/** Sums up what comes from now on, until so long has passed or it is no longer wanted. */
export async function sumUp(
  source: TraceSource,
  filter: TraceFilter,
  { by, seconds }: TraceSummaryQuery,
  signal: AbortSignal,
): Promise<Summary> {
  const summary = new TraceSummary({ byDomain: by === 'domain' });
  const started = performance.now();
  await new Promise<void>((resolve) => {
    const stop = source.subscribe(filter, summaryConsumer(summary), () => resolve());
    const end = (): void => {
      clearTimeout(timer);
      stop();
      resolve();
    };
    const timer = setTimeout(() => end(), seconds * MS);
    signal.addEventListener('abort', end, { once: true });
  });
  return summary.table(since(started));
}
