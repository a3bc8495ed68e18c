/**
 * xl run: a kernel from its start to its end or to a text on its console, for scripts and CI. The exit status says what came of it;
 * the console, a JUnit report and the trace can go to files.
 */

import { once } from 'node:events';
import { createWriteStream, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { RawData, WebSocket } from 'ws';
import { Domain } from '../schemas/domain.js';
import { type Client, Refusal, UserError } from './client.js';
import { domainUrl, print, printJson, readDomain } from './command.js';
import { requestOf } from './config.js';
import { uploadImages } from './create.js';
import { warn } from './log.js';
import { startPrivateService } from './private-service.js';
import { readSettings } from './settings.js';

// biome-ignore format: one row per outcome
const OUTCOMES = {
  success: [0, 'the text of --until came, or without one the domain powered off'],
  error:   [1, 'the domain could not be created, or the service not be reached'],
  fail:    [2, 'the text of --fail came'],
  crash:   [3, 'the domain crashed, or was shut down by its watchdog'],
  ended:   [4, 'the domain ended before the text of --until came'],
  timeout: [5, 'the time of --timeout ran out'],
} as const;
type Outcome = keyof typeof OUTCOMES;

interface RunOptions {
  readonly until?: string;
  readonly fail?: string;
  readonly timeout: string;
  readonly junit?: string;
  readonly console?: string;
  readonly trace?: string;
  readonly quiet?: true;
  readonly json?: true;
}

const DEFAULT_MEMORY = 256;
/** MiB of a private service beyond what the domain has. */
const SPARE = 64;

export function addRunCommand(xl: Command, clientAt: (url: string) => Client): void {
  const codes = Object.values(OUTCOMES).map(([code, what]) => `  ${code}  ${what}`);
  xl.command('run')
    .description(
      'run a kernel to its end, for scripts and CI; in a service of its own, or with --host in that',
    )
    .argument('<kernel-or-file>', 'a kernel, or a configuration file (.cfg, .json)')
    .argument('[key=value...]', 'as for create')
    .option('-u, --until <text>', 'succeed when the console shows this')
    .option('--fail <text>', 'fail when the console shows this')
    .option('-t, --timeout <seconds>', 'give up then', '300')
    .option('--junit <file>', 'write a JUnit report')
    .option('--console <file>', 'write what the console shows')
    .option('--trace <file>', 'write the hypercalls, one JSON object a line')
    .option('-q, --quiet', 'do not show the console')
    .option('--json', 'print the outcome as JSON at the end')
    .addHelpText('after', `\nExit status:\n${codes.join('\n')}`)
    .action(async (kernel: string, words: string[], options: RunOptions) => {
      const config = await configOf(kernel, words);
      const timeout = secondsOf(options.timeout);
      const given = isGiven(xl) ? xl.opts<{ host: string }>().host : undefined;
      const own =
        given === undefined
          ? await startPrivateService(Math.ceil(config.maxMemory ?? config.memory ?? 32) + SPARE)
          : undefined;
      const interrupted = (): void => void own?.close().then(() => process.exit(130));
      process.once('SIGINT', interrupted);
      try {
        process.exitCode = await run(clientAt(own?.url ?? given ?? ''), config, timeout, options);
      } finally {
        process.off('SIGINT', interrupted);
        await own?.close();
      }
    });
}

/** On the command line or in the environment. */
const isGiven = (xl: Command): boolean =>
  xl.getOptionValueSource('host') === 'cli' || process.env['XENOLITH_URL'] !== undefined;

async function configOf(kernel: string, words: readonly string[]) {
  const isFile = /\.(cfg|json|conf)$/.test(kernel);
  const settings = await readSettings(isFile ? [kernel, ...words] : words, { quiet: true, warn });
  const all = new Map(settings);
  const defaults = {
    name: `run-${process.pid}`,
    ...(isFile ? {} : { kernel, memory: String(DEFAULT_MEMORY) }),
  };
  for (const [key, value] of Object.entries(defaults)) {
    if (!all.has(key)) all.set(key, { value, where: 'xl run' });
  }
  // A kernel that reboots has come to its end, too.
  return { onReboot: 'destroy' as const, ...requestOf(all, warn) };
}

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (seconds > 0 && seconds <= 1_000_000) return seconds;
  throw new UserError(`--timeout is a number of seconds, not "${text}"`);
}

