/** `/v1/disks`: disk images: listed, made blank, uploaded and downloaded as bytes that nobody holds in memory, removed. */

import type { Readable } from 'node:stream';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import type { Services } from '../domains/services.js';
import {
  DiskImage,
  DiskImageCreate,
  DiskImageList,
  DiskImageName,
  NewDiskImageName,
} from '../schemas/disk.js';
import { none, refusals } from './responses.js';

const tags = ['disks'];

export const diskRoutes =
  ({ disks }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/v1/disks',
      { schema: { tags, summary: 'List disk images', response: { 200: DiskImageList } } },
      async () => ({ directories: [...disks.directories], disks: await disks.list() }),
    );
    app.post(
      '/v1/disks',
      {
        schema: {
          tags,
          summary: 'Make a blank disk image',
          body: DiskImageCreate,
          response: { 201: DiskImage, ...refusals(400, 409) },
        },
      },
      async (request, reply) => {
        const { name, size } = request.body;
        return reply.code(201).send(await disks.create(name, size));
      },
    );
    app.delete(
      '/v1/disks/:name',
      {
        schema: {
          tags,
          summary: 'Remove a disk image',
          params: DiskImageName,
          response: { 204: none, ...refusals(404, 409) },
        },
      },
      async (request, reply) => {
        await disks.delete(request.params.name);
        return reply.code(204).send(undefined);
      },
    );
    await app.register(streamRoutes(disks));
  };

const streamRoutes =
  (disks: Services['disks']): FastifyPluginAsyncZod =>
  async (app) => {
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('*', async (_: unknown, body: Readable) => body);
    app.put(
      '/v1/disks/:name',
      {
        schema: {
          tags,
          summary: 'Upload a new disk image: the body is its bytes, of whatever content type',
          params: NewDiskImageName,
          response: { 201: DiskImage, ...refusals(400, 409, 413) },
        },
      },
      async (request, reply) => {
        const body = (request.body as Readable | null | undefined) ?? request.raw;
        try {
          return await reply.code(201).send(await disks.upload(request.params.name, body));
        } catch (error) {
          // The rest of the body is not read: the connection cannot be used for another request.
          reply.header('connection', 'close');
          throw error;
        }
      },
    );
    app.get(
      '/v1/disks/:name',
      {
        schema: {
          tags,
          summary: 'Download a disk image; of one that is being written to, whatever is there',
          params: DiskImageName,
          response: { ...refusals(404) },
        },
      },
      async (request, reply) => {
        const { bytes, stream } = await disks.download(request.params.name);
        return reply
          .header('content-length', bytes)
          .type('application/octet-stream')
          .send(stream as never);
      },
    );
  };
