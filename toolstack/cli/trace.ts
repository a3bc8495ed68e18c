/** xl trace: hypercalls as they happen or as they were recorded: one line each, summed up, to a recording, or for Perfetto. */

import type { Command } from 'commander';
import type { RawData, WebSocket } from 'ws';
import { z } from 'zod';
import { DomainList } from '../schemas/domain.js';
import { TraceDrops, TraceLine, TraceSummary } from '../schemas/trace.js';
import { type Client, UserError } from './client.js';
import {
  type Form,
  jsonForm,
  Output,
  perfettoForm,
  summaryText,
  textForm,
} from './trace-output.js';
import { replayLines, replaySummary } from './trace-replay.js';

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
  readonly output?: string;
  readonly record?: string;
  readonly replay?: string;
  readonly perfetto?: string;
  readonly recording?: string;
  readonly speed?: string;
}

/** Status of a socket that the service gives up, with the reason. */
const MISTAKE = 1011;

const Frame = z.union([TraceLine, TraceDrops]);

const EXAMPLES = `
A filter is made of terms "field operator value", joined by and, or, not and parentheses.
  fields     domain vcpu call op class kind errno result duration rip symbol text args.NAME
  operators  = != < <= > >= and ~, which is "contains", or with * a pattern of the whole
  values     words or "texts"; several, separated by commas, are alternatives; times with ns, us, ms, s

  xl trace -d debian -k mmu -n 100
  xl trace -e 'result<0 and not errno=EAGAIN' -t
  xl trace -S -d debian --seconds 10
  xl trace --record boot.trace --seconds 60
  xl trace --replay boot.trace -e 'call~mmu and duration>50us' --perfetto boot.json

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
    .option('-o, --output <file>', 'print to a file')
    .option('--record <file>', 'write a recording instead, to be replayed')
    .option('--perfetto <file>', 'write JSON for Perfetto and chrome://tracing instead')
    .option('--replay <file>', 'print what was recorded, instead of what happens; needs no service')
    .option('--recording <name>', 'print a recording of the service')
    .option('--speed <factor>', 'of --recording: 1 is as it was; at once if absent')
    .addHelpText('after', EXAMPLES)
    .action((options: TraceOptions) => trace(connect, options));
}

async function trace(connect: () => Client, options: TraceOptions): Promise<void> {
  const { replay, record, perfetto, summary, output: path } = options;
  if (record !== undefined && (summary || perfetto !== undefined || replay !== undefined)) {
    throw new UserError('--record goes with neither --summary nor --perfetto nor --replay');
  }
  if (summary && perfetto !== undefined) throw new UserError('--summary or --perfetto, not both');
  if (options.by !== 'call' && options.by !== 'domain') {
    throw new UserError(`--by is call or domain, not "${options.by}"`);
  }
  const output = new Output(record ?? perfetto ?? path);
  try {
    if (replay !== undefined) await replayFile(replay, options, output);
    else await follow(connect(), options, output);
  } finally {
    await output.end();
  }
}

const formOf = ({ perfetto, json, time }: TraceOptions): Form => {
  if (perfetto !== undefined) return perfettoForm();
  return json ? jsonForm() : textForm(time === true);
};

async function replayFile(file: string, options: TraceOptions, output: Output): Promise<void> {
  const { n, seconds, summary, by, json } = options;
  const wanted = {
    domain: listOf(options.domain),
    call: listOf(options.call),
    class: listOf(options.class),
    filter: options.filter,
  };
  const limits = { limit: numberOf('-n', n), seconds: numberOf('--seconds', seconds) };
  if (summary) {
    const form = { byDomain: by === 'domain', json: json === true };
    await replaySummary(file, wanted, limits, form, output);
  } else await replayLines(file, wanted, limits, formOf(options), output);
}

const listOf = (text: string | undefined): string[] | undefined =>
  text?.split(',').filter((word) => word !== '');

function numberOf(option: string, text: string | undefined): number {
  const value = text === undefined ? Number.POSITIVE_INFINITY : Number(text);
  if (value > 0) return value;
  throw new UserError(`${option} is a number above 0, not "${text}"`);
}

async function follow(client: Client, options: TraceOptions, output: Output): Promise<void> {
  const socket = await client.socket(`/v1/trace?${queryOf(options)}`);
  if (options.record !== undefined) return recordTo(socket, options.record, output);
  if (options.summary) return printSummary(socket, options, output);
  const form = formOf(options);
  await eachFrame(socket, (data) => {
    const frames = String(data)
      .split('\n')
      .map((line) => Frame.parse(JSON.parse(line)));
    const texts = frames.map((frame) =>
      'dropped' in frame ? form.dropped(frame.dropped) : form.event(frame),
    );
    return output.write(texts.join(''));
  });
  const isNamed = options.perfetto !== undefined;
  const domains = isNamed
    ? (await client.json(DomainList, 'GET', '/v1/domains?ended=true')).domains
    : [];
  await output.write(form.end(domains));
}

/** What the service does of it. */
function queryOf(options: TraceOptions): URLSearchParams {
  const { domain, call, class: classes, filter, n, seconds, summary, by } = options;
  const { record, recording, speed } = options;
  const asked = {
    ...{ domain, call, class: classes, filter, limit: n, seconds, recording, speed },
    ...(summary && { format: 'summary', by }),
    ...(record !== undefined && { format: 'recording' }),
  };
  const given = Object.entries(asked).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return new URLSearchParams(given);
}

/** Until the socket is closed, or somebody interrupts. Nothing is read while a frame is taken. Throws UserError if the service gives up. */
async function eachFrame(
  socket: WebSocket,
  take: (data: Buffer) => Promise<void> | undefined,
  interrupt = () => socket.close(),
): Promise<void> {
  process.once('SIGINT', interrupt);
  const ended = new Promise<void>((resolve, reject) => {
    socket.on('close', (code, reason) => {
      const end = () => (code === MISTAKE ? reject(new UserError(String(reason))) : resolve());
      taken.then(end, reject);
    });
  });
  let taken: Promise<unknown> = Promise.resolve();
  socket.on('message', (data: RawData) => {
    socket.pause();
    taken = taken.then(() => take(data as Buffer)).then(() => socket.resume());
    taken.catch(() => socket.close());
  });
  socket.resume();
  await ended.finally(() => process.off('SIGINT', interrupt));
}

async function recordTo(socket: WebSocket, file: string, output: Output): Promise<void> {
  let bytes = 0;
  process.stderr.write(`xl: recording to ${file}\n`);
  await eachFrame(socket, (data) => {
    bytes += data.length;
    return output.write(data);
  });
  process.stderr.write(`xl: ${bytes} bytes recorded\n`);
}

/** When it is interrupted, it asks for what there is. */
async function printSummary(
  socket: WebSocket,
  { json, n, seconds, recording }: TraceOptions,
  output: Output,
): Promise<void> {
  let latest: TraceSummary | undefined;
  let isLast = false;
  const ended = eachFrame(
    socket,
    (data) => {
      latest = TraceSummary.parse(JSON.parse(String(data)));
      if (isLast) socket.close();
      return undefined;
    },
    () => {
      isLast = true;
      socket.send('now');
    },
  );
  if (n === undefined && seconds === undefined && recording === undefined) {
    process.stderr.write('xl: summing up until interrupted\n');
  }
  await ended;
  if (latest === undefined) throw new UserError('the service has ended before there was a summary');
  await output.write(summaryText(latest, json === true));
}
