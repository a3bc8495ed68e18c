/** `/v1/domains`: REST face of the domain commands. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { pageOf } from '../domains/domain-list.js';
import { namesTag } from '../domains/etag.js';
import type { Services } from '../domains/services.js';
import {
  Domain,
  DomainChange,
  DomainCreate,
  DomainId,
  DomainList,
  DomainListQuery,
  IfMatchHeaders,
} from '../schemas/domain.js';
import { PreferHeaders, Task } from '../schemas/task.js';
import { answerCreated } from './creating.js';
import { actionRoutes } from './domain-actions.js';
import { none, refusals } from './responses.js';

const tags = ['domains'];
const NDJSON = 'application/x-ndjson';
const params = DomainId;

export const domainRoutes =
  (services: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const { domains } = services;
    app.get(
      '/v1/domains',
      {
        schema: {
          tags,
          summary: 'List domains; with Accept: application/x-ndjson, one a line',
          querystring: DomainListQuery,
          response: { 200: DomainList, ...refusals(400) },
        },
      },
      async (request, reply) => {
        const { domains: shown, next } = pageOf(await domains.list(request.query), request.query);
        if (next !== undefined) reply.header('link', nextLink(request.url, next));
        reply.header('vary', 'accept');
        if (request.headers.accept?.includes(NDJSON)) {
          reply.type(NDJSON).serializer(String);
          return reply.send(shown.map((domain) => `${JSON.stringify(domain)}\n`).join('') as never);
        }
        // Domains with some of their fields do not have the shape that is documented for whole ones.
        reply.type('application/json; charset=utf-8').serializer(JSON.stringify);
        return reply.send({ domains: shown as Domain[], ...(next !== undefined && { next }) });
      },
    );
    await app.register(createRoute(services));
    app.get(
      '/v1/domains/:id',
      {
        schema: {
          tags,
          summary: 'Read a domain',
          params,
          response: { 200: Domain, 304: none, ...refusals(404) },
        },
      },
      async (request, reply) => {
        const domain = await domains.read(request.params.id);
        const tag = domains.etag(domain.uuid);
        reply.header('etag', tag);
        const known = request.headers['if-none-match'];
        if (known === undefined || !namesTag(known, tag)) return domain;
        return reply.code(304).send(undefined);
      },
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
    await app.register(changeRoute(services));
    await app.register(actionRoutes(services));
  };

/** Link (RFC 8288) to the next page: what was asked for, from another place on. */
function nextLink(asked: string, cursor: string): string {
  const url = new URL(asked, 'http://localhost');
  url.searchParams.set('cursor', cursor);
  return `<${url.pathname}${url.search}>; rel="next"`;
}

const createRoute =
  (services: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.post(
      '/v1/domains',
      {
        schema: {
          tags,
          summary: 'Create a domain; with Prefer: respond-async, as a task',
          body: DomainCreate,
          headers: PreferHeaders,
          response: {
            200: Task,
            201: Domain,
            202: Task,
            ...refusals(400, 409, 413, 415, 422, 503, 507),
          },
        },
      },
      async (request, reply) => {
        const create = () => services.domains.run({ kind: 'create', config: request.body });
        const { status, body } = await answerCreated(services, create, request, reply);
        return reply.code(status).send(body);
      },
    );
  };

const changeRoute =
  ({ domains }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.patch(
      '/v1/domains/:id',
      {
        schema: {
          tags,
          summary: 'Change the name, vCPUs, memory or share of a domain',
          params,
          body: DomainChange,
          headers: IfMatchHeaders,
          response: { 200: Domain, ...refusals(400, 404, 409, 412) },
        },
      },
      async (request, reply) => {
        const { id } = request.params;
        const ifMatch = request.headers['if-match'];
        const domain = await domains.run({ kind: 'change', id, change: request.body, ifMatch });
        reply.header('etag', domains.etag(domain.uuid));
        return domain;
      },
    );
  };
