/** `/v1/host`: figures of the machine, messages of the hypervisor. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import type { Services } from '../domains/services.js';
import { Host } from '../schemas/host.js';
import {
  DebugKeys,
  DebugKeysAnswer,
  SchedulerChange,
  SchedulerParameters,
} from '../schemas/host-control.js';
import { none, refusals, text } from './responses.js';

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
    await app.register(controlRoutes(host));
  };

const controlRoutes =
  (host: Services['host']): FastifyPluginAsyncZod =>
  async (app) => {
    app.post(
      '/v1/host/dmesg/clear',
      {
        config: { scope: 'admin' },
        schema: {
          tags,
          summary: "Empty the hypervisor's messages",
          response: { 204: none, ...refusals(503) },
        },
      },
      async (_request, reply) => {
        await host.clearMessages();
        return reply.code(204).send(undefined);
      },
    );
    app.post(
      '/v1/host/debug-keys',
      {
        config: { scope: 'admin' },
        schema: {
          tags,
          summary: "Press keys of the hypervisor's console",
          body: DebugKeys,
          response: { 200: DebugKeysAnswer, ...refusals(400, 503) },
        },
      },
      async (request) => ({ text: await host.pressKeys(request.body.keys) }),
    );
    app.get(
      '/v1/host/scheduler',
      {
        schema: {
          tags,
          summary: 'Read the parameters of the scheduler',
          response: { 200: SchedulerParameters, ...refusals(503) },
        },
      },
      async () => host.scheduler(),
    );
    app.patch(
      '/v1/host/scheduler',
      {
        config: { scope: 'admin' },
        schema: {
          tags,
          summary: 'Change the parameters of the scheduler',
          body: SchedulerChange,
          response: { 200: SchedulerParameters, ...refusals(400, 503) },
        },
      },
      async (request) => host.changeScheduler(request.body),
    );
  };
