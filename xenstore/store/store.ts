/**
 * The store: the root of an immutable tree, and how many nodes each domain owns.
 * A change copies the nodes on the way to the root; whoever holds an older root keeps the older tree.
 */
import { type Author, NOBODY, type NodeChange, StoreNode } from './node.js';
import { leafName, type Path } from './path.js';
import { ownerOf, type Permissions } from './permissions.js';

/** One thing that happened to a node, for the watches. */
export interface Change {
  readonly path: Path;
  /** Only watches on this very node match: it went away together with a node above it (rule 24). */
  readonly exact: boolean;
  /** The node as it is now, or as it was before it went away. */
  readonly node: StoreNode | undefined;
  /** The permissions before this change, if it changed them or removed the node in a transaction. */
  readonly before: Permissions | undefined;
  /** The node above, if it went away too. */
  readonly parent: StoreNode | undefined;
}

export const DOM0_ONLY: Permissions = { entries: [{ access: 'n', domid: 0 }], setAt: 0 };

export class Store {
  #root = new StoreNode('', '', DOM0_ONLY, 0, NOBODY, 0);
  #generation = 0;
  #nodes = 1;
  readonly #owned = new Map<number, number>([[0, 1]]);

  get root(): StoreNode {
    return this.#root;
  }

  /** Nodes in the tree, the root included. */
  get size(): number {
    return this.#nodes;
  }

  /** The next generation: each change has its own. */
  nextGeneration(): number {
    this.#generation += 1;
    return this.#generation;
  }

  /** Nodes that a domain owns. */
  owned(domid: number): number {
    return this.#owned.get(domid) ?? 0;
  }

  /** The domains that own nodes. */
  owners(): IterableIterator<number> {
    return this.#owned.keys();
  }

  lookup(path: Path): StoreNode | undefined {
    let node: StoreNode | undefined = this.#root;
    const parts = path.parts;
    for (let i = 0; i < parts.length; i++) {
      node = node.child(parts[i] as string);
      if (node === undefined) return undefined;
    }
    return node;
  }

  /** Adds a node. Its parent exists, the node does not. */
  create(path: Path, change: NodeChange, author: Author): StoreNode {
    const generation = this.nextGeneration();
    const { value, permissions } = change;
    const node = new StoreNode(leafName(path), value, permissions, generation, author, generation);
    this.#editParent(path, (parent) => parent.withNew(node, generation, author));
    this.#count(permissions, 1);
    return node;
  }

  /** Gives a node that exists another value or other permissions. */
  change(path: Path, change: NodeChange, author: Author): StoreNode {
    const old = this.lookup(path);
    if (old === undefined) throw new Error(`changed a node that is not there: ${path.text}`);
    const node = old.changed(change, this.nextGeneration(), author);
    if (path.parts.length === 0) this.#root = node;
    else this.#editParent(path, (parent) => parent.withChanged(node));
    if (ownerOf(old.permissions) !== ownerOf(change.permissions)) {
      this.#count(old.permissions, -1);
      this.#count(change.permissions, 1);
    }
    return node;
  }

  /** Removes a node with all below it; not the root, and not one that is not there. */
  remove(path: Path, author: Author): void {
    const node = this.lookup(path);
    if (node === undefined) throw new Error(`removed a node that is not there: ${path.text}`);
    const generation = this.nextGeneration();
    this.#editParent(path, (parent) => parent.without(node.name, generation, author));
    this.#discount(node);
  }

  #editParent(path: Path, edit: (parent: StoreNode) => StoreNode): void {
    this.#root = editAt(this.#root, path.parts, 0, edit);
  }

  #discount(node: StoreNode): void {
    this.#count(node.permissions, -1);
    for (const child of node.listing()) this.#discount(child);
  }

  #count(permissions: Permissions, by: 1 | -1): void {
    const domid = ownerOf(permissions);
    const count = this.owned(domid) + by;
    if (count === 0) this.#owned.delete(domid);
    else this.#owned.set(domid, count);
    this.#nodes += by;
  }
}

/** The tree with the parent of `parts` edited; the nodes above it are copied. */
function editAt(
  node: StoreNode,
  parts: readonly string[],
  depth: number,
  edit: (parent: StoreNode) => StoreNode,
): StoreNode {
  if (depth === parts.length - 1) return edit(node);
  const child = node.child(parts[depth] as string);
  if (child === undefined) throw new Error(`no parent: /${parts.join('/')}`);
  return node.withChanged(editAt(child, parts, depth + 1, edit));
}
