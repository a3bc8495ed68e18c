/**
 * The children of a node: an immutable map from name to node, a hash trie of 32-way branches.
 * Adding to a directory of a million copies four small arrays, and the old version stays whole.
 *
 *   Branch  bitmap ....0100.1001   slots [ leaf, leaf, Branch ]
 *           one bit per used five-bit digit of the hash; slot index = bits set below it
 */

/** Anything with a name can be a leaf. */
export interface Named {
  readonly name: string;
}

type Slot<Leaf extends Named> = Leaf | Branch<Leaf> | Collision<Leaf>;

class Branch<Leaf extends Named> {
  readonly bitmap: number;
  readonly slots: readonly Slot<Leaf>[];
  constructor(bitmap: number, slots: readonly Slot<Leaf>[]) {
    this.bitmap = bitmap;
    this.slots = slots;
  }
}

/** Leaves whose hashes are equal in all 32 bits. */
class Collision<Leaf extends Named> {
  readonly leaves: readonly Leaf[];
  constructor(leaves: readonly Leaf[]) {
    this.leaves = leaves;
  }
}

/** At least one child; a node without children has none of this. */
export type Children<Leaf extends Named> = Branch<Leaf>;

const DIGIT_BITS = 5;
const DIGIT_MASK = 31;
const HASH_BITS = 32;

export function lookupChild<Leaf extends Named>(
  children: Children<Leaf> | undefined,
  name: string,
): Leaf | undefined {
  if (children === undefined) return undefined;
  let hash = hashName(name);
  let branch: Branch<Leaf> = children;
  for (;;) {
    const bit = 1 << (hash & DIGIT_MASK);
    if ((branch.bitmap & bit) === 0) return undefined;
    const slot = branch.slots[countBits(branch.bitmap & (bit - 1))];
    if (slot instanceof Branch) {
      branch = slot;
      hash >>>= DIGIT_BITS;
    } else if (slot instanceof Collision) {
      return slot.leaves.find((leaf) => leaf.name === name);
    } else {
      return slot?.name === name ? slot : undefined;
    }
  }
}

/** The map with `leaf` added, or in the place of its namesake. */
export function withChild<Leaf extends Named>(
  children: Children<Leaf> | undefined,
  leaf: Leaf,
): Children<Leaf> {
  const hash = hashName(leaf.name);
  if (children === undefined) return new Branch(1 << (hash & DIGIT_MASK), [leaf]);
  return putInBranch(children, leaf, hash, 0);
}

/** The map without `name`; undefined when nothing is left. */
export function withoutChild<Leaf extends Named>(
  children: Children<Leaf> | undefined,
  name: string,
): Children<Leaf> | undefined {
  if (children === undefined) return undefined;
  const left = removeFromBranch(children, name, hashName(name));
  if (left === undefined || left instanceof Branch) return left;
  // A lone leaf comes up from below; at the top it needs a branch again.
  return isLeaf(left) ? withChild(undefined, left) : undefined;
}

const isLeaf = <Leaf extends Named>(slot: Slot<Leaf> | undefined): slot is Leaf =>
  slot !== undefined && !(slot instanceof Branch) && !(slot instanceof Collision);

/** Calls `visit` for each child, in no useful order. */
export function visitChildren<Leaf extends Named>(
  children: Children<Leaf> | undefined,
  visit: (leaf: Leaf) => void,
): void {
  if (children === undefined) return;
  for (const slot of children.slots) {
    if (slot instanceof Branch) visitChildren(slot, visit);
    else if (slot instanceof Collision) slot.leaves.forEach(visit);
    else visit(slot);
  }
}

function putInBranch<Leaf extends Named>(
  branch: Branch<Leaf>,
  leaf: Leaf,
  hash: number,
  shift: number,
): Branch<Leaf> {
  const bit = 1 << ((hash >>> shift) & DIGIT_MASK);
  const index = countBits(branch.bitmap & (bit - 1));
  const slots = branch.slots.slice();
  const old = branch.slots[index];
  if ((branch.bitmap & bit) === 0 || old === undefined) {
    slots.splice(index, 0, leaf);
    return new Branch(branch.bitmap | bit, slots);
  }
  slots[index] = putInSlot(old, leaf, hash, shift + DIGIT_BITS);
  return new Branch(branch.bitmap, slots);
}

function putInSlot<Leaf extends Named>(
  old: Slot<Leaf>,
  leaf: Leaf,
  hash: number,
  shift: number,
): Slot<Leaf> {
  if (old instanceof Branch) return putInBranch(old, leaf, hash, shift);
  if (old instanceof Collision) {
    return new Collision([...old.leaves.filter((other) => other.name !== leaf.name), leaf]);
  }
  if (old.name === leaf.name) return leaf;
  return join(old, hashName(old.name), leaf, hash, shift);
}

/** Two leaves that share all digits below `shift`. */
function join<Leaf extends Named>(
  left: Leaf,
  leftHash: number,
  right: Leaf,
  rightHash: number,
  shift: number,
): Slot<Leaf> {
  if (shift >= HASH_BITS) return new Collision([left, right]);
  const leftDigit = (leftHash >>> shift) & DIGIT_MASK;
  const rightDigit = (rightHash >>> shift) & DIGIT_MASK;
  if (leftDigit === rightDigit) {
    const below = join(left, leftHash, right, rightHash, shift + DIGIT_BITS);
    return new Branch(1 << leftDigit, [below]);
  }
  const slots = leftDigit < rightDigit ? [left, right] : [right, left];
  return new Branch((1 << leftDigit) | (1 << rightDigit), slots);
}

function removeFromBranch<Leaf extends Named>(
  branch: Branch<Leaf>,
  name: string,
  hash: number,
): Slot<Leaf> | undefined {
  const bit = 1 << (hash & DIGIT_MASK);
  if ((branch.bitmap & bit) === 0) return branch;
  const index = countBits(branch.bitmap & (bit - 1));
  const old = branch.slots[index];
  if (old === undefined) return branch;
  const left = removeFromSlot(old, name, hash >>> DIGIT_BITS);
  if (left === old) return branch;
  const slots = branch.slots.slice();
  if (left === undefined) {
    slots.splice(index, 1);
    if (slots.length === 0) return undefined;
    // One leaf alone moves up, so that the shape depends on the content only.
    if (slots.length === 1 && isLeaf(slots[0])) return slots[0];
    return new Branch(branch.bitmap & ~bit, slots);
  }
  if (slots.length === 1 && isLeaf(left)) return left;
  slots[index] = left;
  return new Branch(branch.bitmap, slots);
}

function removeFromSlot<Leaf extends Named>(
  old: Slot<Leaf>,
  name: string,
  hash: number,
): Slot<Leaf> | undefined {
  if (old instanceof Branch) return removeFromBranch(old, name, hash);
  if (old instanceof Collision) {
    const leaves = old.leaves.filter((leaf) => leaf.name !== name);
    if (leaves.length === old.leaves.length) return old;
    return leaves.length === 1 ? leaves[0] : new Collision(leaves);
  }
  return old.name === name ? undefined : old;
}

/** FNV-1a with a final mix: names of a directory differ mostly in their last digits. */
function hashName(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x2c1b3c6d);
  return (hash ^ (hash >>> 13)) >>> 0;
}

function countBits(word: number): number {
  let n = word - ((word >>> 1) & 0x55555555);
  n = (n & 0x33333333) + ((n >>> 2) & 0x33333333);
  return Math.imul((n + (n >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
