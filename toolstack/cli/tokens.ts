/** xl token: who may use a service that others can reach. */

import type { Command } from 'commander';
import { NewToken, SCOPES, TokenList } from '../schemas/token.js';
import { UserError } from './client.js';
import { type Connect, print, printJson } from './command.js';

interface Options {
  readonly json?: true;
  readonly expires?: string;
}

export function addTokenCommands(xl: Command, connect: Connect): void {
  const token = xl.command('token').description('make, list and revoke tokens of the API');
  token
    .command('create')
    .description('make a token and print it: it is told this once')
    .argument('<name>', 'what it is for')
    .argument('[scope]', SCOPES.join(', '), SCOPES[0])
    .option('--expires <seconds>', 'until it ends of itself')
    .option('--json', 'as JSON, with everything')
    .action(async (name: string, scope: string, options: Options) => {
      const expires = options.expires === undefined ? {} : { expiresIn: seconds(options.expires) };
      const body = { name, scope, ...expires };
      const made = await connect().json(NewToken, 'POST', '/v1/tokens', body);
      if (options.json) printJson(made);
      else print(made.token);
    });
  token
    .command('list')
    .description('list tokens, without their secrets')
    .option('--json', 'as JSON')
    .action(async (options: Options) => {
      const { tokens } = await connect().json(TokenList, 'GET', '/v1/tokens');
      if (options.json) printJson(tokens);
      else print(formatTokens(tokens));
    });
  token
    .command('revoke')
    .description('revoke a token')
    .argument('<id>')
    .action((id: string) => connect().remove(`/v1/tokens/${encodeURIComponent(id)}`));
}

function seconds(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new UserError(`--expires must be a number of seconds, not "${text}"`);
}

function formatTokens(tokens: TokenList['tokens']): string {
  const rows = tokens.map(({ id, scope, createdAt, expiresAt = 'never', name }) =>
    [id.padEnd(12), scope.padEnd(8), createdAt, expiresAt.padEnd(24), name].join(' '),
  );
  return [
    'ID           Scope    Created                  Expires                  Name',
    ...rows,
  ].join('\n');
}
