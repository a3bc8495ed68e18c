/** `/v1/saves`: saved domains: listed, downloaded and uploaded as bytes that nobody holds in memory, restored, removed. */

import type { Readable } from 'node:stream';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { restoreSaved, saveAsTask } from '../domains/saving.js';
import type { Services } from '../domains/services.js';
import { Domain, DomainId } from '../schemas/domain.js';
import { RestoreRequest, Save, SaveList, SaveParams, SaveRequest } from '../schemas/save.js';
import { PreferHeaders, Task } from '../schemas/task.js';
import { answerCreated } from './creating.js';
import { answerOf } from './prefer.js';
import { bytes, none, refusals } from './responses.js';

const tags = ['saves'];
const params = SaveParams;

export const saveRoutes =
  (services: Services): FastifyPluginAsyncZod =>
  async (app) => {
    await app.register(actionRoutes(services));
    await app.register(fileRoutes(services));
    await app.register(uploadRoute(services));
  };

const actionRoutes =
  (services: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.post(
      '/v1/domains/:id/actions/save',
      {
        schema: {
          tags,
          summary: 'Have the kernel of a domain suspend itself, and write it to a file',
          params: DomainId,
          headers: PreferHeaders,
          body: SaveRequest.nullish(),
          response: { 200: Task, 202: Task, ...refusals(400, 404, 409, 503) },
        },
      },
      async (request, reply) => {
        const asked = SaveRequest.parse(request.body ?? {});
        const begun = await saveAsTask(services, request.params.id, asked, request.id);
        const { status, task } = await answerOf(services.tasks, begun, request, reply);
        return reply.code(status).send(task);
      },
    );
    app.post(
      '/v1/saves/:name/actions/restore',
      {
        schema: {
          tags,
          summary:
            'Build a domain from a file: it goes on where it was suspended; with Prefer: respond-async, as a task',
          params,
          headers: PreferHeaders,
          body: RestoreRequest.nullish(),
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
        const asked = RestoreRequest.parse(request.body ?? {});
        await services.saves.shelf.read(name);
        const restore = () => restoreSaved(services, name, asked);
        const { status, body } = await answerCreated(services, restore, request, reply);
        return reply.code(status).send(body);
      },
    );
  };

const fileRoutes =
  ({ saves: { shelf } }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/v1/saves',
      { schema: { tags, summary: 'List saved domains', response: { 200: SaveList } } },
      async () => ({ saves: await shelf.list() }),
    );
    app.get(
      '/v1/saves/:name',
      {
        schema: {
          tags,
          summary: 'Download a saved domain',
          params,
          response: { 200: bytes("The file, in xl's format."), ...refusals(400, 404) },
        },
      },
      async (request, reply) => {
        const save = await shelf.download(request.params.name);
        reply.header('content-length', save.bytes).type('application/octet-stream');
        return reply.send(save.stream as never);
      },
    );
    app.delete(
      '/v1/saves/:name',
      {
        schema: {
          tags,
          summary: 'Remove a saved domain',
          params,
          response: { 204: none, ...refusals(400, 404) },
        },
      },
      async (request, reply) => {
        await shelf.delete(request.params.name);
        return reply.code(204).send(undefined);
      },
    );
  };

const uploadRoute =
  ({ saves }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('*', async (_: unknown, body: Readable) => body);
    app.put(
      '/v1/saves/:name',
      {
        schema: {
          tags,
          summary: 'Upload a saved domain: the body is its bytes, of whatever content type',
          params,
          response: { 201: Save, ...refusals(400, 409) },
        },
      },
      async (request, reply) => {
        const body = (request.body as Readable | null | undefined) ?? request.raw;
        try {
          return await reply.code(201).send(await saves.upload(request.params.name, body));
        } catch (error) {
          reply.header('connection', 'close');
          throw error;
        }
      },
    );
  };
