/** Figures of the host: the hypervisor's own, and those of this process. */

import type { Privcmd } from '../../dom0/privcmd.js';
import type { Host } from '../schemas/host.js';

const NS = 1e9;
const US = 1e6;

export class HostFacts {
  readonly #privcmd: Privcmd;
  readonly #product: string;

  constructor(privcmd: Privcmd, product: string) {
    this.#privcmd = privcmd;
    this.#product = product;
  }

  async read(): Promise<Host> {
    const [physical, domains, { calls, missing }] = await Promise.all([
      this.#privcmd.call('physinfo', {}),
      this.#privcmd.call('getdomaininfolist', {}),
      this.#privcmd.call('hypercallstats', {}),
    ]);
    const guests = domains.filter(({ domid }) => domid !== 0);
    const online = guests.flatMap(({ vcpus }) => vcpus.filter((vcpu) => vcpu.online));
    const { user, system } = process.cpuUsage();
    const total = Object.values(calls).reduce((sum, count) => sum + count, 0);
    return {
      product: this.#product,
      xenVersion: physical.xenVersion,
      node: process.version,
      uptimeSeconds: physical.uptime / NS,
      memory: { totalFrames: physical.totalFrames, freeFrames: physical.freeFrames },
      domains: guests.length,
      vcpus: online.length,
      instructions: physical.retired,
      idleSeconds: physical.idleTime / NS,
      hypercalls: { total, byName: calls, missing },
      faults: physical.bugs,
      process: {
        residentBytes: process.memoryUsage.rss(),
        heapBytes: process.memoryUsage().heapUsed,
        cpuSeconds: (user + system) / US,
      },
    };
  }

  /** The hypervisor's log. */
  async messages(): Promise<string> {
    return (await this.#privcmd.call('readconsole', {})).text;
  }
}
