/** Cached translations that may be out of date: noted when a page changes its use, settled before anything translates. */

import type { Processor } from '../x86/processor.js';

export class Translations {
  readonly #processor: Processor;
  #stale = false;

  constructor(processor: Processor) {
    this.#processor = processor;
  }

  /** A page was given up or becomes a table: what the TLB holds must not be used any more. */
  markStale(): void {
    this.#stale = true;
  }

  /** Called before each translation and before each return to a guest. */
  settle(): void {
    if (!this.#stale) return;
    this.#stale = false;
    this.#processor.flushTlb();
  }
}
