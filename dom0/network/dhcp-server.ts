/** Answers DHCP. It is the only server of its network, so what it does not know is refused. Spec: RFC 2131 §4.3. */

import {
  DHCP_OPTION,
  DHCP_TYPE,
  type DhcpReply,
  type DhcpRequest,
  decodeDhcp,
  encodeDhcp,
} from './dhcp.js';
import type { Ipv4Address } from './ipv4.js';
import { LEASE_TIME, type Lease, type Leases } from './leases.js';
import type { Mac } from './mac.js';
import type { Subnet } from './subnet.js';
import { write16, write32 } from './wire.js';

export interface DhcpAnswer {
  readonly bytes: Uint8Array;
  /** undefined: to all. RFC 2131 §4.1. */
  readonly to: Ipv4Address | undefined;
}

const NO_ADDRESS = 0 as Ipv4Address;
const BROADCAST_FLAG = 0x8000;

export class DhcpServer {
  readonly #subnet: Subnet;
  readonly #leases: Leases;
  readonly #mtu: number;

  constructor(subnet: Subnet, leases: Leases, mtu: number) {
    this.#subnet = subnet;
    this.#leases = leases;
    this.#mtu = mtu;
  }

  /** @param mac of the frame: a guest asks for nobody else. @returns undefined for what needs no answer. */
  answer(mac: Mac, message: Uint8Array): DhcpAnswer | undefined {
    const request = decodeDhcp(message);
    if (!request || request.mac !== mac) return undefined;
    const reply = this.#reply(request);
    return reply && { bytes: encodeDhcp(request, reply), to: replyAddress(request, reply) };
  }

  #reply(request: DhcpRequest): DhcpReply | undefined {
    switch (request.type) {
      case DHCP_TYPE.DISCOVER:
        return this.#discover(request);
      case DHCP_TYPE.REQUEST:
        return this.#request(request);
      case DHCP_TYPE.INFORM:
        return this.#message(DHCP_TYPE.ACK, NO_ADDRESS, this.#network());
      case DHCP_TYPE.RELEASE:
        this.#leases.release(request.mac, request.client);
        return undefined;
      case DHCP_TYPE.DECLINE:
        this.#leases.decline(request.mac, request.requested ?? NO_ADDRESS);
        return undefined;
      default:
        return undefined;
    }
  }

  #discover({ mac, requested, hostName }: DhcpRequest): DhcpReply | undefined {
    const lease = this.#leases.offer(mac, requested, hostName);
    return lease && this.#message(DHCP_TYPE.OFFER, lease.address, this.#leaseOptions(lease));
  }

  /** RFC 2131 §4.3.2: an offer taken (with a server), a reboot (an address), a renewal (an address in use). */
  #request(request: DhcpRequest): DhcpReply | undefined {
    const { mac, server, requested, client, hostName } = request;
    if (server !== undefined && server !== this.#subnet.gateway) return undefined;
    const lease = this.#leases.bind(mac, requested ?? client, hostName);
    if (!lease) return this.#message(DHCP_TYPE.NAK, NO_ADDRESS, []);
    return this.#message(DHCP_TYPE.ACK, lease.address, this.#leaseOptions(lease));
  }

  #message(type: number, yours: Ipv4Address, options: DhcpReply['options']): DhcpReply {
    return { type, yours, server: this.#subnet.gateway, options };
  }

  #network(): DhcpReply['options'] {
    const { mask, gateway, dns, broadcast } = this.#subnet;
    return [
      [DHCP_OPTION.MASK, u32(mask)],
      [DHCP_OPTION.ROUTER, u32(gateway)],
      [DHCP_OPTION.DNS, u32(dns)],
      [DHCP_OPTION.BROADCAST, u32(broadcast)],
      [DHCP_OPTION.MTU, u16(this.#mtu)],
    ];
  }

  #leaseOptions({ hostName }: Lease): DhcpReply['options'] {
    const name = new TextEncoder().encode(hostName ?? '');
    return [
      ...this.#network(),
      [DHCP_OPTION.LEASE_TIME, u32(LEASE_TIME)],
      [DHCP_OPTION.RENEWAL_TIME, u32(LEASE_TIME / 2)],
      [DHCP_OPTION.REBINDING_TIME, u32((LEASE_TIME * 7) / 8)],
      ...(name.length > 0 ? [[DHCP_OPTION.HOST_NAME, name] as const] : []),
    ];
  }
}

function replyAddress(request: DhcpRequest, reply: DhcpReply): Ipv4Address | undefined {
  if (reply.type === DHCP_TYPE.NAK) return undefined;
  if (request.client !== NO_ADDRESS) return request.client;
  return request.flags & BROADCAST_FLAG || reply.yours === NO_ADDRESS ? undefined : reply.yours;
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  write32(bytes, 0, value);
  return bytes;
}

function u16(value: number): Uint8Array {
  const bytes = new Uint8Array(2);
  write16(bytes, 0, value);
  return bytes;
}
