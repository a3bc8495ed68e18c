/** Listens where it is told to. */

import { type AddressInfo, isIPv4, isIPv6 } from 'node:net';
import type { FastifyInstance } from 'fastify';

/** Addresses that stand for all of a machine, and one of them under which it can be asked. */
const WILDCARDS: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

/** Whether nobody but this machine can reach a service there. */
export const isLoopback = (address: string): boolean =>
  address === '::1' || (isIPv4(address) && address.startsWith('127.'));

/**
 * @param address an IP address.
 * @returns the URL under which the service answers.
 */
export async function listen(app: FastifyInstance, address: string, port: number): Promise<string> {
  await app.listen({ host: address, port });
  const { port: actual } = app.server.address() as AddressInfo;
  const own = WILDCARDS[address] ?? address;
  return `http://${isIPv6(own) ? `[${own}]` : own}:${actual}`;
}
