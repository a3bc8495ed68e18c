/** xl's verbs for the processor: shares of it, the one pool of CPUs, and pinning to the one CPU. */

import type { Command } from 'commander';
import { Domain } from '../schemas/domain.js';
import { SchedulerParameters } from '../schemas/host-control.js';
import { type Client, UserError } from './client.js';
import { type Connect, domainUrl, type Output, print, printJson, readDomains } from './command.js';
import { formatPool, formatShares } from './format.js';
import { whole } from './numbers.js';

const POOL = 'Pool-0';
/** What names the one CPU, or leaves things as they are. */
const ONE_CPU = /^(0(-0)?|all|nodes?:all|-)$/;

interface ShareOptions extends Output {
  readonly domain?: string;
  readonly weight?: string;
  readonly cap?: string;
  readonly schedparam?: true;
  readonly ratelimit_us?: string;
  readonly cpupool?: string;
}

export function addSchedulerVerbs(xl: Command, connect: Connect): void {
  xl.command('sched-credit2')
    .description('show or change shares of the processor')
    .option('-d, --domain <domain>', 'of this domain')
    .option('-w, --weight <weight>', 'its share relative to others, 1 to 65535')
    .option('-c, --cap <cap>', 'its limit in per cent of a CPU, 0 for none')
    .option('-s, --schedparam', 'parameters of the scheduler')
    .option(
      '-r, --ratelimit_us <us>',
      'with -s: how long a vCPU runs before another can preempt it',
    )
    .option('-p, --cpupool <pool>', `of this pool of CPUs: ${POOL}`)
    .option('--json', 'as JSON')
    .action((options: ShareOptions) => shares(connect(), options));
  xl.command('vcpu-pin')
    .description('taken, and of no use: all vCPUs run on CPU 0')
    .argument('<domain>')
    .argument('<vcpu>', 'its number, or all')
    .argument('<hard>', 'CPUs that it may run on: 0, all or -')
    .argument('[soft]', 'CPUs that it should run on: 0, all or -', '-')
    .option('-f, --force', 'taken, and of no use')
    .option('--json', 'print the affinities as JSON')
    .action(async (id: string, vcpu: string, hard: string, soft: string, { json }: Output) => {
      const { vcpus } = await connect().json(Domain, 'GET', domainUrl(id));
      if (vcpu !== 'all' && whole(vcpu, 'a vCPU') >= vcpus.max) {
        throw new UserError(`there is no vCPU ${vcpu}`);
      }
      const wrong = [hard, soft].find((cpus) => !ONE_CPU.test(cpus));
      if (wrong !== undefined)
        throw new UserError(`"${wrong}" is not possible here: there is one CPU, 0`);
      if (json) printJson({ vcpu, hard: 'all', soft: 'all' });
    });
  xl.command('cpupool-list')
    .description('list the pool of CPUs')
    .argument('[pool]')
    .option('-c, --cpus', 'which CPUs, not how many')
    .option('--json', 'as JSON')
    .action(async (pool: string | undefined, options: Output & { cpus?: true }) => {
      if (pool !== undefined && pool !== POOL) throw new UserError(`there is no pool "${pool}"`);
      const client = connect();
      const { name } = await readScheduler(client);
      const domains = (await readDomains(client, [])).length + 1;
      if (options.json) printJson([{ name: POOL, cpus: [0], scheduler: name, domains }]);
      else print(formatPool(POOL, name, domains, options.cpus === true));
    });
}

const readScheduler = (client: Client) =>
  client.json(SchedulerParameters, 'GET', '/v1/host/scheduler');

async function shares(client: Client, options: ShareOptions): Promise<void> {
  const { domain, weight, cap, schedparam, ratelimit_us, cpupool, json } = options;
  if (cpupool !== undefined && cpupool !== POOL)
    throw new UserError(`there is no pool "${cpupool}"`);
  if (ratelimit_us !== undefined) {
    if (!schedparam) throw new UserError('-r needs -s');
    const ratelimitUs = whole(ratelimit_us, 'a number of microseconds');
    await client.json(SchedulerParameters, 'PATCH', '/v1/host/scheduler', { ratelimitUs });
    if (!json) return;
  }
  if (weight !== undefined || cap !== undefined) {
    if (domain === undefined) throw new UserError('-w and -c need a domain: -d');
    const change = {
      ...(weight !== undefined && { weight: whole(weight, 'a weight') }),
      ...(cap !== undefined && { cap: whole(cap, 'a cap') }),
    };
    await client.json(Domain, 'PATCH', domainUrl(domain), change);
    if (!json) return;
  }
  await show(client, options);
}

async function show(client: Client, { domain, schedparam, json }: ShareOptions): Promise<void> {
  const scheduler = await readScheduler(client);
  if (schedparam) {
    if (json) printJson(scheduler);
    else print(formatShares(POOL, scheduler, undefined));
    return;
  }
  const domains = await readDomains(client, domain === undefined ? [] : [domain]);
  const rows = domains.map(({ name, domid, weight, cap }) => ({ name, domid, weight, cap }));
  if (json) printJson(rows);
  else print(formatShares(POOL, domain === undefined ? scheduler : undefined, rows));
}
