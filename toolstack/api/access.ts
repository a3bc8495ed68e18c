/**
 * Who may do what. A request needs a scope: that of its route, or the one that its method stands for. A caller has the scope of the
 * token it shows; without one, that of an admin where the service is reached from this machine alone, and none anywhere else.
 *
 *   Authorization: Bearer <token>                                  any request
 *   Sec-WebSocket-Protocol: xenolith, bearer.<token>               a WebSocket from a browser, which can set no header
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import type { Tokens } from '../domains/tokens.js';
import { SCOPES, type Scope } from '../schemas/token.js';
import { refusal } from './guard.js';
import { type ProblemCode, problem, sendProblem } from './problems.js';
import { refusals } from './responses.js';

/** Public: no token is asked for. */
type RouteScope = Scope | 'public';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What its callers need, if it is not what the method stands for. */
    scope?: RouteScope;
  }
}

/** Methods that change nothing. All others need an operator. */
const READING: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/** The protocol that this server speaks, and how a browser adds its token to it. */
export const SOCKET_PROTOCOL = 'xenolith';
const BEARER_PROTOCOL = 'bearer.';

/** Time for an answer to get out after its token was revoked, milliseconds. */
const LAST_MS = 250;

export interface Caller {
  /** What it may do; undefined at a public route. */
  readonly scope: Scope | undefined;
  /** Id of the token it has shown. */
  readonly token?: string;
}

interface Refused {
  readonly code: ProblemCode;
  readonly detail: string;
  /** The header WWW-Authenticate. */
  readonly challenge?: string;
}

export const allows = (caller: Caller, scope: Scope): boolean =>
  caller.scope !== undefined && SCOPES.indexOf(caller.scope) >= SCOPES.indexOf(scope);

export class Access {
  readonly #tokens: Tokens;
  readonly #needed: boolean;
  readonly #hostNames: readonly string[];
  /** What is open under a token, to be ended with it. */
  readonly #open = new Map<string, Set<() => void>>();

  /** @param needed whether each request needs a token. */
  constructor(tokens: Tokens, needed: boolean, hostNames: readonly string[] = []) {
    this.#tokens = tokens;
    this.#needed = needed;
    this.#hostNames = hostNames.map((name) => name.toLowerCase());
    tokens.onRevoked((id) => this.#end(id));
  }

  /** @returns who asks, or why it is refused. */
  admit(request: IncomingMessage, needed: RouteScope): Caller | Refused {
    const foreign = refusal(request, this.#hostNames);
    if (foreign !== undefined) return { code: 'forbidden-origin', detail: foreign };
    if (needed === 'public') return { scope: undefined };
    const caller = this.#identify(request);
    if (isRefused(caller) || allows(caller, needed)) return caller;
    return {
      code: 'forbidden-scope',
      detail: `This needs a token of scope ${needed}; this one is of scope ${caller.scope}.`,
      challenge: `Bearer realm="xenolith", error="insufficient_scope", scope="${needed}"`,
    };
  }

  /** Calls `end` when the caller's token is revoked. @returns how to forget about it. */
  while({ token }: Caller, end: () => void): () => void {
    if (token === undefined) return () => undefined;
    const ends = this.#open.get(token) ?? new Set();
    this.#open.set(token, ends.add(end));
    return () => {
      ends.delete(end);
      if (ends.size === 0) this.#open.delete(token);
    };
  }

  /** Ends what is open under tokens that have expired. */
  endExpired(): void {
    for (const id of this.#open.keys()) if (!this.#tokens.isValid(id)) this.#end(id);
  }

  #end(id: string): void {
    for (const end of this.#open.get(id) ?? []) end();
  }

  #identify(request: IncomingMessage): Caller | Refused {
    const shown = tokenOf(request);
    if (shown === undefined && !this.#needed) return { scope: 'admin' };
    if (shown === undefined) {
      return {
        code: 'no-token',
        detail: 'This service takes requests with a token only: "Authorization: Bearer <token>".',
        challenge: 'Bearer realm="xenolith"',
      };
    }
    const token = this.#tokens.recognise(shown);
    if (token !== undefined) return { scope: token.scope, token: token.id };
    return {
      code: 'bad-token',
      detail: 'The token is none, was revoked, or has expired.',
      challenge: 'Bearer realm="xenolith", error="invalid_token"',
    };
  }
}

export const isRefused = (outcome: Caller | Refused): outcome is Refused => 'code' in outcome;

/** Checks each request before anything of it is read, and documents what it needs. */
export function installAccess(app: FastifyInstance, access: Access): void {
  app.addHook('onRoute', ({ method, config, schema }) => {
    if (schema === undefined) return;
    const needed = scopeOf([method].flat(), config?.scope);
    schema.security = needed === 'public' ? [] : [{ bearer: [needed] }];
    schema.response = { ...(schema.response as object | undefined), ...refusals(401, 403) };
  });
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
    // What a guest prints must not be taken for a page by a browser.
    reply.header('x-content-type-options', 'nosniff');
    const needed = scopeOf([request.method], request.routeOptions.config.scope);
    const caller = access.admit(request.raw, needed);
    if (isRefused(caller)) {
      if (caller.challenge !== undefined) reply.header('www-authenticate', caller.challenge);
      return sendProblem(reply, problem(caller.code, caller.detail, request));
    }
    reply.raw.once(
      'close',
      access.while(caller, () => endLater(reply.raw)),
    );
  });
}

/** Leaves time for an answer that is on its way: a token may revoke itself. */
function endLater(response: ServerResponse): void {
  setTimeout(() => response.closed || response.destroy(), LAST_MS).unref();
}

const scopeOf = (methods: readonly string[], own: RouteScope | undefined): RouteScope =>
  own ?? (methods.every((method) => READING.has(method)) ? 'viewer' : 'operator');

/** The token that a request shows, whatever is in it. */
function tokenOf({ headers }: IncomingMessage): string | undefined {
  const { authorization } = headers;
  if (authorization !== undefined) return authorization.replace(/^Bearer +/i, '');
  const protocols = headers['sec-websocket-protocol']?.split(',').map((name) => name.trim());
  const bearer = protocols?.find((name) => name.startsWith(BEARER_PROTOCOL));
  return bearer?.slice(BEARER_PROTOCOL.length);
}
