/**
 * A transaction, with the semantics of C xenstored (rules 27 to 30).
 *
 * A node is copied at its first access; from then on the transaction sees its copy. Nodes not touched yet are
 * seen as they are now: this is no snapshot. Every access counts as a read. At the end the generation of each
 * node touched is compared with what it was at first access: one difference, and nothing is done (EAGAIN).
 * So a commit costs what was touched, whatever the size of the tree.
 */
import { failure } from '../protocol/errors.js';
import { type Author, type NodeChange, StoreNode } from './node.js';
import { leafName, type Path, parentPath } from './path.js';
import { ownerOf, type Permissions } from './permissions.js';
import type { Change, Store } from './store.js';
import type { View } from './view.js';

/** What the transaction knows of one node. */
interface Access {
  readonly path: Path;
  /** As it was at first access; undefined: it was not there. */
  readonly base: StoreNode | undefined;
  /** As the transaction sees it now. */
  node: StoreNode | undefined;
  modified: boolean;
  /** It was removed at some time: what was below it is gone, even if it was made again. */
  removed: boolean;
  event: 'none' | 'node' | 'exact';
  before: Permissions | undefined;
}

/** Why a commit was refused. */
export interface Conflict {
  readonly path: string;
  /** The last writer of the node, or of the nearest node above if it is gone. */
  readonly writer: Author;
  /** What became of the node since the transaction touched it. */
  readonly what: 'changed' | 'appeared' | 'vanished';
}

/** What a finished transaction did: nothing because of a conflict, or these changes. */
export type Outcome =
  | { readonly kind: 'conflict'; readonly conflict: Conflict }
  | { readonly kind: 'committed'; readonly changes: readonly Change[] };

/** What a transaction may use up; both Infinity for the privileged. */
export interface TransactionLimits {
  /** Nodes it may touch. */
  readonly nodes: number;
  /** Bytes of values that may still be written, by all transactions of the domain together. */
  room(): number;
}

export class Transaction implements View {
  readonly id: number;
  /** Milliseconds, by the clock of the server. */
  readonly startedAt: number;
  /** A quota was hit while writing. */
  spoiled = false;
  readonly #store: Store;
  readonly #author: Author;
  readonly #limits: TransactionLimits;
  #bytes = 0;
  readonly #accessed = new Map<string, Access>();
  readonly #owned = new Map<number, number>();

  constructor(
    id: number,
    startedAt: number,
    store: Store,
    author: Author,
    limits: TransactionLimits,
  ) {
    this.id = id;
    this.startedAt = startedAt;
    this.#store = store;
    this.#author = author;
    this.#limits = limits;
  }

