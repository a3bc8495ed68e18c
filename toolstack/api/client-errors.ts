/**
 * Clients that keep to no HTTP: what cannot be parsed, headers without end, headers or a body that do not come. They are answered as
 * problem+json like everybody else, as far as they can be, and hung up on.
 */

import { randomUUID } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type { Problem } from '../schemas/problem.js';
import { PROBLEM_TYPE, type ProblemCode, problem } from './problems.js';

/** Time for a client to read why it is hung up on, milliseconds: what it still sends is thrown away meanwhile. */
const LINGER_MS = 500;

// biome-ignore format: one row per mistake
const MISTAKES: Readonly<Record<string, readonly [code: ProblemCode, detail: string]>> = {
  HPE_HEADER_OVERFLOW:      ['headers-too-large', 'The headers of a request may have 16 KiB.'],
  ERR_HTTP_REQUEST_TIMEOUT: ['too-slow',          'The headers of the request did not come in time.'],
};

/** For Fastify: an error of the connection, before there is a request. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || socket.writableEnded) return;
  const [code, detail] = MISTAKES[error.code ?? ''] ?? ['bad-request', 'This is no HTTP.'];
  endWith(socket, problem(code, detail, { url: '', id: randomUUID() }));
}

/** Writes a whole answer to a connection that no route answers on, and ends it. */
export function endWith(stream: Duplex, body: Problem, headers: readonly string[] = []): void {
  const text = JSON.stringify(body);
  stream.on('error', () => stream.destroy());
  stream.end(
    [
      `HTTP/1.1 ${body.status} ${STATUS_CODES[body.status] ?? ''}`,
      `content-type: ${PROBLEM_TYPE}`,
      `content-length: ${Buffer.byteLength(text)}`,
      `x-request-id: ${body.requestId}`,
      ...headers,
      'connection: close',
      '',
      text,
    ].join('\r\n'),
  );
  // Closed with something unread, the connection would be reset and the answer lost on its way.
  stream.resume();
  setTimeout(() => stream.destroy(), LINGER_MS).unref();
}

/** How long a client may take, milliseconds. */
export interface Patience {
  /** From the first byte of a request, or from connecting, until its headers are here. */
  readonly headers: number;
  /** Until more of its body comes: an upload may last as long as it likes, but not stand still. */
  readonly body: number;
}

/** What Node's server is to do about slow headers. It looks that often whether somebody is late. */
export const headersTimeout = ({ headers }: Patience) => ({
  headersTimeout: headers,
  connectionsCheckingInterval: headers / 4,
});

export function installBodyTimeout(app: FastifyInstance, { body }: Patience): void {
  app.addHook('onRequest', async ({ raw }, reply) => {
    const { headers, socket } = raw;
    if (headers['transfer-encoding'] === undefined && !Number(headers['content-length'])) return;
    // Once it has expired Node ends the connection, and whoever reads the body is told.
    socket.setTimeout(body);
    raw.once('end', () => reply.raw.writableFinished || socket.setTimeout(0));
  });
}
