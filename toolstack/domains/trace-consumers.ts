/** What becomes of trace records on their way to a reader: lines of JSON, or their bytes. */

import { recordBytes } from '../../dom0/trace-binary.js';
import type { TraceEvent } from '../../dom0/trace-format.js';
import type { TraceDecoder } from '../trace/subject.js';
import type { TraceSummary } from '../trace/summary.js';
import type { TraceConsumer } from './trace-feed.js';

/** Where frames go. */
export interface TraceSink {
  /** Whether a record given now would be lost: then it is only counted. */
  readonly full: boolean;
  /** Lines of JSON, one for each of `records`, or their bytes. */
  deliver(frame: string | Uint8Array, records: number): void;
  dropped(records: number): void;
}

/** Lines of records that several readers want, made once. */
const lines = new WeakMap<TraceEvent, string>();

function lineOf(event: TraceEvent): string {
  const known = lines.get(event);
  if (known !== undefined) return known;
  const line = JSON.stringify(event);
  lines.set(event, line);
  return line;
}

export function jsonConsumer(sink: TraceSink, decode: TraceDecoder): TraceConsumer {
  let waiting: string[] = [];
  let missed = 0;
  return {
    get full() {
      return sink.full;
    },
    take: (view) => {
      if (sink.full) missed++;
      else waiting.push(lineOf(decode(view.record)));
    },
    flush: () => {
      if (waiting.length > 0) sink.deliver(waiting.join('\n'), waiting.length);
      if (missed > 0) sink.dropped(missed);
      waiting = [];
      missed = 0;
    },
    dropped: (records) => sink.dropped(records),
  };
}

export function binaryConsumer(sink: TraceSink): TraceConsumer {
  let waiting: Uint8Array[] = [];
  let records = 0;
  let missed = 0;
  return {
    get full() {
      return sink.full;
    },
    take: (view) => {
      if (sink.full) {
        missed++;
        return;
      }
      waiting.push(...recordBytes(view));
      records++;
    },
    flush: () => {
      if (records > 0) sink.deliver(Buffer.concat(waiting), records);
      if (missed > 0) sink.dropped(missed);
      waiting = [];
      records = 0;
      missed = 0;
    },
    dropped: (lost) => sink.dropped(lost),
  };
}

export const summaryConsumer = (summary: TraceSummary): TraceConsumer => ({
  full: false,
  take: (view) => summary.take(view),
  flush: () => undefined,
  dropped: (records) => summary.drop(records),
});

/** Takes so many records and no more. @param done called when it has them. */
export function upTo(limit: number, consumer: TraceConsumer, done: () => void): TraceConsumer {
  let left = limit;
  return {
    get full() {
      return consumer.full;
    },
    take: (view) => {
      if (left === 0) return;
      consumer.take(view);
      left -= 1;
      if (left === 0) done();
    },
    flush: () => consumer.flush(),
    dropped: (records) => consumer.dropped(records),
  };
}
