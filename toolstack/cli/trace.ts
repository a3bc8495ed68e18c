/** xl trace: hypercalls as they happen, one line each. */

import type { Command } from 'commander';
import type { RawData } from 'ws';
import { z } from 'zod';
import { TraceDrops, TraceLine } from '../schemas/trace.js';
import type { Client } from './client.js';

interface TraceOptions {
  readonly domain?: string;
  readonly call?: string;
  readonly class?: string;
  readonly filter?: string;
  readonly json?: true;
  readonly n?: string;
}

const Frame = z.union([TraceLine, TraceDrops]);

export function traceCommand(xl: Command, connect: () => Client): void {
  xl.command('trace')
    .description('print hypercalls as they happen, until interrupted')
    .option('-d, --domain <list>', 'of these domains: domids or names, separated by commas')
    .option('-c, --call <list>', 'only these hypercalls')
    .option(
      '-k, --class <list>',
      'only these classes: mmu, memory, event, grant, sched, time, fault, …',
    )
    .option('-e, --filter <expression>', 'only what it holds for: "errno=EINVAL or duration>10us"')
    .option('-n <count>', 'stop after so many')
    .option('--json', 'as JSON lines')
    .action(async (options: TraceOptions) => {
      const query = new URLSearchParams();
      for (const key of ['domain', 'call', 'class', 'filter'] as const) {
        const value = options[key];
        if (value !== undefined) query.set(key, value);
      }
      const socket = await connect().socket(`/v1/trace?${query}`);
      let left = Number(options.n ?? Number.POSITIVE_INFINITY);
      socket.on('message', (data: RawData) => {
        const frame = String(data).split('\n').slice(0, left);
        for (const line of frame) process.stdout.write(`${options.json ? line : inWords(line)}\n`);
        left -= frame.length;
        if (left <= 0) socket.close();
      });
      socket.resume();
      await new Promise((resolve) => socket.on('close', resolve));
    });
}

function inWords(line: string): string {
  const frame = Frame.parse(JSON.parse(line));
  return 'dropped' in frame ? `… ${frame.dropped} records dropped …` : frame.text;
}
