/** `/v1/domains/{id}/disks` and `/v1/domains/{id}/vifs`: devices of a domain, attached and detached while it runs. */

import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { Services } from '../domains/services.js';
import { DetachQuery } from '../schemas/device.js';
import { DiskConfig, DomainDisk, DomainDiskList } from '../schemas/disk.js';
import { DomainId } from '../schemas/domain.js';
import { DomainVif, DomainVifList, VifConfig } from '../schemas/vif.js';
import { none, refusals } from './responses.js';

const tags = ['devices'];
const params = DomainId;
const diskParams = z.strictObject({ ...DomainId.shape, vdev: z.string().min(1).max(16) });
const vifParams = z.strictObject({ ...DomainId.shape, devid: z.coerce.number().int().min(0) });

export const domainDiskRoutes =
  ({ domains }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/v1/domains/:id/disks',
      {
        schema: {
          tags,
          summary: 'List the disks of a domain',
          params,
          response: { 200: DomainDiskList, ...refusals(404) },
        },
      },
      async (request) => ({ disks: domains.disks(request.params.id) }),
    );
    app.post(
      '/v1/domains/:id/disks',
      {
        schema: {
          tags,
          summary: 'Attach a disk',
          params,
          body: DiskConfig,
          response: { 201: DomainDisk, ...refusals(400, 404, 409, 422) },
        },
      },
      async (request, reply) => {
        const { id } = request.params;
        await domains.run({ kind: 'attach-disk', id, disk: request.body });
        return reply.code(201).send(domains.disk(id, request.body.vdev));
      },
    );
    app.get(
      '/v1/domains/:id/disks/:vdev',
      {
        schema: {
          tags,
          summary: 'Read a disk of a domain',
          params: diskParams,
          response: { 200: DomainDisk, ...refusals(404) },
        },
      },
      async (request) => domains.disk(request.params.id, request.params.vdev),
    );
    app.delete(
      '/v1/domains/:id/disks/:vdev',
      {
        schema: {
          tags,
          summary: 'Detach a disk: the guest is asked to let go, and has ten seconds',
          params: diskParams,
          querystring: DetachQuery,
          response: { 204: none, ...refusals(404, 409) },
        },
      },
      async (request, reply) => {
        const { force } = request.query;
        await domains.run({ kind: 'detach-disk', ...request.params, force });
        return reply.code(204).send(undefined);
      },
    );
  };

export const domainVifRoutes =
  ({ domains, networks }: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/v1/domains/:id/vifs',
      {
        schema: {
          tags,
          summary: 'List the network interfaces of a domain',
          params,
          response: { 200: DomainVifList, ...refusals(404) },
        },
      },
      async (request) => ({ vifs: domains.vifs(request.params.id) }),
    );
    app.post(
      '/v1/domains/:id/vifs',
      {
        schema: {
          tags,
          summary: 'Attach a network interface',
          params,
          body: VifConfig,
          response: { 201: DomainVif, ...refusals(400, 404, 409) },
        },
      },
      async (request, reply) => {
        const { id } = request.params;
        await domains.run({ kind: 'attach-vif', id, vif: request.body });
        // Nothing can come in between: it is the newest.
        const newest = domains.vifs(id).at(-1);
        return reply.code(201).send(newest as DomainVif);
      },
    );
    app.get(
      '/v1/domains/:id/vifs/:devid',
      {
        schema: {
          tags,
          summary: 'Read a network interface of a domain',
          params: vifParams,
          response: { 200: DomainVif, ...refusals(404) },
        },
      },
      async (request) => domains.vif(request.params.id, request.params.devid),
    );
    app.delete(
      '/v1/domains/:id/vifs/:devid',
      {
        schema: {
          tags,
          summary: 'Detach a network interface: the guest is asked to let go, and has ten seconds',
          params: vifParams,
          querystring: DetachQuery,
          response: { 204: none, ...refusals(404, 409) },
        },
      },
      async (request, reply) => {
        const { force } = request.query;
        await domains.run({ kind: 'detach-vif', ...request.params, force });
        return reply.code(204).send(undefined);
      },
    );
    app.get(
      '/v1/domains/:id/vifs/:devid/capture',
      {
        schema: {
          tags,
          summary: 'Watch its traffic: a pcapng stream that ends with the connection',
          params: vifParams,
          response: { ...refusals(404, 409) },
        },
      },
      async (request, reply) => {
        const { id, devid } = request.params;
        const { bridge } = domains.vif(id, devid);
        const capture = networks.capture(bridge, `vif${domains.domidOf(id)}.${devid}`);
        reply.raw.once('close', () => void capture.stop());
        return reply.type('application/x-pcapng').send(capture.stream as never);
      },
    );
  };
