/** `/v1/domains/{id}/config`: what a domain is built from when it reboots. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import type { Services } from '../domains/services.js';
import { DomainCreate, DomainId } from '../schemas/domain.js';
import { refusals } from './responses.js';

const tags = ['domains'];
const params = DomainId;

export const domainConfigRoutes =
  ({ domains }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const url = '/v1/domains/:id/config';
    app.get(
      url,
      {
        schema: {
          tags,
          summary: 'Read what a domain is built from when it reboots',
          params,
          response: { 200: DomainCreate, ...refusals(404) },
        },
      },
      async (request) => domains.config(request.params.id),
    );
    app.put(
      url,
      {
        schema: {
          tags,
          summary: 'Change what a domain is built from when it reboots; name and uuid stay',
          params,
          body: DomainCreate,
          response: { 200: DomainCreate, ...refusals(400, 404, 409, 413, 415) },
        },
      },
      async (request) => {
        const { id } = request.params;
        await domains.run({ kind: 'configure', id, config: request.body });
        return domains.config(id);
      },
    );
  };
