/** `/v1/host`: figures of the machine, messages of the hypervisor. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import type { Services } from '../domains/services.js';
import { Host } from '../schemas/host.js';
import { refusals, text } from './responses.js';

const tags = ['host'];

export const hostRoutes =
  ({ host }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/v1/host',
      { schema: { tags, summary: 'Read the host', response: { 200: Host, ...refusals(503) } } },
      async () => host.read(),
    );
    app.get(
      '/v1/host/dmesg',
      {
        schema: {
          tags,
          summary: "Read the hypervisor's messages",
          response: {
            200: text('The messages that are still kept, oldest first.'),
            ...refusals(503),
          },
        },
      },
      async (_request, reply) =>
        reply.type('text/plain; charset=utf-8').send(await host.messages()),
    );
  };
