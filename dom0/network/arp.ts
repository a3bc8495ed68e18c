/** The address resolution protocol, for IPv4 on Ethernet. Spec: RFC 826. */

import { type Ipv4Address, readIpv4 } from './ipv4.js';
import { type Mac, readMac, writeMac } from './mac.js';
import { ETHERTYPE } from './protocols.js';
import { read16, read32, write16, write32 } from './wire.js';

export const ARP_OPERATION = { REQUEST: 1, REPLY: 2 } as const;
const SIZE = 28;
const OFFSET = {
  TYPE: 2,
  SIZES: 4,
  OPERATION: 6,
  SENDER: 8,
  SENDER_IP: 14,
  TARGET: 18,
  TARGET_IP: 24,
};
/** Hardware type Ethernet, protocol IPv4, lengths 6 and 4. */
const ETHERNET = 1;
const KINDS = ((ETHERNET << 16) | ETHERTYPE.IPV4) >>> 0;
const SIZES = 0x0604;

export interface ArpPacket {
  readonly operation: number;
  readonly sender: Mac;
  readonly senderIp: Ipv4Address;
  readonly target: Mac;
  readonly targetIp: Ipv4Address;
}

/** @returns undefined for what is not about IPv4 on Ethernet. */
export function decodeArp(bytes: Uint8Array, at: number): ArpPacket | undefined {
  if (at + SIZE > bytes.length) return undefined;
  if (read32(bytes, at) !== KINDS || read16(bytes, at + OFFSET.SIZES) !== SIZES) return undefined;
  return {
    operation: read16(bytes, at + OFFSET.OPERATION),
    sender: readMac(bytes, at + OFFSET.SENDER),
    senderIp: readIpv4(bytes, at + OFFSET.SENDER_IP),
    target: readMac(bytes, at + OFFSET.TARGET),
    targetIp: readIpv4(bytes, at + OFFSET.TARGET_IP),
  };
}

export function encodeArp(packet: ArpPacket): Uint8Array {
  const bytes = new Uint8Array(SIZE);
  write32(bytes, 0, KINDS);
  write16(bytes, OFFSET.SIZES, SIZES);
  write16(bytes, OFFSET.OPERATION, packet.operation);
  writeMac(bytes, OFFSET.SENDER, packet.sender);
  write32(bytes, OFFSET.SENDER_IP, packet.senderIp);
  writeMac(bytes, OFFSET.TARGET, packet.target);
  write32(bytes, OFFSET.TARGET_IP, packet.targetIp);
  return bytes;
}
