/** xl help. */

import type { Command } from 'commander';
import { UserError } from './client.js';

const GLOBALS = `
In front of the verb, letters of xl's:
  -v  say what is asked of the service      -N  change nothing, say what would be done
  -T  time and process in front of messages -f, -t  taken, and of no use

Exit status: 0 done; 1 refused, or failed, or no such verb; 2 wrong arguments for the verb.`;

export function addHelp(xl: Command): void {
  xl.addHelpText('after', GLOBALS);
  xl.command('help')
    .description('say what the verbs are, or what one of them does')
    .argument('[verb]')
    .option('--long', 'taken: all verbs are said anyway')
    .action((name: string | undefined) => {
      const verb = name === undefined ? xl : xl.commands.find((each) => each.name() === name);
      if (verb === undefined) throw new UserError(`there is no verb "${name}"`);
      verb.outputHelp();
    });
}
