/**
 * `/v1/xenstore`: the tree, node by node or as a snapshot of one moment; a WebSocket that tells changes; the inspector.
 *
 *   /v1/xenstore/watch?path=/local&depth=2     WebSocket: {"path":"/local/domain/1/name"} for each change, the watched node first
 *   /v1/xenstore-inspector/requests            WebSocket: each request of any client, as it is answered
 */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { Services } from '../domains/services.js';
import { TraceDrops } from '../schemas/trace.js';
import {
  StoreChange,
  StoreDepth,
  StoreInspection,
  StoreNode,
  StoreRequest,
  StoreWatch,
  StoreWrite,
} from '../schemas/xenstore.js';
import { Outbox } from './outbox.js';
import { none, refusals } from './responses.js';
import type { SocketRoute } from './websockets.js';

const tags = ['xenstore'];
const params = z.strictObject({
  '*': z.string().describe('Path of the node, without its first /.'),
});

export const storeRoutes =
  ({ store }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/v1/xenstore',
      {
        schema: {
          tags,
          summary: 'Read the whole tree as it is at one moment',
          querystring: StoreDepth,
          response: { 200: StoreNode, ...refusals(400) },
        },
      },
      async (request) => store.read('/', request.query.depth),
    );
    app.get(
      '/v1/xenstore/*',
      {
        schema: {
          tags,
          summary: 'Read a node and what is below it',
          params,
          querystring: StoreDepth,
          response: { 200: StoreNode, ...refusals(400, 404) },
        },
      },
      async (request) => store.read(`/${request.params['*']}`, request.query.depth),
    );
    app.put(
      '/v1/xenstore/*',
      {
        schema: {
          tags,
          summary: 'Write a node, its permissions, or both',
          params,
          body: StoreWrite,
          response: { 200: StoreNode, ...refusals(400, 409, 415) },
        },
      },
      async (request) => store.write(`/${request.params['*']}`, request.body),
    );
    app.delete(
      '/v1/xenstore/*',
      {
        schema: {
          tags,
          summary: 'Remove a node with all below it',
          params,
          response: { 204: none, ...refusals(404, 409) },
        },
      },
      async (request, reply) => {
        await store.remove(`/${request.params['*']}`);
        return reply.code(204).send(undefined);
      },
    );
    app.get(
      '/v1/xenstore-inspector',
      {
        schema: { tags, summary: 'See what XenStore is doing', response: { 200: StoreInspection } },
      },
      async () => z.parse(StoreInspection, store.inspect()),
    );
  };

export const storeSockets = ({ store }: Services): SocketRoute[] => [
  {
    url: '/v1/xenstore/watch',
    documentation: {
      tag: 'xenstore',
      summary: 'Follow changes of a node and what is below it',
      query: StoreWatch,
      server: {
        description: 'One change a frame, or how many were missed.',
        text: [StoreChange, TraceDrops],
      },
      client: { description: 'Nothing.' },
    },
    open(_params, query) {
      const { path, depth = Number.POSITIVE_INFINITY } = StoreWatch.parse(
        Object.fromEntries(query),
      );
      return (socket) => {
        const outbox = new Outbox(socket);
        const stop = store.watch(path, (changed) => {
          if (levelsBelow(changed, path) <= depth)
            outbox.send(JSON.stringify({ path: changed }), 1);
        });
        socket.on('close', stop);
      };
    },
  },
  {
    url: '/v1/xenstore-inspector/requests',
    documentation: {
      tag: 'xenstore',
      summary: 'Follow requests to XenStore as they are answered',
      server: {
        description: 'One request a frame, or how many were missed.',
        text: [StoreRequest, TraceDrops],
      },
      client: { description: 'Nothing.' },
    },
    open() {
      return (socket) => {
        const outbox = new Outbox(socket);
        socket.on(
          'close',
          store.onRequest((request) => outbox.send(JSON.stringify(request), 1)),
        );
      };
    },
  },
];

const levels = (path: string): number => path.split('/').filter((name) => name !== '').length;
const levelsBelow = (path: string, top: string): number => levels(path) - levels(top);
