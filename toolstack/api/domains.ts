/** `/v1/domains`: REST face of the domain commands. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import type { Services } from '../domains/services.js';
import {
  Domain,
  DomainChange,
  DomainCreate,
  DomainId,
  DomainList,
  DomainListQuery,
  ShutdownRequest,
  SysrqRequest,
} from '../schemas/domain.js';
import { none, refusals } from './responses.js';

const tags = ['domains'];
const params = DomainId;

export const domainRoutes =
  ({ domains }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/v1/domains',
      {
        schema: {
          tags,
          summary: 'List domains',
          querystring: DomainListQuery,
          response: { 200: DomainList, ...refusals(400) },
        },
      },
      async (request) => ({ domains: await domains.list(request.query) }),
    );
    app.post(
      '/v1/domains',
      {
        schema: {
          tags,
          summary: 'Create a domain',
          body: DomainCreate,
          response: { 201: Domain, ...refusals(400, 409, 413, 415, 422, 507) },
        },
      },
      async (request, reply) => {
        const domain = await domains.run({ kind: 'create', config: request.body });
        return reply.code(201).header('location', `/v1/domains/${domain.uuid}`).send(domain);
      },
    );
    app.get(
      '/v1/domains/:id',
      {
        schema: {
          tags,
          summary: 'Read a domain',
          params,
          response: { 200: Domain, ...refusals(404) },
        },
      },
      async (request) => domains.read(request.params.id),
    );
    app.delete(
      '/v1/domains/:id',
      {
        schema: {
          tags,
          summary: 'Destroy a domain, or forget one that has ended',
          params,
          response: { 204: none, ...refusals(404) },
        },
      },
      async (request, reply) => {
        await domains.run({ kind: 'destroy', id: request.params.id });
        return reply.code(204).send(undefined);
      },
    );
    app.patch(
      '/v1/domains/:id',
      {
        schema: {
          tags,
          summary: 'Change the name, vCPUs, memory or share of a domain',
          params,
          body: DomainChange,
          response: { 200: Domain, ...refusals(400, 404, 409) },
        },
      },
      async (request) =>
        domains.run({ kind: 'change', id: request.params.id, change: request.body }),
    );
    await app.register(actionRoutes(domains));
  };

const actionRoutes =
  (domains: Services['domains']): FastifyPluginAsyncZod =>
  async (app) => {
    for (const kind of ['pause', 'unpause'] as const) {
      app.post(
        `/v1/domains/:id/actions/${kind}`,
        {
          schema: {
            tags,
            summary: `${kind === 'pause' ? 'Stop' : 'Continue'} the vCPUs of a domain`,
            params,
            response: { 200: Domain, ...refusals(404, 409) },
          },
        },
        async (request) => domains.run({ kind, id: request.params.id }),
      );
    }
    app.post(
      '/v1/domains/:id/actions/sysrq',
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
    for (const kind of ['shutdown', 'reboot'] as const) {
      app.post(
        `/v1/domains/:id/actions/${kind}`,
        {
          schema: {
            tags,
            summary: `Ask the kernel of a domain to ${kind === 'shutdown' ? 'power off' : 'reboot'}`,
            params,
            body: ShutdownRequest.nullish(),
            response: { 202: Domain, ...refusals(400, 404, 409) },
          },
        },
        async (request, reply) => {
          const asked = ShutdownRequest.parse(request.body ?? {});
          const domain = await domains.run({ kind, id: request.params.id, request: asked });
          return reply.code(202).send(domain);
        },
      );
    }
  };
