/**
 * `/v1/events`: the event stream, one JSON envelope after the other: over WebSocket a text frame each, over HTTP as server-sent
 * events. What can no longer be had is an envelope of its own: `{"kind":"gap","from":n,"to":m,"reason":"expired"}`.
 */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import type { Services } from '../domains/services.js';
import { Event, EventQuery, EventStreamHeaders } from '../schemas/event.js';
import { refusals } from './responses.js';
import type { SocketRoute } from './websockets.js';

const EVENT_STREAM = {
  description: 'Until the client leaves. The data of each is an envelope.',
  content: { 'text/event-stream': { schema: Event } },
};

/** Bytes that may wait for a reader. */
const LIMIT = 256 * 1024;
/** Something is sent so often, so that a dead connection is noticed, milliseconds. */
const HEARTBEAT_MS = 15_000;

export const eventSocket = ({ feed }: Services): SocketRoute => ({
  url: '/v1/events',
  documentation: {
    tag: 'events',
    summary: 'Follow what happens, one event a frame',
    query: EventQuery,
    server: { description: 'Events as they happen, those since a number first.', text: [Event] },
    client: { description: 'Nothing.' },
  },
  open(_params, query) {
    const { since, domain, kind: kinds } = EventQuery.parse(Object.fromEntries(query));
    return (socket) => {
      const sink = {
        get full() {
          return socket.bufferedAmount > LIMIT;
        },
        write: (event: Event) => socket.send(JSON.stringify(event)),
      };
      socket.on('close', feed.open({ since, domain, kinds }, sink));
    };
  },
});

export const eventRoutes =
  ({ feed }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/v1/events',
      {
        schema: {
          tags: ['events'],
          summary: 'Follow what happens as server-sent events; as a WebSocket: one per frame',
          querystring: EventQuery,
          headers: EventStreamHeaders,
          response: { 200: EVENT_STREAM, ...refusals(400) },
        },
      },
      (request, reply) => {
        const { since, domain, kind: kinds } = request.query;
        const last = request.headers['last-event-id'];
        const { raw } = reply.hijack();
        raw.writeHead(200, {
          ...(reply.getHeaders() as Record<string, string>),
          'content-type': 'text/event-stream; charset=utf-8',
          'cache-control': 'no-store',
        });
        raw.write(': events\n\n');
        const sink = {
          get full() {
            return raw.writableLength > LIMIT;
          },
          write: (event: Event) => void raw.write(asServerSent(event)),
        };
        const from = last === undefined ? since : Number(last);
        const stop = feed.open({ since: from, domain, kinds }, sink);
        const heartbeat = setInterval(() => sink.full || raw.write(':\n\n'), HEARTBEAT_MS);
        raw.on('close', () => {
          clearInterval(heartbeat);
          stop();
        });
      },
    );
  };

/** A gap moves the reader's place as well: it is not told of twice. */
function asServerSent(event: Event): string {
  const id = event.kind === 'gap' ? event.to : event.seq;
  return `id: ${id}\nevent: ${event.kind}\ndata: ${JSON.stringify(event)}\n\n`;
}
