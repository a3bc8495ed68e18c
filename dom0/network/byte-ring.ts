/** Bytes waiting to be sent or to be acknowledged: a queue that grows as far as it is used, and is read anywhere. */

const FIRST_CAPACITY = 4096;

export class ByteRing {
  #bytes = new Uint8Array(0);
  /** Where the first byte lies. */
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  append(chunk: Uint8Array): void {
    this.#reserve(this.#length + chunk.length);
    const at = (this.#head + this.#length) % this.#bytes.length;
    const first = chunk.subarray(0, this.#bytes.length - at);
    this.#bytes.set(first, at);
    this.#bytes.set(chunk.subarray(first.length), 0);
    this.#length += chunk.length;
  }

  /** Copies `length` bytes from the `from`th on, all of which must be there, to a place in `target`. */
  copy(from: number, length: number, target: Uint8Array, at: number): void {
    if (length === 0) return;
    const start = (this.#head + from) % this.#bytes.length;
    const first = this.#bytes.subarray(start, start + length);
    target.set(first, at);
    if (first.length < length)
      target.set(this.#bytes.subarray(0, length - first.length), at + first.length);
  }

  /** Forgets the first bytes. */
  drop(count: number): void {
    this.#length -= count;
    this.#head = this.#length === 0 ? 0 : (this.#head + count) % this.#bytes.length;
  }

  #reserve(wanted: number): void {
    if (wanted <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(wanted, 2 * this.#bytes.length, FIRST_CAPACITY));
    this.copy(0, this.#length, grown, 0);
    this.#bytes = grown;
    this.#head = 0;
  }
}
