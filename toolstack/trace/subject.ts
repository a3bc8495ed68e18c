/** What a filter is asked about: a record, or as much of it as is known before there is one. */

import { decodeTrace, type TraceEvent } from '../../dom0/trace-format.js';
import type { TraceRecord, TraceView } from '../../dom0/trace-view.js';

/** Takes a record apart. */
export type TraceDecoder = (record: TraceRecord) => TraceEvent;

/** Remembers what it has taken apart for as long as somebody has the record. */
export function decodeOnce(decode: TraceDecoder = decodeTrace): TraceDecoder {
  const events = new WeakMap<TraceRecord, TraceEvent>();
  return (record) => {
    const known = events.get(record);
    if (known !== undefined) return known;
    const event = decode(record);
    events.set(record, event);
    return event;
  };
}

/** What is undefined is not known yet. */
export interface Subject {
  readonly domid?: number;
  /** TRACE_KIND.* */
  readonly kind?: number;
  /** Number of a hypercall. */
  readonly op?: number;
  /** All the rest is known, or nothing of it. */
  readonly whole?: Whole;
}

interface Whole {
  readonly view: TraceView;
  /** Made when it is asked for. */
  readonly event: TraceEvent;
}

/** A record in view. It is one object for all records: making one for each would cost more than most filters do. */
export class RecordSubject implements Subject, Whole {
  readonly #decode: TraceDecoder;
  #view: TraceView | undefined;

  constructor(decode: TraceDecoder) {
    this.#decode = decode;
  }

  of(view: TraceView): this {
    this.#view = view;
    return this;
  }

  get view(): TraceView {
    if (this.#view === undefined) throw new Error('no record has been seen yet');
    return this.#view;
  }
  get domid(): number {
    return this.view.domid;
  }
  get kind(): number {
    return this.view.kind;
  }
  get op(): number {
    return this.view.op;
  }
  get event(): TraceEvent {
    return this.#decode(this.view.record);
  }
  get whole(): Whole {
    return this;
  }
}
