/** Which port an address was last seen at. Spec: IEEE 802.1D §7.8 (learning), §7.9 (the filtering database). */

import type { Mac } from './mac.js';

/** An address not seen for so long is forgotten: its frames are flooded again. */
const AGEING_MS = 300_000;
/** Addresses learned from one port: one that invents them forgets its own, not those of others. */
const MOST_PER_PORT = 512;

interface Entry<P> {
  readonly port: P;
  /** Configured, not learned: never ages, never moves. */
  readonly fixed: boolean;
  seen: number;
}

export class MacTable<P> {
  readonly #entries = new Map<Mac, Entry<P>>();
  readonly #learned = new Map<P, number>();

  /** @returns false if another port has it. */
  fix(mac: Mac, port: P): boolean {
    const entry = this.#entries.get(mac);
    if (entry?.fixed && entry.port !== port) return false;
    if (entry) this.#drop(mac, entry);
    this.#entries.set(mac, { port, fixed: true, seen: 0 });
    return true;
  }

  /** A frame from that address came in at `port`. @returns false if the address is another port's own. */
  learn(mac: Mac, port: P, now: number): boolean {
    const entry = this.#entries.get(mac);
    if (entry?.port === port) {
      entry.seen = now;
      return true;
    }
    if (entry?.fixed) return false;
    if (entry) this.#drop(mac, entry);
    const learned = this.#learned.get(port) ?? 0;
    if (learned >= MOST_PER_PORT) this.#forgetOldest(port);
    this.#learned.set(port, Math.min(learned + 1, MOST_PER_PORT));
    this.#entries.set(mac, { port, fixed: false, seen: now });
    return true;
  }

  /** @returns undefined for an address that nobody has, as far as is known: flood. */
  lookup(mac: Mac, now: number): P | undefined {
    const entry = this.#entries.get(mac);
    if (!entry) return undefined;
    if (entry.fixed || now - entry.seen <= AGEING_MS) return entry.port;
    this.#drop(mac, entry);
    return undefined;
  }

  /** Forgets all addresses of a port. */
  forget(port: P): void {
    for (const [mac, entry] of this.#entries) if (entry.port === port) this.#entries.delete(mac);
    this.#learned.delete(port);
  }

  #drop(mac: Mac, { port, fixed }: Entry<P>): void {
    this.#entries.delete(mac);
    if (!fixed) this.#learned.set(port, (this.#learned.get(port) ?? 1) - 1);
  }

  /** The one learned first, as a Map keeps its order; the count stays for the one to come. */
  #forgetOldest(port: P): void {
    for (const [mac, entry] of this.#entries) {
      if (entry.port !== port || entry.fixed) continue;
      this.#entries.delete(mac);
      return;
    }
  }
}
