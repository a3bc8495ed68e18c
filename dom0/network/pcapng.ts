/**
 * Captures as bytes: pcapng, nanosecond times, one interface per port of the switch, so Wireshark shows which vif.
 * Spec: draft-ietf-opsawg-pcapng, §4.1 (sections), §4.2 (interfaces), §4.3 (packets), §4.6 (statistics).
 *
 *   block:  type u32 │ length u32 │ body, padded to 4 │ length u32 again
 *   option: code u16 │ length u16 │ value, padded to 4
 */

import type { CapturedPacket } from './port.js';

// biome-ignore format: one row per number
const BLOCK = { SECTION: 0x0a0d_0d0a, INTERFACE: 1, STATISTICS: 5, PACKET: 6 } as const;
const BYTE_ORDER_MAGIC = 0x1a2b_3c4d;
const LINKTYPE_ETHERNET = 1;
const OPTION = {
  SECTION_APPLICATION: 4,
  INTERFACE_NAME: 2,
  INTERFACE_TIME_RESOLUTION: 9,
  PACKET_FLAGS: 2,
  STATISTICS_RECEIVED: 4,
  STATISTICS_DROPPED: 5,
} as const;
/** 10^-9 s. */
const NANOSECONDS = 9;
/** Of the flags: which way the packet went through the interface. What a guest sends comes in at its vif. */
const DIRECTION = { sent: 1, received: 2 } as const;

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const padded = (length: number): number => (length + 3) & ~3;

/** The parts of one block, written in this machine's order: little endian, as the section says. */
class Block {
  readonly #parts: Uint8Array[] = [];

  u16(...values: readonly number[]): this {
    const view = new DataView(new ArrayBuffer(2 * values.length));
    for (const [i, value] of values.entries()) view.setUint16(2 * i, value, true);
    return this.#push(view);
  }

  u32(...values: readonly number[]): this {
    const view = new DataView(new ArrayBuffer(4 * values.length));
    for (const [i, value] of values.entries()) view.setUint32(4 * i, value, true);
    return this.#push(view);
  }

  /** High half first, whatever the byte order: §4.3. */
  time(timestampNs: bigint): this {
    return this.u32(Number(timestampNs >> 32n), Number(timestampNs & 0xffff_ffffn));
  }

  data(bytes: Uint8Array): this {
    this.#parts.push(bytes, new Uint8Array(padded(bytes.length) - bytes.length));
    return this;
  }

  option(code: number, value: Uint8Array): this {
    return this.u16(code, value.length).data(value);
  }

  count(code: number, value: number): this {
    return this.u16(code, 8).u32(value, Math.floor(value / 2 ** 32));
  }

  /** The whole block. */
  end(type: number): Uint8Array {
    const length = 12 + this.#parts.reduce((sum, part) => sum + part.length, 0);
    const block = new Uint8Array(length);
    const view = new DataView(block.buffer);
    view.setUint32(0, type, true);
    view.setUint32(4, length, true);
    let at = 8;
    for (const part of this.#parts) {
      block.set(part, at);
      at += part.length;
    }
    view.setUint32(length - 4, length, true);
    return block;
  }

  #push(view: DataView): this {
    this.#parts.push(new Uint8Array(view.buffer));
    return this;
  }
}

export class PcapngEncoder {
  readonly #snapLength: number;
  readonly #interfaces = new Map<string, number>();

  /** @param snapLength bytes kept of each packet. */
  constructor(snapLength: number) {
    this.#snapLength = snapLength;
  }

  /** What every capture begins with. */
  header(): Uint8Array {
    const unknownLength = 0xffff_ffff;
    return new Block()
      .u32(BYTE_ORDER_MAGIC)
      .u16(1, 0) // version
      .u32(unknownLength, unknownLength)
      .option(OPTION.SECTION_APPLICATION, text('Xenolith'))
      .u32(0) // end of options
      .end(BLOCK.SECTION);
  }

  /** A packet, after the description of its interface if it is the first one there. */
  packet({ timestampNs, bytes, originalLength, port, direction }: CapturedPacket): Uint8Array[] {
    const known = this.#interfaces.get(port);
    const index = known ?? this.#interfaces.size;
    const blocks = known === undefined ? [this.#describe(port, index)] : [];
    const kept = bytes.subarray(0, this.#snapLength);
    const packet = new Block()
      .u32(index)
      .time(timestampNs)
      .u32(kept.length, originalLength)
      .data(kept)
      .u16(OPTION.PACKET_FLAGS, 4)
      .u32(DIRECTION[direction], 0);
    return [...blocks, packet.end(BLOCK.PACKET)];
  }

  /** What a capture ends with: how much it has seen and lost, said once for its first interface. */
  statistics(timestampNs: bigint, received: number, dropped: number): Uint8Array[] {
    if (this.#interfaces.size === 0) return [];
    const block = new Block()
      .u32(0)
      .time(timestampNs)
      .count(OPTION.STATISTICS_RECEIVED, received)
      .count(OPTION.STATISTICS_DROPPED, dropped)
      .u32(0);
    return [block.end(BLOCK.STATISTICS)];
  }

  #describe(port: string, index: number): Uint8Array {
    this.#interfaces.set(port, index);
    return new Block()
      .u16(LINKTYPE_ETHERNET, 0)
      .u32(this.#snapLength)
      .option(OPTION.INTERFACE_NAME, text(port))
      .option(OPTION.INTERFACE_TIME_RESOLUTION, Uint8Array.of(NANOSECONDS))
      .u32(0)
      .end(BLOCK.INTERFACE);
  }
}
