/**
 * LZ4 in the "legacy" frame that Linux's build makes: a magic number, then blocks with their packed sizes, no checksums.
 * Spec: LZ4 frame format (legacy frame), LZ4 block format.
 */

export const LZ4_MAGIC = [0x02, 0x21, 0x4c, 0x18] as const;

const SIZE_BYTES = 4;
const OFFSET_BYTES = 2;
const MIN_MATCH = 4;
/** A nibble with this value is continued in the bytes that follow, each of which adds up to 255. */
const MORE = 15;
const MORE_BYTE = 255;

/** Unpacks into `output`, which is as long as the result must be. @throws RangeError where the stream makes no sense. */
export function unpackLz4(packed: Uint8Array, output: Uint8Array): void {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  let at: number = LZ4_MAGIC.length;
  let written = 0;
  while (at < packed.length) {
    if (at + SIZE_BYTES > packed.length) throw new RangeError(`block header cut at byte ${at}`);
    const size = view.getUint32(at, true);
    const from = at + SIZE_BYTES;
    at = from + size;
    if (at > packed.length) throw new RangeError(`block at byte ${from} is cut`);
    written = new Block(packed.subarray(from, at), output, written).unpack();
  }
  if (written !== output.length) throw new RangeError(`unpacks to ${written} bytes`);
}

/** One block: sequences of literals and a match in what has been written. */
class Block {
  readonly #packed: Uint8Array;
  readonly #output: Uint8Array;
  #at = 0;
  #to: number;

  constructor(packed: Uint8Array, output: Uint8Array, to: number) {
    this.#packed = packed;
    this.#output = output;
    this.#to = to;
  }

  /** @returns where the output has got to. */
  unpack(): number {
    const begin = this.#to;
    while (this.#at < this.#packed.length) {
      const token = this.#byte();
      this.#literals(this.#length(token >> 4));
      // The last sequence has no match.
      if (this.#at < this.#packed.length) this.#match(begin, token & MORE);
    }
    return this.#to;
  }

  #byte(): number {
    const byte = this.#packed[this.#at];
    if (byte === undefined) throw new RangeError('a sequence is cut');
    this.#at += 1;
    return byte;
  }

  #length(nibble: number): number {
    let length = nibble;
    if (nibble < MORE) return length;
    for (;;) {
      const byte = this.#byte();
      length += byte;
      if (byte < MORE_BYTE) return length;
    }
  }

  #literals(length: number): void {
    const end = this.#at + length;
    if (end > this.#packed.length) throw new RangeError('literals are cut');
    this.#requireRoom(length);
    this.#output.set(this.#packed.subarray(this.#at, end), this.#to);
    this.#at = end;
    this.#to += length;
  }

  #match(begin: number, nibble: number): void {
    if (this.#at + OFFSET_BYTES > this.#packed.length) throw new RangeError('a sequence is cut');
    const offset = this.#byte() + (this.#byte() << 8);
    const length = this.#length(nibble) + MIN_MATCH;
    if (offset === 0 || offset > this.#to - begin) throw new RangeError('a match begins nowhere');
    this.#requireRoom(length);
    const output = this.#output;
    const end = this.#to + length;
    // It may overlap what it writes: byte by byte, it repeats itself.
    for (let to = this.#to; to < end; to++) output[to] = output[to - offset] as number;
    this.#to = end;
  }

  #requireRoom(length: number): void {
    if (this.#to + length > this.#output.length)
      throw new RangeError('more comes out than it says');
  }
}
