/**
 * Writer of the trace ring. Spec: public/trace.ts. Whoever traces asks `wants` or `wantsCall` first: a load and a test when nobody
 * listens. The writer never waits for the reader: what finds no room is counted and not written.
 */

import { copyBytes, type Ram } from '../machine/ram.js';
import { HYPERCALLS, NR_HYPERCALLS } from '../public/hypercalls.js';
import {
  TRACE_CLASS,
  TRACE_HEAD_SIZE,
  TRACE_HEADER,
  TRACE_HEADER_SIZE,
  TRACE_KIND,
  TRACE_PAYLOAD_MAX,
  TRACE_RING,
  TRACE_UNIT,
  TRACE_UNITS,
} from '../public/trace.js';

const HEADER = TRACE_RING.ADDRESS >>> 2;
const FIRST = TRACE_RING.ADDRESS + TRACE_HEADER_SIZE;
const TWO_32 = 0x1_0000_0000;
/** Domids run below this: DOMID_FIRST_RESERVED. */
const DOMIDS = 0x7ff0;
const HEAD_UNITS = TRACE_HEAD_SIZE / TRACE_UNIT;
const LARGEST_UNITS = HEAD_UNITS + (2 * TRACE_PAYLOAD_MAX) / TRACE_UNIT;
const UNITS_SHIFT = Math.log2(TRACE_UNIT);

/** Words of a record (public/trace.ts, trace_record). */
const WORD = {
  KIND: 1,
  VCPU: 2,
  UNITS: 3,
  OUT: 4,
  DURATION: 5,
  TIME: 6,
  RIP: 8,
  RESULT: 10,
  ARGS: 12,
  CALLER: 22,
  END: 24,
};

/** Trace class bit by number of the call. */
const CLASSES = Uint32Array.from({ length: NR_HYPERCALLS }, (_, number) => {
  const row = HYPERCALLS[number];
  return row ? TRACE_CLASS[row.traceClass] : TRACE_CLASS.control;
});

/** What stands at the head of every record. */
export interface TraceHead {
  readonly kind: number;
  readonly domid: number;
  readonly vcpu: number;
  readonly op: number;
  readonly time: number;
}

/** What somebody listens to. */
export interface TraceSelection {
  /** TRACE_CLASS bits. */
  readonly mask: number;
  /** Numbers of the calls wanted among those classes; all of them if absent. */
  readonly calls?: readonly number[];
  /** Domains that nobody wants to hear of. */
  readonly except?: readonly number[];
}

export class Trace {
  readonly #ram: Ram;
  readonly #u32: Uint32Array;
  readonly #encoder = new TextEncoder();
  #mask = 0;
  /** By number: 1 for calls that somebody listens to. */
  readonly #calls = new Uint8Array(NR_HYPERCALLS);
  /** By domid: 1 for domains that nobody listens to. */
  readonly #quiet = new Uint8Array(DOMIDS);
  /** Position of the next record, and the reader's as last seen. */
  #head = 0;
  #cursor = 0;
  #seq = 0;
  /** First word of the record being written, and its length. */
  #at = 0;
  #units = 0;

  constructor(ram: Ram) {
    this.#ram = ram;
    this.#u32 = ram.u32;
    this.#u32[HEADER + TRACE_HEADER.SIZE] = TRACE_UNITS;
  }

