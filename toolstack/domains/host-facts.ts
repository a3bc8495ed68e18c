/** Figures of the host: the hypervisor's own, and those of this process. */

import { type Privcmd, PrivcmdRefusal } from '../../dom0/privcmd.js';
import type { SchedulerInfo } from '../../hypervisor/public/privcmd.js';
import type { Host } from '../schemas/host.js';
import type { SchedulerChange, SchedulerParameters } from '../schemas/host-control.js';
import { CommandError } from './errors.js';
import type { Symbols } from './symbols.js';

const NS = 1e9;
const US = 1e6;

export class HostFacts {
  readonly #privcmd: Privcmd;
  readonly #product: string;
  readonly #symbols: Symbols;

  constructor(privcmd: Privcmd, product: string, symbols: Symbols) {
    this.#privcmd = privcmd;
    this.#product = product;
    this.#symbols = symbols;
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

  /** Empties it. */
  async clearMessages(): Promise<void> {
    await this.#privcmd.call('readconsole', { clear: true });
  }

  /** Throws `bad-value` at a key that there is not; those before it have been answered. */
  async pressKeys(keys: string): Promise<string> {
    let text = '';
    for (const key of keys) {
      const answer = await this.#privcmd.call('debugkey', { key }).catch((error: unknown) => {
        throw noSuchKey(error, key);
      });
      text += answer.text;
    }
    return text.replaceAll(/^.*\bd(\d+)v\d+: .*$/gm, (line: string, domid: string) =>
      this.#symbols.annotate(Number(domid), line),
    );
  }

  async scheduler(): Promise<SchedulerParameters> {
    return describeScheduler(await this.#privcmd.call('schedulerinfo', {}));
  }

  /** Throws `bad-value` if the ratelimit is longer than the slice. */
  async changeScheduler({ sliceUs, ratelimitUs }: SchedulerChange): Promise<SchedulerParameters> {
    const now = await this.scheduler();
    const ratelimit = ratelimitUs ?? now.ratelimitUs;
    const slice = sliceUs ?? now.sliceUs;
    if (ratelimit > slice) {
      const pointer = ratelimitUs === undefined ? '/sliceUs' : '/ratelimitUs';
      const detail = `a ratelimit of ${ratelimit} us is longer than the slice of ${slice} us`;
      throw new CommandError('bad-value', `${pointer.slice(1)}: ${detail}.`, {
        errors: [{ pointer, detail }],
      });
    }
    const change = { slice: slice * NS_PER_US, ratelimit: ratelimit * NS_PER_US };
    return describeScheduler(await this.#privcmd.call('setschedulerinfo', change));
  }
}

const NS_PER_US = 1000;

const describeScheduler = ({ name, slice, ratelimit }: SchedulerInfo): SchedulerParameters => ({
  name,
  sliceUs: slice / NS_PER_US,
  ratelimitUs: ratelimit / NS_PER_US,
});

function noSuchKey(error: unknown, key: string): unknown {
  if (!(error instanceof PrivcmdRefusal) || error.errno !== 'EINVAL') return error;
  const detail = `there is no key '${key}'; h tells what there are`;
  return new CommandError('bad-value', `keys: ${detail}.`, {
    errors: [{ pointer: '/keys', detail, found: key }],
  });
}
