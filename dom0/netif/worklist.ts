/** Work on a ring, one step after the other: kicked by events, never two steps at once, and able to be stopped. */

import { PrivcmdGone, PrivcmdRefusal } from '../privcmd.js';

export class Worklist {
  readonly #step: () => Promise<boolean>;
  readonly #failed: (reason: string) => void;
  #running: Promise<void> | undefined;
  #stopped = false;

  /**
   * @param step one round; returns whether there is more to do without a new event.
   * @param failed told of a step that threw, which none should.
   */
  constructor(step: () => Promise<boolean>, failed: (reason: string) => void) {
    this.#step = step;
    this.#failed = failed;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** Begins a round, unless one is under way: that looks again before it ends. */
  kick(): void {
    if (this.#running || this.#stopped) return;
    this.#running = this.#run();
  }

  /** Begins no round any more. Resolves when none is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    try {
      // Whoever kicked finishes first, so that all it has to do is one round's work.
      await undefined;
      while (!this.#stopped && (await this.#step()));
    } catch (error) {
      this.#stopped = true;
      // The domain is dying, or the host is: the device is about to be detached.
      if (!(error instanceof PrivcmdRefusal || error instanceof PrivcmdGone)) {
        this.#failed(error instanceof Error ? (error.stack ?? error.message) : String(error));
      }
    } finally {
      this.#running = undefined;
    }
  }
}

/** To be awaited by a step that waits for nothing else: a guest that keeps it busy must not keep everybody else out. */
export const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
