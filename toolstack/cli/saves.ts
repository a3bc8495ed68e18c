/** xl save and restore: a domain to a file of the user's and back, by way of the service's folder of saved domains. */

import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { Domain } from '../schemas/domain.js';
import { Task } from '../schemas/task.js';
import { type Client, UserError } from './client.js';
import { type Connect, domainUrl, printJson } from './command.js';

interface SaveOptions {
  readonly leaveRunning?: true;
  readonly paused?: true;
}

export function addSaveCommands(xl: Command, connect: Connect): void {
  xl.command('save')
    .description('suspend a domain, write it to a file and destroy it')
    .argument('<domain>')
    .argument('<file>')
    .option('-c, --leave-running', 'let it run on after it has been saved')
    .option('-p, --paused', 'leave it paused after it has been saved')
    .action(async (id: string, file: string, options: SaveOptions) => {
      const client = connect();
      const afterwards = options.leaveRunning ? 'run' : options.paused ? 'pause' : 'destroy';
      const name = scratchName();
      const prefer = { prefer: 'wait' };
      const body = { name, afterwards };
      const task = await client.json(Task, 'POST', domainUrl(id, '/actions/save'), body, prefer);
      if (task.state !== 'succeeded') throw new UserError(task.problem?.detail ?? task.step);
      await withScratch(client, name, () => download(client, name, file));
    });
  xl.command('restore')
    .description('build a domain from a file that save has written')
    .argument('<file>')
    .option('-p, --paused', 'leave it paused')
    .option('--json', 'print the domain as JSON')
    .action(async (file: string, options: { paused?: true; json?: true }) => {
      const client = connect();
      const name = scratchName();
      await withScratch(client, name, async () => {
        await client.uploadStream(`/v1/saves/${name}`, createReadStream(file)).catch((error) => {
          throw error instanceof UserError ? error : new UserError(`cannot read ${file}: ${error}`);
        });
        const body = { paused: options.paused === true };
        const url = `/v1/saves/${name}/actions/restore`;
        const domain = await client.json(Domain, 'POST', url, body);
        if (options.json) printJson(domain);
      });
    });
}

const scratchName = (): string => `xl-${process.pid}-${Date.now()}.save`;

/** Removes the service's copy, whatever happens. */
async function withScratch(client: Client, name: string, step: () => Promise<void>): Promise<void> {
  try {
    await step();
  } finally {
    await client.remove(`/v1/saves/${name}`).catch(() => undefined);
  }
}

/** A file that is cut off never has the name that was asked for. */
async function download(client: Client, name: string, file: string): Promise<void> {
  const partial = `${file}.partial`;
  try {
    await pipeline(await client.stream(`/v1/saves/${name}`), createWriteStream(partial));
    await rename(partial, file);
  } finally {
    await rm(partial, { force: true });
  }
}
