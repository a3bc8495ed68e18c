/** A domain's ceiling of processor time: a budget that refills with time and is spent by running. */

/** The budget holds at most what this many nanoseconds refill: how long a capped domain may run in one go. */
const BURST_NS = 10_000_000;
/** With less than this a domain waits, so that it does not run in crumbs. */
const ENOUGH_NS = 200_000;

export class Cap {
  #percent: number;
  #budget = 0;
  #refilled: number;

  /** @param percent of one CPU, 0 for no ceiling. */
  constructor(percent: number, now: number) {
    this.#percent = percent;
    this.#refilled = now;
  }

  get percent(): number {
    return this.#percent;
  }

  set(percent: number, now: number): void {
    this.#percent = percent;
    this.#budget = 0;
    this.#refilled = now;
  }

  /** Nanoseconds it may run now, Infinity without a ceiling, 0 if it has to wait until `readyAt`. */
  available(now: number): number {
    if (this.#percent === 0) return Number.POSITIVE_INFINITY;
    const refill = ((now - this.#refilled) * this.#percent) / 100;
    const ceiling = Math.max((BURST_NS * this.#percent) / 100, ENOUGH_NS);
    this.#budget = Math.min(this.#budget + refill, ceiling);
    this.#refilled = now;
    return this.#budget >= ENOUGH_NS ? this.#budget : 0;
  }

  burn(ns: number): void {
    if (this.#percent > 0) this.#budget -= ns;
  }

  /** System time at which a domain that has to wait may run again. */
  readyAt(now: number): number {
    return now + Math.ceil(((ENOUGH_NS - this.#budget) * 100) / this.#percent);
  }
}
