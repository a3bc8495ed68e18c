/** Many clients of the API at once, for so many seconds: `load-clients.ts URL CLIENTS SECONDS`. Prints what they met as one line of JSON. */

import { Agent, request } from 'node:http';
import { WebSocket } from 'ws';

export interface LoadReport {
  /** Answers by operation and status; WebSockets by how they came about. */
  readonly answers: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Milliseconds, by operation. */
  readonly latencies: Readonly<Record<string, { count: number; p50: number; p99: number }>>;
  /** What was not answered at all. */
  readonly errors: readonly string[];
}

const ANSWER_MS = 120_000;
/** How long a client looks at a stream. */
const LOOK_MS = 1000;
const SWITCHING_PROTOCOLS = 101;

const [url = '', clients = '1', seconds = '1'] = process.argv.slice(2);
const count = Number(clients);
const end = performance.now() + Number(seconds) * 1000;
const agent = new Agent({ keepAlive: true, maxSockets: count });

function ask(method: string, path: string, body?: object): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const asked = request(url + path, { method, agent, headers, timeout: ANSWER_MS }, (answer) => {
      answer.resume();
      answer.once('end', () => resolve(answer.statusCode ?? 0));
      answer.once('error', reject);
    });
    asked.once('timeout', () => asked.destroy(new Error('no answer in time')));
    asked.once('error', reject);
    asked.end(body && JSON.stringify(body));
  });
}

/** Opens a stream, looks at it until something comes, and leaves. */
function look(path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url.replace(/^http/, 'ws') + path, {
      handshakeTimeout: ANSWER_MS,
    });
    let status = 0;
    socket.once('open', () => {
      status = SWITCHING_PROTOCOLS;
      setTimeout(() => socket.close(), LOOK_MS);
    });
    socket.once('message', () => socket.close());
    socket.once('unexpected-response', (_request, answer) => {
      status = answer.statusCode ?? 0;
      answer.resume();
      socket.terminate();
    });
    socket.on('error', (error) => status === 0 && reject(error));
    socket.once('close', () => resolve(status));
  });
}

const KERNEL = { kernel: 'hello', memory: 4 };

// biome-ignore format: one row per operation
const OPERATIONS: readonly (readonly [name: string, weight: number, run: (id: string) => Promise<number>])[] = [
  ['create',       4, (name) => ask('POST', '/v1/domains', { name, ...KERNEL })],
  ['list',         2, () => ask('GET', '/v1/domains?limit=20')],
  ['console text', 2, (id) => ask('GET', `/v1/domains/${id}/console`)],
  ['console',      1, (id) => look(`/v1/domains/${id}/console`)],
  ['trace',        1, (id) => look(`/v1/trace?domain=${id}`)],
  ['destroy',      3, (id) => ask('DELETE', `/v1/domains/${id}`)],
];
const MIX = OPERATIONS.flatMap((row) => Array.from({ length: row[1] }, () => row));

const answers: Record<string, Record<string, number>> = {};
const times: Record<string, number[]> = {};
const errors: string[] = [];

const below = (limit: number): number => Math.floor(Math.random() * limit);

async function client(number: number): Promise<void> {
  while (performance.now() < end) {
    const [name, , run] = MIX[below(MIX.length)] ?? OPERATIONS[0] ?? [];
    if (name === undefined || run === undefined) return;
    // Mostly its own domain, sometimes that of another.
    const whose = below(4) === 0 ? below(count) : number;
    const start = performance.now();
    try {
      const status = await run(`load-${whose}`);
      answers[name] ??= {};
      answers[name][status] = (answers[name][status] ?? 0) + 1;
    } catch (error) {
      errors.push(`${name}: ${error}`);
    }
    times[name] ??= [];
    times[name].push(performance.now() - start);
  }
}

function summary(values: number[]): { count: number; p50: number; p99: number } {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (part: number): number => Math.round(sorted[Math.floor(sorted.length * part)] ?? 0);
  return { count: sorted.length, p50: at(0.5), p99: at(0.99) };
}

await Promise.all(Array.from({ length: count }, (_, number) => client(number)));
agent.destroy();
const latencies = Object.fromEntries(
  Object.entries(times).map(([name, each]) => [name, summary(each)]),
);
const report: LoadReport = { answers, latencies, errors };
process.stdout.write(`${JSON.stringify(report)}\n`);