  /** @returns whether somebody listens to records of this class (TRACE_CLASS bit) and domain. */
  wants(classBit: number, domid: number): boolean {
    return (this.#mask & classBit) !== 0 && this.#quiet[domid] !== 1;
  }

  /** @returns whether somebody listens to this call of this domain. */
  wantsCall(number: number, domid: number): boolean {
    return this.#mask !== 0 && this.#calls[number] === 1 && this.#quiet[domid] !== 1;
  }

  setMask(mask: number): void {
    this.select({ mask });
  }

  /** Writes what is selected and nothing else from now on. */
  select({ mask, calls, except = [] }: TraceSelection): void {
    this.#mask = mask;
    const named = calls && new Set(calls);
    for (let number = 0; number < NR_HYPERCALLS; number++) {
      const wanted = ((CLASSES[number] ?? 0) & mask) !== 0 && (named?.has(number) ?? true);
      this.#calls[number] = wanted ? 1 : 0;
    }
    this.#quiet.fill(0);
    for (const domid of except) this.#quiet[domid] = 1;
  }

  /** @returns whether a record of any length would find room; otherwise it is counted as dropped, with all that it had to tell. */
  hasRoom(): boolean {
    if (this.#fits(LARGEST_UNITS)) return true;
    this.#drop();
    return false;
  }

  /**
   * Opens the next record; what is not set afterwards is zero. `commit` publishes it.
   * @param payload bytes that will be set at most: those of the input, padded to 8, and those of the output.
   * @returns false if there is no room: then it is counted as dropped, and nothing may be set.
   */
  begin(head: TraceHead, payload: number): boolean {
    const units = HEAD_UNITS + ((payload + TRACE_UNIT - 1) >>> UNITS_SHIFT);
    if (!this.#fits(units)) {
      this.#drop();
      return false;
    }
    this.#open(units);
    const u32 = this.#u32;
    const at = this.#at;
    for (let word = WORD.UNITS; word < WORD.END; word++) u32[at + word] = 0;
    u32[at + WORD.KIND] = head.kind | (head.domid << 16);
    u32[at + WORD.VCPU] = head.vcpu | (head.op << 16);
    this.#setNumber(WORD.TIME, head.time);
    return true;
  }

  setArgument(index: number, lo: number, hi: number): void {
    const word = this.#at + WORD.ARGS + index * 2;
    this.#u32[word] = lo;
    this.#u32[word + 1] = hi;
  }

  setRip(rip: number): void {
    this.#setNumber(WORD.RIP, rip);
  }

  /** Where the stub of the hypercall page returns to. */
  setCaller(lo: number, hi: number): void {
    this.#u32[this.#at + WORD.CALLER] = lo;
    this.#u32[this.#at + WORD.CALLER + 1] = hi;
  }

  setResult(result: number, flags: number, duration: number): void {
    this.#setNumber(WORD.RESULT, result);
    this.#u32[this.#at + WORD.KIND] = (this.#u32[this.#at + WORD.KIND] ?? 0) | (flags << 8);
    this.#u32[this.#at + WORD.DURATION] = duration;
  }

  /** Bytes behind a pointer before the call: the first `length` of `bytes`. */
  setInput(bytes: Uint8Array, length: number): void {
    copyBytes(bytes, 0, length, this.#ram.u8, this.inputAt);
    this.#u32[this.#at + WORD.UNITS] = length << 16;
  }

  /** Where in RAM the bytes after the call belong: whoever puts some there says how many. `setInput` comes first. */
  get outputAt(): number {
    const length = (this.#u32[this.#at + WORD.UNITS] ?? 0) >>> 16;
    return this.inputAt + padded(length);
  }

  setOutputLength(length: number): void {
    this.#u32[this.#at + WORD.OUT] = length;
  }

  /** A whole record that is text. It is dropped without a word if it explains a call that will find no room either. */
  writeText(head: TraceHead, text: string): void {
    const bytes = this.#encoder.encode(text);
    const length = Math.min(bytes.length, TRACE_PAYLOAD_MAX);
    if (head.kind === TRACE_KIND.WHY && !this.#fits(2 * LARGEST_UNITS)) return;
    if (!this.begin(head, length)) return;
    this.setInput(bytes, length);
    this.commit();
  }

  /** Publishes the record. */
  commit(): void {
    const u32 = this.#u32;
    const kind = (u32[this.#at + WORD.KIND] ?? 0) & 0xff;
    u32[this.#at + WORD.UNITS] = (u32[this.#at + WORD.UNITS] ?? 0) | this.#units;
    const number = (this.#seq + 1) >>> 0;
    u32[this.#at] = number;
    if (kind !== TRACE_KIND.WHY) this.#seq = number;
    this.#head = (this.#head + this.#units) >>> 0;
    Atomics.store(u32, HEADER + TRACE_HEADER.HEAD, this.#head);
  }

  /** All of RAM, for whoever puts bytes behind a record. */
  get ramBytes(): Uint8Array {
    return this.#ram.u8;
  }

  /** Where in RAM the bytes before the call belong. */
  get inputAt(): number {
    return this.#at * 4 + TRACE_HEAD_SIZE;
  }

  /** Places the record: at the head, or past it if it would not end before the ring does. */
  #open(units: number): void {
    const slot = this.#head & (TRACE_UNITS - 1);
    const left = TRACE_UNITS - slot;
    this.#units = units;
    if (units <= left) {
      this.#at = (FIRST + slot * TRACE_UNIT) >>> 2;
      return;
    }
    const pad = (FIRST + slot * TRACE_UNIT) >>> 2;
    this.#u32[pad + WORD.KIND] = TRACE_KIND.PAD;
    this.#u32[pad + WORD.UNITS] = left;
    this.#head = (this.#head + left) >>> 0;
    this.#at = FIRST >>> 2;
  }

  /** @returns whether there is room for a record and the padding that it may need. */
  #fits(units: number): boolean {
    if (this.#used() + units + LARGEST_UNITS <= TRACE_UNITS) return true;
    const cursor = this.#u32[HEADER + TRACE_HEADER.CURSOR] ?? 0;
    if (cursor === this.#cursor) return false;
    this.#cursor = Atomics.load(this.#u32, HEADER + TRACE_HEADER.CURSOR);
    return this.#used() + units + LARGEST_UNITS <= TRACE_UNITS;
  }

  #used(): number {
    return (this.#head - this.#cursor) >>> 0;
  }

  #drop(): void {
    this.#seq = (this.#seq + 1) >>> 0;
    Atomics.store(this.#u32, HEADER + TRACE_HEADER.DROPPED, this.#seq);
  }

  #setNumber(word: number, value: number): void {
    this.#u32[this.#at + word] = value >>> 0;
    this.#u32[this.#at + word + 1] = Math.floor(value / TWO_32) >>> 0;
  }
}

/** Bytes that an input takes in a record. */
export const padded = (length: number): number => (length + 7) & ~7;
