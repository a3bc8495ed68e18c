/** One message of the wire protocol and its bytes. Spec: xs_wire.h, struct xsd_sockmsg. */
import { XS_HEADER } from '../../hypervisor/public/io/xs-wire.js';
import { encodeLatin1 } from './latin1.js';

export const HEADER_SIZE = XS_HEADER.size;

export interface Packet {
  /** A number of XS, or anything a client made up. */
  readonly type: number;
  readonly reqId: number;
  readonly txId: number;
  /** The payload, one character per byte. */
  readonly body: string;
}

/** Bytes to be sent, gathered: packets are appended, the whole is taken at once. */
export class PacketWriter {
  #bytes: Uint8Array;
  #length = 0;
  readonly #initial: number;

  /** @param initial bytes to start with; it grows as needed. */
  constructor(initial = 1024) {
    this.#initial = initial;
    this.#bytes = new Uint8Array(initial);
  }

  get length(): number {
    return this.#length;
  }

  /** Appends one message. `body` holds one character per byte. */
  packet(type: number, reqId: number, txId: number, body: string): void {
    const at = this.#length;
    const end = at + HEADER_SIZE + body.length;
    if (end > this.#bytes.length) this.#grow(end);
    const bytes = this.#bytes;
    writeU32(bytes, at, type);
    writeU32(bytes, at + 4, reqId);
    writeU32(bytes, at + 8, txId);
    writeU32(bytes, at + 12, body.length);
    encodeLatin1(body, bytes, at + HEADER_SIZE);
    this.#length = end;
  }

  /** What has been gathered; a view that is valid until the next call that changes the writer. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Forgets what was gathered and re-uses the memory. */
  clear(): void {
    this.#length = 0;
    if (this.#bytes.length > MAX_KEPT) this.#bytes = new Uint8Array(this.#initial);
  }

  /** Forgets what was gathered and leaves its memory to whoever holds the view. */
  abandon(): void {
    this.#length = 0;
    this.#bytes = new Uint8Array(this.#initial);
  }

  #grow(needed: number): void {
    const bigger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    bigger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = bigger;
  }
}

/** A writer larger than this after a burst gives its memory back. */
const MAX_KEPT = 256 * 1024;

/** One packet as bytes of its own. */
export function encodePacket(packet: Packet): Uint8Array {
  const writer = new PacketWriter(HEADER_SIZE + packet.body.length);
  writer.packet(packet.type, packet.reqId, packet.txId, packet.body);
  return writer.view();
}

function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

/** An unsigned little-endian word; bytes past the end read as 0. */
export function readU32(bytes: Uint8Array, at: number): number {
  const low = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16);
  return (low | ((bytes[at + 3] ?? 0) << 24)) >>> 0;
}
