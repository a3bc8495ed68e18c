/**
 * The sending half of a TCP connection: what is in flight, when it is sent again, and how much may be.
 * Spec: RFC 9293 §3.8.6 (windows, probes), RFC 6298 (retransmission timeout), RFC 5681 and 6582 (congestion, NewReno).
 *
 * Sequence numbers are offsets that do not wrap: 0 is the SYN, data begins at 1, the FIN follows the last byte.
 *
 *         una              next           edge               end
 *   ───────┼─────────────────┼──────────────┼──────────────────┼── FIN
 *   acknowledged   in flight      may go        must wait
 *
 * The peer is a guest on the same machine: segments are lost only where its ring is full. So the first window is large, and
 * what was lost is sent again in pieces as large as any.
 */

import { ByteRing } from './byte-ring.js';
import type { NetworkHost } from './host.js';

/** Milliseconds. RFC 6298 asks for a second at least; like Linux, we take 200 ms, beyond any delayed acknowledgement. */
const RTO = { FIRST: 1000, LEAST: 200, MOST: 30_000 } as const;
/** Timeouts in a row without an answer until the peer counts as gone: of a SYN, of anything later. */
const PATIENCE = { SYN: 5, DATA: 10 } as const;
const DUPLICATES_MEAN_LOSS = 3;
const FIRST_WINDOW_SEGMENTS = 32;
const MOST_CONGESTION_WINDOW = 1024 * 1024;
/** Of a peer that does not say: RFC 9293 §3.7.1. */
const DEFAULT_MSS = 536;

export interface SenderOutput {
  /** Sends `length` bytes from `offset` on; offset 0 is the SYN. */
  transmit(offset: number, length: number, fin: boolean): void;
  /** The peer has not answered for too long. */
  gaveUp(): void;
}

export class TcpSender {
  readonly ring = new ByteRing();
  readonly #host: NetworkHost;
  readonly #out: SenderOutput;
  #mss = DEFAULT_MSS;
  /** Longest piece given to `transmit`: many segments at once, which whoever must cuts. */
  #piece = DEFAULT_MSS;
  #una = 0;
  #next = 0;
  /** Beyond all that was ever sent: what may be acknowledged. */
  #highest = 0;
  #edge = 1;
  /** Behind the last byte that was queued; the FIN's place. */
  #end = 1;
  #finQueued = false;
  #congestion = 0;
  #threshold = Number.POSITIVE_INFINITY;
  #duplicates = 0;
  /** While below it, a loss is still being repaired. */
  #recover = 0;
  #rto: number = RTO.FIRST;
  #rtt: { readonly mean: number; readonly deviation: number } | undefined;
  /** One segment at a time is timed, and none that was sent twice: Karn. */
  #timed: { readonly offset: number; readonly at: number } | undefined;
  #retries = 0;
  #deadline = Number.POSITIVE_INFINITY;
  /** When the timer ends, if there is one. */
  #wakes = 0;
  #cancel: (() => void) | undefined;

  constructor(host: NetworkHost, out: SenderOutput) {
    this.#host = host;
    this.#out = out;
  }

  /** The first byte not acknowledged: 1 or more once the peer has answered our SYN. */
  get acknowledged(): number {
    return this.#una;
  }

  /** What may be acknowledged at most. */
  get highest(): number {
    return this.#highest;
  }

  get next(): number {
    return this.#next;
  }

