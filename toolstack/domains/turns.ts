/** Turns: steps that concern the same thing happen one after the other, in the order in which they were asked for. */

export class Turns<Thing extends object> {
  readonly #last = new WeakMap<Thing, Promise<unknown>>();

  /** Runs a step when all earlier ones on the same thing are done. */
  take<Result>(thing: Thing, step: () => Promise<Result>): Promise<Result> {
    const before = this.#last.get(thing) ?? Promise.resolve();
    const mine = before.then(step, step);
    this.#last.set(
      thing,
      mine.catch(() => undefined),
    );
    return mine;
  }
}
