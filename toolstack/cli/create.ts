/** xl create: the configuration from file and arguments, local kernels uploaded, the domain created. */

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { Domain, type DomainCreateInput } from '../schemas/domain.js';
import type { Client } from './client.js';
import { printJson } from './command.js';
import { requestOf } from './config.js';
import { warn } from './log.js';
import { readSettings } from './settings.js';

export interface CreateOptions {
  readonly defconfig?: string;
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
  const config = await readRequest(words, options);
  if (options.dryrun) {
    printJson(config);
    return undefined;
  }
  const images = await uploadImages(client, config);
  const body = { ...config, ...images, paused: options.paused === true };
  return client.json(Domain, 'POST', '/v1/domains', body);
}

/** The configuration of a file and of words. */
export async function readRequest(
  words: readonly string[],
  options: CreateOptions,
): Promise<DomainCreateInput> {
  const hear = options.quiet === true ? () => undefined : warn;
  return requestOf(await readSettings(words, { ...options, warn: hear }), hear);
}

interface Images {
  readonly kernel: string;
  readonly ramdisk?: string;
}

/** Files that exist here are uploaded. @returns their names there. */
export async function uploadImages(
  client: Client,
  { kernel, ramdisk }: { kernel: string; ramdisk?: string | undefined },
): Promise<Images> {
  const name = await imageFor(client, kernel);
  return ramdisk ? { kernel: name, ramdisk: await imageFor(client, ramdisk) } : { kernel: name };
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
