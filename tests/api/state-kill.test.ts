/**
 * `kill -9` at random instants while definitions, tokens and images are written: whatever was acknowledged is there afterwards,
 * exactly, what was under way is there whole or not at all, and events are counted on.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { type Found, Ledger } from '../support/ledger.js';
import { numbersFrom } from '../support/random-numbers.js';
import { eventually, TestSocket } from '../support/service.js';
import { ServiceProcess } from '../support/service-process.js';
import { openParts } from '../support/state-parts.js';
import { startWriters, type Target } from '../support/state-writers.js';

const ROOT = join(import.meta.dirname, '../..');
const PART_ROUNDS = 45;
const SERVICE_ROUNDS = 5;
/** Milliseconds after the first acknowledgement at which a process is killed at the latest. */
const LATEST_MS = 120;
/** Said in what is printed; the same seed kills at the same moments. */
const SEED = Number(process.env['XENOLITH_SEED'] ?? Date.now() % 1_000_000);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'xenolith-state-kill-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Processes that have been started ahead, so that their loading costs no time. */
const waiting: Writer[] = [];
afterAll(async () => {
  for (const writer of waiting) await writer.kill();
});

/** A process that writes to the parts of the service. */
class Writer {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #closed: Promise<void>;
  readonly #ready: Promise<void>;
  #errors = '';

