/**
 * The compact file of recorded cases and outcomes: each state is kept as its difference from the state before.
 *
 *   file:     gzip of: "XISA1", varint count, cases
 *   case:     varint seed, code, tolerance u8, undefined flags varint, state runs from background, patches,
 *             vector u8, error code varint, cr2 (8 bytes, page faults only), state runs from input, memory runs
 *   runs:     varint count, then (varint skip from the end of the run before, varint length, bytes)
 */

import { gunzipSync, gzipSync } from 'node:zlib';
import { type Case, type Outcome, type Run, stateBackground, type Tolerance } from './format.js';

/** The folder of recorded vectors. */
export const VECTORS = new URL('vectors/', import.meta.url);

const MAGIC = 'XISA1';
const PAGE_FAULT = 14;
/** Equal bytes between two differing ones that are cheaper to keep than a new run. */
const SMALL_GAP = 2;

export interface Vector {
  readonly test: Case;
  readonly outcome: Outcome;
}

class Writer {
  #bytes = new Uint8Array(1 << 20);
  #length = 0;

  u8(value: number): void {
    if (this.#length === this.#bytes.length) {
      const larger = new Uint8Array(this.#length * 2);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes[this.#length++] = value;
  }

  varint(value: number): void {
    let rest = value >>> 0;
    for (; rest >= 0x80; rest >>>= 7) this.u8((rest & 0x7f) | 0x80);
    this.u8(rest);
  }

  bytes(values: Iterable<number>): void {
    for (const value of values) this.u8(value);
  }

  runs(runs: readonly Run[]): void {
    let end = 0;
    this.varint(runs.length);
    for (const { offset, bytes } of runs) {
      this.varint(offset - end);
      this.varint(bytes.length);
      this.bytes(bytes);
      end = offset + bytes.length;
    }
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  u8(): number {
    return this.#bytes[this.#at++]!;
  }

  varint(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.u8();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
  }

  bytes(length: number): Uint8Array {
    this.#at += length;
    return this.#bytes.slice(this.#at - length, this.#at);
  }

  runs(): Run[] {
    let end = 0;
    return Array.from({ length: this.varint() }, () => {
      const offset = end + this.varint();
      const bytes = this.bytes(this.varint());
      end = offset + bytes.length;
      return { offset, bytes };
    });
  }
}

/** The runs in which `now` differs from `was`. */
export function difference(was: Uint8Array, now: Uint8Array): Run[] {
  const runs: Run[] = [];
  for (let at = 0; at < now.length; at++) {
    if (now[at] === was[at]) continue;
    let end = at + 1;
    for (let probe = end; probe < now.length && probe <= end + SMALL_GAP; probe++)
      if (now[probe] !== was[probe]) end = probe + 1;
    runs.push({ offset: at, bytes: now.slice(at, end) });
    at = end;
  }
  return runs;
}

export function applyRuns(base: Uint8Array, runs: readonly Run[]): Uint8Array {
  const result = base.slice();
  for (const { offset, bytes } of runs) result.set(bytes, offset);
  return result;
}

const sortedRuns = (runs: readonly Run[]) => runs.toSorted((a, b) => a.offset - b.offset);

export function encodeVectors(vectors: readonly Vector[]): Uint8Array {
  const out = new Writer();
  out.bytes(new TextEncoder().encode(MAGIC));
  out.varint(vectors.length);
  for (const { test, outcome } of vectors) {
    out.varint(test.seed);
    out.varint(test.code.length);
    out.bytes(test.code);
    out.u8(test.tolerance);
    out.varint(test.undefinedFlags);
    out.runs(difference(stateBackground(test.seed), test.state));
    out.runs(sortedRuns(test.patches));
    out.u8(outcome.vector);
    out.varint(outcome.errorCode);
    if (outcome.vector === PAGE_FAULT)
      out.bytes(new Uint8Array(BigUint64Array.of(outcome.cr2).buffer));
    out.runs(difference(test.state, outcome.state));
    out.runs(outcome.memory);
  }
  return gzipSync(out.finish(), { level: 9 });
}

function decodeVector(from: Reader): Vector {
  const seed = from.varint();
  const code = from.bytes(from.varint());
  const tolerance = from.u8() as Tolerance;
  const undefinedFlags = from.varint();
  const state = applyRuns(stateBackground(seed), from.runs());
  const patches = from.runs();
  const vector = from.u8();
  const errorCode = from.varint();
  const cr2 = vector === PAGE_FAULT ? new DataView(from.bytes(8).buffer).getBigUint64(0, true) : 0n;
  const after = applyRuns(state, from.runs());
  return {
    test: { seed, code, tolerance, undefinedFlags, state, patches },
    outcome: { vector, errorCode, cr2, state: after, memory: from.runs() },
  };
}

/** @throws Error if the file is not one of ours. */
export function decodeVectors(file: Uint8Array): Vector[] {
  const from = new Reader(gunzipSync(file));
  const magic = new TextDecoder().decode(from.bytes(MAGIC.length));
  if (magic !== MAGIC) throw new Error(`not a vector file: starts with ${JSON.stringify(magic)}`);
  return Array.from({ length: from.varint() }, () => decodeVector(from));
}
