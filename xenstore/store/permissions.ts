/** Who may do what with a node. Spec: xenstore.txt, section "Permissions". */
import type { Access, Permission } from '../protocol/permissions.js';

/** Bits of a right. */
export const RIGHT = { NONE: 0, READ: 1, WRITE: 2, OWNER: 4, ALL: 7 } as const;

/** The list of a node, shared by all nodes that inherited it unchanged. */
export interface Permissions {
  /** Entry 0 names the owner; its letter is the default for everybody else. At least one entry. */
  readonly entries: readonly [Permission, ...Permission[]];
  /**
   * Generation at which the list was set. An entry for a domain that was not there then is ignored:
   * a later domain that gets the same number does not inherit the rights of a dead one.
   */
  readonly setAt: number;
}

/** In whose name a request is made. */
export interface Actor {
  readonly domid: number;
  /** Domain 0 and its sockets: all rights, no quotas. */
  readonly privileged: boolean;
  /** The domain with whose rights this one acts too (SET_TARGET). */
  readonly target: number | undefined;
}

/** Since which generation a domain number is in use; undefined: it is not. */
export type DomainSince = (domid: number) => number | undefined;

// biome-ignore format: one row per letter
const RIGHTS_OF: Record<Access, number> = {
  n: RIGHT.NONE,
  r: RIGHT.READ,
  w: RIGHT.WRITE,
  b: RIGHT.READ | RIGHT.WRITE,
};

export const ownerOf = (permissions: Permissions): number => permissions.entries[0].domid;

/** The RIGHT bits that `actor` has: of the owner, else of the first entry naming it, else the default. */
export function rightsOf(actor: Actor, permissions: Permissions, since: DomainSince): number {
  if (actor.privileged || actsAs(actor, ownerOf(permissions))) return RIGHT.ALL;
  const { entries, setAt } = permissions;
  for (let i = 1; i < entries.length; i++) {
    const entry = entries[i];
    if (entry !== undefined && actsAs(actor, entry.domid) && isValid(entry.domid, setAt, since)) {
      return RIGHTS_OF[entry.access];
    }
  }
  return RIGHTS_OF[entries[0].access];
}

/** The list of a new node: the parent's, owned by its creator unless that is privileged (rule 18). */
export function inherit(parent: Permissions, actor: Actor): Permissions {
  if (actor.privileged || ownerOf(parent) === actor.domid) return parent;
  const [first, ...others] = parent.entries;
  return {
    entries: [{ access: first.access, domid: actor.domid }, ...others],
    setAt: parent.setAt,
  };
}

const actsAs = (actor: Actor, domid: number): boolean =>
  actor.domid === domid || actor.target === domid;

function isValid(domid: number, setAt: number, since: DomainSince): boolean {
  const start = since(domid);
  return start !== undefined && start <= setAt;
}
