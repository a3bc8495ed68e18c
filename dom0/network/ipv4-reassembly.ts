/** Puts fragments together. Spec: RFC 791 §3.2 (reassembly), RFC 5722 in spirit: what overlaps is thrown away whole. */

import type { NetworkHost } from './host.js';
import type { Ipv4Packet } from './ipv4.js';
import { IPV4 } from './protocols.js';
import { copyOf } from './wire.js';

/** Packets in pieces at once: the oldest gives way. */
const MOST_PACKETS = 32;
const MOST_FRAGMENTS = 64;
const MOST_BYTES = 0xffff - 20;
/** Milliseconds until a packet that is not whole is given up. */
const PATIENCE = 15_000;

interface Assembly {
  readonly began: number;
  readonly pieces: { readonly at: number; readonly bytes: Uint8Array }[];
  held: number;
  /** Bytes of the whole, once its end has come. */
  total: number | undefined;
}

export class Ipv4Reassembly {
  readonly #host: NetworkHost;
  readonly #assemblies = new Map<string, Assembly>();

  constructor(host: NetworkHost) {
    this.#host = host;
  }

  /** @returns the whole packet if this was its last missing piece, or it is in one piece anyway. */
  add(packet: Ipv4Packet): Ipv4Packet | undefined {
    if (packet.fragmentOffset === 0 && !packet.moreFragments) return packet;
    const key = [packet.source, packet.destination, packet.protocol, packet.id].join();
    const assembly = this.#find(key);
    if (!insert(assembly, packet)) {
      this.#assemblies.delete(key);
      return undefined;
    }
    if (assembly.held !== assembly.total) return undefined;
    this.#assemblies.delete(key);
    return wholePacket(packet, assembly, assembly.total);
  }

  #find(key: string): Assembly {
    const now = this.#host.now();
    const known = this.#assemblies.get(key);
    if (known && now - known.began < PATIENCE) return known;
    this.#assemblies.delete(key);
    for (const [oldest, { began }] of this.#assemblies) {
      if (this.#assemblies.size < MOST_PACKETS && now - began < PATIENCE) break;
      this.#assemblies.delete(oldest);
    }
    const assembly: Assembly = { began: now, pieces: [], held: 0, total: undefined };
    this.#assemblies.set(key, assembly);
    return assembly;
  }
}

/** The packet with the header of its last fragment to come, without options. */
function wholePacket(last: Ipv4Packet, { pieces }: Assembly, total: number): Ipv4Packet {
  const end = IPV4.SIZE + total;
  const bytes = new Uint8Array(end);
  bytes.set(last.bytes.subarray(last.header, last.header + IPV4.SIZE));
  for (const piece of pieces) bytes.set(piece.bytes, IPV4.SIZE + piece.at);
  const place = { bytes, header: 0, payload: IPV4.SIZE, end };
  return { ...last, ...place, fragmentOffset: 0, moreFragments: false };
}

/** @returns false if the piece does not fit the others. */
function insert(assembly: Assembly, packet: Ipv4Packet): boolean {
  const { fragmentOffset: at, moreFragments, end, payload } = packet;
  const length = end - payload;
  const last = at + length;
  if (last > MOST_BYTES || assembly.pieces.length >= MOST_FRAGMENTS) return false;
  if (moreFragments && (length % 8 !== 0 || length === 0)) return false;
  if (!moreFragments && assembly.total !== undefined && assembly.total !== last) return false;
  const overlaps = assembly.pieces.some(
    (piece) => at < piece.at + piece.bytes.length && piece.at < last,
  );
  if (overlaps) return false;
  assembly.pieces.push({ at, bytes: copyOf(packet.bytes, payload, end) });
  assembly.held += length;
  if (!moreFragments) assembly.total = last;
  return assembly.total === undefined || assembly.held <= assembly.total;
}
