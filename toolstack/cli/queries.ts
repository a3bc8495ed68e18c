/** xl's verbs that say which domains there are: list, vm-list, domid, domname. */

import type { Command } from 'commander';
import { UserError } from './client.js';
import { type Connect, type Output, print, printJson, readDomain, readDomains } from './command.js';
import { DOMAIN0_NAME, isDomain0, readDomain0, wantsDomain0 } from './domain0.js';
import { libxlJson } from './libxl-json.js';
import { type Columns, formatList, formatVms } from './listing.js';

interface ListOptions extends Columns, Output {
  readonly long?: true;
  readonly all?: true;
}

export function addQueries(xl: Command, connect: Connect): void {
  addLists(xl, connect);
  xl.command('domid')
    .description('print the domid of a domain')
    .argument('<name>')
    .option('--json', 'as JSON')
    .action(async (name: string, { json }: Output) => {
      const domid = isDomain0(name) ? 0 : (await readDomain(connect(), name)).domid;
      if (json) printJson({ domid });
      else print(String(domid));
    });
  xl.command('domname')
    .description('print the name of a domain')
    .argument('<domid>')
    .option('--json', 'as JSON')
    .action(async (id: string, { json }: Output) => {
      if (!/^\d+$/.test(id)) throw new UserError(`"${id}" is no domid`);
      const name = isDomain0(id) ? DOMAIN0_NAME : (await readDomain(connect(), id)).name;
      if (json) printJson({ name });
      else print(name);
    });
}

function addLists(xl: Command, connect: Connect): void {
  xl.command('list')
    .description('list domains')
    .argument('[domain...]')
    .option(
      '-l, --long',
      'their configurations as libxl writes them in JSON, which create takes as well',
    )
    .option('-v, --verbose', 'their UUIDs, reasons of their ends and labels, too')
    .option('-Z, --context', 'their labels, too: there are none')
    .option('-c, --cpupool', 'the pool of CPUs, too: there is one')
    .option('-n, --numa', 'the nodes, too: there is one')
    .option('-a, --all', 'show those that have ended, too')
    .option('--json', 'as JSON')
    .action(async (ids: string[], options: ListOptions) => {
      const client = connect();
      const named = ids.filter((id) => !isDomain0(id));
      const query = options.all ? '?ended=true' : '';
      const domains =
        ids.length > 0 && named.length === 0 ? [] : await readDomains(client, named, query);
      if (options.json) return printJson(domains);
      if (options.long) return printJson(domains.map(libxlJson));
      const domain0 = wantsDomain0(ids) ? await readDomain0(client, domains) : undefined;
      print(formatList(domain0, domains, options));
    });
  xl.command('vm-list')
    .description('list the UUIDs, domids and names of domains')
    .option('--json', 'as JSON')
    .action(async ({ json }: Output) => {
      const domains = await readDomains(connect(), []);
      if (json) printJson(domains.map(({ uuid, domid, name }) => ({ uuid, domid, name })));
      else print(formatVms(domains));
    });
}
