/** Grants that a frontend uses again and again: mapped once, kept until the end, and no more of them than a bound. */

import { type MappedGrant, type Privcmd, PrivcmdRefusal } from '../privcmd.js';

export class PersistentGrants {
  readonly #privcmd: Privcmd;
  readonly #domid: number;
  readonly #limit: number;
  readonly #mapped = new Map<number, MappedGrant>();

  /** @param limit grants kept at most; what is beyond has to be copied. */
  constructor(privcmd: Privcmd, domid: number, limit: number) {
    this.#privcmd = privcmd;
    this.#domid = domid;
    this.#limit = limit;
  }

  get size(): number {
    return this.#mapped.size;
  }

  lookup(ref: number): MappedGrant | undefined {
    return this.#mapped.get(ref);
  }

  /** References among these that are not mapped, each once, as many as there is room for. */
  missing(refs: Iterable<number>): number[] {
    const missing = new Set<number>();
    for (const ref of refs) if (!this.#mapped.has(ref)) missing.add(ref);
    return [...missing].slice(0, this.#limit - this.#mapped.size);
  }

  /** Maps all of them, or none if one cannot be: then copying will tell which. Not to be called again before it resolves. */
  async map(refs: readonly number[]): Promise<void> {
    try {
      const grants = await this.#privcmd.mapGrants(this.#domid, refs);
      for (const [n, ref] of refs.entries()) {
        const grant = grants[n];
        if (grant !== undefined) this.#mapped.set(ref, grant);
      }
    } catch (error) {
      if (!(error instanceof PrivcmdRefusal)) throw error;
    }
  }

  async release(): Promise<void> {
    const grants = [...this.#mapped.values()];
    this.#mapped.clear();
    await this.#privcmd.unmapGrants(grants);
  }
}
