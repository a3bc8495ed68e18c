/** ICMP messages. Spec: RFC 792; RFC 1812 §4.3 (errors a router sends), §5.2.7.1 (code 13). */

import { addToSum, checksumOf } from './checksum.js';
import type { Ipv4Packet } from './ipv4.js';
import { copyOf, read8, write16, write32 } from './wire.js';

export const ICMP_TYPE = { ECHO_REPLY: 0, UNREACHABLE: 3, ECHO: 8, TIME_EXCEEDED: 11 } as const;
export const UNREACHABLE = { NETWORK: 0, HOST: 1, PORT: 3, PROHIBITED: 13 } as const;

export const ICMP_HEADER = 8;
/** What an error quotes of the packet's payload: enough for the ports. */
const QUOTED = 8;

/** Type of a message whose checksum is right. */
export function icmpTypeOf({ bytes, payload, end }: Ipv4Packet): number | undefined {
  if (end - payload < ICMP_HEADER) return undefined;
  return checksumOf(addToSum(0, bytes, payload, end)) === 0 ? read8(bytes, payload) : undefined;
}

/** The beginning of a packet, as errors quote it: kept by who may have to send one later. */
export const quotationOf = ({ bytes, header, payload, end }: Ipv4Packet): Uint8Array =>
  copyOf(bytes, header, Math.min(end, payload + QUOTED));

/** Writes an error. @returns its length. */
export function writeIcmpError(
  out: Uint8Array,
  at: number,
  type: number,
  code: number,
  quotation: Uint8Array,
): number {
  const length = ICMP_HEADER + quotation.length;
  write16(out, at, (type << 8) | code);
  write16(out, at + 2, 0);
  write32(out, at + 4, 0);
  out.set(quotation, at + ICMP_HEADER);
  write16(out, at + 2, checksumOf(addToSum(0, out, at, at + length)));
  return length;
}

/** Writes the reply to an echo request. @returns its length. */
export function writeEchoReply(out: Uint8Array, at: number, request: Uint8Array): number {
  out.set(request, at);
  write16(out, at, ICMP_TYPE.ECHO_REPLY << 8);
  write16(out, at + 2, 0);
  write16(out, at + 2, checksumOf(addToSum(0, out, at, at + request.length)));
  return request.length;
}
