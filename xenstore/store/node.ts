/** A node of the tree: immutable, every change makes a new one. */
import { type Children, lookupChild, visitChildren, withChild, withoutChild } from './children.js';
import type { Permissions } from './permissions.js';

/** Who changed a node: shared by all nodes a connection wrote. */
export interface Author {
  readonly connection: number;
  readonly domid: number;
  readonly label: string;
}

export const NOBODY: Author = { connection: 0, domid: 0, label: 'xenstored' };

/** What a change of a node may set. */
export interface NodeChange {
  readonly value: string;
  readonly permissions: Permissions;
}

export class StoreNode {
  /** Last component of its path; the root's is empty. */
  readonly name: string;
  /** One character per byte. */
  readonly value: string;
  readonly permissions: Permissions;
  /** Changes with the value, the permissions and the list of children; not with what is below them. */
  readonly generation: number;
  /** Who made this generation. */
  readonly author: Author;
  /** Serial number of its creation: orders the names of a directory. */
  readonly created: number;
  readonly children: Children<StoreNode> | undefined;
  /** Bytes of the names of its children, a NUL behind each. */
  readonly namesLength: number;
  #names: string | undefined;

  constructor(
    name: string,
    value: string,
    permissions: Permissions,
    generation: number,
    author: Author,
    created: number,
    children: Children<StoreNode> | undefined = undefined,
    namesLength = 0,
    names: string | undefined = undefined,
  ) {
    this.name = name;
    this.value = value;
    this.permissions = permissions;
    this.generation = generation;
    this.author = author;
    this.created = created;
    this.children = children;
    this.namesLength = namesLength;
    this.#names = names;
  }

  child(name: string): StoreNode | undefined {
    return lookupChild(this.children, name);
  }

  /** The children in the order of their creation. */
  listing(): StoreNode[] {
    const nodes: StoreNode[] = [];
    visitChildren(this.children, (node) => nodes.push(node));
    return nodes.sort((a, b) => a.created - b.created);
  }

  /** The names of the children, a NUL behind each, in the order of their creation. */
  names(): string {
    // Kept: a directory is read more often than its list changes, and sorting 1000 names takes 200 us.
    this.#names ??= this.listing().reduce((text, node) => `${text}${node.name}\0`, '');
    return this.#names;
  }

  /** With another value or other permissions. */
  changed(change: NodeChange, generation: number, author: Author): StoreNode {
    return new StoreNode(
      this.name,
      change.value,
      change.permissions,
      generation,
      author,
      this.created,
      this.children,
      this.namesLength,
      this.#names,
    );
  }

  /** With a child in place of its namesake: something below has changed, nothing here. */
  withChanged(child: StoreNode): StoreNode {
    return new StoreNode(
      this.name,
      this.value,
      this.permissions,
      this.generation,
      this.author,
      this.created,
      withChild(this.children, child),
      this.namesLength,
      this.#names,
    );
  }

  /** With a child that was not there. */
  withNew(child: StoreNode, generation: number, author: Author): StoreNode {
    return new StoreNode(
      this.name,
      this.value,
      this.permissions,
      generation,
      author,
      this.created,
      withChild(this.children, child),
      this.namesLength + child.name.length + 1,
    );
  }

  /** Without a child that was there. */
  without(name: string, generation: number, author: Author): StoreNode {
    return new StoreNode(
      this.name,
      this.value,
      this.permissions,
      generation,
      author,
      this.created,
      withoutChild(this.children, name),
      this.namesLength - name.length - 1,
    );
  }
}

/** The bytes a node counts for in the quota on its size: C xenstored's record of it (rule 31). */
export const nodeSize = (node: StoreNode): number =>
  RECORD_HEADER +
  RECORD_PERMISSION * node.permissions.entries.length +
  node.value.length +
  node.namesLength;

const RECORD_HEADER = 24;
const RECORD_PERMISSION = 8;
