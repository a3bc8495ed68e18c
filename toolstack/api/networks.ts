/** `/v1/networks`: the switches with their ports, leases and forwards. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import type { Services } from '../domains/services.js';
import {
  Forward,
  ForwardCreate,
  ForwardId,
  ForwardList,
  NetworkInfo,
  NetworkList,
  NetworkName,
} from '../schemas/network.js';
import { none, refusals } from './responses.js';

const tags = ['networks'];
const params = NetworkName;

export const networkRoutes =
  ({ networks }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/v1/networks',
      { schema: { tags, summary: 'List networks', response: { 200: NetworkList } } },
      async () => ({ networks: networks.list() }),
    );
    app.get(
      '/v1/networks/:name',
      {
        schema: {
          tags,
          summary: 'Read a network: its ports with their counters, its leases',
          params,
          response: { 200: NetworkInfo, ...refusals(404) },
        },
      },
      async (request) => networks.read(request.params.name),
    );
    app.get(
      '/v1/networks/:name/forwards',
      {
        schema: {
          tags,
          summary: 'List ports of the host that lead to guests',
          params,
          response: { 200: ForwardList, ...refusals(404, 409) },
        },
      },
      async (request) => ({ forwards: networks.forwards(request.params.name) }),
    );
    app.post(
      '/v1/networks/:name/forwards',
      {
        schema: {
          tags,
          summary: 'Let a port of 127.0.0.1 lead to a guest',
          params,
          body: ForwardCreate,
          response: { 201: Forward, ...refusals(400, 404, 409) },
        },
      },
      async (request, reply) =>
        reply.code(201).send(await networks.addForward(request.params.name, request.body)),
    );
    app.delete(
      '/v1/networks/:name/forwards/:id',
      {
        schema: {
          tags,
          summary: 'Close a forward; connections that stand stay',
          params: ForwardId,
          response: { 204: none, ...refusals(404, 409) },
        },
      },
      async (request, reply) => {
        networks.removeForward(request.params.name, request.params.id);
        return reply.code(204).send(undefined);
      },
    );
  };
