/** IPv4 addresses as numbers, packets as values. Spec: RFC 791 §3.1. */

import { addToSum, checksumOf } from './checksum.js';
import { IPV4, IPV4_FRAGMENT } from './protocols.js';
import { read8, read16, read32 } from './wire.js';

declare const addressBrand: unique symbol;
export type Ipv4Address = number & { readonly [addressBrand]: 'Ipv4Address' };

export interface Ipv4Packet {
  readonly source: Ipv4Address;
  readonly destination: Ipv4Address;
  readonly protocol: number;
  readonly ttl: number;
  readonly id: number;
  /** In bytes. */
  readonly fragmentOffset: number;
  readonly moreFragments: boolean;
  /** Frame or reassembled packet that holds it. */
  readonly bytes: Uint8Array;
  readonly header: number;
  readonly payload: number;
  readonly end: number;
}

/** @throws TypeError if it is none. */
export function parseIpv4(text: string): Ipv4Address {
  const parts = /^\d{1,3}(\.\d{1,3}){3}$/.test(text) ? text.split('.').map(Number) : [];
  if (parts.length !== 4 || parts.some((part) => part > 255)) {
    throw new TypeError(`not an IPv4 address: ${text}`);
  }
  return parts.reduce((sum, part) => sum * 256 + part, 0) as Ipv4Address;
}

export const formatIpv4 = (address: Ipv4Address): string =>
  [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join('.');

export const readIpv4 = (bytes: Uint8Array, at: number): Ipv4Address =>
  read32(bytes, at) as Ipv4Address;

/** @returns undefined for what is no packet: lengths that cannot be, a wrong header checksum. */
export function decodeIpv4(bytes: Uint8Array, at: number): Ipv4Packet | undefined {
  const headerSize = (read8(bytes, at) & 0xf) * 4;
  const end = at + read16(bytes, at + IPV4.LENGTH);
  const payload = at + headerSize;
  if (read8(bytes, at) >>> 4 !== 4 || headerSize < IPV4.SIZE) return undefined;
  if (payload > end || end > bytes.length) return undefined;
  if (checksumOf(addToSum(0, bytes, at, payload)) !== 0) return undefined;
  const fragment = read16(bytes, at + IPV4.FRAGMENT);
  return {
    source: readIpv4(bytes, at + IPV4.SOURCE),
    destination: readIpv4(bytes, at + IPV4.DESTINATION),
    protocol: read8(bytes, at + IPV4.PROTOCOL),
    ttl: read8(bytes, at + IPV4.TTL),
    id: read16(bytes, at + IPV4.ID),
    fragmentOffset: (fragment & IPV4_FRAGMENT.OFFSET) * 8,
    moreFragments: (fragment & IPV4_FRAGMENT.MORE) !== 0,
    bytes,
    header: at,
    payload,
    end,
  };
}
