/** WebSocket routes beside Fastify's: one row per path, checked like any request before the upgrade. */

import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { type WebSocket, WebSocketServer } from 'ws';
import { z } from 'zod';
import { CommandError } from '../domains/errors.js';
import type { Problem } from '../schemas/problem.js';
import type { Scope } from '../schemas/token.js';
import { type Access, type Caller, isRefused, SOCKET_PROTOCOL } from './access.js';
import { endWith } from './client-errors.js';
import type { FairTurns } from './fair-turns.js';
import { problem } from './problems.js';

/** Bytes of one frame from a client. */
const FRAME_LIMIT = 64 * 1024;
/** Sent to each client so that a dead one is noticed, milliseconds. */
const PING_MS = 30_000;

/** Status of a socket that is closed because its caller may not have it any more. */
const POLICY_VIOLATION = 1008;

/** What to do with an accepted socket. */
type Session = (socket: WebSocket) => void;

/** What goes over a WebSocket in one direction. */
export interface SocketMessages {
  readonly description: string;
  /** Schemas of text frames, each of which is JSON. They have an id. */
  readonly text?: readonly z.ZodType[];
  /** What binary frames are. */
  readonly binary?: string;
}

/** A WebSocket as it is to be documented. */
export interface SocketDocumentation {
  readonly tag: string;
  readonly summary: string;
  readonly query?: z.ZodObject;
  readonly server: SocketMessages;
  readonly client: SocketMessages;
}

export interface SocketRoute {
  /** As in the document: `/v1/domains/{id}/console`. */
  readonly url: string;
  readonly documentation: SocketDocumentation;
  /** What its callers need: that of a viewer if it is left out. */
  readonly scope?: Scope;
  /** Checks the request and prepares the session; throws a CommandError or ZodError to refuse. */
  open(params: readonly string[], query: URLSearchParams, caller: Caller): Session;
}

export function installWebSockets(
  app: FastifyInstance,
  routes: readonly SocketRoute[],
  access: Access,
  turns: FairTurns,
): void {
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: FRAME_LIMIT,
    handleProtocols: (offered) => offered.has(SOCKET_PROTOCOL) && SOCKET_PROTOCOL,
  });
  app.server.on('upgrade', (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    stream.on('error', () => stream.destroy());
    turns.take(() => {
      const accepted = accept(request, stream, routes, access);
      if (accepted === undefined) return;
      sockets.handleUpgrade(request, stream, head, (socket) => {
        socket.on('error', () => socket.terminate());
        const end = () => socket.close(POLICY_VIOLATION, 'the token is not valid any more');
        socket.on('close', access.while(accepted.caller, end));
        accepted.session(socket);
      });
    });
  });
  const pings = setInterval(() => {
    pingAll(sockets);
    access.endExpired();
  }, PING_MS).unref();
  app.addHook('preClose', () => {
    clearInterval(pings);
    for (const socket of sockets.clients) closeGently(socket);
    sockets.close();
  });
}

interface Accepted {
  readonly session: Session;
  readonly caller: Caller;
}

/** @returns the session, or undefined after the refusal has been written. */
function accept(
  request: IncomingMessage,
  stream: Duplex,
  routes: readonly SocketRoute[],
  access: Access,
): Accepted | undefined {
  const asked = { url: request.url ?? '/', id: randomUUID() };
  const url = new URL(asked.url, 'http://localhost');
  const route = routes.find((each) => paramsOf(each, url.pathname) !== undefined);
  const caller = access.admit(request, route?.scope ?? 'viewer');
  if (isRefused(caller)) {
    return refuse(stream, problem(caller.code, caller.detail, asked), caller.challenge);
  }
  if (route !== undefined) {
    try {
      const params = paramsOf(route, url.pathname) ?? [];
      const session = route.open(params.map(decodeURIComponent), url.searchParams, caller);
      return { session, caller };
    } catch (error) {
      return refuse(stream, describe(error, asked));
    }
  }
  return refuse(stream, problem('not-found', `There is no WebSocket at ${url.pathname}.`, asked));
}

/** What stands in the path where the route has a name, undefined if it is not the route's. */
function paramsOf({ url }: SocketRoute, path: string): string[] | undefined {
  const wanted = url.split('/');
  const parts = path.split('/');
  if (parts.length !== wanted.length) return undefined;
  const isParameter = (n: number): boolean => wanted[n]?.startsWith('{') === true;
  const fits = parts.every((part, n) => (isParameter(n) ? part !== '' : part === wanted[n]));
  return fits ? parts.filter((_, n) => isParameter(n)) : undefined;
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

function refuse(stream: Duplex, body: Problem, challenge?: string): undefined {
  endWith(stream, body, challenge === undefined ? [] : [`www-authenticate: ${challenge}`]);
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