  /** Where the first byte of the ring lies. */
  get ringOffset(): number {
    return Math.min(Math.max(this.#una, 1), this.#end);
  }

  get finAcknowledged(): boolean {
    return this.#finQueued && this.#una > this.#end;
  }

  get finSent(): boolean {
    return this.#finQueued && this.#highest > this.#end;
  }

  /** @param mss what the peer takes in a segment; @param piece most bytes per `transmit`, cut to whole segments. */
  configure(mss: number, piece: number): void {
    this.#mss = mss;
    this.#piece = Math.max(mss, piece - (piece % mss));
    this.#congestion = FIRST_WINDOW_SEGMENTS * mss;
  }

  sendSyn(): void {
    this.#next = 1;
    this.#highest = 1;
    this.#time(1);
    this.#out.transmit(0, 0, false);
    this.#restartTimer();
  }

  queue(bytes: Uint8Array): void {
    this.ring.append(bytes);
    this.#end += bytes.length;
    this.#pump();
  }

  queueFin(): void {
    this.#finQueued = true;
    this.#pump();
  }

  /**
   * @param window undefined if it is older than the one known.
   * @param bare neither data nor FIN came with it: only then a repeated acknowledgement means a loss.
   */
  acknowledge(ack: number, window: number | undefined, bare: boolean): void {
    const edge = window === undefined ? this.#edge : ack + window;
    const advanced = ack > this.#una;
    const opened = this.#edge <= this.#una && edge > ack;
    if (advanced) this.#advance(ack);
    else if (bare && edge === this.#edge && this.#next > this.#una) this.#countDuplicate();
    this.#edge = edge;
    // A peer that answers lives: it is asked ever more rarely whether its window has opened, but never given up.
    if (window === 0) this.#retries = Math.min(this.#retries, PATIENCE.DATA - 1);
    if (opened) this.#retries = 0;
    this.#pump();
    if (advanced || opened) this.#restartTimer();
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#deadline = Number.POSITIVE_INFINITY;
  }

  #advance(ack: number): void {
    const fresh = ack - this.#una;
    this.ring.drop(Math.min(ack - this.ringOffset, this.ring.length));
    this.#una = ack;
    this.#next = Math.max(this.#next, ack);
    this.#retries = 0;
    this.#duplicates = 0;
    if (this.#timed && ack >= this.#timed.offset) this.#measure(this.#timed.at);
    if (ack < this.#recover) {
      this.#resendFirst(); // RFC 6582 §3.2: the next hole
      this.#congestion = Math.max(this.#mss, this.#congestion - fresh + this.#mss);
    } else if (this.#recover > 0) {
      this.#recover = 0;
      this.#congestion = Math.min(this.#congestion, this.#threshold);
    } else {
      this.#grow(fresh);
    }
  }

  /** RFC 5681 §3.1: slow start, then one segment a round trip. */
  #grow(fresh: number): void {
    const slow = this.#congestion < this.#threshold;
    const more = slow ? fresh : (this.#mss * fresh) / this.#congestion;
    this.#congestion = Math.min(MOST_CONGESTION_WINDOW, this.#congestion + more);
  }

  #countDuplicate(): void {
    this.#duplicates++;
    if (this.#recover > 0) {
      this.#congestion += this.#mss;
    } else if (this.#duplicates === DUPLICATES_MEAN_LOSS) {
      this.#reduce();
      this.#congestion = this.#threshold + DUPLICATES_MEAN_LOSS * this.#mss;
      this.#recover = this.#highest;
      this.#resendFirst();
    }
  }

  #reduce(): void {
    this.#threshold = Math.max((this.#highest - this.#una) / 2, 2 * this.#mss);
    this.#timed = undefined;
  }

  #resendFirst(): void {
    const sent = Math.min(this.#next, this.#end) - this.#una;
    const length = Math.max(0, Math.min(sent, this.#piece));
    this.#timed = undefined;
    this.#out.transmit(this.#una, length, this.#finQueued && this.#una + length === this.#end);
  }

  /** Sends what may be sent. */
  #pump(): void {
    if (this.#una === 0) return;
    for (let length = this.#sendable(); length >= 0; length = this.#sendable()) {
      const fin = this.#finQueued && this.#next + length === this.#end;
      if (this.#next >= this.#highest) this.#time(this.#next + length + (fin ? 1 : 0));
      const offset = this.#next;
      this.#next += length + (fin ? 1 : 0);
      this.#highest = Math.max(this.#highest, this.#next);
      this.#out.transmit(offset, length, fin);
    }
    if (this.#deadline === Number.POSITIVE_INFINITY) this.#restartTimer();
  }

  /** @returns bytes for the next piece, 0 for a FIN alone, -1 for nothing. */
  #sendable(): number {
    const waiting = this.#end - this.#next;
    if (waiting === 0) return this.#finQueued ? 0 : -1;
    const open = Math.min(this.#edge, this.#una + this.#congestion) - this.#next;
    const length = Math.floor(Math.min(waiting, open, this.#piece));
    if (length <= 0) return -1;
    // RFC 9293 §3.8.6.2.1: no small pieces of a large whole, unless nothing else would ever open the window
    return length < waiting && length < this.#mss && this.#next > this.#una ? -1 : length;
  }

  #time(offset: number): void {
    this.#timed ??= { offset, at: this.#host.now() };
  }

  /** RFC 6298 §2. */
  #measure(sentAt: number): void {
    const sample = this.#host.now() - sentAt;
    const { mean, deviation } = this.#rtt ?? { mean: sample, deviation: sample };
    this.#rtt = {
      mean: mean + (sample - mean) / 8,
      deviation: deviation + (Math.abs(sample - mean) - deviation) / 4,
    };
    this.#timed = undefined;
    this.#rto = Math.max(RTO.LEAST, this.#rtt.mean + 4 * this.#rtt.deviation);
  }

  /** Whether an answer, or an open window, is waited for. */
  #waits(): boolean {
    return this.#next > this.#una || this.#next < this.#end;
  }

  #restartTimer(): void {
    const wait = Math.min(RTO.MOST, this.#rto * 2 ** this.#retries);
    this.#deadline = this.#waits() ? this.#host.now() + wait : Number.POSITIVE_INFINITY;
    if (this.#waits() && (!this.#cancel || this.#wakes > this.#deadline)) this.#sleep(wait);
  }

  /** A timer is not put off, only asked at its end whether it is late enough: an acknowledgement costs none. */
  #sleep(ms: number): void {
    this.#cancel?.();
    this.#wakes = this.#host.now() + ms;
    this.#cancel = this.#host.after(ms, () => {
      this.#cancel = undefined;
      const left = this.#deadline - this.#host.now();
      if (left === Number.POSITIVE_INFINITY) return;
      if (left > 0) this.#sleep(left);
      else this.#expire();
    });
  }

  #expire(): void {
    const patience = this.#una === 0 ? PATIENCE.SYN : PATIENCE.DATA;
    if (this.#retries >= patience) {
      this.close();
      this.#out.gaveUp();
      return;
    }
    this.#retries++;
    this.#timed = undefined;
    if (this.#una === 0) this.#out.transmit(0, 0, false);
    else if (this.#edge <= this.#una) this.#probe();
    else this.#goBack();
    this.#restartTimer();
  }

  /** RFC 9293 §3.8.6.1: a byte beyond the closed window asks whether it is open. It does not count as sent. */
  #probe(): void {
    const length = Math.min(1, this.ring.length);
    const fin = this.#finQueued && length === this.ring.length;
    this.#next = this.#una;
    this.#highest = Math.max(this.#highest, this.#una + length + (fin ? 1 : 0));
    this.#out.transmit(this.#una, length, fin);
  }

  /** Everything in flight counts as lost. */
  #goBack(): void {
    this.#reduce();
    this.#congestion = this.#mss;
    this.#duplicates = 0;
    this.#recover = 0;
    this.#next = this.#una;
    this.#pump();
  }
}
