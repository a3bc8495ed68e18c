/**
 * Writer of the trace ring. Spec: public/trace.ts. Whoever traces tests `wants` first: one load and one test when nobody
 * listens. The writer never waits for a reader.
 */

import type { Ram } from '../machine/ram.js';
import {
  TRACE_HEADER,
  TRACE_HEADER_SIZE,
  TRACE_PAYLOAD_SIZE,
  TRACE_RECORD_SIZE,
  TRACE_RING,
  traceRecord,
} from '../public/trace.js';

const HEADER = TRACE_RING.ADDRESS >>> 2;
const CAPACITY = Math.floor((TRACE_RING.SIZE - TRACE_HEADER_SIZE) / TRACE_RECORD_SIZE);
const TWO_32 = 0x1_0000_0000;
const { offset } = traceRecord;
/** A record's fields, all zero: copying them is many times as fast as `fill` on shared memory. */
const NO_FIELDS = new Uint8Array(offset.input);

/** What stands at the head of every record. */
export interface TraceHead {
  readonly kind: number;
  readonly domid: number;
  readonly vcpu: number;
  readonly op: number;
  readonly time: number;
}

export class Trace {
  readonly #ram: Ram;
  readonly #u32: Uint32Array;
  #head = 0;
  /** Byte address of the record being written. */
  #at = 0;

  constructor(ram: Ram) {
    this.#ram = ram;
    this.#u32 = ram.u32;
    this.#u32[HEADER + TRACE_HEADER.CAPACITY] = CAPACITY;
    this.#u32[HEADER + TRACE_HEADER.RECORD_SIZE] = TRACE_RECORD_SIZE;
  }

  /** @returns whether somebody listens to records of this class (TRACE_CLASS bit). */
  wants(classBit: number): boolean {
    return ((this.#u32[HEADER] ?? 0) & classBit) !== 0;
  }

  setMask(mask: number): void {
    Atomics.store(this.#u32, HEADER + TRACE_HEADER.MASK, mask);
  }

  /** Opens the next record: fields not set afterwards are zero. `commit` publishes it. */
  begin(head: TraceHead): void {
    const index = this.#head % CAPACITY;
    this.#at = TRACE_RING.ADDRESS + TRACE_HEADER_SIZE + index * TRACE_RECORD_SIZE;
    Atomics.store(this.#u32, this.#at >>> 2, 0);
    this.#ram.u8.set(NO_FIELDS, this.#at);
    const { view } = this.#ram;
    view.setUint8(this.#at + offset.kind, head.kind);
    view.setUint16(this.#at + offset.domid, head.domid, true);
    view.setUint16(this.#at + offset.vcpu, head.vcpu, true);
    view.setUint16(this.#at + offset.op, head.op, true);
    this.#setNumber(offset.time, head.time);
  }

  setArgument(index: number, lo: number, hi: number): void {
    const word = (this.#at + offset.arg0 + index * 8) >>> 2;
    this.#u32[word] = lo;
    this.#u32[word + 1] = hi;
  }

  setRip(rip: number): void {
    this.#setNumber(offset.rip, rip);
  }

  setResult(result: number, flags: number, duration: number): void {
    this.#setNumber(offset.result, result);
    this.#ram.u8[this.#at + offset.flags] = flags;
    this.#u32[(this.#at + offset.duration) >>> 2] = duration;
  }

  /** Bytes of the struct behind a pointer, before the call. */
  setInput(bytes: Uint8Array): void {
    this.#setBytes(offset.inLength, offset.input, bytes, TRACE_PAYLOAD_SIZE);
  }

  /** The same bytes when the call has returned. */
  setOutput(bytes: Uint8Array): void {
    this.#setBytes(offset.outLength, offset.output, bytes, TRACE_PAYLOAD_SIZE);
  }

  /** Text, over both payloads. */
  setText(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.#setBytes(offset.inLength, offset.input, bytes, 2 * TRACE_PAYLOAD_SIZE);
  }

  /** A whole record that is text. */
  writeText(head: TraceHead, text: string): void {
    this.begin(head);
    this.setText(text);
    this.commit();
  }

  commit(): void {
    this.#head = (this.#head + 1) % TWO_32 || 1; // 0 means "being written"
    Atomics.store(this.#u32, this.#at >>> 2, this.#head);
    Atomics.store(this.#u32, HEADER + TRACE_HEADER.HEAD, this.#head);
  }

  #setBytes(lengthAt: number, at: number, bytes: Uint8Array, most: number): void {
    const kept = bytes.length > most ? bytes.subarray(0, most) : bytes;
    this.#ram.u8[this.#at + lengthAt] = kept.length;
    this.#ram.u8.set(kept, this.#at + at);
  }

  #setNumber(at: number, value: number): void {
    const word = (this.#at + at) >>> 2;
    this.#u32[word] = value >>> 0;
    this.#u32[word + 1] = Math.floor(value / TWO_32) >>> 0;
  }
}
