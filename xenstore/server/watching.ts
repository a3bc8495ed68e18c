/** From changes to events: which watches a change concerns, and whether their owners may know. */
import { failure } from '../protocol/errors.js';
import type { Request } from '../store/operations.js';
import { parentPath } from '../store/path.js';
import { type DomainSince, type Permissions, RIGHT, rightsOf } from '../store/permissions.js';
import { type Change, DOM0_ONLY, type Store } from '../store/store.js';
import { WatchTrie } from '../store/watches.js';
import type { Connection, Watch } from './connection.js';

export const INTRODUCE_DOMAIN = '@introduceDomain';
export const RELEASE_DOMAIN = '@releaseDomain';

/** The names that are no nodes but can be watched, and who besides domain 0 gets their events. */
export class Specials {
  readonly #permissions = new Map<string, Permissions>([
    [INTRODUCE_DOMAIN, DOM0_ONLY],
    [RELEASE_DOMAIN, DOM0_ONLY],
  ]);

  permissions(name: string): Permissions | undefined {
    return this.#permissions.get(name);
  }

  /** SET_PERMS on a special name: EINVAL for an unknown one, EACCES unless its owner asks. */
  setPermissions(name: string, permissions: Permissions, { actor, since }: Request): void {
    const old = this.#permissions.get(name);
    if (old === undefined) throw failure('EINVAL');
    const needed = RIGHT.WRITE | RIGHT.OWNER;
    if ((rightsOf(actor, old, since) & needed) !== needed) throw failure('EACCES');
    this.#permissions.set(name, permissions);
  }

  /** A domain is gone: entries for its number count no more. */
  dropDomain(domid: number): void {
    for (const [name, { entries, setAt }] of this.#permissions) {
      const [first, ...others] = entries;
      const left = others.filter((entry) => entry.domid !== domid);
      if (first.domid === domid) this.#permissions.set(name, DOM0_ONLY);
      else this.#permissions.set(name, { entries: [first, ...left], setAt });
    }
  }
}

export class Watching {
  readonly #store: Store;
  readonly #specials: Specials;
  readonly #since: DomainSince;
  readonly #trie = new WatchTrie<Watch>();
  readonly #special = new Map<string, Set<Watch>>();

  constructor(store: Store, specials: Specials, since: DomainSince) {
    this.#store = store;
    this.#specials = specials;
    this.#since = since;
  }

  add(watch: Watch): void {
    if (!isSpecial(watch)) {
      this.#trie.add(watch);
      return;
    }
    const watches = this.#special.get(watch.path) ?? new Set();
    watches.add(watch);
    this.#special.set(watch.path, watches);
  }

  delete(watch: Watch): void {
    if (!isSpecial(watch)) {
      this.#trie.delete(watch);
      return;
    }
    const watches = this.#special.get(watch.path);
    watches?.delete(watch);
    if (watches?.size === 0) this.#special.delete(watch.path);
  }

  /** Queues an event for each watch that matches, if its owner may read the node or the one above it. */
  readonly fire = (change: Change): void => {
    for (const watch of this.#trie.match(change.path.parts, change.exact)) {
      if (this.#mayKnow(watch.connection, change)) {
        watch.connection.event(change.path.text.slice(watch.hidden), watch.token, false);
      }
    }
  };

  /** Queues the events of "@introduceDomain" or "@releaseDomain". */
  fireSpecial(name: string): void {
    const permissions = this.#specials.permissions(name);
    for (const watch of this.#special.get(name) ?? []) {
      if (permissions !== undefined && this.#mayRead(watch.connection, permissions)) {
        watch.connection.event(name, watch.token, true);
      }
    }
  }

  #mayKnow(connection: Connection, change: Change): boolean {
    if (connection.domid === 0) return true;
    if (this.#mayRead(connection, change.before)) return true;
    if (this.#mayRead(connection, change.node?.permissions)) return true;
    const above = parentPath(change.path);
    const parent = change.parent ?? (above && this.#store.lookup(above));
    return this.#mayRead(connection, parent?.permissions);
  }

  #mayRead(connection: Connection, permissions: Permissions | undefined): boolean {
    if (permissions === undefined) return false;
    return (rightsOf(connection.actor, permissions, this.#since) & RIGHT.READ) !== 0;
  }
}

const isSpecial = (watch: Watch): boolean => watch.path.startsWith('@');
