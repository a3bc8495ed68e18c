/**
 * Definitions: domains that are remembered whether they run or not. What is acknowledged is on disk; of two who change the same
 * one at once, the second sees what the first has made of it.
 */

import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { Definition, type DefinitionChange } from '../schemas/definition.js';
import type { Domain } from '../schemas/domain.js';
import type { DefinitionEvent } from '../schemas/event.js';
import type { Collection } from '../state/collection.js';
import { requireValid } from './checked.js';
import type { Domains } from './domains.js';
import { CommandError } from './errors.js';
import { namesTag, tagOf } from './etag.js';
import type { EventLog } from './event-log.js';

const MOST_DEFINITIONS = 1000;

/** What must hold of the definition that there is, by its tag. */
export interface Conditions {
  readonly ifMatch?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
}

export interface Put {
  readonly definition: Definition;
  /** There was none by that name. */
  readonly isNew: boolean;
}

/** What makes domains. */
type Maker = Pick<Domains, 'run' | 'read'>;

export class Definitions {
  readonly #kept: Collection<Definition>;
  readonly #domains: Maker;
  readonly #events: EventLog;

  constructor(kept: Collection<Definition>, domains: Maker, events: EventLog) {
    this.#kept = kept;
    this.#domains = domains;
    this.#events = events;
  }

  /** By name. */
  list(): Definition[] {
    return this.#kept.list();
  }

  /** Throws `no-such-definition`. */
  read(name: string): Definition {
    return requireThere(name, this.#kept.get(name));
  }

  /** Makes or replaces one. A uuid that is left out stays what it was, or is chosen now. */
  async put(name: string, wanted: Definition, conditions: Conditions = {}): Promise<Put> {
    let isNew = false;
    const definition = await this.#write(name, (present) => {
      requireConditions(name, present, conditions);
      isNew = present === undefined;
      if (isNew && this.#kept.size >= MOST_DEFINITIONS) throw tooMany();
      return this.#settle(name, wanted, present);
    });
    return { definition, isNew };
  }

  /** Changes single fields of one; what comes of it is checked as a whole. */
  change(name: string, change: DefinitionChange, conditions: Conditions = {}): Promise<Definition> {
    return this.#write(name, (kept) => {
      const present = requireThere(name, kept);
      requireConditions(name, present, conditions);
      const { config = {}, autostart = present.autostart } = change;
      const merged = { config: merge(present.config, config), autostart };
      return this.#settle(name, requireValid(Definition, merged), present);
    });
  }

  /** Forgets one. A domain made of it goes on. */
  async delete(name: string, conditions: Conditions = {}): Promise<void> {
    let last: Definition | undefined;
    await this.#kept.change(name, (present) => {
      last = requireThere(name, present);
      requireConditions(name, present, conditions);
      return undefined;
    });
    if (last !== undefined) this.tell('undefined', last);
  }

  /** Creates the domain. Throws `name-in-use`, naming its state, if there is one already. */
  async start(name: string): Promise<Domain> {
    const { config } = this.read(name);
    try {
      return await this.#domains.run({ kind: 'create', config });
    } catch (error) {
      throw await this.#withState(error, name);
    }
  }

  tell(kind: DefinitionEvent['kind'], { config, autostart }: Definition, detail?: string): void {
    const { name, uuid = '' } = config;
    this.#events.record({ kind, name, uuid, autostart, ...(detail !== undefined && { detail }) });
  }

  async #write(
    name: string,
    step: (present: Definition | undefined) => Definition,
  ): Promise<Definition> {
    let before: Definition | undefined;
    const after = await this.#kept.change(name, (present) => {
      before = present;
      return step(present);
    });
    if (before === undefined) this.tell('defined', after);
    else if (after !== before) this.tell('redefined', after);
    return after;
  }

  /** What is to be kept, its fields in the schema's order; the present one if nothing is different. */
  #settle(name: string, wanted: Definition, present: Definition | undefined): Definition {
    const { config, autostart } = wanted;
    if (config.name !== name) throw otherName(name, config.name);
    const uuid = (config.uuid ?? present?.config.uuid ?? randomUUID()).toLowerCase();
    const other = this.list().find((each) => each.config.uuid === uuid);
    if (other !== undefined && other.config.name !== name) throw uuidInUse(uuid, other.config.name);
    const next = Definition.parse({ config: { ...config, uuid }, autostart });
    return isDeepStrictEqual(next, present) && present !== undefined ? present : next;
  }

  async #withState(error: unknown, name: string): Promise<unknown> {
    if (!(error instanceof CommandError) || error.code !== 'name-in-use') return error;
    const domain = await this.#domains.read(name).catch(() => undefined);
    if (domain === undefined) return error;
    const message = `The domain "${name}" is there already: domain ${domain.domid}, ${domain.state}.`;
    return new CommandError('name-in-use', message, error.facts);
  }
}

/** RFC 7396, as far as there is need: no field of a configuration is an object. */
function merge(config: object, patch: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const merged = Object.entries({ ...config, ...patch });
  return Object.fromEntries(merged.filter(([, value]) => value !== null && value !== undefined));
}

function requireThere(name: string, present: Definition | undefined): Definition {
  if (present !== undefined) return present;
  throw new CommandError('no-such-definition', `There is no definition "${name}".`);
}

/** Throws `precondition-failed`. */
function requireConditions(
  name: string,
  present: Definition | undefined,
  { ifMatch, ifNoneMatch }: Conditions,
): void {
  const tag = present === undefined ? undefined : tagOf(present);
  const isMatched = (list: string): boolean => tag !== undefined && namesTag(list, tag);
  if (ifMatch !== undefined && !isMatched(ifMatch)) {
    const now = tag === undefined ? 'there is none' : `its ETag is ${tag}`;
    const message = `The definition "${name}" has been changed meanwhile; ${now}.`;
    throw new CommandError('precondition-failed', message);
  }
  if (ifNoneMatch !== undefined && isMatched(ifNoneMatch)) {
    const message = `There is a definition "${name}" already; its ETag is ${tag}.`;
    throw new CommandError('precondition-failed', message);
  }
}

function otherName(expected: string, found: string): CommandError {
  const detail = `is "${found}", and the definition is "${expected}"`;
  return new CommandError('bad-value', `/config/name: ${detail}.`, {
    errors: [{ pointer: '/config/name', detail, expected, found }],
  });
}

function uuidInUse(uuid: string, holder: string): CommandError {
  const detail = `is that of the definition "${holder}"`;
  return new CommandError('name-in-use', `/config/uuid: ${detail}.`, {
    errors: [{ pointer: '/config/uuid', detail, found: uuid }],
  });
}

const tooMany = (): CommandError =>
  new CommandError('too-many', `There are ${MOST_DEFINITIONS} definitions; remove some first.`);
