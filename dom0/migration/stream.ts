/**
 * The stream of a saved domain: headers and records.
 *
 *   libxl header (big-endian)   "LibxlFmt" | version 2 | options
 *   libxl record LIBXC_CONTEXT, after which the libxc stream follows:
 *     image header (big-endian) 2^64-1 | "XENF" | version 3 | options
 *     domain header             type | page shift | Xen's version
 *     records                   type | body length | body | padding to 8 bytes, the last of type END
 *   libxl record END
 *
 * Spec: Xen's docs/specs/libxl-migration-stream and libxc-migration-stream.
 */

import { PAGE_SHIFT, PAGE_SIZE } from './page-info.js';

/** Where a stream goes. */
export interface Sink {
  write(bytes: Uint8Array): Promise<void>;
}

/** Where a stream comes from. */
export interface Source {
  /** @returns exactly so many bytes. @throws StreamError if there are fewer. */
  read(length: number): Promise<Uint8Array>;
}

/** The stream is no stream, is cut off, or has something that cannot be restored here. */
export class StreamError extends Error {
  override readonly name = 'StreamError';
}

// biome-ignore format: one row per type
export const RECORD = {
  END:                0x00,
  PAGE_DATA:          0x01,
  X86_PV_INFO:        0x02,
  X86_PV_P2M_FRAMES:  0x03,
  X86_PV_VCPU_BASIC:  0x04,
  SHARED_INFO:        0x07,
  TSC_INFO:           0x08,
  STATIC_DATA_END:    0x10,
} as const;

// biome-ignore format: one row per type
export const RECORD_NAMES: Readonly<Record<number, string>> = {
  5: 'X86_PV_VCPU_EXTENDED', 6: 'X86_PV_VCPU_XSAVE', 9: 'HVM_CONTEXT',        10: 'HVM_PARAMS',
  11: 'TOOLSTACK',            12: 'X86_PV_VCPU_MSRS',  13: 'VERIFY',             14: 'CHECKPOINT',
  17: 'X86_CPUID_POLICY',     18: 'X86_MSR_POLICY',
};

/** Record types with this bit may be passed over by who does not know them. */
const OPTIONAL = 0x8000_0000;

const LIBXL = { IDENT: 0x4c69_6278_6c46_6d74n, VERSION: 2, LIBXC_CONTEXT: 1, END: 0 } as const;
const LIBXC = { MARKER: 0xffff_ffff_ffff_ffffn, ID: 0x5845_4e46, VERSION: 3, PV: 1 } as const;
const XEN = { MAJOR: 4, MINOR: 17 } as const;
const RECORD_HEADER = 8;
/** The largest record there is any use for: pages of one PAGE_DATA. */
const LONGEST_BODY = 16 * 1024 * 1024;

export interface StreamRecord {
  readonly type: number;
  readonly body: Uint8Array;
}

export function header(): Uint8Array {
  const bytes = new Uint8Array(16 + RECORD_HEADER + 24 + 16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, LIBXL.IDENT);
  view.setUint32(8, LIBXL.VERSION);
  view.setUint32(16, LIBXL.LIBXC_CONTEXT, true);
  view.setBigUint64(24, LIBXC.MARKER);
  view.setUint32(32, LIBXC.ID);
  view.setUint32(36, LIBXC.VERSION);
  view.setUint32(48, LIBXC.PV, true);
  view.setUint16(52, PAGE_SHIFT, true);
  view.setUint32(56, XEN.MAJOR, true);
  view.setUint32(60, XEN.MINOR, true);
  return bytes;
}

/** The end of the libxl stream, behind the END of libxc's. */
export const trailer = (): Uint8Array => new Uint8Array(RECORD_HEADER);

/** @throws StreamError naming the field that is not as it should be. */
export async function readHeader(source: Source): Promise<void> {
  const outer = viewOf(await source.read(16 + RECORD_HEADER));
  expectField('ident', outer.getBigUint64(0), LIBXL.IDENT);
  expectField('version of the libxl stream', outer.getUint32(8), LIBXL.VERSION);
  expectField('byte order of the libxl stream', outer.getUint32(12) & 1, 0);
  expectField('first libxl record', outer.getUint32(16, true), LIBXL.LIBXC_CONTEXT);
  const inner = viewOf(await source.read(40));
  expectField('marker', inner.getBigUint64(0), LIBXC.MARKER);
  expectField('id', inner.getUint32(8), LIBXC.ID);
  expectField('version of the libxc stream', inner.getUint32(12), LIBXC.VERSION);
  expectField('byte order of the libxc stream', inner.getUint16(16) & 1, 0);
  expectField('type of domain', inner.getUint32(24, true), LIBXC.PV);
  expectField('page shift', inner.getUint16(28, true), PAGE_SHIFT);
}

function expectField(field: string, found: number | bigint, expected: number | bigint): void {
  if (found === expected) return;
  const [is, not] = [found, expected].map((value) => `0x${value.toString(16)}`);
  throw new StreamError(`the ${field} is ${is}, not ${not}`);
}

export async function writeRecord(sink: Sink, type: number, ...body: Uint8Array[]): Promise<void> {
  const length = body.reduce((sum, part) => sum + part.length, 0);
  const head = new Uint8Array(RECORD_HEADER);
  viewOf(head).setUint32(0, type, true);
  viewOf(head).setUint32(4, length, true);
  for (const part of [head, ...body]) if (part.length > 0) await sink.write(part);
  if (length % 8 !== 0) await sink.write(new Uint8Array(8 - (length % 8)));
}

/** The next record that has to be heeded. @throws StreamError */
export async function readRecord(source: Source): Promise<StreamRecord> {
  for (;;) {
    const head = viewOf(await source.read(RECORD_HEADER));
    const type = head.getUint32(0, true);
    const length = head.getUint32(4, true);
    if (length > LONGEST_BODY) throw new StreamError(`a record of ${length} bytes`);
    const padded = await source.read(Math.ceil(length / 8) * 8);
    if ((type & OPTIONAL) === 0) return { type, body: padded.subarray(0, length) };
  }
}

export const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Page `n` of a run of pages. */
export const pageOf = (bytes: Uint8Array, n: number): Uint8Array =>
  bytes.subarray(n * PAGE_SIZE, (n + 1) * PAGE_SIZE);
