/** `/v1/tokens`: who may use the API, and how far. For admins. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import type { Services } from '../domains/services.js';
import { NewToken, TokenCreate, TokenId, TokenList } from '../schemas/token.js';
import { none, refusals } from './responses.js';

const tags = ['tokens'];
const config = { scope: 'admin' } as const;

export const tokenRoutes =
  ({ tokens }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/v1/tokens',
      { config, schema: { tags, summary: 'List tokens', response: { 200: TokenList } } },
      async () => ({ tokens: tokens.list() }),
    );
    app.post(
      '/v1/tokens',
      {
        config,
        schema: {
          tags,
          summary: 'Make a token; its secret is told this once',
          body: TokenCreate,
          response: { 201: NewToken, ...refusals(400, 409, 415) },
        },
      },
      async (request, reply) => {
        reply.header('cache-control', 'no-store');
        return reply.code(201).send(await tokens.create(request.body));
      },
    );
    app.delete(
      '/v1/tokens/:id',
      {
        config,
        schema: {
          tags,
          summary: 'Revoke a token; what is open under it is ended',
          params: TokenId,
          response: { 204: none, ...refusals(404) },
        },
      },
      async (request, reply) => {
        await tokens.revoke(request.params.id);
        return reply.code(204).send(undefined);
      },
    );
  };
