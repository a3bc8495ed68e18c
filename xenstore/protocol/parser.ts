/**
 * The incremental parser: bytes in, packets out, with explicit states and no callbacks.
 *
 *   push(bytes)            next()
 *   ───────────▶  header ─────────▶ body ─────────▶ 'packet' (then header again)
 *                    │ 'need-more'    │ 'need-more'
 *                    └─ len > 4096 ──▶ failed: 'too-long', for ever
 *
 * Packets that lie whole in the pushed bytes are read in place; only what is left over is copied.
 */
import { XS_LIMIT } from '../../hypervisor/public/io/xs-wire.js';
import { decodeLatin1 } from './latin1.js';
import { HEADER_SIZE, type Packet, readU32 } from './packet.js';

export type ParserState =
  /** Fewer bytes than a header are there. */
  | 'header'
  /** The header is there, its payload is not. */
  | 'body'
  /** A payload longer than the protocol allows was announced. */
  | 'failed';

/** What `next` found: `packet` has the message, `need-more` and `too-long` explain themselves. */
export type ParserResult = 'packet' | 'need-more' | 'too-long';

const EMPTY: Uint8Array = new Uint8Array(0);
const NO_PACKET: Packet = { type: 0, reqId: 0, txId: 0, body: '' };

export class PacketParser {
  /** The message that the last `next() === 'packet'` found. */
  packet: Packet = NO_PACKET;
  state: ParserState = 'header';
  /** The bytes being parsed and how far: the pushed ones, or the kept ones. */
  #bytes = EMPTY;
  #at = 0;
  #end = 0;
  /** What was left of earlier pushes: at most one unfinished packet. */
  #kept = EMPTY;
  #keptLength = 0;
  /** The rest of the pushed bytes, while #bytes are the kept ones. */
  #rest = EMPTY;

  /**
   * Takes bytes. The caller then calls `next` until it no longer says `packet`; only after that may it
   * re-use the memory and push again.
   */
  push(bytes: Uint8Array): void {
    if (this.#keptLength === 0) {
      this.#read(bytes);
      return;
    }
    this.#rest = bytes;
    this.#fillKept();
  }

  next(): ParserResult {
    if (this.state === 'failed') return 'too-long';
    const available = this.#end - this.#at;
    if (available < HEADER_SIZE) return this.#needMore('header');
    const bytes = this.#bytes;
    const at = this.#at;
    const length = readU32(bytes, at + 12);
    if (length > XS_LIMIT.PAYLOAD_MAX) {
      this.state = 'failed';
      this.#forget();
      return 'too-long';
    }
    if (available < HEADER_SIZE + length) return this.#needMore('body');
    this.#at = at + HEADER_SIZE + length;
    this.packet = {
      type: readU32(bytes, at),
      reqId: readU32(bytes, at + 4),
      txId: readU32(bytes, at + 8),
      body: decodeLatin1(bytes, at + HEADER_SIZE, this.#at),
    };
    this.state = 'header';
    return 'packet';
  }

  /** Bytes of an unfinished packet: a client that vanishes now vanishes in mid-message. */
  get pending(): number {
    return this.#keptLength;
  }

  #read(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.#at = 0;
    this.#end = bytes.length;
  }

  /** The bytes at hand hold no whole packet: fetch more from the rest, or keep them for the next push. */
  #needMore(state: ParserState): ParserResult {
    this.state = state;
    if (this.#bytes === this.#kept && this.#keptLength > 0) {
      this.#dropParsed();
      if (this.#rest.length === 0) return 'need-more';
      if (this.#keptLength > 0) this.#fillKept();
      else this.#readRest();
      return this.next();
    }
    const left = this.#end - this.#at;
    if (left > 0) this.#keep(this.#bytes.subarray(this.#at, this.#end));
    this.#read(EMPTY);
    return 'need-more';
  }

  #readRest(): void {
    const rest = this.#rest;
    this.#rest = EMPTY;
    this.#read(rest);
  }

  /** Moves just enough of the rest behind the kept bytes to finish the header, then the packet. */
  #fillKept(): void {
    const kept = this.#kept;
    let wanted = HEADER_SIZE;
    if (this.#keptLength >= HEADER_SIZE) wanted += readU32(kept, 12);
    const taken = Math.min(wanted - this.#keptLength, this.#rest.length);
    kept.set(this.#rest.subarray(0, taken), this.#keptLength);
    this.#keptLength += taken;
    this.#rest = this.#rest.subarray(taken);
    this.#bytes = kept;
    this.#at = 0;
    this.#end = this.#keptLength;
  }

  #keep(bytes: Uint8Array): void {
    if (this.#kept.length === 0) this.#kept = new Uint8Array(HEADER_SIZE + XS_LIMIT.PAYLOAD_MAX);
    this.#kept.set(bytes, 0);
    this.#keptLength = bytes.length;
  }

  #dropParsed(): void {
    if (this.#at === 0) return;
    this.#keptLength = 0;
    this.#end = 0;
    this.#at = 0;
  }

  #forget(): void {
    this.#keptLength = 0;
    this.#rest = EMPTY;
    this.#read(EMPTY);
  }
}
