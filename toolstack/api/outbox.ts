/**
 * What is sent to one WebSocket reader. A reader that stalls costs at most LIMIT bytes: what comes then is dropped,
 * counted, and reported in-band as soon as it reads again.
 */

import type { WebSocket } from 'ws';

/** Bytes that may wait for a reader before something is dropped. */
const LIMIT = 4 * 1024 * 1024;
/** How often a stalled reader is looked after, milliseconds. */
const RETRY_MS = 50;

/** Status of a socket that has had all there was. */
const NORMAL = 1000;
/** Status of one that cannot have it. */
const MISTAKE = 1011;

export class Outbox {
  readonly #socket: WebSocket;
  readonly #limit: number;
  readonly #report: (dropped: number) => string | Uint8Array;
  #dropped = 0;
  #closed = false;
  #retry: NodeJS.Timeout | undefined;

  /** @param report makes the frame that tells the reader how much it has missed. */
  constructor(
    socket: WebSocket,
    report: (dropped: number) => string | Uint8Array = (dropped) => JSON.stringify({ dropped }),
    limit = LIMIT,
  ) {
    this.#socket = socket;
    this.#report = report;
    this.#limit = limit;
    socket.on('close', () => {
      this.#closed = true;
      clearInterval(this.#retry);
    });
  }

  /** Whether something sent now would be dropped: making it can be spared, if it is counted by `drop`. */
  get full(): boolean {
    return this.#socket.bufferedAmount > this.#limit;
  }

  /** @param weight how much is lost if the frame is dropped: records or bytes. */
  send(frame: string | Uint8Array, weight: number): void {
    if (this.full) {
      this.drop(weight);
      return;
    }
    this.#reportDrops();
    this.#socket.send(frame);
  }

  /** Counts what never became a frame. */
  drop(weight: number): void {
    if (this.#closed || weight === 0) return;
    this.#dropped += weight;
    this.#retry ??= setInterval(() => this.#lookAgain(), RETRY_MS);
  }

  /** Says what was dropped, and that nothing more comes. @param problem why, if that is a mistake. */
  end(problem?: string): void {
    if (this.#closed) return;
    this.#reportDrops();
    if (problem === undefined) this.#socket.close(NORMAL);
    else this.#socket.close(MISTAKE, problem);
  }

  #lookAgain(): void {
    if (!this.full) this.#reportDrops();
  }

  #reportDrops(): void {
    if (this.#dropped === 0) return;
    this.#socket.send(this.#report(this.#dropped));
    this.#dropped = 0;
    clearInterval(this.#retry);
    this.#retry = undefined;
  }
}
