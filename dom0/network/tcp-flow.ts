/**
 * A connection of a guest joined with a socket of the host: bytes, ends of streams, resets and back-pressure cross over.
 *
 *   guest ── TcpConnection ── data() ──▶ write ──▶ socket      what the socket has not taken keeps the guest's window closed
 *   guest ◀── TcpConnection ◀── send() ◀── 'data' ── socket    what the guest has not acknowledged pauses the socket
 */

import type { Socket } from 'node:net';
import type { TcpConnection, TcpUser } from './tcp-connection.js';

/** Bytes for the guest at which the socket is paused, and below which it is resumed. */
const HIGH_WATER = 256 * 1024;
const LOW_WATER = 128 * 1024;

export class TcpFlow implements TcpUser {
  readonly #socket: Socket;
  readonly #onClosed: () => void;
  #connection: TcpConnection | undefined;

  /** @param socket one that allows half-open connections. @param onClosed called once, when both sides are done. */
  constructor(socket: Socket, onClosed: () => void) {
    this.#socket = socket;
    this.#onClosed = onClosed;
    socket.pause();
    socket.on('data', (chunk: Buffer) => this.#fromSocket(chunk));
    socket.on('end', () => this.#connection?.end());
  }

  /** Tells which connection it is the user of. */
  join(connection: TcpConnection): void {
    this.#connection = connection;
  }

  /** The guest's side is open: the socket may talk. */
  connected(): void {
    this.#socket.resume();
  }

  data(bytes: Uint8Array): void {
    const { length } = bytes;
    this.#socket.write(Buffer.from(bytes), () => this.#connection?.release(length));
  }

  ended(): void {
    this.#socket.end();
  }

  drained(): void {
    const queued = this.#connection?.queued ?? 0;
    if (queued < LOW_WATER && this.#socket.isPaused()) this.#socket.resume();
  }

  closed(reason: 'done' | 'reset' | 'timeout'): void {
    if (reason === 'done') this.#socket.destroy();
    else this.#socket.resetAndDestroy();
    this.#onClosed();
  }

  /** The socket has failed, or is gone: so is the connection. */
  fail(): void {
    this.#connection?.abort();
    this.#socket.destroy();
    this.#onClosed();
  }

  #fromSocket(chunk: Buffer): void {
    const connection = this.#connection;
    if (!connection) return;
    connection.send(chunk);
    if (connection.queued > HIGH_WATER) this.#socket.pause();
  }
}
