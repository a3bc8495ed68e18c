/** Packets as tests write them, with checksums computed the slow and obvious way. */

import { macBytes } from './network.js';

const u16 = (value: number): number[] => [(value >>> 8) & 0xff, value & 0xff];
const u32 = (value: number): number[] => [...u16(value >>> 16), ...u16(value)];
export const ip = (text: string): number[] => text.split('.').map(Number);

/** RFC 1071, word by word. */
export function naiveChecksum(bytes: readonly number[] | Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) {
    sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
    if (sum > 0xffff) sum = (sum & 0xffff) + 1;
  }
  return ~sum & 0xffff;
}

interface Ipv4Fields {
  readonly from: string;
  readonly to: string;
  readonly protocol: number;
  readonly id?: number;
  readonly ttl?: number;
  /** Flags and offset. */
  readonly fragment?: number;
}

export function ipv4(fields: Ipv4Fields, payload: Uint8Array): Uint8Array {
  const { from, to, protocol, id = 1, ttl = 64, fragment = 0x4000 } = fields;
  const length = u16(20 + payload.length);
  const head = (sum: number): number[] => [
    ...[0x45, 0, ...length, ...u16(id), ...u16(fragment)],
    ...[ttl, protocol, ...u16(sum), ...ip(from), ...ip(to)],
  ];
  return Uint8Array.from([...head(naiveChecksum(head(0))), ...payload]);
}

export const ip6 = (text: string): number[] => {
  const [left = '', right = ''] = text.split('::');
  const words = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((word) => Number.parseInt(word, 16));
  const [head, tail] = [words(left), words(right)];
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => 0);
  return [...head, ...zeros, ...tail].flatMap(u16);
};

export function ipv6(from: string, to: string, next: number, payload: Uint8Array): Uint8Array {
  const head = [0x60, 0, 0, 0, ...u16(payload.length), next, 64, ...ip6(from), ...ip6(to)];
  return Uint8Array.from([...head, ...payload]);
}

export interface TcpFields {
  readonly from: number;
  readonly to: number;
  readonly seq: number;
  readonly ack?: number;
  readonly flags: number;
  readonly window?: number;
  readonly options?: readonly number[];
}

/** A segment with its checksum. @param addresses both, as bytes of either IP version. */
export function tcp(
  addresses: readonly number[],
  fields: TcpFields,
  data: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const { from, to, seq, ack = 0, flags, window = 0xffff, options = [] } = fields;
  const segment = (sum: number): number[] => [
    ...[...u16(from), ...u16(to), ...u32(seq), ...u32(ack)],
    ...[(5 + options.length / 4) << 4, flags, ...u16(window), ...u16(sum), 0, 0],
    ...options,
    ...data,
  ];
  return Uint8Array.from(segment(transportChecksum(addresses, 6, segment(0))));
}

export function udp(
  addresses: readonly number[],
  from: number,
  to: number,
  data: Uint8Array,
): Uint8Array {
  const datagram = (sum: number): number[] => [
    ...[...u16(from), ...u16(to), ...u16(8 + data.length), ...u16(sum)],
    ...data,
  ];
  return Uint8Array.from(datagram(transportChecksum(addresses, 17, datagram(0)) || 0xffff));
}

export function ethernet(
  to: string,
  from: string,
  type: number,
  payload: Uint8Array | readonly number[],
): Uint8Array {
  return Uint8Array.from([...macBytes(to), ...macBytes(from), ...u16(type), ...payload]);
}

function transportChecksum(
  addresses: readonly number[],
  protocol: number,
  segment: readonly number[],
): number {
  return naiveChecksum([...addresses, ...u32(segment.length), 0, 0, 0, protocol, ...segment]);
}
