/** Removes what a dead domain leaves behind. */
import type { Author, StoreNode } from '../store/node.js';
import { childPath, type Path, ROOT_PATH } from '../store/path.js';
import { ownerOf } from '../store/permissions.js';
import type { Store } from '../store/store.js';

/** Removes all nodes that `domid` owns, with what is below them; nobody's watches fire (as in C). */
export function removeOwned(store: Store, domid: number, author: Author): void {
  // The count says when to stop: a tree of a million nodes is not walked for a domain that owns three.
  const home = { text: `/local/domain/${domid}`, parts: ['local', 'domain', String(domid)] };
  const start = store.lookup(home);
  if (start !== undefined && store.owned(domid) > 0) visit(store, home, start, domid, author);
  if (store.owned(domid) > 0) visit(store, ROOT_PATH, store.root, domid, author);
}

function visit(store: Store, path: Path, node: StoreNode, domid: number, author: Author): void {
  if (ownerOf(node.permissions) === domid && path.parts.length > 0) {
    store.remove(path, author);
    return;
  }
  for (const child of node.listing()) {
    if (store.owned(domid) === 0) return;
    visit(store, childPath(path, child.name), child, domid, author);
  }
}
