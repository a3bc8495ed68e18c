/** xl's verbs that take a configuration: create and config-update. */

import type { Command } from 'commander';
import { DomainCreate } from '../schemas/domain.js';
import { UserError } from './client.js';
import { type Connect, domainUrl, type Output, printJson, readDomain } from './command.js';
import { openConsole } from './console.js';
import { type CreateOptions, createDomain, readRequest, uploadImages } from './create.js';
import { waitForDeath } from './wait.js';

interface CreateVerbOptions extends CreateOptions, Output {
  readonly console?: true;
  readonly foreground?: true;
  readonly vncviewer?: true;
  readonly vncviewerAutopass?: true;
}

const WORDS = '[file-or-key=value...]';
const CONFIGURATION = 'a file in the form of xl.cfg, then key=value';

export function addCreateVerbs(xl: Command, connect: Connect): void {
  xl.command('create')
    .description('create a domain from a configuration file, key=value arguments, or both')
    .argument(WORDS, CONFIGURATION)
    .option('-c, --console', 'attach to its console')
    .option('-F, --foreground', 'wait until it has ended for good')
    .option('-e', 'do not wait for its end in the background: xl never does')
    .option('-p, --paused', 'leave it paused')
    .option('-f, --defconfig <file>', 'the configuration file')
    .option('-q, --quiet', 'say nothing')
    .option('-d', 'taken for the sake of scripts: xl -v says what is asked of the service')
    .option('-n, --dryrun', 'print the configuration that would be used, create nothing')
    .option('-V, --vncviewer', 'refused: there is no screen')
    .option('-A, --vncviewer-autopass', 'refused: there is no screen')
    .option('--json', 'print the domain as JSON')
    .action(create(connect));
  xl.command('config-update')
    .description('change what a domain is built from when it reboots')
    .argument('<domain>')
    .argument(WORDS, CONFIGURATION)
    .option('-f, --defconfig <file>', 'the configuration file')
    .option('-q, --quiet', 'say nothing')
    .option('-n, --dryrun', 'print the configuration that would be used, change nothing')
    .option('--json', 'print the configuration as JSON')
    .action(updateConfig(connect));
}

const create =
  (connect: Connect) =>
  async (words: string[], options: CreateVerbOptions): Promise<void> => {
    if (options.vncviewer || options.vncviewerAutopass) {
      throw new UserError('there is no screen, and so no VNC: use -c for the console');
    }
    const client = connect();
    const domain = await createDomain(client, words, options);
    if (domain === undefined) return;
    if (options.json) printJson(domain);
    if (options.console) await openConsole(client, domain.uuid);
    if (options.foreground) await waitForDeath(client, domain);
  };

const updateConfig =
  (connect: Connect) =>
  async (id: string, words: string[], options: CreateOptions & Output): Promise<void> => {
    if (words.length === 0 && options.defconfig === undefined) {
      throw new UserError('config-update wants a configuration: a file, key=value, or both');
    }
    const client = connect();
    const { name, uuid } = await readDomain(client, id);
    const given = await readRequest([...words, `name="${name}"`, `uuid="${uuid}"`], options);
    if (options.dryrun) return printJson(given);
    const config = { ...given, ...(await uploadImages(client, given)) };
    const now = await client.json(DomainCreate, 'PUT', domainUrl(id, '/config'), config);
    if (options.json) printJson(now);
  };
