/**
 * Numbers in network byte order. Reading beyond the end gives zeros and writing there is nothing: what a guest sent is
 * never an exception.
 */

export const read8 = (bytes: Uint8Array, at: number): number => bytes[at] ?? 0;

export const read16 = (bytes: Uint8Array, at: number): number =>
  (read8(bytes, at) << 8) | read8(bytes, at + 1);

export const read32 = (bytes: Uint8Array, at: number): number =>
  ((read16(bytes, at) << 16) | read16(bytes, at + 2)) >>> 0;

export function write16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

export function write32(bytes: Uint8Array, at: number, value: number): void {
  write16(bytes, at, value >>> 16);
  write16(bytes, at + 2, value);
}

/** A copy, also of a Buffer, whose own `slice` would be none. */
export const copyOf = (bytes: Uint8Array, from = 0, to = bytes.length): Uint8Array =>
  new Uint8Array(bytes.subarray(from, to));
