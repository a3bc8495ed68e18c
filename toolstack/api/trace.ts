/**
 * `/v1/trace?domain=&call=&class=&filter=&format=`: hypercalls as they happen, over WebSocket; `/v1/trace/summary`: summed up, over HTTP.
 *
 * With `format=json` each text frame holds one or more lines, each a TraceLine. With `format=binary` each binary frame holds one or
 * more records of hypervisor/public/trace.ts. In both, a text frame `{"dropped":n}` stands where n records are missing: those that
 * this reader did not take in time, and those for which there was no room in the ring, whomever they concerned. With `format=summary`
 * each text frame is a TraceSummary of all that has come: one a second, one for each frame that the reader sends, and one at the end.
 * With `format=recording` the binary frames are a recording (trace/recording-format.ts) when they are put together, gaps included.
 *
 * With `recording=` the records are those of a file, as fast as they are taken or as `speed` says; nothing is lost. After `limit` records,
 * after `seconds` and at the end of a recording the socket is closed with status 1000; with 1011 and the place where the recording is damaged.
 */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { Replay } from '../domains/replay.js';
import type { Services } from '../domains/services.js';
import { traceFilter } from '../domains/trace-filter.js';
import { openTrace, sumUp } from '../domains/trace-session.js';
import {
  TraceDrops,
  TraceLine,
  TraceQuery,
  TraceSummary,
  TraceSummaryQuery,
} from '../schemas/trace.js';
import { noteBytes } from '../trace/recording-format.js';
import { Outbox } from './outbox.js';
import { refusals } from './responses.js';
import type { SocketRoute } from './websockets.js';

const droppedLine = (dropped: number) => JSON.stringify({ dropped });
const droppedNote = (dropped: number) => noteBytes({ dropped });

export const traceSocket = ({ trace, recordings }: Services): SocketRoute => ({
  url: '/v1/trace',
  documentation: {
    tag: 'trace',
    summary: 'Follow hypercalls as they happen',
    query: TraceQuery,
    server: {
      description:
        'With format=json lines of JSON, one or more in a frame; with format=binary records; with format=recording a file, piece by piece.',
      text: [TraceLine, TraceDrops, TraceSummary],
      binary: 'Records as in hypervisor/public/trace.ts.',
    },
    client: { description: 'With format=summary any frame asks for a summary now.' },
  },
  open(_params, search) {
    const query = TraceQuery.parse(Object.fromEntries(search));
    const { recording, speed, format } = query;
    const source = recording === undefined ? trace : new Replay(recordings.open(recording), speed);
    const filter = traceFilter(query, source.decode);
    return (socket) => {
      const outbox = new Outbox(socket, format === 'recording' ? droppedNote : droppedLine);
      const sink = {
        get full() {
          return outbox.full;
        },
        deliver: (frame: string | Uint8Array, records: number) => outbox.send(frame, records),
        dropped: (records: number) => outbox.drop(records),
        end: (problem?: string) => outbox.end(problem),
      };
      const session = openTrace(source, filter, query, sink);
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
