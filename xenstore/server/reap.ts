/** Removes what a dead domain leaves behind. */
import type { StoreNode } from '../store/node.js';
import { removeSubtree } from '../store/operations.js';
import { childPath, domainPath, type Path, parentPath, ROOT_PATH } from '../store/path.js';
import { ownerOf } from '../store/permissions.js';
import type { LiveView } from '../store/view.js';

/** Removes all nodes that `domid` owns, with what is below them, and tells the watches. */
export function removeOwned(view: LiveView, domid: number): void {
  // The count says when to stop: a tree of a million nodes is not walked for a domain that owns three.
  const text = domainPath(domid);
  const home = { text, parts: text.slice(1).split('/') };
  for (const start of [home, ROOT_PATH]) {
    const node = view.read(start);
    const above = parentPath(start);
    const parent = above && view.read(above);
    if (node !== undefined && view.owned(domid) > 0) visit(view, start, node, parent, domid);
  }
}

function visit(
  view: LiveView,
  path: Path,
  node: StoreNode,
  parent: StoreNode | undefined,
  domid: number,
): void {
  if (ownerOf(node.permissions) === domid && parent !== undefined) {
    removeSubtree(view, path, node, parent);
    return;
  }
  for (const child of node.listing()) {
    if (view.owned(domid) === 0) return;
    visit(view, childPath(path, child.name), child, node, domid);
  }
}
