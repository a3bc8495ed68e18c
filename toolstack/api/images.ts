/** `/v1/images`: kernels and RAM disks, listed, uploaded as raw bytes, removed. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { namesTag } from '../domains/etag.js';
import type { Facts } from '../domains/image-facts.js';
import { deleteImage } from '../domains/image-use.js';
import type { Services } from '../domains/services.js';
import { hashOf } from '../domains/shared-bytes.js';
import { Image, ImageDeleteQuery, ImageList, ImageParams, UploadName } from '../schemas/image.js';
import { checkDigest, digestOf } from './digest.js';
import { bytes, none, refusals } from './responses.js';

const tags = ['images'];

export const imageRoutes =
  (services: Services, uploadLimit: number): FastifyPluginAsyncZod =>
  async (app) => {
    const { images } = services;
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
        const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
        const sha256 = await hashOf(body);
        checkDigest(request.headers, sha256);
        reply.header('etag', `"${sha256}"`);
        return reply.code(201).send(await images.save(request.params.name, body, sha256));
      },
    );
    app.delete(
      '/v1/images/:name',
      {
        schema: {
          tags,
          summary: 'Remove an uploaded image',
          params: UploadName,
          querystring: ImageDeleteQuery,
          response: { 204: none, ...refusals(404, 409) },
        },
      },
      async (request, reply) => {
        await deleteImage(services, request.params.name, request.query);
        return reply.code(204).send(undefined);
      },
    );
    await app.register(downloadRoutes(services));
  };

const downloadRoutes =
  ({ images }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    // Fastify's own HEAD would read the whole file.
    app.head(
      '/v1/images/:name',
      { schema: { hide: true, params: ImageParams } },
      async (request, reply) => {
        const facts = await images.read(request.params.name);
        return reply.headers(headersOf(facts)).send();
      },
    );
    app.get(
      '/v1/images/:name',
      {
        exposeHeadRoute: false,
        schema: {
          tags,
          summary: 'Download an image; HEAD tells its size, ETag and digest alone',
          params: ImageParams,
          response: { 200: bytes('The image.'), 304: none, ...refusals(400, 404) },
        },
      },
      async (request, reply) => {
        const { facts, stream } = await images.download(request.params.name);
        const headers = headersOf(facts);
        const known = request.headers['if-none-match'];
        if (known === undefined || !namesTag(known, headers.etag)) {
          reply.headers({ ...headers, 'content-digest': digestOf(facts.sha256) });
          return reply.send(stream as never);
        }
        stream.destroy();
        return reply.code(304).header('etag', headers.etag).send(undefined);
      },
    );
  };

const headersOf = ({ bytes: length, sha256 }: Facts) => ({
  'content-type': 'application/octet-stream',
  'content-length': length,
  'repr-digest': digestOf(sha256),
  etag: `"${sha256}"`,
});
