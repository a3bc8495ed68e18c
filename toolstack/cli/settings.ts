/** A configuration as it is given on the command line: a file in the form of xl.cfg or of libxl's JSON, and key=value words. */

import { readFile } from 'node:fs/promises';
import { UserError } from './client.js';
import { applyArguments, parseConfig, type Settings } from './config-text.js';
import { parseLibxlJson } from './libxl-json.js';

interface Sources {
  /** The file, where it is not the first word. */
  readonly defconfig?: string;
  readonly quiet?: true;
  /** Hears what is left out. */
  warn(text: string): void;
}

/** @param words a file, then `key=value`. */
export async function readSettings(words: readonly string[], sources: Sources): Promise<Settings> {
  const isAssignment = (word: string): boolean => /^\s*[A-Za-z_]\w*\s*\+?=/.test(word);
  const files = words.filter((word) => !isAssignment(word));
  if (sources.defconfig !== undefined) files.unshift(sources.defconfig);
  if (files.length > 1) throw new UserError(`one configuration file, not ${files.join(' and ')}`);
  const [file] = files;
  const settings = file === undefined ? new Map() : await readConfig(file, sources);
  return applyArguments(settings, words.filter(isAssignment));
}

async function readConfig(file: string, { quiet, warn }: Sources): Promise<Settings> {
  const content = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new UserError(`cannot read ${file}: ${error instanceof Error ? error.message : error}`);
  });
  if (!quiet) process.stderr.write(`Parsing config from ${file}\n`);
  return parseLibxlJson(content, file, warn) ?? parseConfig(content, file);
}
