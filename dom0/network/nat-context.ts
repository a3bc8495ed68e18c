/** What the parts of the NAT share. */

import type { NetworkHost } from './host.js';
import type { Ipv4Address } from './ipv4.js';
import type { Ipv4Output } from './ipv4-output.js';
import type { Mac } from './mac.js';
import { type Destination, destinationOf, type Subnet } from './subnet.js';

/** Bounds, each per guest; a fault or attack of one leaves the others theirs. */
export interface NatLimits {
  readonly tcpConnections: number;
  /** Of these, how many may be opening. */
  readonly tcpOpening: number;
  readonly udpFlows: number;
  readonly dnsQueries: number;
}

export const DEFAULT_LIMITS: NatLimits = {
  tcpConnections: 1024,
  tcpOpening: 128,
  udpFlows: 256,
  dnsQueries: 64,
};

export type Protocol = 'tcp' | 'udp';
/** Whether guests may reach an address and port, as they see it; asked after the rules of the subnet. */
export type Policy = (protocol: Protocol, address: string, port: number) => boolean;

export interface NatContext {
  readonly host: NetworkHost;
  readonly subnet: Subnet;
  readonly mtu: number;
  readonly output: Ipv4Output;
  readonly limits: NatLimits;
  /** Where guests' DNS goes: "192.0.2.1", "192.0.2.1:5353", "[2001:db8::1]:5353". */
  resolvers(): readonly string[];
  allows(protocol: Protocol, destination: Destination, port: number): boolean;
  /** Tells a guest that a packet of its could not be delivered. */
  unreachable(mac: Mac, to: Ipv4Address, quotation: Uint8Array, code: number): void;
}

/** An address and port of a socket. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

const DNS_PORT = 53;

/** "address", "address:port", "[v6]:port" or "v6", as dns.getServers() writes them. */
export function parseResolver(text: string): Endpoint {
  const parts = /^\[(.*)\]:(\d+)$/.exec(text) ?? /^([^:]*):(\d+)$/.exec(text);
  const [, address = text, port = `${DNS_PORT}`] = parts ?? [];
  return { address, port: Number(port) };
}

/** Where a connection or datagram for an address and port of the subnet's world goes. @returns undefined if nowhere. */
export function route(
  context: NatContext,
  protocol: Protocol,
  address: Ipv4Address,
  port: number,
): Endpoint | undefined {
  const destination = destinationOf(context.subnet, address);
  if (port === 0 || !context.allows(protocol, destination, port)) return undefined;
  switch (destination.kind) {
    case 'refused':
      return undefined;
    case 'dns': {
      const [first] = context.resolvers();
      return port === DNS_PORT && first !== undefined ? parseResolver(first) : undefined;
    }
    default:
      return { address: destination.address, port };
  }
}
