/**
 * Domain 0 as Xen's tools list it. Here it is the service's own thread, with the backends, and no domain of the API: what is shown
 * is of the process. Its time is what is left of the process's when that of the domains that exist is taken away.
 */

import type { Domain } from '../schemas/domain.js';
import { Host } from '../schemas/host.js';
import type { Client } from './client.js';

const MIB = 1024 * 1024;
export const DOMAIN0_NAME = 'Domain-0';
const NAMES: ReadonlySet<string> = new Set(['0', DOMAIN0_NAME]);

export interface Domain0 {
  readonly kib: number;
  readonly cpuSeconds: number;
  readonly uptimeSeconds: number;
}

/** Whether a list of domains is to have it: it is named, or nothing is. */
export const wantsDomain0 = (ids: readonly string[]): boolean =>
  ids.length === 0 || ids.some((id) => NAMES.has(id));

export const isDomain0 = (id: string): boolean => NAMES.has(id);

export async function readDomain0(client: Client, domains: readonly Domain[]): Promise<Domain0> {
  return domain0Of(await client.json(Host, 'GET', '/v1/host'), domains);
}

export function domain0Of(host: Host, domains: readonly Domain[]): Domain0 {
  const guests = domains.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0);
  return {
    kib: Math.ceil(host.process.heapBytes / MIB) * 1024,
    cpuSeconds: Math.max(0, host.process.cpuSeconds - guests),
    uptimeSeconds: host.uptimeSeconds,
  };
}
