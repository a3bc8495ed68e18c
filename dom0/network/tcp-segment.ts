/** TCP segments as values and as bytes. Spec: RFC 9293 §3.1 (header), §3.2 (options); RFC 7323 §2 (window scale). */

import { TCP } from './protocols.js';
import { read8, read16, read32, write16, write32 } from './wire.js';

export interface TcpSegment {
  readonly source: number;
  readonly destination: number;
  readonly seq: number;
  readonly ack: number;
  /** TCP_FLAG bits. */
  readonly flags: number;
  /** As it stands in the header: not scaled. */
  readonly window: number;
  /** Of a SYN that has the options. */
  readonly mss: number | undefined;
  readonly windowScale: number | undefined;
  /** Part of the frame: to be copied by who keeps it. */
  readonly data: Uint8Array;
}

const OPTION = { END: 0, NOTHING: 1, MSS: 2, WINDOW_SCALE: 3 } as const;
/** RFC 7323 §2.3: a larger shift counts as this one. */
const MOST_SCALE = 14;

/** @returns undefined for bytes that are no whole header. Checksums are the caller's business. */
export function decodeTcp(bytes: Uint8Array, at: number, end: number): TcpSegment | undefined {
  const data = at + (read8(bytes, at + TCP.OFFSET) >>> 4) * 4;
  if (data < at + TCP.SIZE || data > end) return undefined;
  return {
    source: read16(bytes, at + TCP.SOURCE),
    destination: read16(bytes, at + TCP.DESTINATION),
    seq: read32(bytes, at + TCP.SEQ),
    ack: read32(bytes, at + TCP.ACK),
    flags: read8(bytes, at + TCP.FLAGS),
    window: read16(bytes, at + TCP.WINDOW),
    ...decodeOptions(bytes, at + TCP.SIZE, data),
    data: bytes.subarray(data, end),
  };
}

function decodeOptions(
  bytes: Uint8Array,
  from: number,
  to: number,
): Pick<TcpSegment, 'mss' | 'windowScale'> {
  let mss: number | undefined;
  let windowScale: number | undefined;
  for (let at = from; at < to; ) {
    const kind = read8(bytes, at);
    if (kind === OPTION.END) break;
    const length = kind === OPTION.NOTHING ? 1 : read8(bytes, at + 1);
    if (length === 0 || at + length > to) break;
    if (kind === OPTION.MSS && length === 4) mss = read16(bytes, at + 2);
    if (kind === OPTION.WINDOW_SCALE && length === 3) {
      windowScale = Math.min(read8(bytes, at + 2), MOST_SCALE);
    }
    at += length;
  }
  return { mss, windowScale };
}

/** The options of a SYN, 4 bytes, or 8 with a window scale. */
export const encodeSynOptions = (mss: number, windowScale: number | undefined): Uint8Array =>
  windowScale === undefined
    ? Uint8Array.of(OPTION.MSS, 4, mss >>> 8, mss)
    : Uint8Array.of(
        OPTION.MSS,
        4,
        mss >>> 8,
        mss,
        OPTION.NOTHING,
        OPTION.WINDOW_SCALE,
        3,
        windowScale,
      );

export interface TcpHeader {
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  readonly window: number;
  readonly options: Uint8Array;
}

/** Writes a header with a blank checksum. @returns its length. */
export function writeTcpHeader(
  bytes: Uint8Array,
  at: number,
  source: number,
  destination: number,
  header: TcpHeader,
): number {
  const length = TCP.SIZE + header.options.length;
  write16(bytes, at + TCP.SOURCE, source);
  write16(bytes, at + TCP.DESTINATION, destination);
  write32(bytes, at + TCP.SEQ, header.seq);
  write32(bytes, at + TCP.ACK, header.ack);
  bytes[at + TCP.OFFSET] = (length / 4) << 4;
  bytes[at + TCP.FLAGS] = header.flags;
  write16(bytes, at + TCP.WINDOW, header.window);
  write16(bytes, at + TCP.CHECKSUM, 0);
  write16(bytes, at + TCP.URGENT, 0);
  bytes.set(header.options, at + TCP.SIZE);
  return length;
}
