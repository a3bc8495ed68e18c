/** xl console. */

import type { Command } from 'commander';
import { type Client, UserError } from './client.js';
import { type Connect, domainUrl, type Output, printJson } from './command.js';
import { attach } from './terminal.js';

interface ConsoleOptions extends Output {
  readonly history?: true;
  readonly type?: string;
  readonly number?: string;
}

export function addConsole(xl: Command, connect: Connect): void {
  xl.command('console')
    .description('attach to the console of a domain; ctrl-] detaches')
    .argument('<domain>')
    .option('-t, --type <type>', 'pv: there is no other')
    .option('-n, --number <number>', '0: there is no other')
    .option('--history', 'print what is kept of its output and return')
    .option('--json', 'with --history: as JSON')
    .action(async (id: string, options: ConsoleOptions) => {
      const { history, json, type = 'pv', number = '0' } = options;
      if (type !== 'pv') throw new UserError(`a PV domain has no ${type} console, only pv`);
      if (number !== '0')
        throw new UserError(`there is one console, 0, and none of number ${number}`);
      const client = connect();
      if (!history) return openConsole(client, id);
      const text = await client.text(domainUrl(id, '/console'));
      if (json) printJson({ text });
      else process.stdout.write(text);
    });
}

/** Resolves when the user has detached or the domain has ended. */
export async function openConsole(client: Client, id: string): Promise<void> {
  const socket = await client.socket(domainUrl(id, '/console'));
  await attach(socket, process.stdin, process.stdout);
}
