/** xl's verbs: one block per command. */

import { Command } from 'commander';
import { z } from 'zod';
import { Domain } from '../schemas/domain.js';
import { Host } from '../schemas/host.js';
import { Task } from '../schemas/task.js';
import { Client } from './client.js';
import { type Connect, domainUrl, print, printJson, readDomain, readDomains } from './command.js';
import { type CreateOptions, createDomain } from './create.js';
import { addDefinitionCommands } from './definitions.js';
import { addDeviceCommands } from './devices.js';
import { formatInfo, formatList } from './format.js';
import { addHostVerbs } from './host-verbs.js';
import { libxlJson } from './libxl-json.js';
import { addRunCommand } from './run.js';
import { addSaveCommands } from './saves.js';
import { attach } from './terminal.js';
import { addTokenCommands } from './tokens.js';
import { traceCommand } from './trace.js';
import { addTuningCommands } from './tuning.js';
import { waitForEnd } from './wait.js';
import { addStoreCommands } from './xenstore.js';

const DEFAULT_URL = 'http://127.0.0.1:8732';

export function program(): Command {
  const xl = new Command('xl')
    .description('Control the domains of a Xenolith host.')
    .option('--host <url>', 'URL of the service', process.env['XENOLITH_URL'] ?? DEFAULT_URL)
    .showHelpAfterError();
  const client = (): Client =>
    new Client(xl.opts<{ host: string }>().host, process.env['XENOLITH_TOKEN']);
  addCreate(xl, client);
  addRunCommand(xl, (url) => new Client(url));
  addQueries(xl, client);
  addActions(xl, client);
  addHost(xl, client);
  addDefinitionCommands(xl, client);
  addDeviceCommands(xl, client);
  addTuningCommands(xl, client);
  addStoreCommands(xl, client);
  addSaveCommands(xl, client);
  addHostVerbs(xl, client);
  traceCommand(xl, client);
  addTokenCommands(xl, client);
  return xl;
}

async function openConsole(client: Client, id: string): Promise<void> {
  const socket = await client.socket(domainUrl(id, '/console'));
  await attach(socket, process.stdin, process.stdout);
}

function addCreate(xl: Command, connect: Connect): void {
  xl.command('create')
    .description('create a domain from a configuration file, key=value arguments, or both')
    .argument('[file-or-key=value...]', 'a file in the form of xl.cfg, then key=value')
    .option('-c, --console', 'attach to its console')
    .option('-p, --paused', 'leave it paused')
    .option('-f, --defconfig <file>', 'the configuration file')
    .option('-q, --quiet', 'say nothing')
    .option('-n, --dryrun', 'print the configuration that would be used, create nothing')
    .option('--json', 'print the domain as JSON')
    .action(async (words: string[], options: CreateOptions & { console?: true; json?: true }) => {
      const client = connect();
      const domain = await createDomain(client, words, options);
      if (domain === undefined) return;
      if (options.json) printJson(domain);
      if (options.console) await openConsole(client, domain.uuid);
    });
}

function addQueries(xl: Command, connect: Connect): void {
  xl.command('list')
    .description('list domains')
    .argument('[domain...]')
    .option(
      '-l, --long',
      'their configurations as libxl writes them in JSON, which create takes as well',
    )
    .option('-a, --all', 'show those that have ended, too')
    .option('--json', 'as JSON')
    .action(async (ids: string[], options: { long?: true; json?: true; all?: true }) => {
      const client = connect();
      const query = options.all ? '?ended=true' : '';
      const domains = await readDomains(client, ids, query);
      if (options.json) printJson(domains);
      else if (options.long) printJson(domains.map(libxlJson));
      else print(formatList(domains));
    });
  xl.command('domid')
    .description('print the domid of a domain')
    .argument('<name>')
    .action(async (name: string) => print(String((await readDomain(connect(), name)).domid)));
  xl.command('domname')
    .description('print the name of a domain')
    .argument('<domid>')
    .action(async (id: string) => print((await readDomain(connect(), id)).name));
  xl.command('console')
    .description('attach to the console of a domain; ctrl-] detaches')
    .argument('<domain>')
    .option('--history', 'print what is kept of its output and return')
    .action(async (id: string, options: { history?: true }) => {
      const client = connect();
      if (options.history) process.stdout.write(await client.text(domainUrl(id, '/console')));
      else await openConsole(client, id);
    });
}

function addActions(xl: Command, connect: Connect): void {
  xl.command('destroy')
    .description('end a domain at once')
    .argument('<domain>')
    .action((id: string) => connect().remove(domainUrl(id)));
  for (const verb of ['pause', 'unpause'] as const) {
    xl.command(verb)
      .description(verb === 'pause' ? 'stop the vCPUs of a domain' : 'let a paused domain go on')
      .argument('<domain>')
      .action(async (id: string) => {
        await connect().json(Domain, 'POST', domainUrl(id, `/actions/${verb}`));
      });
  }
  for (const verb of ['shutdown', 'reboot'] as const) {
    xl.command(verb)
      .description(`ask the kernel of a domain to ${verb === 'reboot' ? 'reboot' : 'power off'}`)
      .argument('<domain>')
      .option('-w, --wait', 'wait until it is done')
      .option('-F, --force', 'do it without asking the kernel')
      .action(async (id: string, options: { wait?: true; force?: true }) => {
        const client = connect();
        const body = { force: options.force === true };
        const ended = options.wait ? await waitForEnd(client, id, verb) : undefined;
        await client.json(Task, 'POST', domainUrl(id, `/actions/${verb}`), body);
        await ended?.done;
      });
  }
}

function addHost(xl: Command, connect: Connect): void {
  xl.command('info')
    .description('print facts of the host')
    .option('--json', 'as JSON')
    .action(async (options: { json?: true }) => {
      const host = await connect().json(Host, 'GET', '/v1/host');
      if (options.json) printJson(host);
      else print(formatInfo(host, xl.opts<{ host: string }>().host));
    });
  xl.command('images')
    .description('list the kernels and RAM disks that domains can be created from')
    .action(async () => {
      const { images } = await connect().json(ImageNames, 'GET', '/v1/images');
      print(images.map(({ name, bytes }) => `${name.padEnd(40)} ${bytes}`).join('\n'));
    });
}

const ImageNames = z.object({ images: z.array(z.object({ name: z.string(), bytes: z.int() })) });
