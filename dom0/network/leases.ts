/** Who has which address: one per MAC, and the same one again after a reboot, for as long as the network lives. */

import type { NetworkHost } from './host.js';
import type { Ipv4Address } from './ipv4.js';
import type { Mac } from './mac.js';
import type { Subnet } from './subnet.js';

/** Seconds. */
export const LEASE_TIME = 86_400;
/** Milliseconds an address is kept for who was offered it; and out of use that somebody says is in use. */
const OFFER_TIME = 60_000;
const DECLINED_TIME = 600_000;

/** Addresses out of use at once: a guest that finds fault with every address must not use them up. */
const MOST_DECLINED = 8;

export interface Lease {
  readonly mac: Mac;
  readonly address: Ipv4Address;
  /** 'past': released or declined; remembered so that the guest gets it again. */
  readonly state: 'reserved' | 'offered' | 'bound' | 'past';
  readonly hostName: string | undefined;
  /** On the clock of the host; a reservation does not expire. */
  readonly expires: number;
}

export class Leases {
  readonly #host: NetworkHost;
  readonly #subnet: Subnet;
  readonly #byMac = new Map<Mac, Lease>();
  readonly #byAddress = new Map<Ipv4Address, Lease>();
  readonly #declined = new Map<Ipv4Address, number>();
  readonly #isTaken: (address: Ipv4Address, mac: Mac) => boolean;

  /** @param isTaken whether another guest uses an address that was not leased to it. */
  constructor(
    host: NetworkHost,
    subnet: Subnet,
    isTaken: (address: Ipv4Address, mac: Mac) => boolean,
  ) {
    this.#host = host;
    this.#subnet = subnet;
    this.#isTaken = isTaken;
  }

  all(): Lease[] {
    return [...this.#byMac.values()];
  }

  /** Gives a guest its address before it asks. @throws TypeError if another has it, or nobody can. */
  reserve(mac: Mac, address: Ipv4Address, hostName: string | undefined): void {
    const { firstGuest, lastGuest } = this.#subnet;
    const holder = this.#byAddress.get(address);
    if (address < firstGuest || address > lastGuest)
      throw new TypeError('not an address for guests');
    if (holder && holder.mac !== mac) throw new TypeError("the address is another guest's");
    this.#put({ mac, address, state: 'reserved', hostName, expires: Number.POSITIVE_INFINITY });
  }

  lookup(mac: Mac): Lease | undefined {
    return this.#byMac.get(mac);
  }

  /** Whose address it is now; undefined if anybody may use it. */
  ownerOf(address: Ipv4Address): Mac | undefined {
    const lease = this.#byAddress.get(address);
    return lease && this.#isCurrent(lease) ? lease.mac : undefined;
  }

  /** The address to offer: its own, the one it wishes, a fresh one, or one long unused. @returns undefined if all are in use. */
  offer(mac: Mac, wish: Ipv4Address | undefined, hostName: string | undefined): Lease | undefined {
    const known = this.#byMac.get(mac);
    if (known && this.#isCurrent(known)) return known;
    const candidates = [known?.address, wish].filter((address) => address !== undefined);
    const address =
      candidates.find((candidate) => this.#isFree(candidate, mac)) ?? this.#findFree(mac);
    if (address === undefined) return undefined;
    const expires = this.#host.now() + OFFER_TIME;
    return this.#put({ mac, address, state: 'offered', hostName, expires });
  }

  /** @returns undefined if the guest may not have that address. */
  bind(mac: Mac, address: Ipv4Address, hostName: string | undefined): Lease | undefined {
    const lease = this.offer(mac, address, hostName);
    if (lease?.address !== address) return undefined;
    if (lease.state === 'reserved') return lease;
    const expires = this.#host.now() + LEASE_TIME * 1000;
    return this.#put({ ...lease, state: 'bound', hostName: hostName ?? lease.hostName, expires });
  }

  release(mac: Mac, address: Ipv4Address): void {
    const lease = this.#byMac.get(mac);
    if (lease?.address !== address || lease.state === 'reserved') return;
    this.#put({ ...lease, state: 'past', expires: this.#host.now() });
  }

  /** The guest has found the address in use. */
  decline(mac: Mac, address: Ipv4Address): void {
    const lease = this.#byMac.get(mac);
    if (lease?.address !== address || lease.state === 'reserved') return;
    this.#drop(lease);
    for (const oldest of this.#declined.keys()) {
      if (this.#declined.size < MOST_DECLINED) break;
      this.#declined.delete(oldest);
    }
    this.#declined.set(address, this.#host.now() + DECLINED_TIME);
  }

  #isCurrent({ state, expires }: Lease): boolean {
    return state !== 'past' && expires > this.#host.now();
  }

  #isFree(address: Ipv4Address, mac: Mac): boolean {
    const { firstGuest, lastGuest } = this.#subnet;
    if (address < firstGuest || address > lastGuest) return false;
    const holder = this.#byAddress.get(address);
    if (holder && holder.mac !== mac && this.#isCurrent(holder)) return false;
    if ((this.#declined.get(address) ?? 0) > this.#host.now()) return false;
    return !this.#isTaken(address, mac);
  }

  /** One nobody has had, else the one unused for longest: a Map keeps the order in which leases were last put. */
  #findFree(mac: Mac): Ipv4Address | undefined {
    const { firstGuest, lastGuest } = this.#subnet;
    for (let address = firstGuest; address <= lastGuest; address++) {
      if (!this.#byAddress.has(address) && this.#isFree(address, mac)) return address;
    }
    return this.all().find(({ address }) => this.#isFree(address, mac))?.address;
  }

  #put(lease: Lease): Lease {
    for (const old of [this.#byMac.get(lease.mac), this.#byAddress.get(lease.address)]) {
      if (old) this.#drop(old);
    }
    this.#byMac.set(lease.mac, lease);
    this.#byAddress.set(lease.address, lease);
    return lease;
  }

  #drop({ mac, address }: Lease): void {
    this.#byMac.delete(mac);
    this.#byAddress.delete(address);
  }
}
