/** WebSocket routes beside Fastify's: one row per path, checked like any request before the upgrade. */

import { randomUUID } from 'node:crypto';
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { type WebSocket, WebSocketServer } from 'ws';
import { z } from 'zod';
import { CommandError } from '../domains/errors.js';
import { refusal } from './guard.js';
import { PROBLEM_TYPE, problem } from './problems.js';

/** Bytes of one frame from a client. */
const FRAME_LIMIT = 64 * 1024;
/** Sent to each client so that a dead one is noticed, milliseconds. */
const PING_MS = 30_000;

/** What to do with an accepted socket. */
type Session = (socket: WebSocket) => void;

export interface SocketRoute {
  readonly path: RegExp;
  /** Checks the request and prepares the session; throws a CommandError or ZodError to refuse. */
  open(params: readonly string[], query: URLSearchParams): Session;
}

export function installWebSockets(app: FastifyInstance, routes: readonly SocketRoute[]): void {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: FRAME_LIMIT });
  app.server.on('upgrade', (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    stream.on('error', () => stream.destroy());
    const session = accept(request, stream, routes);
    if (session === undefined) return;
    sockets.handleUpgrade(request, stream, head, (socket) => {
      socket.on('error', () => socket.terminate());
      session(socket);
    });
  });
  const pings = setInterval(() => pingAll(sockets), PING_MS).unref();
  app.addHook('preClose', () => {
    clearInterval(pings);
    for (const socket of sockets.clients) closeGently(socket);
    sockets.close();
  });
}

/** @returns the session, or undefined after the refusal has been written. */
function accept(
  request: IncomingMessage,
  stream: Duplex,
  routes: readonly SocketRoute[],
): Session | undefined {
  const asked = { url: request.url ?? '/', id: randomUUID() };
  const refused = refusal(request);
  if (refused !== undefined) return refuse(stream, problem('forbidden-origin', refused, asked));
  const url = new URL(asked.url, 'http://localhost');
  for (const { path, open } of routes) {
    const match = path.exec(url.pathname);
    if (match === null) continue;
    try {
      return open(match.slice(1).map(decodeURIComponent), url.searchParams);
    } catch (error) {
      return refuse(stream, describe(error, asked));
    }
  }
  return refuse(stream, problem('not-found', `There is no WebSocket at ${url.pathname}.`, asked));
}

function describe(error: unknown, asked: { url: string; id: string }) {
  if (error instanceof CommandError) return problem(error.code, error.message, asked, error.facts);
  if (error instanceof z.ZodError) {
    const errors = error.issues.map(({ path, message }) => ({
      pointer: `?${path.join('.')}`,
      detail: message,
    }));
    return problem('bad-value', z.prettifyError(error), asked, { errors });
  }
  if (error instanceof URIError) return problem('bad-request', error.message, asked);
  return problem('internal', 'The socket could not be opened.', asked);
}

function refuse(stream: Duplex, body: ReturnType<typeof problem>): undefined {
  const text = JSON.stringify(body);
  stream.end(
    [
      `HTTP/1.1 ${body.status} ${STATUS_CODES[body.status] ?? ''}`,
      `content-type: ${PROBLEM_TYPE}`,
      `content-length: ${Buffer.byteLength(text)}`,
      `x-request-id: ${body.requestId}`,
      'connection: close',
      '',
      text,
    ].join('\r\n'),
  );
}

/** Sockets that have been pinged and not answered yet. */
const unanswered = new WeakSet<WebSocket>();

function pingAll(sockets: WebSocketServer): void {
  for (const socket of sockets.clients) {
    if (unanswered.has(socket) && socket.bufferedAmount === 0) {
      socket.terminate();
      continue;
    }
    unanswered.add(socket);
    socket.once('pong', () => unanswered.delete(socket));
    socket.ping();
  }
}

/** Says goodbye, and hangs up on who does not answer. */
function closeGently(socket: WebSocket): void {
  socket.close(1001, 'the service stops');
  setTimeout(() => socket.terminate(), 500).unref();
}
