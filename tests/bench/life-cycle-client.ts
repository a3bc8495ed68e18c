/**
 * The other side of the life-cycle benchmark, a process of its own so that the service does not pay for its client:
 * `life-cycle-client.ts URL` creates and destroys, then prints `{ firstBytes: ms[], cyclesPerSecond }` as JSON.
 */

import http from 'node:http';
import { WebSocket } from 'ws';

const WARM_UP = 50;
const FIRST_BYTES = 51;
const CYCLES = 300;

const url = new URL(process.argv[2] ?? '');
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function request(method: string, path: string, body?: object): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = body ? { 'content-type': 'application/json' } : {};
    const { hostname: host, port } = url;
    const sent = http.request({ host, port, method, path, agent, headers }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode ?? 0));
    });
    sent.once('error', reject);
    sent.end(body && JSON.stringify(body));
  });
}

async function expectStatus(wanted: number, answer: Promise<number>): Promise<void> {
  const status = await answer;
  if (status !== wanted) throw new Error(`status ${status}, not ${wanted}`);
}

const create = (name: string): Promise<void> =>
  expectStatus(201, request('POST', '/v1/domains', { name, kernel: 'hello', memory: 8 }));
const destroy = (name: string): Promise<void> =>
  expectStatus(204, request('DELETE', `/v1/domains/${name}`));

async function cycle(name: string): Promise<void> {
  await create(name);
  await destroy(name);
}

/** ms from sending the POST until a byte of the console is here. */
async function firstByte(name: string): Promise<number> {
  const start = performance.now();
  await create(name);
  const socket = new WebSocket(`ws://${url.host}/v1/domains/${name}/console`);
  await new Promise<void>((resolve, reject) => {
    socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary && data.length > 0) resolve();
    });
    socket.once('error', reject);
  });
  const elapsed = performance.now() - start;
  socket.terminate();
  await destroy(name);
  return elapsed;
}

for (let i = 0; i < WARM_UP; i++) await cycle(`warm-${i}`);
const firstBytes: number[] = [];
for (let i = 0; i < FIRST_BYTES; i++) firstBytes.push(await firstByte(`first-${i}`));
const start = performance.now();
for (let i = 0; i < CYCLES; i++) await cycle(`cycle-${i}`);
const cyclesPerSecond = CYCLES / ((performance.now() - start) / 1000);
agent.destroy();
console.log(JSON.stringify({ firstBytes, cyclesPerSecond }));
