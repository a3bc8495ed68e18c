/** What a domain may use up. Unprivileged domains only; the defaults are C xenstored's (rule 31). */

// biome-ignore format: one row per quota
export const DEFAULT_QUOTAS = {
  /** Nodes owned. */
  nodes:             1000,
  /** Bytes of one node: header 24, 8 per permission, value and names of children. */
  nodeSize:          2048,
  /** Watches; one more than this is held, as in C. */
  watches:            128,
  /** Open transactions; one more than this is held, as in C. */
  transactions:        10,
  /** Entries of a permission list. */
  permissions:          5,
  /** Nodes touched by one transaction. */
  transactionNodes:  1024,
  /** Bytes of values that open transactions hold. C counts more things here, and stops serving a domain above it. */
  memory:            2_621_440,
  /** Requests whose replies wait because the domain does not read them. */
  outstanding:         20,
  /** Characters of a path, a leading "/local/domain/<n>/" not counted. Holds for everybody. */
  pathLength:        2048,
} as const;

export type QuotaName = keyof typeof DEFAULT_QUOTAS;
export type Quotas = Readonly<Record<QuotaName, number>>;
