/**
 * Fair turns of the event loop. Of the connections that wait to be accepted, libuv takes one each time the loop goes round. If all
 * requests that have come were served in one round, a client that connects (and each WebSocket is a new connection) would wait for
 * as many rounds of everybody else's work as there are others that connect. So requests stand in line, whether they are for an
 * answer or for a WebSocket, and as long as somebody connects a round serves the oldest one only.
 */

import type { FastifyInstance } from 'fastify';

/** Served in one round while nobody connects: a round costs about a tenth of what a small request does. */
const MOST = 16;

export class FairTurns {
  readonly #line: (() => void)[] = [];
  #somebodyConnects = false;

  /** A connection was accepted: there may be more. */
  connected(): void {
    this.#somebodyConnects = true;
  }

  /** Takes the step once all are taken that were asked for before. */
  take(step: () => void): void {
    this.#line.push(step);
    if (this.#line.length === 1) setImmediate(() => this.#serve());
  }

  #serve(): void {
    const now = this.#line.slice(0, this.#somebodyConnects ? 1 : MOST);
    this.#somebodyConnects = false;
    for (const step of now) step();
    this.#line.splice(0, now.length);
    // An immediate that is set by another one is for the next round.
    if (this.#line.length > 0) setImmediate(() => this.#serve());
  }
}

/** Nothing of a request is looked at before its turn. To be registered before all other hooks. */
export function installFairTurns(app: FastifyInstance, turns: FairTurns): void {
  app.server.on('connection', () => turns.connected());
  app.addHook('onRequest', (_request, _reply, done) => turns.take(done));
}
