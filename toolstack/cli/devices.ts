/** xl's verbs for disks and network interfaces. */

import type { Command } from 'commander';
import { DomainDisk, DomainDiskList } from '../schemas/disk.js';
import { DomainVif, DomainVifList } from '../schemas/vif.js';
import { type Client, UserError } from './client.js';
import { type Connect, domainUrl, type Output, print, printJson, readDomain } from './command.js';
import { parseDisk, parseVif } from './device-specs.js';
import { formatDisks, formatVifs } from './format.js';
import { warn } from './log.js';
import { readMeeting } from './meetings.js';

interface Options extends Output {
  readonly dryrun?: true;
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
    .option('-n, --dryrun', 'print the disk that would be attached, change nothing')
    .option('--json', 'print the disk as JSON')
    .action(async (id: string, words: string[], options: Options) => {
      const disk = parseDisk(words.join(','), warn);
      if (options.dryrun) return printJson(disk);
      const attached = await connect().json(DomainDisk, 'POST', domainUrl(id, '/disks'), disk);
      if (options.json) printJson(attached);
    });
  xl.command('block-detach')
    .description('detach a disk')
    .argument('<domain>')
    .argument('<vdev>', 'its name or number: xvdb, 51728')
    .option('--force', 'do not ask the guest to let go')
    .option('--json', 'print what the disk was as JSON')
    .action(async (id: string, name: string, options: Options) => {
      const client = connect();
      const { disks } = await readDomain(client, id);
      const disk = disks.find(({ devid, vdev }) => String(devid) === name || vdev === name);
      if (disk === undefined) throw new UserError(`domain "${id}" has no disk "${name}"`);
      const path = `/disks/${encodeURIComponent(disk.vdev)}${forced(options)}`;
      await client.remove(domainUrl(id, path));
      if (options.json) printJson(disk);
    });
  xl.command('block-list')
    .description('list the disks of domains')
    .argument('<domain...>')
    .option('--json', 'as JSON')
    .action(async (ids: string[], { json }: Output) => {
      const client = connect();
      const all = (await Promise.all(ids.map((id) => readDisks(client, id)))).flat();
      if (json) printJson(all.map(({ disk }) => disk));
      else print(formatDisks(all));
    });
}

async function readDisks(client: Client, id: string) {
  const { domid } = await readDomain(client, id);
  const { disks } = await client.json(DomainDiskList, 'GET', domainUrl(id, '/disks'));
  const meet = (devid: number) => readMeeting(client, { domid, kind: 'vbd', devid }, ['ring-ref']);
  return Promise.all(disks.map(async (disk) => ({ disk, domid, meeting: await meet(disk.devid) })));
}

function addVifs(xl: Command, connect: Connect): void {
  xl.command('network-attach')
    .description('attach a network interface')
    .argument('<domain>')
    .argument('[key=value...]', 'as in xl.cfg: mac=00:16:3e:01:02:03 bridge=xenbr0 rate=10Mb/s')
    .option('-n, --dryrun', 'print the interface that would be attached, change nothing')
    .option('--json', 'print the interface as JSON')
    .action(async (id: string, words: string[], options: Options) => {
      const vif = parseVif(words.join(','), warn);
      if (options.dryrun) return printJson(vif);
      const attached = await connect().json(DomainVif, 'POST', domainUrl(id, '/vifs'), vif);
      if (options.json) printJson(attached);
    });
  xl.command('network-detach')
    .description('detach a network interface')
    .argument('<domain>')
    .argument('<devid|mac>')
    .option('--force', 'do not ask the guest to let go')
    .option('--json', 'print what the interface was as JSON')
    .action(async (id: string, name: string, options: Options) => {
      const client = connect();
      const { vifs } = await client.json(DomainVifList, 'GET', domainUrl(id, '/vifs'));
      const found = vifs.find(
        ({ devid, mac }) => String(devid) === name || mac === name.toLowerCase(),
      );
      if (found === undefined) throw new UserError(`domain "${id}" has no interface "${name}"`);
      await client.remove(domainUrl(id, `/vifs/${found.devid}${forced(options)}`));
      if (options.json) printJson(found);
    });
  xl.command('network-list')
    .description('list the network interfaces of domains')
    .argument('<domain...>')
    .option('--json', 'as JSON')
    .action(async (ids: string[], { json }: Output) => {
      const client = connect();
      const all = (await Promise.all(ids.map((id) => readVifs(client, id)))).flat();
      if (json) printJson(all.map(({ vif }) => vif));
      else print(formatVifs(all));
    });
}

async function readVifs(client: Client, id: string) {
  const { domid } = await readDomain(client, id);
  const { vifs } = await client.json(DomainVifList, 'GET', domainUrl(id, '/vifs'));
  const rings = ['tx-ring-ref', 'rx-ring-ref'];
  const meet = (devid: number) => readMeeting(client, { domid, kind: 'vif', devid }, rings);
  return Promise.all(vifs.map(async (vif) => ({ vif, meeting: await meet(vif.devid) })));
}
