/** `/v1/images`: kernels and RAM disks, listed, uploaded as raw bytes, removed. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import type { Services } from '../domains/services.js';
import { Image, ImageList, UploadName } from '../schemas/image.js';
import { checkDigest } from './digest.js';
import { none, refusals } from './responses.js';

const tags = ['images'];

export const imageRoutes =
  ({ images }: Services, uploadLimit: number): FastifyPluginAsyncZod =>
  async (app) => {
    app.removeAllContentTypeParsers();
    app.addContentTypeParser(
      '*',
      { parseAs: 'buffer', bodyLimit: uploadLimit },
      async (_: unknown, body: Buffer) => body,
    );
    app.get(
      '/v1/images',
      { schema: { tags, summary: 'List images', response: { 200: ImageList } } },
      async () => ({ images: await images.list() }),
    );
    app.put(
      '/v1/images/:name',
      {
        bodyLimit: uploadLimit,
        schema: {
          tags,
          summary: 'Upload an image: the body is its bytes, of whatever content type',
          params: UploadName,
          response: { 201: Image, ...refusals(400, 413) },
        },
      },
      async (request, reply) => {
        const bytes = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
        checkDigest(request.headers, bytes);
        return reply.code(201).send(await images.save(request.params.name, bytes));
      },
    );
    app.delete(
      '/v1/images/:name',
      {
        schema: {
          tags,
          summary: 'Remove an uploaded image',
          params: UploadName,
          response: { 204: none, ...refusals(404) },
        },
      },
      async (request, reply) => {
        await images.delete(request.params.name);
        return reply.code(204).send(undefined);
      },
    );
  };