async function run(
  client: Client,
  config: Awaited<ReturnType<typeof configOf>>,
  timeout: number,
  options: RunOptions,
): Promise<number> {
  const started = performance.now();
  const images = await uploadImages(client, config);
  const body = { ...config, ...images, paused: true };
  const { uuid, name } = await client.json(Domain, 'POST', '/v1/domains', body);
  const tracing = options.trace && (await traceTo(client, uuid, options.trace));
  const socket = await client.socket(domainUrl(uuid, '/console'));
  const watching = watch(socket, timeout, options);
  await client.json(Domain, 'POST', domainUrl(uuid, '/actions/unpause'));
  const { text, outcome: seen } = await watching;
  const { outcome, detail } = await conclude(client, uuid, seen, options);
  if (tracing) await tracing();
  const seconds = (performance.now() - started) / 1000;
  const [code, meaning] = OUTCOMES[outcome];
  const result = { name, outcome, code, detail: detail ?? meaning, seconds };
  if (options.console) writeFileSync(options.console, text);
  if (options.junit) writeFileSync(options.junit, junit(result, config.kernel, text));
  if (options.json) printJson(result);
  else if (!options.quiet) print(`\nxl: ${outcome}: ${result.detail}`);
  return code;
}

interface Seen {
  readonly text: string;
  readonly outcome: Outcome | undefined;
}

/** Until a text comes, the domain ends or time runs out. */
function watch(socket: WebSocket, timeout: number, options: RunOptions): Promise<Seen> {
  const { until, fail, quiet, json } = options;
  const decoder = new TextDecoder();
  let text = '';
  return new Promise((resolve) => {
    const end = (outcome: Outcome | undefined): void => {
      clearTimeout(timer);
      socket.terminate();
      resolve({ text, outcome });
    };
    const timer = setTimeout(() => end('timeout'), timeout * 1000);
    socket.on('message', (data: RawData, isBinary: boolean) => {
      if (!isBinary) return;
      if (!quiet && !json) process.stdout.write(data as Buffer);
      text += decoder.decode(data as Buffer, { stream: true });
      if (fail !== undefined && text.includes(fail)) end('fail');
      else if (until !== undefined && text.includes(until)) end('success');
    });
    socket.on('close', () => end(undefined));
    socket.resume();
  });
}

/** What the domain's end means, if it has ended; it is destroyed in any case. */
async function conclude(
  client: Client,
  uuid: string,
  seen: Outcome | undefined,
  { until }: RunOptions,
): Promise<{ outcome: Outcome; detail?: string }> {
  try {
    const { shutdownReason = 'poweroff', detail } = await readDomain(client, uuid);
    if (seen !== undefined) return { outcome: seen };
    const isCrash = shutdownReason === 'crash' || shutdownReason === 'watchdog';
    if (isCrash) return { outcome: 'crash', ...(detail !== undefined && { detail }) };
    return { outcome: until === undefined ? 'success' : 'ended' };
  } finally {
    await client.remove(domainUrl(uuid)).catch((error: unknown) => {
      if (!(error instanceof Refusal)) throw error;
    });
  }
}

/** @returns what ends it. */
async function traceTo(client: Client, uuid: string, file: string): Promise<() => Promise<void>> {
  const socket = await client.socket(`/v1/trace?domain=${uuid}`);
  const output = createWriteStream(file);
  socket.on('message', (data: RawData) => void output.write(`${data}\n`));
  socket.resume();
  return async () => {
    socket.close();
    await once(socket, 'close');
    output.end();
    await once(output, 'close');
  };
}

const XML: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
};
/** What XML cannot hold is left out. */
const xml = (text: string): string =>
  text
    .replace(/[^\t\n\r\x20-\uD7FF\uE000-\uFFFD]/g, '')
    .replace(/[&<>"]/g, (character) => XML[character] ?? '');

interface Result {
  readonly name: string;
  readonly outcome: Outcome;
  readonly detail: string;
  readonly seconds: number;
}

function junit({ outcome, detail, seconds }: Result, kernel: string, text: string): string {
  const time = seconds.toFixed(3);
  const failed = outcome !== 'success';
  const failure = failed ? `\n      <failure type="${outcome}" message="${xml(detail)}"/>` : '';
  return `<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="xl run" tests="1" failures="${failed ? 1 : 0}" errors="0" skipped="0" time="${time}">
    <testcase classname="xl.run" name="${xml(kernel)}" time="${time}">${failure}
      <system-out>${xml(text)}</system-out>
    </testcase>
  </testsuite>
</testsuites>
`;
}
