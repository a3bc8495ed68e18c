/** xl's verbs for the host and for post-mortems: messages, debug keys, uptime, cores, NMI. */

import type { Command } from 'commander';
import { Domain } from '../schemas/domain.js';
import { Host } from '../schemas/host.js';
import { DebugKeysAnswer } from '../schemas/host-control.js';
import { type Client, UserError } from './client.js';
import { type Connect, domainUrl, print, readDomains } from './command.js';
import { fileOfTask, moveHere } from './task-files.js';

export function addHostVerbs(xl: Command, connect: Connect): void {
  xl.command('dmesg')
    .description("print the hypervisor's messages")
    .option('-c, --clear', 'empty them afterwards')
    .action(async (options: { clear?: true }) => {
      const client = connect();
      process.stdout.write(await client.text('/v1/host/dmesg'));
      if (options.clear) await client.post('/v1/host/dmesg/clear');
    });
  xl.command('debug-keys')
    .description('press keys of the console of the hypervisor; "h" says which there are')
    .argument('<keys>')
    .action(async (keys: string) => {
      const answer = await connect().json(DebugKeysAnswer, 'POST', '/v1/host/debug-keys', { keys });
      process.stdout.write(answer.text);
    });
  xl.command('uptime')
    .description('print how long the host and its domains have been running')
    .option('-s, --short', 'seconds only, of the domains named or of all')
    .argument('[domain...]')
    .action(async (ids: string[], options: { short?: true }) =>
      printUptimes(connect(), ids, options),
    );
  xl.command('dump-core')
    .description('write memory and vCPUs of a domain to an ELF file')
    .argument('<domain>')
    .argument('[file]', 'NAME.core if absent')
    .action(async (id: string, file: string | undefined) => {
      const client = connect();
      const core = await fileOfTask(client, domainUrl(id, '/actions/dump-core'), {}, 'core');
      await moveHere(client, `/v1/cores/${core}`, file ?? core);
    });
  xl.command('trigger')
    .description('send a trigger to a domain: nmi')
    .argument('<domain>')
    .argument('<trigger>')
    .argument('[vcpu]')
    .action(async (id: string, trigger: string, vcpu = '0') => {
      if (trigger !== 'nmi') throw new UserError(`there is no trigger "${trigger}" here, only nmi`);
      await connect().json(Domain, 'POST', domainUrl(id, '/actions/nmi'), { vcpu: Number(vcpu) });
    });
}

async function printUptimes(
  client: Client,
  ids: readonly string[],
  { short }: { short?: true },
): Promise<void> {
  const domains = await readDomains(client, ids);
  const { uptimeSeconds } = await client.json(Host, 'GET', '/v1/host');
  const rows = domains.map(({ name, domid, createdAt }) => ({
    name,
    domid,
    seconds: Math.max(0, Math.floor((Date.now() - Date.parse(createdAt)) / 1000)),
  }));
  if (short) return print(rows.map(({ seconds }) => String(seconds)).join('\n'));
  const all = [
    ...(ids.length > 0 ? [] : [{ name: 'Domain-0', domid: 0, seconds: Math.floor(uptimeSeconds) }]),
    ...rows,
  ];
  print(['Name                                ID Uptime', ...all.map(uptimeRow)].join('\n'));
}

function uptimeRow({ name, domid, seconds }: { name: string; domid: number; seconds: number }) {
  const days = Math.floor(seconds / 86_400);
  const clock = new Date((seconds % 86_400) * 1000).toISOString().slice(11, 19);
  const shown = days > 0 ? `${days} days, ${clock}` : clock;
  return `${name.padEnd(32)} ${String(domid).padStart(5)} ${shown}`;
}
