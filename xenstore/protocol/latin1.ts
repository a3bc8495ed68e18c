/** Bytes as strings, one character per byte: how payloads are held inside the daemon. */

/** Above this many bytes the argument list of one call gets too long. */
const CHUNK = 4096;

/** The bytes from `start` to `end` as a string of characters 0 to 255. */
export function decodeLatin1(bytes: Uint8Array, start: number, end: number): string {
  if (end - start <= CHUNK) return decodeChunk(bytes, start, end);
  let text = '';
  for (let at = start; at < end; at += CHUNK) {
    text += decodeChunk(bytes, at, Math.min(end, at + CHUNK));
  }
  return text;
}

// Hot path: TextDecoder costs 300 ns before its first byte and has no true latin1.
function decodeChunk(bytes: Uint8Array, start: number, end: number): string {
  return String.fromCharCode.apply(null, bytes.subarray(start, end) as unknown as number[]);
}

/**
 * Writes the low byte of each character.
 * @returns the offset after the last byte.
 */
export function encodeLatin1(text: string, into: Uint8Array, at: number): number {
  const length = text.length;
  for (let i = 0; i < length; i++) into[at + i] = text.charCodeAt(i);
  return at + length;
}

/** Text for people, as UTF-8 in a latin1 string: what a client puts on the wire. */
export function utf8ToLatin1(text: string): string {
  // Most names and values are ASCII, which is the same in both.
  if (!/[^\x00-\x7f]/.test(text)) return text;
  const bytes = new TextEncoder().encode(text);
  return decodeLatin1(bytes, 0, bytes.length);
}

/** Reads a latin1 string as UTF-8; bytes that are not UTF-8 become U+FFFD. */
export function latin1ToUtf8(text: string): string {
  if (!/[^\x00-\x7f]/.test(text)) return text;
  return new TextDecoder().decode(latin1Bytes(text));
}

/** The bytes of a latin1 string. */
export function latin1Bytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  encodeLatin1(text, bytes, 0);
  return bytes;
}
