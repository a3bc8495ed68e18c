/**
 * The rate a port may send at: a bucket of credit that fills evenly, and a bounded queue for frames that wait for it.
 * Spec: xl-network-configuration(5), rate; XenStore's node `rate` ("bytes,microseconds") of a vif.
 */

import type { NetworkHost } from './host.js';
import { type Frame, MAX_FRAME, type RateLimit } from './port.js';
import { copyOf } from './wire.js';

/** Bytes that may wait; a frame beyond is dropped, and TCP slows down. */
const QUEUE_BYTES = 512 * 1024;

export class RateLimiter {
  readonly #host: NetworkHost;
  readonly #bytesPerMs: number;
  /** Most credit that can be saved up: an interval's worth, but enough for the longest frame. */
  readonly #burst: number;
  readonly #forward: (frame: Frame) => void;
  #credit: number;
  #filled: number;
  #queue: Frame[] = [];
  #queued = 0;
  #cancel: (() => void) | undefined;

  /** @throws TypeError for a rate that lets nothing through. */
  constructor(host: NetworkHost, rate: RateLimit, forward: (frame: Frame) => void) {
    if (!(rate.bytes > 0 && rate.intervalUs > 0)) throw new TypeError('a rate must be positive');
    this.#host = host;
    this.#bytesPerMs = (rate.bytes * 1000) / rate.intervalUs;
    this.#burst = Math.max(rate.bytes, MAX_FRAME);
    this.#credit = this.#burst;
    this.#filled = host.now();
    this.#forward = forward;
  }

  /** Forwards the frame now or later. @returns false if too much waits already. */
  pass(frame: Frame): boolean {
    const { length } = frame.bytes;
    this.#fill();
    if (this.#queue.length === 0 && length <= this.#credit) {
      this.#credit -= length;
      this.#forward(frame);
      return true;
    }
    if (this.#queued + length > QUEUE_BYTES) return false;
    this.#queue.push({ ...frame, bytes: copyOf(frame.bytes) });
    this.#queued += length;
    this.#waitForCredit();
    return true;
  }

  /** What waits is lost. */
  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#queue = [];
    this.#queued = 0;
  }

  #fill(): void {
    const now = this.#host.now();
    const earned = (now - this.#filled) * this.#bytesPerMs;
    this.#credit = Math.min(this.#burst, this.#credit + earned);
    this.#filled = now;
  }

  #waitForCredit(): void {
    const [head] = this.#queue;
    if (!head || this.#cancel) return;
    const missing = Math.max(0, head.bytes.length - this.#credit);
    this.#cancel = this.#host.after(Math.max(1, Math.ceil(missing / this.#bytesPerMs)), () => {
      this.#cancel = undefined;
      this.#drain();
    });
  }

  #drain(): void {
    this.#fill();
    let sent = 0;
    for (const frame of this.#queue) {
      if (frame.bytes.length > this.#credit) break;
      this.#credit -= frame.bytes.length;
      this.#queued -= frame.bytes.length;
      sent++;
      this.#forward(frame);
    }
    this.#queue.splice(0, sent);
    this.#waitForCredit();
  }
}
