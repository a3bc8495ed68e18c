/**
 * A recording of the trace as a file, and as what `format=recording` sends:
 *
 *   magic (8 bytes) | version u32 | bytes of the head u32 | head: JSON, filled up with spaces to a unit
 *   records of hypervisor/public/trace.ts, in order, each with its reasons before it; between them notes:
 *   records of the kind NOTE, whose payload is JSON
 *
 * Everything is little-endian, and a multiple of TRACE_UNIT bytes. A note holds for what comes after it: a domain that was not there yet, what
 * the clock of the host shows at a time of the hypervisor, the name of an address; or it stands where records are missing. Readers pass
 * over notes that they do not know.
 */

import { TRACE_HEAD_SIZE, TRACE_UNIT, traceRecord } from '../../hypervisor/public/trace.js';

export const MAGIC = 'XLTRACE\n';
export const VERSION = 1;
/** Bytes before the head. */
export const PREFIX_SIZE = 16;
/** Bytes of a head at most. */
export const MOST_HEAD = 1024 * 1024;
/** Kind of a record that the ring does not have. */
export const NOTE = 128;
/** Bytes of a note at most: units are 16 bits. */
const MOST_NOTE = 0xffff - TRACE_HEAD_SIZE;

export interface DomainName {
  readonly domid: number;
  readonly name: string;
  readonly uuid: string;
}

export interface RecordingHead {
  /** When it was begun. */
  readonly startedAt: string;
  /** The domains there were then. */
  readonly domains: readonly DomainName[];
}

export type Note =
  | { readonly dropped: number }
  | { readonly domain: DomainName }
  /** `time` is the hypervisor's, in nanoseconds; `host` the host's at about that time. */
  | { readonly clock: { readonly time: number; readonly host: string } }
  | {
      readonly symbol: { readonly domid: number; readonly address: string; readonly name: string };
    };

const encoder = new TextEncoder();
const unitsFor = (bytes: number): number => Math.ceil(bytes / TRACE_UNIT);

export function headBytes(head: RecordingHead): Uint8Array {
  const json = encoder.encode(JSON.stringify(head));
  const size = unitsFor(PREFIX_SIZE + json.length) * TRACE_UNIT;
  const bytes = new Uint8Array(size).fill(' '.charCodeAt(0));
  bytes.set(encoder.encode(MAGIC));
  bytes.set(json, PREFIX_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(MAGIC.length, VERSION, true);
  view.setUint32(MAGIC.length + 4, size - PREFIX_SIZE, true);
  return bytes;
}

export function noteBytes(note: Note): Uint8Array {
  const json = encoder.encode(JSON.stringify(note)).subarray(0, MOST_NOTE);
  const units = unitsFor(TRACE_HEAD_SIZE + json.length);
  const bytes = new Uint8Array(units * TRACE_UNIT);
  traceRecord.encode(new DataView(bytes.buffer), 0, { kind: NOTE, units, inLength: json.length });
  bytes.set(json, TRACE_HEAD_SIZE);
  return bytes;
}
