/** xl trace: hypercalls as they happen, one line each, or summed up. */

import type { Command } from 'commander';
import type { RawData, WebSocket } from 'ws';
import { z } from 'zod';
import { TraceDrops, TraceLine, TraceSummary } from '../schemas/trace.js';
import { type Client, UserError } from './client.js';
import { print, printJson } from './command.js';
import { summaryTable } from './trace-table.js';

interface TraceOptions {
  readonly domain?: string;
  readonly call?: string;
  readonly class?: string;
  readonly filter?: string;
  readonly n?: string;
  readonly seconds?: string;
  readonly summary?: true;
  readonly by: string;
  readonly time?: true;
  readonly json?: true;
}

const Frame = z.union([TraceLine, TraceDrops]);
const NS = 1e9;

const EXAMPLES = `
A filter is made of terms "field operator value", joined by and, or, not and parentheses.
  fields     domain vcpu call op class kind errno result duration rip symbol text args.NAME
  operators  = != < <= > >= and ~, which is "contains", or with * a pattern of the whole
  values     words or "texts"; several, separated by commas, are alternatives; times with ns, us, ms, s

  xl trace -d debian -k mmu -n 100
  xl trace -e 'result<0 and not errno=EAGAIN'
  xl trace -e 'call=mmu_update,mmuext_op and duration>50us' -t
  xl trace -S -d debian --seconds 10

Each line ends with how long the call took and where it was made.`;

export function traceCommand(xl: Command, connect: () => Client): void {
  xl.command('trace')
    .description('print hypercalls as they happen, until interrupted')
    .option('-d, --domain <list>', 'of these domains: domids or names, separated by commas')
    .option('-c, --call <list>', 'only these hypercalls')
    .option(
      '-k, --class <list>',
      'only these classes: mmu, memory, event, grant, sched, time, fault, …',
    )
    .option('-e, --filter <expression>', 'only what it holds for, see below')
    .option('-n <count>', 'stop after so many')
    .option('--seconds <n>', 'stop after so long')
    .option('-S, --summary', 'sum up instead, and print the table at the end')
    .option('--by <what>', 'a row of the summary is a call, or a call of a domain', 'call')
    .option('-t, --time', 'begin each line with the time since the host started, in seconds')
    .option('--json', 'as JSON: a line for each record, or the summary')
    .addHelpText('after', EXAMPLES)
    .action(async (options: TraceOptions) => {
      const socket = await connect().socket(`/v1/trace?${queryOf(options)}`);
      if (options.summary) await printSummary(socket, options);
      else await printLines(socket, options);
    });
}

/** What the service does of it. */
function queryOf(options: TraceOptions): URLSearchParams {
  const { domain, call, class: classes, filter, n, seconds, summary, by } = options;
  const asked = {
    ...{ domain, call, class: classes, filter, limit: n, seconds },
    ...(summary && { format: 'summary', by }),
  };
  const given = Object.entries(asked).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return new URLSearchParams(given);
}

const closed = (socket: WebSocket): Promise<void> =>
  new Promise((resolve) => socket.once('close', () => resolve()));

async function printLines(socket: WebSocket, options: TraceOptions): Promise<void> {
  socket.on('message', (data: RawData) => {
    const lines = String(data).split('\n');
    print((options.json ? lines : lines.map((line) => inWords(line, options))).join('\n'));
  });
  socket.resume();
  await closed(socket);
}

function inWords(line: string, { time }: TraceOptions): string {
  const frame = Frame.parse(JSON.parse(line));
  if ('dropped' in frame) return `… ${frame.dropped} records dropped …`;
  return time ? `${(frame.time / NS).toFixed(6)} ${frame.text}` : frame.text;
}

/** When it is interrupted, it asks for what there is. */
async function printSummary(socket: WebSocket, { json, n, seconds }: TraceOptions): Promise<void> {
  let latest: TraceSummary | undefined;
  let isLast = false;
  socket.on('message', (data: RawData) => {
    latest = TraceSummary.parse(JSON.parse(String(data)));
    if (isLast) socket.close();
  });
  process.once('SIGINT', () => {
    isLast = true;
    socket.send('now');
  });
  socket.resume();
  if (n === undefined && seconds === undefined) {
    process.stderr.write('xl: summing up until interrupted\n');
  }
  await closed(socket);
  if (latest === undefined) throw new UserError('the service has ended before there was a summary');
  if (json) printJson(latest);
  else print(summaryTable(latest));
}
