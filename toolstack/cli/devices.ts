/** xl's verbs for disks and network interfaces. */

import type { Command } from 'commander';
import { DomainDisk, DomainDiskList } from '../schemas/disk.js';
import { DomainVif, DomainVifList } from '../schemas/vif.js';
import { type Client, UserError } from './client.js';
import { type Connect, domainUrl, print, printJson, readDomain, warn } from './command.js';
import { parseDisk, parseVif } from './device-specs.js';
import { formatDisks, formatVifs } from './format.js';

interface Options {
  readonly json?: true;
  readonly force?: true;
}

export function addDeviceCommands(xl: Command, connect: Connect): void {
  addDisks(xl, connect);
  addVifs(xl, connect);
}

const forced = ({ force }: Options): string => (force ? '?force=true' : '');

function addDisks(xl: Command, connect: Connect): void {
  xl.command('block-attach')
    .description('attach a disk')
    .argument('<domain>')
    .argument(
      '<disk...>',
      'as in xl.cfg: "data.img,raw,xvdb,rw"; several words are joined by commas',
    )
    .option('--json', 'print the disk as JSON')
    .action(async (id: string, words: string[], options: Options) => {
      const disk = parseDisk(words.join(','), warn);
      const attached = await connect().json(DomainDisk, 'POST', domainUrl(id, '/disks'), disk);
      if (options.json) printJson(attached);
    });
  xl.command('block-detach')
    .description('detach a disk')
    .argument('<domain>')
    .argument('<vdev>', 'its name or number: xvdb, 51728')
    .option('--force', 'do not ask the guest to let go')
    .action(async (id: string, name: string, options: Options) => {
      const client = connect();
      const { disks } = await readDomain(client, id);
      const vdev = disks.find(({ devid }) => String(devid) === name)?.vdev ?? name;
      await client.remove(domainUrl(id, `/disks/${encodeURIComponent(vdev)}${forced(options)}`));
    });
  xl.command('block-list')
    .description('list the disks of domains')
    .argument('<domain...>')
    .option('--json', 'as JSON')
    .action(async (ids: string[], options: Options) => {
      const client = connect();
      const all = await Promise.all(ids.map((id) => disksOf(client, id)));
      if (options.json) printJson(all.flatMap(({ disks }) => disks));
      else print(formatDisks(all));
    });
}

async function disksOf(client: Client, id: string) {
  const { disks } = await client.json(DomainDiskList, 'GET', domainUrl(id, '/disks'));
  return { domid: (await readDomain(client, id)).domid, disks };
}

function addVifs(xl: Command, connect: Connect): void {
  xl.command('network-attach')
    .description('attach a network interface')
    .argument('<domain>')
    .argument('[key=value...]', 'as in xl.cfg: mac=00:16:3e:01:02:03 bridge=xenbr0 rate=10Mb/s')
    .option('--json', 'print the interface as JSON')
    .action(async (id: string, words: string[], options: Options) => {
      const vif = parseVif(words.join(','), warn);
      const attached = await connect().json(DomainVif, 'POST', domainUrl(id, '/vifs'), vif);
      if (options.json) printJson(attached);
    });
  xl.command('network-detach')
    .description('detach a network interface')
    .argument('<domain>')
    .argument('<devid|mac>')
    .option('--force', 'do not ask the guest to let go')
    .action(async (id: string, name: string, options: Options) => {
      const client = connect();
      const { vifs } = await client.json(DomainVifList, 'GET', domainUrl(id, '/vifs'));
      const found = vifs.find(
        ({ devid, mac }) => String(devid) === name || mac === name.toLowerCase(),
      );
      if (found === undefined) throw new UserError(`domain "${id}" has no interface "${name}"`);
      await client.remove(domainUrl(id, `/vifs/${found.devid}${forced(options)}`));
    });
  xl.command('network-list')
    .description('list the network interfaces of domains')
    .argument('<domain...>')
    .option('--json', 'as JSON')
    .action(async (ids: string[], options: Options) => {
      const client = connect();
      const all = await Promise.all(
        ids.map((id) => client.json(DomainVifList, 'GET', domainUrl(id, '/vifs'))),
      );
      const vifs = all.flatMap((list) => list.vifs);
      if (options.json) printJson(vifs);
      else print(formatVifs(vifs));
    });
}
