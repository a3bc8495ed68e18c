/**
 * A record of the trace where it lies, in the ring or in a recording: its fields are read when they are asked for, so that a record
 * nobody wants costs a few loads. Spec: hypervisor/public/trace.ts.
 */

import {
  TRACE_HEAD_SIZE,
  TRACE_KIND,
  TRACE_UNIT,
  traceRecord,
} from '../hypervisor/public/trace.js';

/** A record taken out of where it lay. */
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
  /** Where the stub of the hypercall page that made the call returns to, 0 if none did. */
  readonly caller: bigint;
  readonly result: number;
  readonly args: readonly bigint[];
  /** First bytes behind the pointer argument, before the call and after it. */
  readonly input: Uint8Array;
  readonly output: Uint8Array;
  /** Why the hypervisor refused what the call asked for; there may be several reasons in a batch. */
  readonly why: readonly string[];
  /** Text of a TRACE_KIND.DOMAIN record. */
  readonly text: string;
}

const { offset } = traceRecord;
const TWO_32 = 0x1_0000_0000;
const NONE: readonly string[] = [];
const NOTHING = new Uint8Array(0);
const decoder = new TextDecoder();

export class TraceView {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  #record: TraceRecord | undefined;
  /** Why the call was refused. */
  why = NONE;

  /** @param bytes all of RAM, or a recording. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** Looks at the record at this byte from now on. */
  moveTo(at: number): void {
    this.#at = at;
    this.#record = undefined;
    this.why = NONE;
  }

  get seq(): number {
    return this.#view.getUint32(this.#at + offset.seq, true);
  }
  get kind(): number {
    return this.#view.getUint8(this.#at + offset.kind);
  }
  get flags(): number {
    return this.#view.getUint8(this.#at + offset.flags);
  }
  get domid(): number {
    return this.#view.getUint16(this.#at + offset.domid, true);
  }
  get vcpu(): number {
    return this.#view.getUint16(this.#at + offset.vcpu, true);
  }
  get op(): number {
    return this.#view.getUint16(this.#at + offset.op, true);
  }
  get units(): number {
    return this.#view.getUint16(this.#at + offset.units, true);
  }
  get duration(): number {
    return this.#view.getUint32(this.#at + offset.duration, true);
  }
  get time(): number {
    return this.#u64(offset.time);
  }
  get result(): number {
    const high = this.#view.getInt32(this.#at + offset.result + 4, true);
    return high * TWO_32 + this.#view.getUint32(this.#at + offset.result, true);
  }
  /** Argument 0, its low half: the operation of calls that have some. */
  get cmd(): number {
    return this.#view.getUint32(this.#at + offset.arg0, true);
  }

  /** The whole record as bytes, shared with where it lies. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(this.#at, this.#at + this.units * TRACE_UNIT);
  }

  /** Text of a record that is text. */
  get text(): string {
    return decoder.decode(this.#payload(TRACE_HEAD_SIZE, this.#length(offset.inLength)));
  }

  /** The record taken out: made once, however many ask for it. */
  get record(): TraceRecord {
    this.#record ??= this.#take();
    return this.#record;
  }

  #take(): TraceRecord {
    const { seq, kind, flags, domid, vcpu, op, time, duration, result, why } = this;
    const view = this.#view;
    const at = this.#at;
    const args = ARGUMENTS.map((argument) => view.getBigUint64(at + argument, true));
    const rip = view.getBigUint64(at + offset.rip, true);
    const caller = view.getBigUint64(at + offset.caller, true);
    const head = {
      seq,
      kind,
      flags,
      domid,
      vcpu,
      op,
      time,
      duration,
      rip,
      caller,
      result,
      args,
      why,
    };
    if (kind !== TRACE_KIND.HYPERCALL) {
      const text = kind === TRACE_KIND.DOMAIN ? this.text : '';
      return { ...head, input: NOTHING, output: NOTHING, text };
    }
    const inLength = this.#length(offset.inLength);
    const input = this.#payload(TRACE_HEAD_SIZE, inLength);
    const after = TRACE_HEAD_SIZE + ((inLength + 7) & ~7);
    const output = this.#payload(after, this.#length(offset.outLength));
    return { ...head, input, output, text: '' };
  }

  #length(at: number): number {
    return this.#view.getUint16(this.#at + at, true);
  }

  /** A copy, of memory that is not shared. A length that leads out of the record is cut. */
  #payload(from: number, length: number): Uint8Array<ArrayBuffer> {
    if (length === 0) return NOTHING;
    const end = Math.min(from + length, this.units * TRACE_UNIT);
    return new Uint8Array(this.#bytes.subarray(this.#at + from, this.#at + end));
  }

  #u64(at: number): number {
    const low = this.#view.getUint32(this.#at + at, true);
    return this.#view.getUint32(this.#at + at + 4, true) * TWO_32 + low;
  }
}

const ARGUMENTS = [offset.arg0, offset.arg1, offset.arg2, offset.arg3, offset.arg4];

/** Reasons kept for one call. */
const MOST_REASONS = 8;

/** Follows the numbers of records: what was dropped between two, and which reasons belong to which call. */
export class TraceSequence {
  /** Number of the last record, undefined before the first. */
  #last: number | undefined;
  #reasons: { seq: number; who: number; text: string }[] = [];

  /** @returns how many records are missing before the one in view, which is not counted as seen yet. */
  missingBefore(view: TraceView): number {
    return this.#last === undefined ? 0 : (view.seq - this.#last - 1) >>> 0;
  }

  /** @returns how many records were dropped after the last one, the last of them having this number. */
  missingUpTo(number: number): number {
    if (this.#last === undefined || ((number - this.#last) | 0) <= 0) return 0;
    const missing = (number - this.#last) >>> 0;
    this.#last = number;
    return missing;
  }

  /** A reason comes before its call. */
  keepReason(view: TraceView): void {
    if (this.#reasons.length >= MOST_REASONS) return;
    this.#reasons.push({ seq: view.seq, who: whoOf(view), text: view.text });
  }

  /** The record in view has been seen: if it is a call, the reasons that came for it are its own. */
  take(view: TraceView): void {
    const isCut = this.missingBefore(view) > 0;
    this.#last = view.seq;
    if (view.kind !== TRACE_KIND.HYPERCALL || this.#reasons.length === 0) return;
    const { seq } = view;
    const who = whoOf(view);
    // Where records are missing, a reason may belong to one of those.
    const own = this.#reasons.filter(
      (reason) => reason.who === who && (!isCut || reason.seq === seq),
    );
    view.why = own.map(({ text }) => text);
    this.#reasons = [];
  }
}

const whoOf = ({ domid, vcpu }: TraceView): number => domid * 0x1_0000 + vcpu;
