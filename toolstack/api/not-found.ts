/** What is answered where no route matches: 404, 405 with the methods there are, or 426 where only a WebSocket lives. */

import type { FastifyInstance } from 'fastify';
import { problem, sendProblem } from './problems.js';

/** @param socketPaths paths that are WebSockets only. Register before the routes: it takes note of them. */
export function installNotFound(app: FastifyInstance, socketPaths: readonly string[]): void {
  const methods = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ url, method }) => {
    const known = methods.get(url) ?? new Set();
    for (const name of [method].flat()) known.add(name);
    methods.set(url, known);
  });
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0] ?? '';
    const allowed = [...methods]
      .filter(([url]) => matches(url, path))
      .flatMap(([, set]) => [...set]);
    // A route may have the method, and not what was asked for.
    if (allowed.length > 0 && !allowed.includes(request.method)) {
      const detail = `${path} takes ${allowed.join(', ')}.`;
      reply.header('allow', allowed.join(', '));
      return sendProblem(reply, problem('method-not-allowed', detail, request));
    }
    if (socketPaths.includes(path)) {
      reply.header('upgrade', 'websocket');
      const detail = `${path} is a WebSocket: connect with ws://.`;
      return sendProblem(reply, problem('upgrade-required', detail, request));
    }
    return sendProblem(reply, problem('not-found', `There is nothing at ${path}.`, request));
  });
}

/** Whether a path fits a route pattern such as `/v1/domains/:id`. */
function matches(pattern: string, path: string): boolean {
  const want = pattern.split('/');
  const have = path.split('/');
  if (want.at(-1) === '*')
    return have.length >= want.length && path.startsWith(pattern.slice(0, -1));
  return (
    want.length === have.length && want.every((part, i) => part.startsWith(':') || part === have[i])
  );
}