  /** The nodes touched, for the inspector. */
  touched(): { path: string; modified: boolean }[] {
    return [...this.#accessed.values()].map(({ path, modified }) => ({
      path: path.text,
      modified,
    }));
  }

  /** Bytes of the values it has written. */
  get bytes(): number {
    return this.#bytes;
  }

  read(path: Path): StoreNode | undefined {
    return this.#access(path).node;
  }

  create(path: Path, change: NodeChange): void {
    const access = this.#access(path);
    const { value, permissions } = change;
    const serial = this.#store.nextGeneration();
    const node = new StoreNode(leafName(path), value, permissions, serial, this.#author, serial);
    this.#put(access, node);
    this.#editParent(path, (parent) => {
      // Its list may be older than the child's disappearance: then this cannot be committed, but must stay sane.
      const cleared = withoutStale(parent, node.name, serial, this.#author);
      return cleared.withNew(node, serial, this.#author);
    });
  }

  change(path: Path, change: NodeChange): void {
    const access = this.#access(path);
    if (access.node === undefined) throw new Error(`no node to change: ${path.text}`);
    this.#put(access, access.node.changed(change, access.node.generation, this.#author));
  }

  remove(path: Path, below: readonly Path[]): void {
    for (const inner of below) this.#take(this.#access(inner));
    this.#take(this.#access(path));
    const serial = this.#store.nextGeneration();
    this.#editParent(path, (parent) => withoutStale(parent, leafName(path), serial, this.#author));
  }

  fire(change: Change): void {
    const access = this.#access(change.path);
    access.event = change.exact ? 'exact' : 'node';
    access.before ??=
      change.before ?? (access.node === undefined ? change.node?.permissions : undefined);
  }

  owned(domid: number): number {
    return this.#store.owned(domid) + (this.#owned.get(domid) ?? 0);
  }

  spoil(): void {
    this.spoiled = true;
  }

  /** Does all of it, or nothing. */
  commit(): Outcome {
    const conflict = this.#findConflict();
    if (conflict !== undefined) return { kind: 'conflict', conflict };
    const modified = [...this.#accessed.values()].filter((access) => access.modified);
    for (const access of modified) this.#performRemoval(access);
    // Parents first; a stable sort, so that siblings keep the order of their creation.
    modified.sort((a, b) => a.path.parts.length - b.path.parts.length);
    for (const access of modified) this.#performChange(access);
    return { kind: 'committed', changes: this.#changes() };
  }

  #access(path: Path): Access {
    const known = this.#accessed.get(path.text);
    if (known !== undefined) return known;
    if (this.#accessed.size >= this.#limits.nodes) this.#refuse();
    const base = this.#store.lookup(path);
    const access: Access = {
      path,
      base,
      node: base,
      modified: false,
      removed: false,
      event: 'none',
      before: undefined,
    };
    this.#accessed.set(path.text, access);
    return access;
  }

  #put(access: Access, node: StoreNode): void {
    const more = node.value.length - (access.modified ? (access.node?.value.length ?? 0) : 0);
    if (more > this.#limits.room()) this.#refuse();
    this.#bytes += more;
    this.#count(access.node, -1);
    this.#count(node, 1);
    access.node = node;
    access.modified = true;
  }

  #refuse(): never {
    this.spoil();
    throw failure('ENOSPC');
  }

  #take(access: Access): void {
    if (access.modified) this.#bytes -= access.node?.value.length ?? 0;
    this.#count(access.node, -1);
    access.node = undefined;
    access.modified = true;
    access.removed = true;
  }

  #count(node: StoreNode | undefined, by: number): void {
    if (node === undefined) return;
    const domid = ownerOf(node.permissions);
    this.#owned.set(domid, (this.#owned.get(domid) ?? 0) + by);
  }

  #editParent(path: Path, edit: (parent: StoreNode) => StoreNode): void {
    const above = parentPath(path);
    if (above === undefined) return;
    const access = this.#access(above);
    if (access.node === undefined) throw new Error(`no parent: ${path.text}`);
    access.node = edit(access.node);
    access.modified = true;
  }

  #findConflict(): Conflict | undefined {
    for (const { path, base } of this.#accessed.values()) {
      const now = this.#store.lookup(path);
      if (now?.generation === base?.generation) continue;
      if (now === undefined)
        return { path: path.text, writer: this.#writerAbove(path), what: 'vanished' };
      return {
        path: path.text,
        writer: now.author,
        what: base === undefined ? 'appeared' : 'changed',
      };
    }
    return undefined;
  }

  /** The author of the nearest node above that is still there: removing a child is a change of its parent. */
  #writerAbove(path: Path): Author {
    let above = parentPath(path);
    while (above !== undefined) {
      const node = this.#store.lookup(above);
      if (node !== undefined) return node.author;
      above = parentPath(above);
    }
    return this.#store.root.author;
  }

  #performRemoval(access: Access): void {
    if (!access.removed || access.base === undefined) return;
    // It may have gone with a node above it.
    if (this.#store.lookup(access.path) !== undefined) {
      this.#store.remove(access.path, this.#author);
    }
  }

  #performChange(access: Access): void {
    if (access.node === undefined) return;
    const missing = access.base === undefined || access.removed;
    if (missing) this.#store.create(access.path, access.node, this.#author);
    else this.#store.change(access.path, access.node, this.#author);
  }

  #changes(): Change[] {
    const changes: Change[] = [];
    for (const { path, base, node, event, before } of this.#accessed.values()) {
      if (event === 'none' || (base === undefined && node === undefined)) continue;
      const now = this.#store.lookup(path);
      changes.push({ path, exact: event === 'exact', node: now, before, parent: undefined });
    }
    return changes;
  }
}

const withoutStale = (parent: StoreNode, name: string, serial: number, by: Author): StoreNode =>
  parent.child(name) === undefined ? parent : parent.without(name, serial, by);
