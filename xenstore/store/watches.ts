/**
 * Watches by path, in a trie: a change walks from the root to its node and meets just the watches that match,
 * however many others there are. Spec: xenstore.txt, section "Watches".
 */

/** A watch as far as matching is concerned. */
export interface Watched {
  readonly parts: readonly string[];
  /** Levels below its node that still match; Infinity unless limited (feature WATCH_DEPTH). */
  readonly depth: number;
  /** Order of registration. */
  readonly serial: number;
}

interface TrieNode<Watch> {
  readonly watches: Set<Watch>;
  readonly below: Map<string, TrieNode<Watch>>;
}

const emptyNode = <Watch>(): TrieNode<Watch> => ({ watches: new Set(), below: new Map() });

export class WatchTrie<Watch extends Watched> {
  readonly #root = emptyNode<Watch>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(watch: Watch): void {
    let node = this.#root;
    for (const part of watch.parts) {
      let next = node.below.get(part);
      if (next === undefined) {
        next = emptyNode();
        node.below.set(part, next);
      }
      node = next;
    }
    node.watches.add(watch);
    this.#size += 1;
  }

  delete(watch: Watch): void {
    if (removeFrom(this.#root, watch, 0)) this.#size -= 1;
  }

  /**
   * The watches that a change of the node `parts` concerns, in order of registration.
   * @param exact only those on this very node
   */
  match(parts: readonly string[], exact: boolean): Watch[] {
    const found: Watch[] = [];
    if (this.#size === 0) return found;
    let node: TrieNode<Watch> | undefined = this.#root;
    for (let level = 0; node !== undefined; level++) {
      const distance = parts.length - level;
      if (!exact || distance === 0) collect(node.watches, distance, found);
      if (distance === 0) break;
      node = node.below.get(parts[level] as string);
    }
    return found.length > 1 ? found.sort((a, b) => a.serial - b.serial) : found;
  }
}

function collect<Watch extends Watched>(
  watches: Set<Watch>,
  distance: number,
  into: Watch[],
): void {
  for (const watch of watches) if (distance <= watch.depth) into.push(watch);
}

/** @returns whether it was there; branches left empty are cut. */
function removeFrom<Watch extends Watched>(
  node: TrieNode<Watch>,
  watch: Watch,
  level: number,
): boolean {
  const part = watch.parts[level];
  if (part === undefined) return node.watches.delete(watch);
  const next = node.below.get(part);
  if (next === undefined || !removeFrom(next, watch, level + 1)) return false;
  if (next.watches.size === 0 && next.below.size === 0) node.below.delete(part);
  return true;
}
