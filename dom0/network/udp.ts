/** UDP datagrams. Spec: RFC 768. */

import { addToSum, checksumOf, ipv4PseudoSum } from './checksum.js';
import type { Ipv4Packet } from './ipv4.js';
import { type Ipv4Output, type Ipv4Route, PAYLOAD } from './ipv4-output.js';
import { IP_PROTOCOL, UDP } from './protocols.js';
import { read16, write16 } from './wire.js';

export interface UdpDatagram {
  readonly source: number;
  readonly destination: number;
  /** Part of the frame. */
  readonly data: Uint8Array;
}

/** Most bytes of data that fit into an IP packet. */
const MAX_DATAGRAM = 0xffff - 20 - UDP.SIZE;

/** @returns undefined for a datagram that is longer than its packet, or shorter than a header. */
export function decodeUdp({ bytes, payload, end }: Ipv4Packet): UdpDatagram | undefined {
  const length = read16(bytes, payload + UDP.LENGTH);
  if (length < UDP.SIZE || payload + length > end) return undefined;
  return {
    source: read16(bytes, payload + UDP.SOURCE),
    destination: read16(bytes, payload + UDP.DESTINATION),
    data: bytes.subarray(payload + UDP.SIZE, payload + length),
  };
}

/** Sends a datagram, checksum included: it may have to be fragmented. What is too long is not sent. */
export function sendUdp(
  output: Ipv4Output,
  route: Omit<Ipv4Route, 'protocol'>,
  { source, destination, data }: UdpDatagram,
): void {
  if (data.length > MAX_DATAGRAM) return;
  const { bytes } = output;
  const length = UDP.SIZE + data.length;
  write16(bytes, PAYLOAD + UDP.SOURCE, source);
  write16(bytes, PAYLOAD + UDP.DESTINATION, destination);
  write16(bytes, PAYLOAD + UDP.LENGTH, length);
  write16(bytes, PAYLOAD + UDP.CHECKSUM, 0);
  bytes.set(data, PAYLOAD + UDP.SIZE);
  const pseudo = ipv4PseudoSum(route.source, route.destination, IP_PROTOCOL.UDP, length);
  const checksum = checksumOf(addToSum(pseudo, bytes, PAYLOAD, PAYLOAD + length));
  write16(bytes, PAYLOAD + UDP.CHECKSUM, checksum || 0xffff);
  output.send({ ...route, protocol: IP_PROTOCOL.UDP }, length);
}
