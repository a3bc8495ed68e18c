/**
 * The reader of the trace ring: there is one at a time. What it has not read yet is not overwritten; what is dropped for lack of room
 * it counts. Spec: hypervisor/public/trace.ts.
 */

import {
  TRACE_HEADER,
  TRACE_HEADER_SIZE,
  TRACE_KIND,
  TRACE_RING,
  TRACE_UNIT,
} from '../hypervisor/public/trace.js';
import { type TraceRecord, TraceSequence, TraceView } from './trace-view.js';

const HEADER = TRACE_RING.ADDRESS >>> 2;
const FIRST = TRACE_RING.ADDRESS + TRACE_HEADER_SIZE;
/** A ring that was full is given back in parts of this size, so that drops come few and long, not many and short. */
const PARTS = 8;

export class TraceReader {
  readonly #u32: Uint32Array;
  readonly #view: TraceView;
  readonly #sequence = new TraceSequence();
  readonly #size: number;
  /** Position of the next record, and the one that the writer knows. */
  #cursor: number;
  #published: number;
  #dropped = 0;

  /** Begins at the end: only what is written from now on is read. @param ram all of RAM, shared. */
  constructor(ram: Uint8Array) {
    this.#u32 = new Uint32Array(ram.buffer, ram.byteOffset, ram.length >>> 2);
    this.#view = new TraceView(ram);
    this.#size = this.#u32[HEADER + TRACE_HEADER.SIZE] ?? 0;
    this.#cursor = this.#head();
    this.#published = this.#cursor;
    this.#publish();
  }

  /** Records lost since the beginning because there was no room for them. */
  get dropped(): number {
    return this.#dropped;
  }

  /** How full the ring is, 0 to 1. */
  get fill(): number {
    return ((this.#head() - this.#cursor) >>> 0) / this.#size;
  }

  /**
   * Shows the next records in order, at most `limit` of them, without a loss between them: what `dropped` grew by in a call was
   * lost before the first of its records. The view is good until the next record is shown.
   * @returns how many there were.
   */
  visit(limit: number, each: (view: TraceView) => void): number {
    const lastDropped = Atomics.load(this.#u32, HEADER + TRACE_HEADER.DROPPED);
    const head = this.#head();
    let seen = 0;
    while (this.#cursor !== head && seen < limit) {
      const view = this.#view;
      view.moveTo(FIRST + (this.#cursor % this.#size) * TRACE_UNIT);
      const { kind, units } = view;
      if (kind === TRACE_KIND.WHY) this.#sequence.keepReason(view);
      else if (kind !== TRACE_KIND.PAD) {
        const missing = this.#sequence.missingBefore(view);
        if (missing > 0 && seen > 0) break;
        this.#dropped += missing;
        this.#sequence.take(view);
        each(view);
        seen++;
      }
      this.#cursor = (this.#cursor + units) >>> 0;
    }
    if (this.#cursor === head && seen === 0) {
      this.#dropped += this.#sequence.missingUpTo(lastDropped);
    }
    if (this.#cursor === head || this.#unpublished() >= this.#size / PARTS) this.#publish();
    return seen;
  }

  /** The next records, taken out of the ring. */
  read(limit: number): TraceRecord[] {
    const records: TraceRecord[] = [];
    this.visit(limit, (view) => records.push(view.record));
    this.#publish();
    return records;
  }

  #unpublished(): number {
    return (this.#cursor - this.#published) >>> 0;
  }

  #publish(): void {
    this.#published = this.#cursor;
    Atomics.store(this.#u32, HEADER + TRACE_HEADER.CURSOR, this.#cursor);
  }

  #head(): number {
    return Atomics.load(this.#u32, HEADER + TRACE_HEADER.HEAD);
  }
}
