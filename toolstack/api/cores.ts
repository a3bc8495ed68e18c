/** `/v1/cores`: cores of domains: listed, downloaded as bytes that nobody holds in memory, removed. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import type { Services } from '../domains/services.js';
import { CoreList, CoreParams } from '../schemas/core.js';
import { bytes, none, refusals } from './responses.js';

const tags = ['cores'];
const params = CoreParams;

export const coreRoutes =
  ({ cores: { shelf } }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/v1/cores',
      { schema: { tags, summary: 'List cores', response: { 200: CoreList } } },
      async () => ({ cores: await shelf.list() }),
    );
    app.get(
      '/v1/cores/:name',
      {
        schema: {
          tags,
          summary: 'Download a core',
          params,
          response: { 200: bytes('The ELF file.'), ...refusals(400, 404) },
        },
      },
      async (request, reply) => {
        const core = await shelf.download(request.params.name);
        reply.header('content-length', core.bytes).type('application/octet-stream');
        return reply.send(core.stream as never);
      },
    );
    app.delete(
      '/v1/cores/:name',
      {
        schema: {
          tags,
          summary: 'Remove a core',
          params,
          response: { 204: none, ...refusals(400, 404) },
        },
      },
      async (request, reply) => {
        await shelf.delete(request.params.name);
        return reply.code(204).send(undefined);
      },
    );
  };
