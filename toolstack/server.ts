/** Listens on loopback, and closes gracefully. */

import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';

const ADDRESS = '127.0.0.1';

/** @returns the URL under which the service answers. */
export async function listen(app: FastifyInstance, port: number): Promise<string> {
  await app.listen({ host: ADDRESS, port });
  const { port: actual } = app.server.address() as AddressInfo;
  return `http://${ADDRESS}:${actual}`;
}
