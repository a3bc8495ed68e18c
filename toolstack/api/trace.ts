/**
 * `/v1/trace?domain=&call=&class=&filter=&format=`: hypercalls as they happen, over WebSocket.
 *
 * With `format=json` each text frame holds one or more lines, each a TraceLine. With `format=binary` each binary frame holds one or
 * more records of hypervisor/public/trace.ts. In both, a text frame `{"dropped":n}` stands where n records are missing: those that
 * this reader did not take in time, and those for which there was no room in the ring, whomever they concerned.
 */

import type { Services } from '../domains/services.js';
import { binaryConsumer, jsonConsumer } from '../domains/trace-consumers.js';
import { traceFilter } from '../domains/trace-filter.js';
import { TraceQuery } from '../schemas/trace.js';
import { Outbox } from './outbox.js';
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
      };
      const consumer =
        query.format === 'json' ? jsonConsumer(sink, trace.decode) : binaryConsumer(sink);
      socket.on('close', trace.subscribe(filter, consumer));
    };
  },
});
