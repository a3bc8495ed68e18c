/** Where IP and what it carries begin and end in a frame: all that checksums and cutting need to know of it. */

import {
  ETHERNET_SIZE,
  ETHERTYPE,
  IP_PROTOCOL,
  IPV4,
  IPV4_FRAGMENT,
  IPV6,
  IPV6_EXTENSION,
  TCP,
  UDP,
  VLAN_SIZE,
} from './protocols.js';
import { read8, read16 } from './wire.js';

export interface FrameLayout {
  readonly version: 4 | 6;
  /** Where the IP header begins. */
  readonly ip: number;
  /** Where TCP or UDP begins. */
  readonly transport: number;
  readonly protocol: typeof IP_PROTOCOL.TCP | typeof IP_PROTOCOL.UDP;
  /** Where the IP packet ends; what follows is padding. */
  readonly end: number;
}

/** Tags before the type of a frame, at most. */
const MOST_TAGS = 2;
const MOST_EXTENSIONS = 8;

/** @returns undefined for a frame that is no whole TCP segment or UDP datagram: it has no checksum to complete. */
export function layoutOf(bytes: Uint8Array): FrameLayout | undefined {
  let at = ETHERNET_SIZE;
  for (let tags = 0; tags < MOST_TAGS && read16(bytes, at - 2) === ETHERTYPE.VLAN; tags++) {
    at += VLAN_SIZE;
  }
  const type = read16(bytes, at - 2);
  if (type === ETHERTYPE.IPV4) return ipv4Layout(bytes, at);
  return type === ETHERTYPE.IPV6 ? ipv6Layout(bytes, at) : undefined;
}

/** Where the field lies in the transport's header. */
export const checksumField = ({ transport, protocol }: FrameLayout): number =>
  transport + (protocol === IP_PROTOCOL.TCP ? TCP.CHECKSUM : UDP.CHECKSUM);

function ipv4Layout(bytes: Uint8Array, ip: number): FrameLayout | undefined {
  const header = (read8(bytes, ip) & 0xf) * 4;
  const fragment = read16(bytes, ip + IPV4.FRAGMENT);
  if (read8(bytes, ip) >>> 4 !== 4 || header < IPV4.SIZE) return undefined;
  if ((fragment & (IPV4_FRAGMENT.MORE | IPV4_FRAGMENT.OFFSET)) !== 0) return undefined;
  const end = ip + read16(bytes, ip + IPV4.LENGTH);
  return transportLayout(bytes, 4, ip, ip + header, read8(bytes, ip + IPV4.PROTOCOL), end);
}

function ipv6Layout(bytes: Uint8Array, ip: number): FrameLayout | undefined {
  if (read8(bytes, ip) >>> 4 !== 6) return undefined;
  let next = read8(bytes, ip + IPV6.NEXT);
  let at = ip + IPV6.SIZE;
  for (let count = 0; count < MOST_EXTENSIONS && isExtension(next); count++) {
    next = read8(bytes, at);
    at += 8 + 8 * read8(bytes, at + 1);
  }
  return transportLayout(bytes, 6, ip, at, next, ip + IPV6.SIZE + read16(bytes, ip + IPV6.LENGTH));
}

const isExtension = (next: number): boolean =>
  next === IPV6_EXTENSION.HOP_BY_HOP ||
  next === IPV6_EXTENSION.ROUTING ||
  next === IPV6_EXTENSION.DESTINATION;

function transportLayout(
  bytes: Uint8Array,
  version: 4 | 6,
  ip: number,
  transport: number,
  protocol: number,
  end: number,
): FrameLayout | undefined {
  if (protocol !== IP_PROTOCOL.TCP && protocol !== IP_PROTOCOL.UDP) return undefined;
  const least = protocol === IP_PROTOCOL.TCP ? TCP.SIZE : UDP.SIZE;
  if (end > bytes.length || transport + least > end) return undefined;
  return { version, ip, transport, protocol, end };
}
