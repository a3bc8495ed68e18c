/** Makes a virtual clock follow the processor: one nanosecond for each instruction retired. */

import type { VirtualClock } from './host.js';
import type { Clock } from './machine/clock.js';

const isVirtual = (clock: Clock | VirtualClock): clock is VirtualClock => 'advance' in clock;

export class VirtualTime {
  readonly #clock: VirtualClock | undefined;
  readonly #processor: { readonly retired: number };
  #seen = 0;

  /** @param clock a real one is left alone. */
  constructor(clock: Clock | VirtualClock, processor: { readonly retired: number }) {
    this.#clock = isVirtual(clock) ? clock : undefined;
    this.#processor = processor;
  }

  get isVirtual(): boolean {
    return this.#clock !== undefined;
  }

  /** Lets the clock catch up with the processor. */
  follow(): void {
    if (this.#clock === undefined) return;
    const { retired } = this.#processor;
    if (retired === this.#seen) return;
    this.#clock.advance(retired - this.#seen);
    this.#seen = retired;
  }

  /** Nothing runs: the clock goes to where the next timer is. */
  skipTo(at: number): void {
    if (this.#clock && at > this.#clock.now()) this.#clock.advance(at - this.#clock.now());
  }
}
