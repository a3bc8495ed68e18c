/** `/v1/recordings`: the trace recorded to files: begun as a task, stopped, listed, downloaded in several forms, removed. */

import { Readable } from 'node:stream';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { downloadOf } from '../domains/recording-download.js';
import type { Services } from '../domains/services.js';
import {
  DownloadQuery,
  RecordingList,
  RecordingParams,
  RecordingRequest,
} from '../schemas/recording.js';
import { PreferHeaders, Task } from '../schemas/task.js';
import { answerOf } from './prefer.js';
import { none, refusals } from './responses.js';

const tags = ['trace'];
const params = RecordingParams;

const TYPES = {
  binary: 'application/octet-stream',
  json: 'application/x-ndjson',
  text: 'text/plain; charset=utf-8',
  perfetto: 'application/json',
} as const;

const text = { schema: z.string() };
const DOWNLOAD = {
  description: 'The recording in the form that was asked for.',
  content: {
    'application/octet-stream': { schema: z.string().meta({ format: 'binary' }) },
    'application/x-ndjson': text,
    'text/plain': text,
    'application/json': { schema: z.looseObject({ traceEvents: z.array(z.unknown()) }) },
  },
};

export const recordingRoutes =
  (services: Services): FastifyPluginAsyncZod =>
  async (app) => {
    await app.register(makingRoutes(services));
    await app.register(fileRoutes(services));
  };

const makingRoutes =
  ({ recordings, tasks }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.post(
      '/v1/recordings',
      {
        schema: {
          tags,
          summary: 'Record the trace to a file, until it is stopped, for so long, or up to a size',
          headers: PreferHeaders,
          body: RecordingRequest.nullish(),
          response: { 200: Task, 202: Task, ...refusals(400, 409, 503, 507) },
        },
      },
      async (request, reply) => {
        const asked = RecordingRequest.parse(request.body ?? {});
        const { name, task: begun } = await recordings.start(tasks, asked, request.id);
        reply.header('content-location', `/v1/recordings/${name}`);
        const { status, task } = await answerOf(tasks, begun, request, reply);
        return reply.code(status).send(task);
      },
    );
    app.post(
      '/v1/recordings/:name/actions/stop',
      {
        schema: {
          tags,
          summary: 'Stop recording; the task ends when the file is complete',
          params,
          response: { 204: none, ...refusals(400, 404, 409) },
        },
      },
      async (request, reply) => {
        await recordings.stop(request.params.name);
        return reply.code(204).send(undefined);
      },
    );
  };

const fileRoutes =
  ({ recordings }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/v1/recordings',
      { schema: { tags, summary: 'List recordings', response: { 200: RecordingList } } },
      async () => ({ recordings: await recordings.list() }),
    );
    app.get(
      '/v1/recordings/:name',
      {
        schema: {
          tags,
          summary: 'Download a recording: as it is, or what a filter wants of it in another form',
          params,
          querystring: DownloadQuery,
          response: { 200: DOWNLOAD, ...refusals(400, 404, 409) },
        },
      },
      async (request, reply) => {
        const { format } = request.query;
        const chunks = downloadOf(recordings, request.params.name, request.query);
        return reply.type(TYPES[format]).send(Readable.from(chunks) as never);
      },
    );
    app.delete(
      '/v1/recordings/:name',
      {
        schema: {
          tags,
          summary: 'Remove a recording',
          params,
          response: { 204: none, ...refusals(400, 404, 409) },
        },
      },
      async (request, reply) => {
        await recordings.delete(request.params.name);
        return reply.code(204).send(undefined);
      },
    );
  };
