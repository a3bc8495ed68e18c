/** Bytes as strings, one character per byte: how payloads are held inside the daemon. */

/** Above this many bytes the argument list of one call gets too long. */
const CHUNK = 4096;
/** From here on the platform's UTF-8 coders, which see only ASCII, beat a loop: at 900 bytes by 4 and 15 times. */
const LONG = 48;
const NON_ASCII = /[^\x00-\x7f]/;
const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** The bytes from `start` to `end` as a string of characters 0 to 255. */
export function decodeLatin1(bytes: Uint8Array, start: number, end: number): string {
  const length = end - start;
  if (length > LONG) {
    const text = decoder.decode(bytes.subarray(start, end));
    if (text.length === length && !NON_ASCII.test(text)) return text;
  }
  if (length <= CHUNK) return decodeChunk(bytes, start, end);
  let text = '';
  for (let at = start; at < end; at += CHUNK) {
    text += decodeChunk(bytes, at, Math.min(end, at + CHUNK));
  }
  return text;
}

// Short and any bytes at all: TextDecoder is slow to start, and knows no true latin1.
function decodeChunk(bytes: Uint8Array, start: number, end: number): string {
  return String.fromCharCode.apply(null, bytes.subarray(start, end) as unknown as number[]);
}

/**
 * Writes the low byte of each character.
 * @returns the offset after the last byte.
 */
export function encodeLatin1(text: string, into: Uint8Array, at: number): number {
  const length = text.length;
  if (length > LONG) {
    const { read, written } = encoder.encodeInto(text, into.subarray(at, at + length));
    if (read === length && written === length) return at + length;
  }
  for (let i = 0; i < length; i++) into[at + i] = text.charCodeAt(i);
  return at + length;
}

/** Text for people, as UTF-8 in a latin1 string: what a client puts on the wire. */
export function utf8ToLatin1(text: string): string {
  // Most names and values are ASCII, which is the same in both.
  if (!NON_ASCII.test(text)) return text;
  const bytes = encoder.encode(text);
  return decodeLatin1(bytes, 0, bytes.length);
}

/** Reads a latin1 string as UTF-8; bytes that are not UTF-8 become U+FFFD. */
export function latin1ToUtf8(text: string): string {
  if (!NON_ASCII.test(text)) return text;
  return decoder.decode(latin1Bytes(text));
}

/** The bytes of a latin1 string. */
export function latin1Bytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  encodeLatin1(text, bytes, 0);
  return bytes;
}
