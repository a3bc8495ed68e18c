/**
 * `/v1/trace?domain=&call=&class=&filter=&format=`: hypercalls as they happen, over WebSocket; `/v1/trace/summary`: summed up, over HTTP.
 *
 * With `format=json` each text frame holds one or more lines, each a TraceLine. With `format=binary` each binary frame holds one or
 * more records of hypervisor/public/trace.ts. In both, a text frame `{"dropped":n}` stands where n records are missing: those that
 * this reader did not take in time, and those for which there was no room in the ring, whomever they concerned. With `format=summary`
 * each text frame is a TraceSummary of all that has come: one a second, one for each frame that the reader sends, and one at the end.
 * After `limit` records or `seconds` the socket is closed with status 1000.
 */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import type { Services } from '../domains/services.js';
import { traceFilter } from '../domains/trace-filter.js';
import { openTrace, sumUp } from '../domains/trace-session.js';
import { TraceQuery, TraceSummary, TraceSummaryQuery } from '../schemas/trace.js';
import { Outbox } from './outbox.js';
import { refusals } from './responses.js';
import type { SocketRoute } from './websockets.js';

export const traceSocket = ({ trace }: Services): SocketRoute => ({
  path: /^\/v1\/trace$/,
  open(_params, search) {
    const query = TraceQuery.parse(Object.fromEntries(search));
    const filter = traceFilter(query, trace.decode);
    return (socket) => {
      const outbox = new Outbox(socket);
      const sink = {
        get full() {
          return outbox.full;
        },
        deliver: (frame: string | Uint8Array, records: number) => outbox.send(frame, records),
        dropped: (records: number) => outbox.drop(records),
        end: () => outbox.end(),
      };
      const session = openTrace(trace, filter, query, trace.decode, sink);
      socket.on('message', () => session.ask());
      socket.on('close', () => session.close());
    };
  },
});

export const traceRoutes =
  ({ trace }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/v1/trace/summary',
      {
        schema: {
          tags: ['trace'],
          summary: 'Sum up for a while what is called, how often, how long, with which errors',
          querystring: TraceSummaryQuery,
          response: { 200: TraceSummary, ...refusals(400) },
        },
      },
      async (request, reply) => {
        const left = new AbortController();
        reply.raw.once('close', () => left.abort());
        const filter = traceFilter(request.query, trace.decode);
        return sumUp(trace, filter, request.query, left.signal);
      },
    );
  };
