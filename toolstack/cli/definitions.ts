/** xl define, undefine, definitions, start, autostart: domains that the service remembers, whether they run or not. */

import type { Command } from 'commander';
import { Definition, DefinitionList } from '../schemas/definition.js';
import { Domain } from '../schemas/domain.js';
import { type Client, Refusal, UserError } from './client.js';
import { type Connect, type Output, print, printJson, readDomains } from './command.js';
import { openConsole } from './console.js';
import { type CreateOptions, readRequest, uploadImages } from './create.js';

interface DefineOptions extends Omit<CreateOptions, 'paused'>, Output {
  /** undefined: as it is, and off for a new one. */
  readonly autostart?: boolean;
}

export function addDefinitionCommands(xl: Command, connect: Connect): void {
  xl.command('define')
    .description('have the service remember a domain: a configuration as for create')
    .argument('[file-or-key=value...]', 'a file in the form of xl.cfg, then key=value')
    .option('--autostart', 'create its domain whenever the service comes up')
    .option('--no-autostart', 'do not')
    .option('-f, --defconfig <file>', 'the configuration file')
    .option('-q, --quiet', 'say nothing')
    .option('-n, --dryrun', 'print the configuration that would be kept, keep nothing')
    .option('--json', 'print the definition as JSON')
    .action((words: string[], options: DefineOptions) => define(connect(), words, options));
  xl.command('undefine')
    .description('have the service forget a definition; its domain, if it runs, goes on')
    .argument('<name>')
    .option('--json', 'print what it was as JSON')
    .action(async (name: string, options: Output) => {
      const client = connect();
      const last = options.json && (await readDefinition(client, name));
      await client.remove(definitionUrl(name));
      if (last) printJson(last);
    });
  xl.command('definitions')
    .description('list the domains that the service remembers')
    .option('--json', 'as JSON, with their configurations')
    .action((options: Output) => list(connect(), options));
  xl.command('start')
    .description('create the domain of a definition')
    .argument('<name>')
    .option('-c, --console', 'attach to its console')
    .option('--json', 'print the domain as JSON')
    .action((name: string, options: Output & { console?: true }) =>
      start(connect(), name, options),
    );
  xl.command('autostart')
    .description('say whether the domain of a definition is created when the service comes up')
    .argument('<name>')
    .argument('<on|off>')
    .option('--json', 'print the definition as JSON')
    .action(async (name: string, word: string, options: Output) => {
      const body = { autostart: isOn(word) };
      const now = await connect().json(Definition, 'PATCH', definitionUrl(name), body);
      if (options.json) printJson(now);
    });
}

const definitionUrl = (name: string, rest = ''): string =>
  `/v1/definitions/${encodeURIComponent(name)}${rest}`;
const readDefinition = (client: Client, name: string): Promise<Definition> =>
  client.json(Definition, 'GET', definitionUrl(name));

async function define(
  client: Client,
  words: readonly string[],
  options: DefineOptions,
): Promise<void> {
  const given = await readRequest(words, options);
  if (options.dryrun) return printJson(given);
  const config = { ...given, ...(await uploadImages(client, given)) };
  const autostart = options.autostart ?? (await startsOfItself(client, config.name));
  const url = definitionUrl(config.name);
  const kept = await client.json(Definition, 'PUT', url, { config, autostart });
  if (options.json) printJson(kept);
}

/** What a definition that is given anew says already. */
async function startsOfItself(client: Client, name: string): Promise<boolean> {
  try {
    return (await readDefinition(client, name)).autostart;
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) return false;
    throw error;
  }
}

async function list(client: Client, { json }: Output): Promise<void> {
  const { definitions } = await client.json(DefinitionList, 'GET', '/v1/definitions');
  const domains = await readDomains(client, []);
  const rows = definitions.map((definition) => {
    const domain = domains.find(({ name }) => name === definition.config.name);
    return { ...definition, ...(domain && { state: domain.state }) };
  });
  if (json) return printJson(rows);
  const lines = rows.map(({ config, autostart, state = '-' }) =>
    [config.name.padEnd(40), (autostart ? 'on' : 'off').padEnd(9), state].join(' '),
  );
  print([`${'Name'.padEnd(40)} Autostart State`, ...lines].join('\n'));
}

async function start(
  client: Client,
  name: string,
  options: Output & { console?: true },
): Promise<void> {
  const domain = await client.json(Domain, 'POST', definitionUrl(name, '/actions/start'));
  if (options.json) printJson(domain);
  if (options.console) await openConsole(client, domain.uuid);
}

function isOn(word: string): boolean {
  if (word === 'on' || word === 'off') return word === 'on';
  throw new UserError(`autostart is on or off, not "${word}"`);
}
