/**
 * The network behind the NAT, as QEMU's users know it: 10.0.2.0/24, the host at .2, DNS at .3, guests from .15 on.
 * What a guest may reach from there is decided here.
 */

import { formatIpv4, type Ipv4Address, parseIpv4 } from './ipv4.js';

export interface Subnet {
  readonly network: Ipv4Address;
  readonly mask: Ipv4Address;
  readonly broadcast: Ipv4Address;
  /** The router; for the guests it is the host's loopback, too. */
  readonly gateway: Ipv4Address;
  readonly dns: Ipv4Address;
  readonly firstGuest: Ipv4Address;
  readonly lastGuest: Ipv4Address;
}

// biome-ignore format: one row per host number
const HOST = { GATEWAY: 2, DNS: 3, FIRST_GUEST: 15 } as const;
export const DEFAULT_NETWORK = '10.0.2.0/24';
/** Prefixes with room for guests and not absurdly many. */
const PREFIX = { LEAST: 16, MOST: 27 } as const;

/** @throws TypeError for a network that is none, or has no room for guests. */
export function parseSubnet(text: string): Subnet {
  const [address = '', length = ''] = text.split('/');
  const prefix = Number(length);
  const first = parseIpv4(address);
  if (!Number.isInteger(prefix) || prefix < PREFIX.LEAST || prefix > PREFIX.MOST) {
    throw new TypeError(`${text}: the prefix must be from ${PREFIX.LEAST} to ${PREFIX.MOST}`);
  }
  const size = 2 ** (32 - prefix);
  if (first % size !== 0) throw new TypeError(`${text}: host bits are set`);
  const host = (number: number): Ipv4Address => (first + number) as Ipv4Address;
  return {
    network: first,
    mask: (2 ** 32 - size) as Ipv4Address,
    broadcast: host(size - 1),
    gateway: host(HOST.GATEWAY),
    dns: host(HOST.DNS),
    firstGuest: host(HOST.FIRST_GUEST),
    lastGuest: host(size - 2),
  };
}

export const isInside = (subnet: Subnet, address: Ipv4Address): boolean =>
  address >= subnet.network && address <= subnet.broadcast;

/** Where what a guest sends to an address really goes. */
export type Destination =
  | { readonly kind: 'host'; readonly address: '127.0.0.1' }
  | { readonly kind: 'dns' }
  | { readonly kind: 'outside'; readonly address: string }
  | { readonly kind: 'refused' };

/** RFC 6890: blocks that are this host, this link, or nobody. Connecting to 0.0.0.0 would reach the host's loopback. */
// biome-ignore format: one row per block
const UNREACHABLE: readonly (readonly [string, number, string])[] = [
  ['0.0.0.0',     8, 'this network'],
  ['127.0.0.0',   8, 'loopback of the host'],
  ['169.254.0.0', 16, 'the link of the host: RFC 3927 §7 forbids to forward it; clouds keep credentials there'],
  ['224.0.0.0',   4, 'multicast'],
  ['240.0.0.0',   4, 'reserved, and broadcast'],
];
const blocks = UNREACHABLE.map(([address, prefix]) => {
  const first = parseIpv4(address);
  return { first, last: first + 2 ** (32 - prefix) - 1 };
});

export function destinationOf(subnet: Subnet, address: Ipv4Address): Destination {
  if (address === subnet.gateway) return { kind: 'host', address: '127.0.0.1' };
  if (address === subnet.dns) return { kind: 'dns' };
  const refused = blocks.some(({ first, last }) => address >= first && address <= last);
  if (refused || isInside(subnet, address)) return { kind: 'refused' };
  return { kind: 'outside', address: formatIpv4(address) };
}
