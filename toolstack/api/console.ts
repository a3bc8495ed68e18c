/**
 * `/v1/domains/{id}/console`: GET is the text so far, POST types, a WebSocket is the terminal.
 *
 * On the WebSocket the server first replays the history, then sends what the guest prints as it comes. With `format=binary` (the
 * default) output is binary frames, and a text frame is a notice in JSON: `{"dropped":n}` bytes that a stalled reader has missed, or
 * `{"ended":true}`. With `format=text` output is text frames (UTF-8) and notices are lines of output. What the client sends, text or
 * binary, is typed into the console as it is, if it may: a viewer's is not, and `{"readOnly":true}` is sent at the start.
 */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import type { RawData, WebSocket } from 'ws';
import type { Services } from '../domains/services.js';
import { ConsoleNotice, ConsoleQuery } from '../schemas/console.js';
import { DomainId } from '../schemas/domain.js';
import { allows } from './access.js';
import { Outbox } from './outbox.js';
import { none, refusals, text } from './responses.js';
import type { SocketRoute } from './websockets.js';

const tags = ['console'];
const params = DomainId;

export const consoleRoutes =
  ({ domains }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('*', { parseAs: 'buffer' }, async (_: unknown, body: Buffer) => body);
    app.get(
      '/v1/domains/:id/console',
      {
        schema: {
          tags,
          summary: 'Read what a domain has printed; as a WebSocket: its terminal',
          params,
          response: { 200: text('The output that is still kept.'), ...refusals(404) },
        },
      },
      async (request, reply) => {
        const { history } = domains.console(request.params.id);
        const printed = new TextDecoder().decode(history.bytes());
        return reply.type('text/plain; charset=utf-8').send(printed);
      },
    );
    app.post(
      '/v1/domains/:id/console',
      {
        schema: {
          tags,
          summary: 'Type into the console: the body is what is typed, of whatever content type',
          params,
          response: { 204: none, ...refusals(404, 409, 413, 429) },
        },
      },
      async (request, reply) => {
        domains.type(
          request.params.id,
          Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
        );
        return reply.code(204).send(undefined);
      },
    );
  };

export const consoleSocket = ({ domains }: Services): SocketRoute => ({
  url: '/v1/domains/{id}/console',
  documentation: {
    tag: 'console',
    summary: 'The terminal of a domain',
    query: ConsoleQuery,
    server: {
      description: 'The output that is kept, then what comes; with format=text all of it as text.',
      text: [ConsoleNotice],
      binary: 'What the guest prints.',
    },
    client: { description: 'What is typed, as text or binary frames.', binary: 'What is typed.' },
  },
  open([id = ''], query, caller) {
    const console = domains.console(id);
    const { format } = ConsoleQuery.parse(Object.fromEntries(query));
    return (socket) => {
      const viewer = format === 'text' ? textViewer(socket) : binaryViewer(socket);
      const close = console.open(viewer);
      socket.on('close', close);
      if (allows(caller, 'operator')) {
        socket.on('message', (data: RawData) => void console.type(bytesOf(data)));
      } else {
        viewer.readOnly();
      }
      if (!console.connected) viewer.ended();
    };
  },
});

const NORMAL_CLOSURE = 1000;

function binaryViewer(socket: WebSocket) {
  const outbox = new Outbox(socket);
  return {
    output: (bytes: Uint8Array) => outbox.send(bytes, bytes.length),
    readOnly: () => outbox.send(JSON.stringify({ readOnly: true }), 0),
    ended: () => {
      outbox.send(JSON.stringify({ ended: true }), 0);
      socket.close(NORMAL_CLOSURE, 'the domain has ended');
    },
  };
}

function textViewer(socket: WebSocket) {
  const decoder = new TextDecoder();
  const outbox = new Outbox(socket, (dropped) => `\r\n[${dropped} bytes dropped]\r\n`);
  return {
    output: (bytes: Uint8Array) =>
      outbox.send(decoder.decode(bytes, { stream: true }), bytes.length),
    readOnly: () => outbox.send('[read only]\r\n', 0),
    ended: () => socket.close(NORMAL_CLOSURE, 'the domain has ended'),
  };
}

function bytesOf(data: RawData): Uint8Array {
  if (Array.isArray(data)) return Buffer.concat(data);
  return data instanceof ArrayBuffer ? new Uint8Array(data) : data;
}
