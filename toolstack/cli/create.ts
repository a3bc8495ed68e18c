/** xl create: the configuration from file and arguments, local kernels uploaded, the domain created. */

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { Domain } from '../schemas/domain.js';
import { type Client, UserError } from './client.js';
import { requestOf } from './config.js';
import { applyArguments, parseConfig, type Settings } from './config-text.js';

interface CreateOptions {
  readonly console?: true;
  readonly paused?: true;
  readonly quiet?: true;
  readonly dryrun?: true;
}

/** @returns undefined after a dry run. */
export async function createDomain(
  client: Client,
  words: readonly string[],
  options: CreateOptions,
): Promise<Domain | undefined> {
  const files = words.filter((word) => !word.includes('='));
  if (files.length > 1) throw new UserError(`one configuration file, not ${files.join(' and ')}`);
  const [file] = files;
  const settings = file === undefined ? new Map() : await readConfig(file, options.quiet === true);
  const assignments = words.filter((word) => word.includes('='));
  const config = requestOf(applyArguments(settings, assignments), (text) => {
    if (options.quiet !== true) process.stderr.write(`xl: warning: ${text}\n`);
  });
  if (options.dryrun) {
    process.stdout.write(`${JSON.stringify(config, null, 2)}\n`);
    return undefined;
  }
  const kernel = await imageFor(client, config.kernel);
  const ramdisk = config.ramdisk && (await imageFor(client, config.ramdisk));
  const body = { ...config, kernel, ...(ramdisk && { ramdisk }), paused: options.paused === true };
  return client.json(Domain, 'POST', '/v1/domains', body);
}

async function readConfig(file: string, quiet: boolean): Promise<Settings> {
  const content = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new UserError(`cannot read ${file}: ${error instanceof Error ? error.message : error}`);
  });
  if (!quiet) process.stderr.write(`Parsing config from ${file}\n`);
  return parseConfig(content, file);
}

/** A file that exists here is uploaded, under a name made of its content; anything else is the name of an image there. */
async function imageFor(client: Client, name: string): Promise<string> {
  if (!existsSync(name)) return name;
  const bytes = await readFile(name);
  const digest = createHash('sha256').update(bytes).digest('hex').slice(0, 12);
  const image = `${digest}-${basename(name).replace(/[^A-Za-z0-9_.+-]/g, '_')}`;
  await client.upload(`/v1/images/${image}`, new Uint8Array(bytes));
  return image;
}
