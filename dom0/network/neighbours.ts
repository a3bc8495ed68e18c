/** Which guest has which IPv4 address: from what it sends, unless the address is leased to another. */

import type { Ipv4Address } from './ipv4.js';
import type { Leases } from './leases.js';
import type { Mac } from './mac.js';
import { isInside, type Subnet } from './subnet.js';

/** Addresses remembered; the one not heard of for longest gives way. */
const MOST = 1024;

export class Neighbours {
  readonly #subnet: Subnet;
  readonly #macs = new Map<Ipv4Address, Mac>();
  #leases: Leases | undefined;

  constructor(subnet: Subnet) {
    this.#subnet = subnet;
  }

  useLeases(leases: Leases): void {
    this.#leases = leases;
  }

  /** A packet from that address came from that guest. @returns false if it may not use it. */
  learn(address: Ipv4Address, mac: Mac): boolean {
    if (this.#macs.get(address) === mac) return true;
    const owner = this.#leases?.ownerOf(address);
    if (owner !== undefined && owner !== mac) return false;
    if (!isInside(this.#subnet, address) || address <= this.#subnet.dns) return false;
    if (address === this.#subnet.broadcast) return false;
    this.#macs.delete(address);
    for (const oldest of this.#macs.keys()) {
      if (this.#macs.size < MOST) break;
      this.#macs.delete(oldest);
    }
    this.#macs.set(address, mac);
    return true;
  }

  lookup(address: Ipv4Address): Mac | undefined {
    return this.#leases?.ownerOf(address) ?? this.#macs.get(address);
  }

  /** A lease has given the address to a guest: who had it before is forgotten. */
  assign(address: Ipv4Address, mac: Mac): void {
    this.#macs.set(address, mac);
  }

  forget(mac: Mac): void {
    for (const [address, owner] of this.#macs) if (owner === mac) this.#macs.delete(address);
  }
}
