/** The store as one requester sees it: live, or through a transaction. */
import type { Author, NodeChange, StoreNode } from './node.js';
import type { Path } from './path.js';
import type { Permissions } from './permissions.js';
import type { Change, Store } from './store.js';

export interface View {
  /** In a transaction: counts as read from now on. */
  read(path: Path): StoreNode | undefined;
  /** The parent exists, the node does not. */
  create(path: Path, change: NodeChange): void;
  /** The node exists. */
  change(path: Path, change: NodeChange): void;
  /** Removes a node; `below` are all paths below it, children before parents. */
  remove(path: Path, below: readonly Path[]): void;
  /** Tells the watches, after commit if this is a transaction. */
  fire(change: Change): void;
  /** Nodes that a domain owns. */
  owned(domid: number): number;
  /** A quota was hit while writing: a transaction can no longer be committed (rule 30). */
  spoil(): void;
}

/** No transaction: changes are visible at once, and fire at once. */
export class LiveView implements View {
  readonly #store: Store;
  readonly #author: Author;
  readonly #fire: (change: Change) => void;

  constructor(store: Store, author: Author, fire: (change: Change) => void) {
    this.#store = store;
    this.#author = author;
    this.#fire = fire;
  }

  read(path: Path): StoreNode | undefined {
    return this.#store.lookup(path);
  }

  create(path: Path, change: NodeChange): void {
    this.#store.create(path, change, this.#author);
  }

  change(path: Path, change: NodeChange): void {
    this.#store.change(path, change, this.#author);
  }

  remove(path: Path): void {
    this.#store.remove(path, this.#author);
  }

  fire(change: Change): void {
    this.#fire(change);
  }

  owned(domid: number): number {
    return this.#store.owned(domid);
  }

  spoil(): void {
    // Nothing to spoil: a refused request has changed nothing.
  }
}

/** A change of a node that is there afterwards. */
export const changeOf = (
  path: Path,
  node: StoreNode | undefined,
  before: Permissions | undefined = undefined,
): Change => ({ path, exact: false, node, before, parent: undefined });
