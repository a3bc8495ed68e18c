/** The records of all domains: those that exist, and the last few that have ended. Finds them by domid, name or uuid. */

import type { DomainName } from '../trace/recording-format.js';
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

  /** What the domains are called that exist. */
  named(): DomainName[] {
    return this.live().map(({ domid, name, uuid }) => ({ domid, name, uuid }));
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
    return firstNamed(this.#live, id);
  }

  /** Domains that exist come before those that have ended, newer before older. */
  require(id: string): DomainRecord {
    const found = this.lookup(id) ?? firstNamed(this.#ended.toReversed(), id);
    if (found === undefined)
      throw new CommandError('no-such-domain', `There is no domain "${id}".`);
    return found;
  }
}

/** For hundreds of readers of the trace this is asked a hundred times a second. */
function firstNamed(records: Iterable<DomainRecord>, id: string): DomainRecord | undefined {
  const wanted = id.toLowerCase();
  for (const record of records) {
    const { domid, name, uuid } = record;
    if (name === id || uuid === wanted || String(domid) === id) return record;
  }
  return undefined;
}
