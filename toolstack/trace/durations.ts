/** How long something took, many times over: counted in classes a sixteenth of their value wide, so that its memory does not grow. */

/** Classes for each power of two; below that, one for each nanosecond. */
const PARTS = 16;
const PARTS_SHIFT = Math.log2(PARTS);
/** Powers of two of a number of 32 bits. */
const POWERS = 32;

export class Durations {
  readonly #counts = new Uint32Array((POWERS - PARTS_SHIFT + 1) * PARTS);
  #count = 0;
  #total = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = 0;

  /** @param ns a whole number; above 2^32 it counts as that in its class. */
  add(ns: number): void {
    const at = classOf(Math.min(ns, 2 ** POWERS - 1));
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#count += 1;
    this.#total += ns;
    if (ns < this.#min) this.#min = ns;
    if (ns > this.#max) this.#max = ns;
  }

  get total(): number {
    return this.#total;
  }
  /** 0 if there is none. */
  get min(): number {
    return this.#count === 0 ? 0 : this.#min;
  }
  get max(): number {
    return this.#max;
  }

  /** What so much of them, 0 to 1, are not longer than: within 1/32 of what it is. 0 if there is none. */
  quantile(share: number): number {
    let left = Math.ceil(share * this.#count);
    if (left === 0) return this.min;
    const at = this.#counts.findIndex((count) => {
      left -= count;
      return left <= 0;
    });
    return Math.min(Math.max(middleOf(at), this.min), this.#max);
  }
}

function classOf(ns: number): number {
  if (ns < PARTS) return ns;
  const power = POWERS - 1 - Math.clz32(ns);
  const shift = power - PARTS_SHIFT;
  return (shift + 1) * PARTS + ((ns >>> shift) & (PARTS - 1));
}

function middleOf(at: number): number {
  if (at < PARTS) return at;
  const width = 2 ** (Math.floor(at / PARTS) - 1);
  return (PARTS + (at % PARTS)) * width + Math.floor(width / 2);
}
