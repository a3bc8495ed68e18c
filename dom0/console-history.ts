/** The last bytes a console has printed, in a bounded buffer that grows only as far as it is used. */

const FIRST_CAPACITY = 4096;

export class ConsoleHistory {
  readonly limit: number;
  #bytes = new Uint8Array(0);
  /** Bytes ever appended; the newest `kept` of them are in the buffer, byte i at i mod capacity. */
  #end = 0;

  /** @param limit bytes kept at most. */
  constructor(limit: number) {
    this.limit = limit;
  }

  /** Bytes that can be replayed. */
  get kept(): number {
    return Math.min(this.#end, this.#bytes.length);
  }

  /** Bytes ever printed, those no longer kept included. */
  get total(): number {
    return this.#end;
  }

  append(chunk: Uint8Array): void {
    const tail = chunk.length > this.limit ? chunk.subarray(chunk.length - this.limit) : chunk;
    this.#end += chunk.length - tail.length;
    this.#reserve(this.kept + tail.length);
    const capacity = this.#bytes.length;
    if (capacity === 0) return;
    const at = this.#end % capacity;
    const first = tail.subarray(0, capacity - at);
    this.#bytes.set(first, at);
    this.#bytes.set(tail.subarray(first.length), 0);
    this.#end += tail.length;
  }

  /** A copy of what is kept, oldest first: the last `most` bytes of it. */
  bytes(most = this.limit): Uint8Array {
    const kept = Math.min(this.kept, most);
    const out = new Uint8Array(kept);
    const capacity = this.#bytes.length;
    if (kept === 0) return out;
    const at = (this.#end - kept) % capacity;
    const first = this.#bytes.subarray(at, Math.min(at + kept, capacity));
    out.set(first);
    out.set(this.#bytes.subarray(0, kept - first.length), first.length);
    return out;
  }

  #reserve(wanted: number): void {
    if (wanted <= this.#bytes.length || this.#bytes.length === this.limit) return;
    const kept = this.bytes();
    const doubled = Math.max(wanted, 2 * this.#bytes.length, FIRST_CAPACITY);
    const grown = new Uint8Array(Math.min(doubled, this.limit));
    const start = this.#end - kept.length;
    for (let i = 0; i < kept.length; i += 1) grown[(start + i) % grown.length] = kept[i] ?? 0;
    this.#bytes = grown;
  }
}
