/** xl's verbs, one call per file of them. */

import { Command } from 'commander';
import { addAbsentVerbs } from './absent-verbs.js';
import { Client } from './client.js';
import { addCompletion } from './completion.js';
import { addConsole } from './console.js';
import { addCreateVerbs } from './create-verbs.js';
import { addDefinitionCommands } from './definitions.js';
import { addDeviceCommands } from './devices.js';
import { addHelp } from './help.js';
import { addHostVerbs } from './host-verbs.js';
import { addLifeCycle } from './life-cycle.js';
import { addPostMortem } from './post-mortem.js';
import { addQueries } from './queries.js';
import { addRunCommand } from './run.js';
import { addSaveCommands } from './saves.js';
import { addSchedulerVerbs } from './scheduler-verbs.js';
import { addTokenCommands } from './tokens.js';
import { addTop } from './top.js';
import { traceCommand } from './trace.js';
import { addTuningCommands } from './tuning.js';
import { addStoreCommands } from './xenstore.js';

const DEFAULT_URL = 'http://127.0.0.1:8732';

/** A mistake in the words makes it throw a CommanderError, and print nothing. */
export function program(): Command {
  const xl = new Command('xl')
    .description('Control the domains of a Xenolith host.')
    .option('--host <url>', 'URL of the service', process.env['XENOLITH_URL'] ?? DEFAULT_URL)
    .exitOverride()
    .configureOutput({ writeErr: () => undefined })
    .helpCommand(false);
  const url = (): string => xl.opts<{ host: string }>().host;
  const client = (): Client => new Client(url(), process.env['XENOLITH_TOKEN']);
  xl.commandsGroup('Domains:');
  addCreateVerbs(xl, client);
  addRunCommand(xl, (there) => new Client(there));
  addQueries(xl, client);
  addConsole(xl, client);
  addLifeCycle(xl, client);
  addSaveCommands(xl, client);
  addTuningCommands(xl, client);
  addDefinitionCommands(xl, client);
  addDeviceCommands(xl, client);
  addPostMortem(xl, client);
  xl.commandsGroup('Host:');
  addHostVerbs(xl, client, url);
  addTop(xl, client);
  addSchedulerVerbs(xl, client);
  traceCommand(xl, client);
  addTokenCommands(xl, client);
  xl.commandsGroup('XenStore:');
  addStoreCommands(xl, client);
  xl.commandsGroup('xl itself:');
  addHelp(xl);
  addCompletion(xl);
  addAbsentVerbs(xl);
  return xl;
}
