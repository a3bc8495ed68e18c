/** Readers of trace, console and events that stop reading while much is produced: bounded memory, others go on, and what was lost is told. */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RawData, WebSocket } from 'ws';
import { eventually, startTestService, type TestService } from '../support/service.js';

const MIB = 1024 * 1024;
/** Each stream produces at least this much while its reader stalls. */
const PRODUCED = 32 * MIB;
/** What the service may need more than before, for all of them together. */
const ALLOWED = 48 * MIB;

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ memory: 128, rateLimit: 0 });
});
afterAll(() => service.close());

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Bytes that this process, which the service runs in, holds beside the guests' memory. */
function held(): number {
  collectGarbage();
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + external + arrayBuffers;
}

/** A reader that keeps figures and forgets the rest, so that it needs no memory itself. */
class Reader {
  readonly socket: WebSocket;
  bytes = 0;
  /** Those of them that came in binary frames. */
  output = 0;
  items = 0;
  dropped = 0;
  gaps: { from: number; to: number }[] = [];
  first: number | undefined;
  last = 0;

  constructor(path: string) {
    this.socket = new WebSocket(service.url.replace(/^http/, 'ws') + path);
    this.socket.on('message', (data: RawData, binary: boolean) =>
      this.#take(data as Buffer, binary),
    );
  }

  async opened(): Promise<this> {
    if (this.socket.readyState !== WebSocket.OPEN)
      await new Promise((resolve, reject) => {
        this.socket.once('open', resolve);
        this.socket.once('error', reject);
      });
    return this;
  }

  #take(data: Buffer, binary: boolean): void {
    this.bytes += data.length;
    if (binary) this.output += data.length;
    if (binary) return;
    for (const line of data.toString().split('\n')) if (line !== '') this.#note(JSON.parse(line));
  }

  #note(line: { seq?: number; dropped?: number; kind?: string; from?: number; to?: number }): void {
    const { seq, dropped, kind, from = 0, to = 0 } = line;
    if (kind === 'gap') this.gaps.push({ from, to });
    // What was lost before its first record was never this reader's.
    if (dropped !== undefined && (this.first !== undefined || this.items === 0))
      this.dropped += dropped;
    if (seq === undefined) return;
    if (this.first === undefined) {
      this.first = seq;
      this.dropped = 0;
    }
    this.last = seq;
    this.items += 1;
  }
}

const until = (what: () => boolean, timeoutMs = 120_000) =>
  eventually(async () => what(), Boolean, timeoutMs);

async function createPaused(kernel: string): Promise<void> {
  const body = { name: 'busy', kernel, memory: 8, paused: true };
  const { status, text } = await service.request('POST', '/v1/domains', body);
  expect(status, text).toBe(201);
}
const act = (kind: string) => service.request('POST', `/v1/domains/busy/actions/${kind}`);

/** Two readers of a path, one of which stops reading. */
async function pairOf(path: string): Promise<{ stalled: Reader; reading: Reader }> {
  const [stalled, reading] = [new Reader(path), new Reader(path)];
  await Promise.all([stalled.opened(), reading.opened()]);
  return { stalled, reading };
}

const close = (...readers: Reader[]): void => {
  for (const { socket } of readers) socket.terminate();
};

test('of a console: the other one gets every byte, the stalled one the number of those it has missed', async () => {
  await createPaused('hostile-rings');
  const before = held();
  const { stalled, reading } = await pairOf('/v1/domains/busy/console');
  stalled.socket.pause();
  await act('unpause');
  await until(() => reading.bytes > PRODUCED);
  expect(held() - before).toBeLessThan(ALLOWED);
  await act('pause');
  stalled.socket.resume();
  await until(() => stalled.dropped > 0);
  await until(() => stalled.output + stalled.dropped === reading.output, 20_000);
  expect(reading.dropped).toBe(0);
  close(stalled, reading);
  await service.request('DELETE', '/v1/domains/busy');
});

test('of the trace: the other one goes on, and each knows how many records it has not got', async () => {
  await createPaused('hostile-event-storm');
  const before = held();
  const { stalled, reading } = await pairOf('/v1/trace');
  await act('unpause');
  await until(() => stalled.items > 0);
  stalled.socket.pause();
  await until(() => reading.bytes > PRODUCED);
  expect(held() - before).toBeLessThan(ALLOWED);
  await act('pause');
  stalled.socket.resume();
  await until(() => stalled.dropped > 0);
  // Something for both to end with.
  await act('unpause');
  const from = reading.last;
  await until(() => reading.last > from && stalled.last > from);
  const accounted = (reader: Reader): boolean =>
    reader.items + reader.dropped === reader.last - (reader.first ?? 0) + 1;
  await until(() => accounted(stalled) && accounted(reading), 20_000);
  expect(stalled.items).toBeLessThan(reading.items);
  close(stalled, reading);
  await service.request('DELETE', '/v1/domains/busy');
});

test('of the events: the other one gets each, the stalled one those that are kept and the gap before them', async () => {
  const { events } = service.services;
  const first = events.last + 1;
  const { stalled, reading } = await pairOf('/v1/events');
  stalled.socket.pause();
  const before = held();
  const event = { domid: 1, uuid: 'u', name: 'busy', state: 'running' } as const;
  const detail = 'x'.repeat(1000);
  while (reading.bytes < PRODUCED) {
    for (let n = 0; n < 500; n += 1) events.record({ kind: 'changed', ...event, detail });
    const { last } = events;
    await until(() => reading.last === last);
  }
  // The log itself keeps up to twenty thousand of them.
  expect(held() - before).toBeLessThan(ALLOWED);
  expect([reading.first, reading.items]).toEqual([first, events.last - first + 1]);
  expect(reading.gaps).toEqual([]);
  stalled.socket.resume();
  await until(() => stalled.last === events.last);
  expect(stalled.gaps).toHaveLength(1);
  const missed = stalled.gaps.reduce((sum, { from, to }) => sum + to - from + 1, 0);
  expect(stalled.items + missed).toBe(reading.items);
  close(stalled, reading);
});
