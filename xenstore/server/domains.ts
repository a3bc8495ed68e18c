/** The domains the daemon knows: domain 0, those introduced, and those named in permissions before that. */
import type { Connection } from './connection.js';

export interface DomainRecord {
  readonly domid: number;
  /** Generation of the store at which the number came into use. */
  readonly since: number;
  introduced: boolean;
  mfn: number;
  port: number;
  /** Its shutdown has been announced by @releaseDomain. */
  shutdown: boolean;
  /** Its ring, once the host has connected it. */
  connection: Connection | undefined;
  /** Feature bits set for it (SET_FEATURE), undefined: those of the server. */
  features: number | undefined;
}

const record = (domid: number, since: number): DomainRecord => ({
  domid,
  since,
  introduced: false,
  mfn: 0,
  port: 0,
  shutdown: false,
  connection: undefined,
  features: undefined,
});

export class Domains {
  readonly #records = new Map<number, DomainRecord>();
  readonly #exists: (domid: number) => boolean;
  readonly #generation: () => number;

  /**
   * @param exists whether a number is in use, for numbers not introduced
   * @param generation of the store, now
   */
  constructor(exists: (domid: number) => boolean, generation: () => number) {
    this.#exists = exists;
    this.#generation = generation;
    const dom0 = this.#add(0, 0);
    dom0.introduced = true;
  }

  /** Since which generation a number is in use; undefined: it is not. */
  readonly since = (domid: number): number | undefined => this.#records.get(domid)?.since;

  get(domid: number): DomainRecord | undefined {
    return this.#records.get(domid);
  }

  /** The record of a number in use, made on first mention; undefined: no such domain. */
  mention(domid: number): DomainRecord | undefined {
    const known = this.#records.get(domid);
    if (known !== undefined) return known;
    return this.#exists(domid) ? this.#add(domid, this.#generation()) : undefined;
  }

  /** The record of a domain that certainly exists. */
  require(domid: number): DomainRecord {
    return this.#records.get(domid) ?? this.#add(domid, this.#generation());
  }

  forget(domid: number): void {
    this.#records.delete(domid);
  }

  all(): IterableIterator<DomainRecord> {
    return this.#records.values();
  }

  #add(domid: number, since: number): DomainRecord {
    const added = record(domid, since);
    this.#records.set(domid, added);
    return added;
  }
}
