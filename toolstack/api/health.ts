/** What machines ask of the service: `/healthz`, `/readyz`, and `/metrics` in the text format of Prometheus. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import type { Services } from '../domains/services.js';
import { Health, Readiness } from '../schemas/health.js';
import { refusals, text } from './responses.js';

const tags = ['health'];
/** Probes have no token, and are told nothing but how the service is. */
const config = { scope: 'public' } as const;

export const healthRoutes =
  ({ readiness, metrics }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/healthz',
      {
        config,
        schema: { tags, summary: 'See whether the service is alive', response: { 200: Health } },
      },
      async () => ({ alive: true as const }),
    );
    app.get(
      '/readyz',
      {
        config,
        schema: {
          tags,
          summary: 'See whether the service can take work',
          response: { 200: Readiness, 503: Readiness },
        },
      },
      async (_request, reply) => {
        const state = await readiness.check();
        return reply.code(state.ready ? 200 : 503).send(state);
      },
    );
    app.get(
      '/metrics',
      {
        schema: {
          tags,
          summary: 'Read the figures of host and domains, for Prometheus',
          response: { 200: text('Metrics, version 0.0.4 of the format.'), ...refusals(503) },
        },
      },
      async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()),
    );
  };
