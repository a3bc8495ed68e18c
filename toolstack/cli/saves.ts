/** xl save and restore: a domain to a file of the user's and back, by way of the service's folder of saved domains. */

import { constants, createReadStream, statSync } from 'node:fs';
import { access } from 'node:fs/promises';
import type { Command } from 'commander';
import { Domain } from '../schemas/domain.js';
import { UserError } from './client.js';
import { type Connect, domainUrl, type Output, printJson } from './command.js';
import { fileOfTask, moveHere } from './task-files.js';

interface SaveOptions extends Output {
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
    .option('--json', 'print the name and size of the file as JSON')
    .action(async (id: string, file: string, options: SaveOptions) => {
      const client = connect();
      const afterwards = options.leaveRunning ? 'run' : options.paused ? 'pause' : 'destroy';
      const action = domainUrl(id, '/actions/save');
      const name = await fileOfTask(client, action, { name: scratchName(), afterwards }, 'save');
      await moveHere(client, `/v1/saves/${name}`, file);
      if (options.json) printJson({ file, bytes: statSync(file).size });
    });
  xl.command('restore')
    .description('build a domain from a file that save has written')
    .argument('<file>')
    .option('-p, --paused', 'leave it paused')
    .option('--json', 'print the domain as JSON')
    .action(async (file: string, options: { paused?: true; json?: true }) => {
      await access(file, constants.R_OK).catch((error: Error) => {
        throw new UserError(`cannot read ${file}: ${error.message}`);
      });
      const client = connect();
      const name = scratchName();
      const path = `/v1/saves/${name}`;
      try {
        await client.uploadStream(path, createReadStream(file));
        const body = { paused: options.paused === true };
        const domain = await client.json(Domain, 'POST', `${path}/actions/restore`, body);
        if (options.json) printJson(domain);
      } finally {
        await client.remove(path).catch(() => undefined);
      }
    });
}

const scratchName = (): string => `xl-${process.pid}-${Date.now()}.save`;
