/** HTTP byte by byte, as no client library would send it. */

import { connect, type Socket } from 'node:net';

export interface RawAnswer {
  readonly status: number;
  readonly text: string;
}

/** A connection on which anything can be sent, and that keeps what comes. */
export class RawConnection {
  readonly socket: Socket;
  received = '';
  /** Resolves when the other side has ended it, in whatever way. */
  readonly ended: Promise<void>;

  constructor(url: string) {
    this.socket = connect(Number(new URL(url).port), '127.0.0.1');
    this.socket.on('data', (bytes) => {
      this.received += bytes;
    });
    this.socket.on('error', () => undefined);
    this.ended = new Promise((resolve) => this.socket.once('close', () => resolve()));
  }

  send(bytes: string | Uint8Array): void {
    this.socket.write(bytes);
  }

  /** Statuses of all answers so far, in their order. */
  statuses(): number[] {
    return [...this.received.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status));
  }
}

/** Sends a request whose path is left as it is. */
export async function rawRequest(
  url: string,
  method: string,
  path: string,
  body = '',
): Promise<RawAnswer> {
  const connection = new RawConnection(url);
  const head = `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close`;
  connection.send(`${head}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  await connection.ended;
  const { received } = connection;
  return {
    status: connection.statuses().at(-1) ?? 0,
    text: received.slice(received.indexOf('\r\n\r\n') + 4),
  };
}
