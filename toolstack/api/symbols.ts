/** `/v1/domains/{id}/symbols`: addresses of a domain by name, and names by address. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import type { Services } from '../domains/services.js';
import { DomainId } from '../schemas/domain.js';
import { KernelSymbols, SymbolsQuery } from '../schemas/symbols.js';
import { refusals } from './responses.js';

export const symbolRoutes =
  ({ domains, symbols }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/v1/domains/:id/symbols',
      {
        schema: {
          tags: ['domains'],
          summary: "Look up symbols of the domain's kernel",
          params: DomainId,
          querystring: SymbolsQuery,
          response: { 200: KernelSymbols, ...refusals(400, 404) },
        },
      },
      async (request) => {
        const { domid } = await domains.read(request.params.id);
        return symbols.find(domid, request.query);
      },
    );
  };
