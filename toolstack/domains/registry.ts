/** The records of all domains: those that exist, and the last few that have ended. Finds them by domid, name or uuid. */

import { CommandError } from './errors.js';
import type { DomainRecord } from './record.js';

/** Ended domains remembered, with their consoles. */
const REMEMBERED = 64;

export class Registry {
  readonly #live = new Set<DomainRecord>();
  #ended: DomainRecord[] = [];

  live(): DomainRecord[] {
    return [...this.#live];
  }

  /** Newest last. */
  ended(): readonly DomainRecord[] {
    return this.#ended;
  }

  byDomid(domid: number): DomainRecord | undefined {
    return this.live().find((record) => record.domid === domid);
  }

  /** Reserves name and uuid from now on. Throws `name-in-use` if one of them is taken. */
  add(record: DomainRecord): void {
    this.requireFree('name', record.name);
    this.requireFree('uuid', record.uuid);
    this.#live.add(record);
  }

  /** Throws `name-in-use` if a domain other than `unless` has it. */
  requireFree(field: 'name' | 'uuid', value: string, unless?: DomainRecord): void {
    const holder = this.live().find((other) => other[field] === value && other !== unless);
    if (holder === undefined) return;
    const detail = `is in use by domain ${holder.domid || 'being built'}`;
    throw new CommandError('name-in-use', `The ${field} "${value}" ${detail}.`, {
      errors: [{ pointer: `/${field}`, detail, found: value }],
    });
  }

  /** Forgets a domain that was never built. */
  drop(record: DomainRecord): void {
    this.#live.delete(record);
  }

  /** A domain has been destroyed: it is remembered for a while. */
  end(record: DomainRecord): void {
    this.#live.delete(record);
    this.#ended = [...this.#ended, record].slice(-REMEMBERED);
  }

  /** Forgets a domain that has ended. */
  forget(record: DomainRecord): void {
    this.#ended = this.#ended.filter((other) => other !== record);
  }

  /** Among the domains that exist. */
  lookup(id: string): DomainRecord | undefined {
    return this.live().find((record) => isNamed(record, id));
  }

  /** Domains that exist come before those that have ended, newer before older. */
  require(id: string): DomainRecord {
    const candidates = [...this.#live, ...this.#ended.toReversed()];
    const found = candidates.find((record) => isNamed(record, id));
    if (found === undefined)
      throw new CommandError('no-such-domain', `There is no domain "${id}".`);
    return found;
  }
}

const isNamed = ({ domid, name, uuid }: DomainRecord, id: string): boolean =>
  String(domid) === id || name === id || uuid === id.toLowerCase();
