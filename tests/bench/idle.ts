/** What a domain that does nothing costs in CPU and memory, and the host with it. */

import type { TestService } from '../support/service.js';
import { report } from './report.js';

const SECONDS = 10;
const DOMAINS = 20;

/** CPU seconds of the whole process: main thread, hypervisor, compiler threads. */
const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

async function cpuShare(): Promise<number> {
  const before = cpuSeconds();
  await new Promise((resolve) => setTimeout(resolve, SECONDS * 1000));
  return ((cpuSeconds() - before) / SECONDS) * 100;
}

export async function benchIdle(service: TestService): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 3000)); // compilers finish, garbage is collected
  const alone = await cpuShare();
  const before = process.memoryUsage.rss();
  for (let i = 0; i < DOMAINS; i++) {
    await service.request('POST', '/v1/domains', {
      name: `idle-${i}`,
      kernel: 'bench-idle',
      memory: 8,
    });
  }
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const memory = (process.memoryUsage.rss() - before) / DOMAINS / 2 ** 20;
  const many = await cpuShare();
  for (let i = 0; i < DOMAINS; i++) await service.request('DELETE', `/v1/domains/idle-${i}`);
  report('Idle', [
    { name: 'host with no domain', value: alone, unit: '% of a core' },
    { name: `host with ${DOMAINS} idle domains`, value: many, unit: '% of a core' },
    { name: 'memory of an idle domain of 8 MiB', value: memory, unit: 'MiB resident' },
  ]);
}
