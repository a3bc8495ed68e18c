/**
 * A reader of the trace ring: keeps a cursor, copies what is new, counts what it lost. It never makes the writer wait.
 * Spec: hypervisor/public/trace.ts.
 */

import {
  TRACE_HEADER,
  TRACE_HEADER_SIZE,
  TRACE_KIND,
  TRACE_PAYLOAD_SIZE,
  TRACE_RECORD_SIZE,
  TRACE_RING,
  traceRecord,
} from '../hypervisor/public/trace.js';

export interface TraceRecord {
  readonly seq: number;
  /** TRACE_KIND.* */
  readonly kind: number;
  /** TRACE_FLAG bits. */
  readonly flags: number;
  readonly domid: number;
  readonly vcpu: number;
  /** Number of the hypercall, or the vector. */
  readonly op: number;
  /** Nanoseconds since the hypervisor started. */
  readonly time: number;
  /** Nanoseconds. */
  readonly duration: number;
  readonly rip: bigint;
  readonly result: number;
  readonly args: readonly bigint[];
  /** First bytes of the struct behind the pointer argument, before the call and after it. */
  readonly input: Uint8Array;
  readonly output: Uint8Array;
  /** Why the hypervisor refused what the call asked for; there may be several reasons in a batch. */
  readonly why: readonly string[];
  /** Text of a TRACE_KIND.DOMAIN record. */
  readonly text: string;
}

const HEADER = TRACE_RING.ADDRESS >>> 2;
const { offset } = traceRecord;
/** Reasons kept for a call that has not returned yet. */
const MOST_REASONS = 8;

export class TraceReader {
  readonly #ram: Uint8Array;
  readonly #u32: Uint32Array;
  readonly #copy = new Uint8Array(TRACE_RECORD_SIZE);
  readonly #view = new DataView(this.#copy.buffer);
  readonly #reasons = new Map<string, string[]>();
  /** Number of the last record read or given up. */
  #cursor: number;
  #dropped = 0;

  /** Begins at the end: only what is written from now on is read. @param ram all of RAM, shared. */
  constructor(ram: Uint8Array) {
    this.#ram = ram;
    this.#u32 = new Uint32Array(ram.buffer, ram.byteOffset, ram.length >>> 2);
    this.#cursor = this.#head();
  }

  /** Records lost since the beginning because they were overwritten before they were read. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Records that wait. */
  get waiting(): number {
    return Math.max(this.#head() - this.#cursor, 0);
  }

  /**
   * The next records in order, at most `limit` of them, without a loss between them: what `dropped` grew by in a call was
   * lost before the first of its records.
   */
  read(limit: number): TraceRecord[] {
    const records: TraceRecord[] = [];
    const head = this.#head();
    if (head < this.#cursor) this.#cursor = head; // the numbers have wrapped
    this.#skipOverwritten(head);
    while (this.#cursor < head && records.length < limit) {
      const record = this.#take(this.#cursor + 1);
      if (!record && records.length > 0) break;
      this.#cursor++;
      if (!record) this.#dropped++;
      else if (record.kind === TRACE_KIND.WHY) this.#keepReason(record);
      else records.push(this.#withReasons(record));
    }
    return records;
  }

  #head(): number {
    return Atomics.load(this.#u32, HEADER + TRACE_HEADER.HEAD);
  }

  #capacity(): number {
    return this.#u32[HEADER + TRACE_HEADER.CAPACITY] ?? 0;
  }

  /** What is further back than the ring is long is gone. */
  #skipOverwritten(head: number): void {
    const oldest = head - this.#capacity();
    if (oldest <= this.#cursor) return;
    this.#dropped += oldest - this.#cursor;
    this.#cursor = oldest;
  }

  /** @returns the record of that number, undefined if the writer has overtaken the reader. */
  #take(number: number): TraceRecord | undefined {
    const slot = (number - 1) % this.#capacity();
    const at = TRACE_RING.ADDRESS + TRACE_HEADER_SIZE + slot * TRACE_RECORD_SIZE;
    if (Atomics.load(this.#u32, at >>> 2) !== number) return undefined;
    this.#copy.set(this.#ram.subarray(at, at + TRACE_RECORD_SIZE));
    if (Atomics.load(this.#u32, at >>> 2) !== number) return undefined;
    return this.#decode();
  }

  #decode(): TraceRecord {
    const fields = traceRecord.decode(this.#view, 0);
    const { seq, kind, flags, domid, vcpu, op, duration, rip, inLength, outLength } = fields;
    const { arg0, arg1, arg2, arg3, arg4, arg5 } = fields;
    const isText = kind === TRACE_KIND.WHY || kind === TRACE_KIND.DOMAIN;
    const text = isText ? new TextDecoder().decode(this.#payload(offset.input, inLength)) : '';
    return {
      seq,
      kind,
      flags,
      domid,
      vcpu,
      op,
      time: Number(fields.time),
      duration,
      rip,
      result: Number(fields.result),
      args: [arg0, arg1, arg2, arg3, arg4, arg5],
      input: isText ? new Uint8Array(0) : this.#payload(offset.input, inLength),
      output: this.#payload(offset.output, Math.min(outLength, TRACE_PAYLOAD_SIZE)),
      why: [],
      text,
    };
  }

  #payload(at: number, length: number): Uint8Array {
    return this.#copy.slice(at, Math.min(at + length, TRACE_RECORD_SIZE));
  }

  #keepReason({ domid, vcpu, text }: TraceRecord): void {
    const key = `${domid}.${vcpu}`;
    const reasons = this.#reasons.get(key) ?? [];
    if (reasons.length < MOST_REASONS) reasons.push(text);
    this.#reasons.set(key, reasons);
  }

  #withReasons(record: TraceRecord): TraceRecord {
    if (record.kind !== TRACE_KIND.HYPERCALL) return record;
    const key = `${record.domid}.${record.vcpu}`;
    const why = this.#reasons.get(key);
    if (!why) return record;
    this.#reasons.delete(key);
    return { ...record, why };
  }
}
