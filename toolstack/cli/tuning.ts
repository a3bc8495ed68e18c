/** xl's verbs that change a domain that runs: its vCPUs, memory and name. */

import type { Command } from 'commander';
import { Domain } from '../schemas/domain.js';
import { UserError } from './client.js';
import { type Connect, domainUrl, type Output, print, printJson, readDomains } from './command.js';
import { formatVcpus } from './format.js';
import { whole } from './numbers.js';

const KIB_PER_MIB = 1024;
/** MiB in each unit that xl takes; kibibytes if there is none. */
const UNITS: Readonly<Record<string, number>> = {
  '': 1 / KIB_PER_MIB,
  b: 1 / KIB_PER_MIB ** 2,
  k: 1 / KIB_PER_MIB,
  m: 1,
  g: KIB_PER_MIB,
  t: KIB_PER_MIB ** 2,
};

/** "512m" in MiB, rounded up to a page. */
function mebibytes(text: string): number {
  const [, amount, unit = ''] = /^(\d+)([bkmgt]?)$/i.exec(text) ?? [];
  const factor = UNITS[unit.toLowerCase()];
  if (amount === undefined || factor === undefined) {
    throw new UserError(`"${text}" is no amount of memory: 512m, 1g, 65536 (KiB)`);
  }
  return Math.ceil(Number(amount) * factor * 256) / 256;
}

export function addTuningCommands(xl: Command, connect: Connect): void {
  const change = async (id: string, body: object, { json }: Output): Promise<void> => {
    const domain = await connect().json(Domain, 'PATCH', domainUrl(id), body);
    if (json) printJson(domain);
  };
  xl.command('vcpu-set')
    .description('ask the kernel of a domain to have so many vCPUs online')
    .argument('<domain>')
    .argument('<vcpus>')
    .option('-i, --ignore-host', 'taken, and of no use: there may be more vCPUs than CPUs')
    .option('--json', 'print the domain as JSON')
    .action((id: string, vcpus: string, options: Output) =>
      change(id, { vcpus: whole(vcpus, 'a number of vCPUs') }, options),
    );
  xl.command('vcpu-list')
    .description('list the vCPUs of domains')
    .argument('[domain...]')
    .option('--json', 'as JSON')
    .action(async (ids: string[], options: Output) => {
      const client = connect();
      const domains = await readDomains(client, ids);
      const vcpus = domains.flatMap(({ name, domid, vcpus: { list } }) =>
        list.map((vcpu) => ({ name, domid, ...vcpu })),
      );
      if (options.json) printJson(vcpus);
      else print(formatVcpus(vcpus));
    });
  xl.command('mem-set')
    .description('ask the kernel of a domain to hold so much memory')
    .argument('<domain>')
    .argument('<memory>', 'KiB, or with a unit: 512m')
    .option('--json', 'print the domain as JSON')
    .action((id: string, memory: string, options: Output) =>
      change(id, { memory: mebibytes(memory) }, options),
    );
  xl.command('mem-max')
    .description('set how much memory a domain may hold')
    .argument('<domain>')
    .argument('<memory>', 'KiB, or with a unit: 512m')
    .option('--json', 'print the domain as JSON')
    .action((id: string, memory: string, options: Output) =>
      change(id, { maxMemory: mebibytes(memory) }, options),
    );
  xl.command('rename')
    .description('rename a domain')
    .argument('<domain>')
    .argument('<name>')
    .option('--json', 'print the domain as JSON')
    .action((id: string, name: string, options: Output) => change(id, { name }, options));
}
