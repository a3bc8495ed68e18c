/** Randomness as the machine sees it: passed in, never taken from the host, so that a run with a virtual clock repeats exactly. */

export interface RandomSource {
  /** Fills all bytes. */
  fill(into: Uint8Array): void;
}

/** Numbers that depend on the seed alone (splitmix32): for runs that are to repeat, not for secrets. */
export class SeededRandom implements RandomSource {
  #state: number;

  constructor(seed = 0) {
    this.#state = seed | 0;
  }

  fill(into: Uint8Array): void {
    for (let at = 0; at < into.length; at += 4) {
      const word = this.#next();
      for (let n = 0; n < 4 && at + n < into.length; n++) into[at + n] = word >>> (8 * n);
    }
  }

  #next(): number {
    this.#state = (this.#state + 0x9e37_79b9) | 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0_aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a_2d97);
    return z ^ (z >>> 15);
  }
}
