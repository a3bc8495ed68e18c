/** Barriers among the writes of a disk: one waits for all writes before it, all writes after it wait for it. */

/** A place in the order. */
export interface Turn {
  /** When it may begin; undefined: at once. */
  readonly ready: Promise<unknown> | undefined;
  /** It is done, well or not. */
  leave(): void;
}

export class WriteOrder {
  /** Writes since the last barrier that are not done. */
  readonly #writes = new Set<Promise<void>>();
  /** The last barrier, if it is not done. */
  #barrier: Promise<void> | undefined;

  enterWrite(): Turn {
    const [done, leave] = promise();
    this.#writes.add(done);
    return {
      ready: this.#barrier,
      leave: () => {
        this.#writes.delete(done);
        leave();
      },
    };
  }

  enterBarrier(): Turn {
    const before = [...this.#writes, ...(this.#barrier === undefined ? [] : [this.#barrier])];
    const [done, leave] = promise();
    this.#writes.clear();
    this.#barrier = done;
    return {
      ready: before.length === 0 ? undefined : Promise.all(before),
      leave: () => {
        if (this.#barrier === done) this.#barrier = undefined;
        leave();
      },
    };
  }
}

function promise(): [Promise<void>, () => void] {
  let settle: () => void = () => undefined;
  const done = new Promise<void>((resolve) => {
    settle = resolve;
  });
  return [done, settle];
}
