/** `/v1/domains/{id}/actions`: what can be done to a domain beside changing what it is. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { dumpAsTask } from '../domains/dumping.js';
import type { Services } from '../domains/services.js';
import { stopDomain } from '../domains/stopping.js';
import { DumpCoreRequest } from '../schemas/core.js';
import { Domain, DomainId, NmiRequest, ShutdownRequest, SysrqRequest } from '../schemas/domain.js';
import { PreferHeaders, Task } from '../schemas/task.js';
import { answerOf } from './prefer.js';
import { none, refusals } from './responses.js';

const tags = ['domains'];
const params = DomainId;

const SUMMARIES = {
  pause: 'Stop the vCPUs of a domain',
  unpause: 'Continue the vCPUs of a domain',
  shutdown: 'Ask the kernel of a domain to power off; the task ends when it has',
  reboot: 'Ask the kernel of a domain to reboot; the task ends when it has stopped',
} as const;

export const actionRoutes =
  (services: Services): FastifyPluginAsyncZod =>
  async (app) => {
    await app.register(simpleActions(services));
    await app.register(taskActions(services));
  };

const simpleActions =
  ({ domains }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const url = '/v1/domains/:id/actions';
    for (const kind of ['pause', 'unpause'] as const) {
      const summary = SUMMARIES[kind];
      app.post(
        `${url}/${kind}`,
        { schema: { tags, summary, params, response: { 200: Domain, ...refusals(404, 409) } } },
        async (request) => domains.run({ kind, id: request.params.id }),
      );
    }
    app.post(
      `${url}/destroy`,
      {
        schema: {
          tags,
          summary: 'Destroy a domain, as DELETE does',
          params,
          response: { 204: none, ...refusals(404) },
        },
      },
      async (request, reply) => {
        await domains.run({ kind: 'destroy', id: request.params.id });
        return reply.code(204).send(undefined);
      },
    );
    app.post(
      `${url}/sysrq`,
      {
        schema: {
          tags,
          summary: 'Press a magic key',
          params,
          body: SysrqRequest,
          response: { 200: Domain, ...refusals(400, 404, 409) },
        },
      },
      async (request) =>
        domains.run({ kind: 'sysrq', id: request.params.id, key: request.body.key }),
    );
    app.post(
      `${url}/nmi`,
      {
        schema: {
          tags,
          summary: 'Send an NMI to a vCPU',
          params,
          body: NmiRequest.nullish(),
          response: { 200: Domain, ...refusals(400, 404, 409) },
        },
      },
      async (request) => {
        const { vcpu } = NmiRequest.parse(request.body ?? {});
        return domains.run({ kind: 'nmi', id: request.params.id, vcpu });
      },
    );
  };

const taskResponses = { 200: Task, 202: Task, ...refusals(400, 404, 409, 503) };

const taskActions =
  (services: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const { tasks } = services;
    for (const kind of ['shutdown', 'reboot'] as const) {
      app.post(
        `/v1/domains/:id/actions/${kind}`,
        {
          schema: {
            tags,
            summary: SUMMARIES[kind],
            params,
            headers: PreferHeaders,
            body: ShutdownRequest.nullish(),
            response: taskResponses,
          },
        },
        async (request, reply) => {
          const asked = ShutdownRequest.parse(request.body ?? {});
          const command = { kind, id: request.params.id, request: asked, requestId: request.id };
          const begun = await stopDomain(services, command);
          const { status, task } = await answerOf(tasks, begun, request, reply);
          return reply.code(status).send(task);
        },
      );
    }
    app.post(
      '/v1/domains/:id/actions/dump-core',
      {
        schema: {
          tags,
          summary: 'Write memory and vCPUs of a domain to a core file',
          params,
          headers: PreferHeaders,
          body: DumpCoreRequest.nullish(),
          response: taskResponses,
        },
      },
      async (request, reply) => {
        const asked = DumpCoreRequest.parse(request.body ?? {});
        const begun = await dumpAsTask(services, request.params.id, asked, request.id);
        const { status, task } = await answerOf(tasks, begun, request, reply);
        return reply.code(status).send(task);
      },
    );
  };
