/** xl's verbs that end domains, stop them and let them go on. */

import type { Command } from 'commander';
import { Domain } from '../schemas/domain.js';
import { Task } from '../schemas/task.js';
import { type Client, UserError } from './client.js';
import {
  type Connect,
  domainUrl,
  type Output,
  printJson,
  readDomain,
  readDomains,
} from './command.js';
import { isDomain0 } from './domain0.js';
import { watchForStop } from './wait.js';

interface StopOptions extends Output {
  readonly all?: true;
  readonly wait?: true;
  readonly force?: true;
}

export function addLifeCycle(xl: Command, connect: Connect): void {
  xl.command('destroy')
    .description('end a domain at once')
    .argument('<domain>')
    .option('-f, --force', 'taken, and of no use: domain 0 is the service, and cannot be destroyed')
    .option('--json', 'print what the domain was as JSON')
    .action(async (id: string, { json }: Output) => {
      if (isDomain0(id)) throw new UserError('domain 0 is the service: end that instead');
      const client = connect();
      const domain = json && (await readDomain(client, id));
      await client.remove(domainUrl(id));
      if (domain) printJson(domain);
    });
  for (const verb of ['pause', 'unpause'] as const) {
    xl.command(verb)
      .description(verb === 'pause' ? 'stop the vCPUs of a domain' : 'let a paused domain go on')
      .argument('<domain>')
      .option('--json', 'print the domain as JSON')
      .action(async (id: string, { json }: Output) => {
        const domain = await connect().json(Domain, 'POST', domainUrl(id, `/actions/${verb}`));
        if (json) printJson(domain);
      });
  }
  for (const verb of ['shutdown', 'reboot'] as const) {
    xl.command(verb)
      .description(`ask the kernel of a domain to ${verb === 'reboot' ? 'reboot' : 'power off'}`)
      .argument('[domain]')
      .option('-a, --all', 'of all domains')
      .option('-w, --wait', 'wait until it is done')
      .option('-F, --force', 'do it without asking the kernel')
      .option('--json', 'print the tasks as JSON')
      .action((id: string | undefined, options: StopOptions) => stop(connect(), verb, id, options));
  }
}

async function stop(
  client: Client,
  verb: 'shutdown' | 'reboot',
  id: string | undefined,
  options: StopOptions,
): Promise<void> {
  if ((id === undefined) !== (options.all === true)) {
    throw new UserError(`${verb} wants the name of a domain, or -a for all`);
  }
  const ids = id === undefined ? (await readDomains(client, [])).map(({ uuid }) => uuid) : [id];
  const all = await Promise.allSettled(ids.map((each) => stopOne(client, verb, each, options)));
  if (options.json) {
    printJson(all.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : [])));
  }
  for (const each of all) if (each.status === 'rejected') throw each.reason;
}

async function stopOne(
  client: Client,
  verb: 'shutdown' | 'reboot',
  id: string,
  { wait, force }: StopOptions,
): Promise<Task> {
  const { uuid } = await readDomain(client, id);
  const watch = wait && (await watchForStop(client, uuid, verb));
  try {
    const body = { force: force === true };
    const task = await client.json(Task, 'POST', domainUrl(uuid, `/actions/${verb}`), body);
    if (watch) await watch.done;
    return task;
  } finally {
    if (watch) watch.stop();
  }
}
