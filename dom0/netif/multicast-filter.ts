/** The multicast addresses a guest wants frames for, if it has asked for a choice. Spec: Xen public/io/netif.h, "feature-multicast-control". */

import { isMulticast, MAC_SIZE, type Mac, readMac } from '../network/mac.js';

/** Addresses of one guest. */
const MOST = 64;
const BROADCAST = 2 ** 48 - 1;

export class MulticastFilter {
  /** Whether the guest has asked for it: the list may be kept before. */
  active = false;
  readonly #wanted = new Set<Mac>();

  /** @returns false if there are too many addresses already, or `address` is too short to be one. */
  change(join: boolean, address: Uint8Array): boolean {
    if (address.length < MAC_SIZE) return false;
    const mac = readMac(address, 0);
    if (!join) this.#wanted.delete(mac);
    else if (this.#wanted.size < MOST || this.#wanted.has(mac)) this.#wanted.add(mac);
    else return false;
    return true;
  }

  /** Whether the guest wants the frame. */
  passes(frame: Uint8Array): boolean {
    if (!this.active || !isMulticast(frame, 0)) return true;
    const mac = readMac(frame, 0);
    return mac === BROADCAST || this.#wanted.has(mac);
  }

  clear(): void {
    this.active = false;
    this.#wanted.clear();
  }
}
