/** DHCP messages as values and as bytes. Spec: RFC 2131 §2 (format), RFC 2132 (options), RFC 1497 (magic cookie). */

import { type Ipv4Address, readIpv4 } from './ipv4.js';
import { type Mac, readMac, writeMac } from './mac.js';
import { read8, read16, read32, write16, write32 } from './wire.js';

export const DHCP_PORT = { SERVER: 67, CLIENT: 68 } as const;

export const DHCP_TYPE = {
  DISCOVER: 1,
  OFFER: 2,
  REQUEST: 3,
  DECLINE: 4,
  ACK: 5,
  NAK: 6,
  RELEASE: 7,
  INFORM: 8,
} as const;

export const DHCP_OPTION = {
  MASK: 1,
  ROUTER: 3,
  DNS: 6,
  HOST_NAME: 12,
  MTU: 26,
  BROADCAST: 28,
  REQUESTED_ADDRESS: 50,
  LEASE_TIME: 51,
  TYPE: 53,
  SERVER: 54,
  RENEWAL_TIME: 58,
  REBINDING_TIME: 59,
} as const;

const BOOT = { REQUEST: 1, REPLY: 2 } as const;
const OPTION_PAD = 0;
const OPTION_END = 255;
const ETHERNET = 0x0106; // hardware type 1, addresses of 6 bytes
const MAGIC = 0x6382_5363;
const OFFSET = {
  OPERATION: 0,
  HARDWARE: 1,
  TRANSACTION: 4,
  FLAGS: 10,
  CLIENT: 12,
  YOURS: 16,
  SERVER: 20,
  MAC: 28,
  MAGIC: 236,
  OPTIONS: 240,
} as const;
/** RFC 1542 §2.1: old clients want no less. */
const LEAST_SIZE = 300;

export interface DhcpRequest {
  readonly type: number;
  readonly transaction: number;
  readonly flags: number;
  /** The address the client has already, or 0. */
  readonly client: Ipv4Address;
  readonly mac: Mac;
  readonly requested: Ipv4Address | undefined;
  readonly server: Ipv4Address | undefined;
  readonly hostName: string | undefined;
}

export interface DhcpReply {
  readonly type: number;
  readonly yours: Ipv4Address;
  readonly server: Ipv4Address;
  /** Code and value of the options besides type and server. */
  readonly options: readonly (readonly [number, Uint8Array])[];
}

/** @returns undefined for what is no DHCP request over Ethernet. */
export function decodeDhcp(bytes: Uint8Array): DhcpRequest | undefined {
  if (bytes.length < OFFSET.OPTIONS || read8(bytes, OFFSET.OPERATION) !== BOOT.REQUEST)
    return undefined;
  if (read16(bytes, OFFSET.HARDWARE) !== ETHERNET || read32(bytes, OFFSET.MAGIC) !== MAGIC) {
    return undefined;
  }
  const options = decodeOptions(bytes);
  const type = options.get(DHCP_OPTION.TYPE);
  if (type?.length !== 1) return undefined;
  const address = (code: number): Ipv4Address | undefined => {
    const value = options.get(code);
    return value?.length === 4 ? readIpv4(value, 0) : undefined;
  };
  return {
    type: read8(type, 0),
    transaction: read32(bytes, OFFSET.TRANSACTION),
    flags: read16(bytes, OFFSET.FLAGS),
    client: readIpv4(bytes, OFFSET.CLIENT),
    mac: readMac(bytes, OFFSET.MAC),
    requested: address(DHCP_OPTION.REQUESTED_ADDRESS),
    server: address(DHCP_OPTION.SERVER),
    hostName: decodeHostName(options.get(DHCP_OPTION.HOST_NAME)),
  };
}

function decodeOptions(bytes: Uint8Array): Map<number, Uint8Array> {
  const options = new Map<number, Uint8Array>();
  for (let at: number = OFFSET.OPTIONS; at < bytes.length; ) {
    const code = read8(bytes, at);
    if (code === OPTION_END) break;
    const length = code === OPTION_PAD ? -1 : read8(bytes, at + 1);
    const value = bytes.subarray(at + 2, at + 2 + length);
    if (length >= 0 && value.length === length) options.set(code, value);
    at += 2 + length;
  }
  return options;
}

/** Only what may stand in a host name: it is shown to people, and names come from guests. RFC 952. */
function decodeHostName(value: Uint8Array | undefined): string | undefined {
  const name = new TextDecoder('latin1').decode(value ?? new Uint8Array(0));
  return /^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$/.test(name) ? name : undefined;
}

/** The answer to a request. */
export function encodeDhcp(request: DhcpRequest, reply: DhcpReply): Uint8Array {
  const server = new Uint8Array(4);
  write32(server, 0, reply.server);
  const options: readonly (readonly [number, Uint8Array])[] = [
    [DHCP_OPTION.TYPE, Uint8Array.of(reply.type)],
    [DHCP_OPTION.SERVER, server],
    ...reply.options,
  ];
  const encoded = options.flatMap(([code, value]) => [code, value.length, ...value]);
  const bytes = new Uint8Array(Math.max(LEAST_SIZE, OFFSET.OPTIONS + encoded.length + 1));
  bytes[OFFSET.OPERATION] = BOOT.REPLY;
  write16(bytes, OFFSET.HARDWARE, ETHERNET);
  write32(bytes, OFFSET.TRANSACTION, request.transaction);
  write16(bytes, OFFSET.FLAGS, request.flags);
  write32(bytes, OFFSET.CLIENT, request.client);
  write32(bytes, OFFSET.YOURS, reply.yours);
  write32(bytes, OFFSET.SERVER, reply.server);
  writeMac(bytes, OFFSET.MAC, request.mac);
  write32(bytes, OFFSET.MAGIC, MAGIC);
  bytes.set([...encoded, OPTION_END], OFFSET.OPTIONS);
  return bytes;
}
