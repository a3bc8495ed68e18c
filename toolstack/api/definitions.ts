/** `/v1/definitions`: domains that are remembered, whether they run or not. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { namesTag, tagOf } from '../domains/etag.js';
import type { Services } from '../domains/services.js';
import {
  Definition,
  DefinitionChange,
  DefinitionConditions,
  DefinitionList,
  DefinitionName,
} from '../schemas/definition.js';
import { Domain } from '../schemas/domain.js';
import { PreferHeaders, Task } from '../schemas/task.js';
import { answerCreated } from './creating.js';
import { none, refusals } from './responses.js';

const tags = ['definitions'];
const params = DefinitionName;
const MERGE_PATCH = 'application/merge-patch+json';

export const definitionRoutes =
  (services: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.addContentTypeParser(
      MERGE_PATCH,
      { parseAs: 'string' },
      app.getDefaultJsonParser('error', 'error'),
    );
    await app.register(readRoutes(services));
    await app.register(writeRoutes(services));
    await app.register(changeRoute(services));
    await app.register(startRoute(services));
  };

const readRoutes =
  ({ definitions }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/v1/definitions',
      { schema: { tags, summary: 'List definitions', response: { 200: DefinitionList } } },
      async (_request, reply) => {
        const list = definitions.list();
        reply.header('etag', tagOf(list));
        return { definitions: list };
      },
    );
    app.get(
      '/v1/definitions/:name',
      {
        schema: {
          tags,
          summary: 'Read a definition',
          params,
          response: { 200: Definition, 304: none, ...refusals(404) },
        },
      },
      async (request, reply) => {
        const definition = definitions.read(request.params.name);
        const tag = tagOf(definition);
        reply.header('etag', tag);
        const known = request.headers['if-none-match'];
        if (known === undefined || !namesTag(known, tag)) return definition;
        return reply.code(304).send(undefined);
      },
    );
  };

const writeRoutes =
  ({ definitions }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.put(
      '/v1/definitions/:name',
      {
        schema: {
          tags,
          summary: 'Define a domain, or define it anew; one that runs is left alone',
          params,
          headers: DefinitionConditions,
          body: Definition,
          response: { 200: Definition, 201: Definition, ...refusals(400, 409, 412, 413, 415) },
        },
      },
      async (request, reply) => {
        const { name } = request.params;
        const conditions = conditionsOf(request.headers);
        const { definition, isNew } = await definitions.put(name, request.body, conditions);
        reply.header('etag', tagOf(definition));
        if (isNew) reply.header('location', `/v1/definitions/${name}`);
        return reply.code(isNew ? 201 : 200).send(definition);
      },
    );
    app.delete(
      '/v1/definitions/:name',
      {
        schema: {
          tags,
          summary: 'Forget a definition; its domain, if it runs, goes on',
          params,
          headers: DefinitionConditions,
          response: { 204: none, ...refusals(404, 412) },
        },
      },
      async (request, reply) => {
        await definitions.delete(request.params.name, conditionsOf(request.headers));
        return reply.code(204).send(undefined);
      },
    );
  };

const changeRoute =
  ({ definitions }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.patch(
      '/v1/definitions/:name',
      {
        schema: {
          tags,
          summary: 'Change fields of a definition; a domain that runs is left alone',
          consumes: ['application/json', MERGE_PATCH],
          params,
          headers: DefinitionConditions,
          body: DefinitionChange,
          response: { 200: Definition, ...refusals(400, 404, 409, 412, 413, 415) },
        },
      },
      async (request, reply) => {
        const { name } = request.params;
        const conditions = conditionsOf(request.headers);
        const definition = await definitions.change(name, request.body, conditions);
        reply.header('etag', tagOf(definition));
        return definition;
      },
    );
  };

const startRoute =
  (services: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.post(
      '/v1/definitions/:name/actions/start',
      {
        schema: {
          tags,
          summary: 'Create the domain; with Prefer: respond-async, as a task',
          params,
          headers: PreferHeaders,
          response: {
            200: Task,
            201: Domain,
            202: Task,
            ...refusals(400, 404, 409, 422, 503, 507),
          },
        },
      },
      async (request, reply) => {
        const { name } = request.params;
        services.definitions.read(name);
        const create = () => services.definitions.start(name);
        const { status, body } = await answerCreated(services, create, request, reply);
        return reply.code(status).send(body);
      },
    );
  };

const conditionsOf = (headers: {
  readonly 'if-match'?: string | undefined;
  readonly 'if-none-match'?: string | undefined;
}) => ({ ifMatch: headers['if-match'], ifNoneMatch: headers['if-none-match'] });
