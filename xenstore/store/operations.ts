/**
 * What can be asked of the tree: permissions, quotas and watches included, in C xenstored's order of checks.
 * Spec: xenstore.txt, section "Database read, write and permissions operations". Refusals are thrown
 * XenStoreErrors; a refused request has changed nothing.
 */
import { failure } from '../protocol/errors.js';
import type { Permission } from '../protocol/permissions.js';
import { type NodeChange, nodeSize, type StoreNode } from './node.js';
import { childPath, leafName, type Path, parentPath } from './path.js';
import {
  type Actor,
  type DomainSince,
  inherit,
  ownerOf,
  type Permissions,
  RIGHT,
  rightsOf,
} from './permissions.js';
import type { Quotas } from './quotas.js';
import { changeOf, type View } from './view.js';

/** Who asks, through which view, and what limits him. */
export interface Request {
  readonly view: View;
  readonly actor: Actor;
  readonly quotas: Quotas;
  readonly since: DomainSince;
}

/**
 * The node, if the actor has all of `right` on it.
 * @throws EACCES also when the nearest node above a missing one denies the right (rule 20); else ENOENT.
 */
export function requireNode(request: Request, path: Path, right: number): StoreNode {
  const node = request.view.read(path);
  if (node !== undefined && hasRight(request, node, right)) return node;
  const above = nearestAbove(request, path);
  if (node !== undefined || (above !== undefined && !hasSome(request, above, right))) {
    throw failure('EACCES');
  }
  throw failure('ENOENT');
}

/** WRITE: makes the node and the nodes above it if they are missing. */
export function writeNode(request: Request, path: Path, value: string): void {
  const node = lookupWritable(request, path);
  if (node === undefined) {
    createNode(request, path, value);
    return;
  }
  const change = { value, permissions: node.permissions };
  checkSize(request, node, change);
  request.view.change(path, change);
  request.view.fire(changeOf(path, node));
}

/** MKDIR: a node that exists is left alone. */
export function makeNode(request: Request, path: Path): void {
  if (lookupWritable(request, path) === undefined) createNode(request, path, '');
}

/** RM: with all below it, whoever owns that. A missing node is fine if its parent exists. */
export function removeNode(request: Request, path: Path): void {
  const { view } = request;
  const above = parentPath(path);
  const node = lookupWritable(request, path);
  if (above === undefined) throw failure('EINVAL');
  const parent = view.read(above);
  if (node === undefined) {
    if (parent === undefined) throw failure('ENOENT');
    return;
  }
  // Only in a transaction that looked above before the node was made: it cannot be committed any more.
  if (parent === undefined) throw failure('EINVAL');
  removeSubtree(view, path, node, parent);
}

/** Removes a node with all below it, and tells the watches: of each node below only those on that very node. */
export function removeSubtree(view: View, path: Path, node: StoreNode, parent: StoreNode): void {
  const below: { path: Path; node: StoreNode; parent: StoreNode }[] = [];
  collectBelow(view, path, node, below);
  view.remove(
    path,
    below.map((inner) => inner.path),
  );
  for (const inner of below) view.fire({ ...inner, exact: true, before: undefined });
  view.fire({ path, exact: false, node, before: undefined, parent });
}

/** SET_PERMS. The owner's number exists: whoever parsed the list has checked that (rule 19). */
export function setPermissions(request: Request, path: Path, permissions: Permissions): void {
  const node = requireNode(request, path, RIGHT.WRITE | RIGHT.OWNER);
  const { actor, quotas, view } = request;
  if (!actor.privileged && ownerOf(permissions) !== ownerOf(node.permissions)) {
    throw failure('EPERM');
  }
  if (!actor.privileged && permissions.entries.length > quotas.permissions) {
    throw failure('ENOSPC');
  }
  const change = { value: node.value, permissions };
  checkSize(request, node, change);
  view.change(path, change);
  view.fire(changeOf(path, node.changed(change, node.generation, node.author), node.permissions));
}

/** The entries as a list; EINVAL if there is none. */
export function toPermissions(entries: readonly Permission[], setAt: number): Permissions {
  const [owner, ...others] = entries;
  if (owner === undefined) throw failure('EINVAL');
  return { entries: [owner, ...others], setAt };
}

const hasRight = (request: Request, node: StoreNode, right: number): boolean =>
  (rightsOf(request.actor, node.permissions, request.since) & right) === right;

const hasSome = (request: Request, node: StoreNode, right: number): boolean =>
  (rightsOf(request.actor, node.permissions, request.since) & right) !== 0;

/** The node if it is there and may be written; undefined if it is missing and may be created. */
function lookupWritable(request: Request, path: Path): StoreNode | undefined {
  const node = request.view.read(path);
  if (node !== undefined && hasRight(request, node, RIGHT.WRITE)) return node;
  const above = nearestAbove(request, path);
  if (node !== undefined || above === undefined || !hasSome(request, above, RIGHT.WRITE)) {
    throw failure('EACCES');
  }
  return undefined;
}

function nearestAbove(request: Request, path: Path): StoreNode | undefined {
  let above = parentPath(path);
  while (above !== undefined) {
    const node = request.view.read(above);
    if (node !== undefined) return node;
    above = parentPath(above);
  }
  return undefined;
}

/** Creates the node and the missing ones above it, each with the permissions of its parent. */
function createNode(request: Request, path: Path, value: string): void {
  const { view, actor } = request;
  const missing: Path[] = [path];
  let above = parentPath(path);
  let parent = above && view.read(above);
  while (above !== undefined && parent === undefined) {
    missing.unshift(above);
    above = parentPath(above);
    parent = above && view.read(above);
  }
  if (parent === undefined) throw failure('ENOENT');
  const permissions = inherit(parent.permissions, actor);
  checkCreation(request, parent, missing, { value, permissions });
  for (const step of missing) {
    view.create(step, { value: step === path ? value : '', permissions });
  }
  view.fire(changeOf(path, view.read(path)));
}

function checkCreation(
  request: Request,
  parent: StoreNode,
  missing: readonly Path[],
  { value, permissions }: NodeChange,
): void {
  const { view, actor, quotas } = request;
  if (actor.privileged) return;
  const first = missing[0];
  const room = quotas.nodes - view.owned(actor.domid);
  const own = 24 + 8 * permissions.entries.length;
  const parentSize = nodeSize(parent) + (first === undefined ? 0 : leafName(first).length + 1);
  if (room < missing.length || own + value.length >= quotas.nodeSize) refuseQuota(request);
  if (parentSize >= quotas.nodeSize) refuseQuota(request);
}

function checkSize(request: Request, node: StoreNode, change: NodeChange): void {
  if (request.actor.privileged) return;
  const size = nodeSize(node.changed(change, node.generation, node.author));
  if (size >= request.quotas.nodeSize) refuseQuota(request);
}

function refuseQuota(request: Request): never {
  request.view.spoil();
  throw failure('ENOSPC');
}

/** All below a node, children before parents. */
function collectBelow(
  view: View,
  path: Path,
  parent: StoreNode,
  into: { path: Path; node: StoreNode; parent: StoreNode }[],
): void {
  for (const { name } of parent.listing()) {
    const inner = childPath(path, name);
    const node = view.read(inner);
    if (node === undefined) continue;
    collectBelow(view, inner, node, into);
    into.push({ path: inner, node, parent });
  }
}
