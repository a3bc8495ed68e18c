/** Values of one kind, by key: all of them in memory, and each acknowledged change on disk. */

import type { Database } from 'lmdb';
import type { z } from 'zod';

export class Collection<Value> {
  readonly #database: Database<unknown, string>;
  readonly #values = new Map<string, Value>();
  /** Changes happen one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  /** @param log hears of entries that cannot be understood. They stay on disk as they are, and are as good as absent. */
  constructor(
    database: Database<unknown, string>,
    schema: z.ZodType<Value>,
    log: (line: string) => void,
  ) {
    this.#database = database;
    for (const { key, value } of database.getRange()) {
      const parsed = schema.safeParse(value);
      if (parsed.success) this.#values.set(key, parsed.data);
      else log(`state: the entry "${key}" cannot be understood: ${parsed.error.message}`);
    }
  }

  get size(): number {
    return this.#values.size;
  }

  get(key: string): Value | undefined {
    return this.#values.get(key);
  }

  /** By ascending key. */
  list(): Value[] {
    const entries = [...this.#values].sort(([a], [b]) => (a < b ? -1 : 1));
    return entries.map(([, value]) => value);
  }

  /**
   * Replaces a value by what `step` makes of it: undefined removes it, the same object changes nothing, an error that it throws
   * is the caller's. Resolves when the change is on disk; until then nobody sees it.
   */
  change<Next extends Value | undefined>(
    key: string,
    step: (present: Value | undefined) => Next,
  ): Promise<Next> {
    const mine = this.#turn.then(async () => {
      const present = this.#values.get(key);
      const next = step(present);
      if (next === present) return next;
      if (next === undefined) await this.#database.remove(key);
      else await this.#database.put(key, next);
      if (next === undefined) this.#values.delete(key);
      else this.#values.set(key, next);
      return next;
    });
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  /** Resolves when no change is under way. */
  readonly settled = async (): Promise<void> => {
    await this.#turn;
  };
}