  constructor() {
    const words = ['--import', 'tsx', join(ROOT, 'tests/support/state-writer.ts')];
    const child = spawn(process.execPath, words, { cwd: ROOT, stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child = child;
    this.#lines = createInterface(child.stdout);
    this.#closed = new Promise((resolve) => child.once('close', () => resolve()));
    this.#ready = new Promise((resolve) => this.#lines.once('line', () => resolve()));
    child.stderr.on('data', (data: Buffer) => {
      this.#errors += data;
    });
  }

  /** Lets it write until so long after its first acknowledgement, and kills it. */
  async write(words: string, ledger: Ledger, ms: number): Promise<void> {
    await this.#ready;
    const begun = new Promise<void>((resolve, reject) => {
      this.#lines.on('line', (line) => {
        ledger.hear(line);
        if (line.startsWith('done ')) resolve();
      });
      void this.#closed.then(() => reject(new Error(`the writer has ended: ${this.#errors}`)));
    });
    this.#child.stdin?.write(`${words}\n`);
    await begun;
    await pause(ms);
    await this.kill();
    expect(this.#errors).toBe('');
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#closed;
  }
}

function nextWriter(): Writer {
  waiting.push(new Writer());
  while (waiting.length < 2) waiting.push(new Writer());
  return waiting.shift() as Writer;
}

async function foundByParts(): Promise<Found & { close(): Promise<void> }> {
  const { state, definitions, tokens, images } = await openParts(folder);
  const values = new Map<string, unknown>();
  for (const definition of definitions.list()) values.set(definition.config.name, definition);
  for (const { name, sha256 } of await images.list()) {
    expect(hashOf(readFileSync(join(folder, 'images', name)))).toBe(sha256);
    values.set(name, sha256);
  }
  const names = readdirSync(join(folder, 'images'));
  expect(names.filter((name) => name.startsWith('.'))).toEqual([]);
  return {
    values,
    tokens: new Set(tokens.list().map(({ name }) => name)),
    isGood: (token) => tokens.recognise(token) !== undefined,
    close: () => state.close(),
  };
}

/** @returns what was found that should not be, over all rounds. */
async function killWriters(rounds: number, words = ''): Promise<string[]> {
  const random = numbersFrom(SEED);
  const ledger = new Ledger();
  const mistakes: string[] = [];
  let inFlight = 0;
  for (let round = 0; round < rounds; round += 1) {
    const go = `go ${folder} ${SEED + round}${words}`;
    await nextWriter().write(go, ledger, random() * LATEST_MS);
    inFlight += ledger.inFlight;
    const found = await foundByParts();
    const wrong = await ledger.check(found);
    await found.close();
    mistakes.push(...wrong.map((each) => `round ${round}: ${each}`));
  }
  console.log(
    `seed ${SEED}: ${rounds} kills, ${ledger.acknowledged} acknowledged, ${inFlight} in flight`,
  );
  // They were in the middle of something when they were killed, else this has shown nothing.
  expect(inFlight).toBeGreaterThan(0);
  expect(ledger.acknowledged).toBeGreaterThan(rounds);
  return mistakes;
}

test(`${PART_ROUNDS} times killed, a process of State, Definitions, Tokens and Images alone keeps what it has acknowledged`, async () => {
  expect(await killWriters(PART_ROUNDS)).toEqual([]);
});

test('one that acknowledges before it writes is found out', async () => {
  const mistakes = await killWriters(5, ' early');
  expect(mistakes.length).toBeGreaterThan(0);
  expect(mistakes.filter((each) => !each.includes('definition-'))).toEqual([]);
});

/** The whole service as the writers see it. */
function overHttp(url: string): Target {
  const ask = async (method: string, path: string, body?: unknown) => {
    const isRaw = body instanceof Uint8Array;
    const answer = await fetch(`${url}/v1/${path}`, {
      method,
      ...(body !== undefined && { body: isRaw ? (body as BodyInit) : JSON.stringify(body) }),
      ...(!isRaw && body !== undefined && { headers: { 'content-type': 'application/json' } }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  };
  return {
    put: (name, definition) => ask('PUT', `definitions/${name}`, definition),
    change: (name, change) => ask('PATCH', `definitions/${name}`, change),
    undefine: (name) => ask('DELETE', `definitions/${name}`),
    createToken: (name) => ask('POST', 'tokens', { name, scope: 'viewer' }),
    revoke: (id) => ask('DELETE', `tokens/${id}`),
    save: (name, bytes) => ask('PUT', `images/${name}`, bytes),
    remove: (name) => ask('DELETE', `images/${name}`),
  };
}

async function foundOverHttp(url: string): Promise<Found> {
  const read = async (path: string) => (await fetch(`${url}/v1/${path}`)).json();
  const values = new Map<string, unknown>();
  for (const each of (await read('definitions')).definitions) values.set(each.config.name, each);
  for (const { name, sha256, uploaded } of (await read('images')).images) {
    if (!uploaded) continue;
    const answer = await fetch(`${url}/v1/images/${name}`);
    expect(hashOf(new Uint8Array(await answer.arrayBuffer()))).toBe(sha256);
    values.set(name, sha256);
  }
  const { tokens } = (await read('tokens')) as { tokens: { name: string }[] };
  const isGood = async (token: string): Promise<boolean> =>
    (await fetch(`${url}/v1/host`, { headers: { authorization: `Bearer ${token}` } })).ok;
  return { values, tokens: new Set(tokens.map(({ name }) => name)), isGood };
}

/** Hears the events of a service from its start on. */
async function hearEvents(url: string, ledger: Ledger): Promise<TestSocket> {
  const socket = new TestSocket(`${url}/v1/events?since=0`);
  socket.socket.on('message', (data) => {
    const { seq } = JSON.parse(String(data)) as { seq?: number };
    if (seq !== undefined) ledger.hear(`event ${seq}`);
  });
  await socket.opened();
  return socket;
}

let service: ServiceProcess | undefined;
afterEach(async () => {
  await service?.kill();
});

test(`${SERVICE_ROUNDS} times killed, the whole service keeps what it has acknowledged over HTTP`, async () => {
  const random = numbersFrom(SEED);
  const ledger = new Ledger();
  let inFlight = 0;
  for (let round = 0; round <= SERVICE_ROUNDS; round += 1) {
    service = await ServiceProcess.start(folder, 16);
    expect(await ledger.check(await foundOverHttp(service.url))).toEqual([]);
    if (round === SERVICE_ROUNDS) break;
    const events = await hearEvents(service.url, ledger);
    const before = ledger.acknowledged;
    const hear = (line: string): void => ledger.hear(line);
    const ended = startWriters(overHttp(service.url), hear, SEED + round, round);
    await eventually(
      async () => ledger.acknowledged,
      (now) => now > before,
    );
    await pause(random() * LATEST_MS);
    inFlight += ledger.inFlight;
    expect(await service.kill()).toBe('SIGKILL');
    // Of fetch, wherever it was; a request that is refused ends a writer with another one.
    expect(await ended).toMatchObject({ name: 'TypeError' });
    await events.until(() => events.closed !== undefined, 'end of the events');
  }
  console.log(`seed ${SEED}: ${ledger.acknowledged} acknowledged, ${inFlight} in flight`);
  expect(inFlight).toBeGreaterThan(0);
});

test('a domain that is to start of itself comes back after kill -9 and after an orderly end', async () => {
  const domains = async (): Promise<{ name: string; uuid: string }[]> =>
    (await (await fetch(`${service?.url}/v1/domains`)).json()).domains;
  const back = () => eventually(domains, (list) => list.length > 0);
  service = await ServiceProcess.start(folder, 16);
  for (const [name, autostart] of [
    ['comes', true],
    ['stays', false],
  ] as const) {
    const answer = await fetch(`${service.url}/v1/definitions/${name}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ config: { name, kernel: 'hello', memory: 4 }, autostart }),
    });
    expect(answer.status).toBe(201);
  }
  expect(await domains()).toEqual([]);
  expect(await service.kill()).toBe('SIGKILL');
  service = await ServiceProcess.start(folder, 16);
  const first = await back();
  expect(first).toMatchObject([{ name: 'comes' }]);
  expect(await service.stop()).toBe(0);
  service = await ServiceProcess.start(folder, 16);
  expect(await back()).toMatchObject([{ name: 'comes', uuid: first[0]?.uuid }]);
});
