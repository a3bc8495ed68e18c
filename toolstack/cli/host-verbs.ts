/** xl's verbs for the host: what it is, its messages, debug keys, uptime, images. */

import type { Command } from 'commander';
import { z } from 'zod';
import { Host } from '../schemas/host.js';
import { DebugKeysAnswer, SchedulerParameters } from '../schemas/host-control.js';
import type { Connect, Output } from './command.js';
import { print, printJson } from './command.js';
import { formatInfo, formatNuma } from './format.js';
import { addUptime } from './uptime.js';

/** @param url of the service. */
export function addHostVerbs(xl: Command, connect: Connect, url: () => string): void {
  xl.command('info')
    .description('print facts of the host')
    .option('-n, --numa', 'its nodes and CPUs, too: there is one')
    .option('--json', 'as JSON')
    .action(async ({ json, numa }: Output & { numa?: true }) => {
      const client = connect();
      const host = await client.json(Host, 'GET', '/v1/host');
      if (json) return printJson(host);
      const { name } = await client.json(SchedulerParameters, 'GET', '/v1/host/scheduler');
      print(formatInfo(host, name, url()));
      if (numa) print(formatNuma(host));
    });
  xl.command('dmesg')
    .description("print the hypervisor's messages")
    .option('-c, --clear', 'empty them afterwards')
    .option('--json', 'as JSON')
    .action(async ({ clear, json }: Output & { clear?: true }) => {
      const client = connect();
      const text = await client.text('/v1/host/dmesg');
      if (json) printJson({ text });
      else process.stdout.write(text);
      if (clear) await client.post('/v1/host/dmesg/clear');
    });
  xl.command('debug-keys')
    .description('press keys of the console of the hypervisor; "h" says which there are')
    .argument('<keys>')
    .option('--json', 'as JSON')
    .action(async (keys: string, { json }: Output) => {
      const answer = await connect().json(DebugKeysAnswer, 'POST', '/v1/host/debug-keys', { keys });
      if (json) printJson(answer);
      else process.stdout.write(answer.text);
    });
  addUptime(xl, connect);
  xl.command('images')
    .description('list the kernels and RAM disks that domains can be created from')
    .option('--json', 'as JSON')
    .action(async ({ json }: Output) => {
      const { images } = await connect().json(ImageNames, 'GET', '/v1/images');
      if (json) printJson(images);
      else print(images.map(({ name, bytes }) => `${name.padEnd(40)} ${bytes}`).join('\n'));
    });
}

const ImageNames = z.object({ images: z.array(z.object({ name: z.string(), bytes: z.int() })) });
