/** xl's verbs that look into a domain, or shake it: cores, triggers, magic keys. */

import { statSync } from 'node:fs';
import type { Command } from 'commander';
import { Domain } from '../schemas/domain.js';
import { UserError } from './client.js';
import { type Connect, domainUrl, type Output, printJson } from './command.js';
import { whole } from './numbers.js';
import { fileOfTask, moveHere } from './task-files.js';

export function addPostMortem(xl: Command, connect: Connect): void {
  xl.command('dump-core')
    .description('write memory and vCPUs of a domain to an ELF file')
    .argument('<domain>')
    .argument('[file]', 'NAME.core if absent')
    .option('--json', 'print the name and size of the file as JSON')
    .action(async (id: string, file: string | undefined, { json }: Output) => {
      const client = connect();
      const core = await fileOfTask(client, domainUrl(id, '/actions/dump-core'), {}, 'core');
      const here = file ?? core;
      await moveHere(client, `/v1/cores/${core}`, here);
      if (json) printJson({ file: here, bytes: statSync(here).size });
    });
  xl.command('trigger')
    .description('send a trigger to a domain: nmi')
    .argument('<domain>')
    .argument('<trigger>', 'nmi: the others are for HVM domains')
    .argument('[vcpu]', 'which gets it', '0')
    .option('--json', 'print the domain as JSON')
    .action(async (id: string, trigger: string, vcpu: string, { json }: Output) => {
      if (trigger !== 'nmi') throw new UserError(`there is no trigger "${trigger}" here, only nmi`);
      const body = { vcpu: whole(vcpu, 'a vCPU') };
      const domain = await connect().json(Domain, 'POST', domainUrl(id, '/actions/nmi'), body);
      if (json) printJson(domain);
    });
  xl.command('sysrq')
    .description('press a magic key: "h" has Linux say which there are')
    .argument('<domain>')
    .argument('<key>')
    .option('--json', 'print the domain as JSON')
    .action(async (id: string, key: string, { json }: Output) => {
      const domain = await connect().json(Domain, 'POST', domainUrl(id, '/actions/sysrq'), { key });
      if (json) printJson(domain);
    });
}
