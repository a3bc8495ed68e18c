/**
 * Mutated packets on socket and ring: the daemon stays up, others keep their pace, its memory comes back.
 * XENSTORE_FUZZ=10000 for a quick look.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { XS, XS_RING, XS_RING_SIZE } from '../../hypervisor/public/io/xs-wire.js';
import { XenstoreServer } from '../../xenstore/server/server.js';
import { RingTransport } from '../../xenstore/transport/ring.js';
import { mutate, Random } from './fuzz.js';
import { socketWire } from './wire.js';
import { scratchDirectory } from './world.js';

const COUNT = Number(process.env['XENSTORE_FUZZ'] ?? 1_000_000);
const SEED = Number(process.env['XENSTORE_SEED'] ?? 20_261_121);
/** Packets of the others that may be handled between two reads: some of what their sockets hold, never an end of it. */
const FAIR_PACKETS = 2000;
const REPOSITORY = join(import.meta.dirname, '../..');

let daemon: ChildProcess;
const path = join(scratchDirectory(), 's');
let said = '';

beforeAll(async () => {
  const script = join(REPOSITORY, 'xenstore/transport/daemon.ts');
  // SIGUSR2 makes it collect its garbage, so that its memory can be compared.
  const collect = 'data:text/javascript,process.on("SIGUSR2",()=>gc())';
  const args = ['--expose-gc', '--import', collect, '--import', 'tsx', script, '--socket', path];
  daemon = spawn(process.execPath, args, { cwd: REPOSITORY });
  daemon.stdout?.on('data', (chunk) => {
    said += chunk;
  });
  daemon.stderr?.on('data', (chunk) => {
    said += chunk;
  });
  while (!said.includes('listening')) await once(daemon.stdout as Readable, 'data');
});
afterAll(async () => {
  daemon.kill();
  await once(daemon, 'exit');
  rmSync(dirname(path), { recursive: true });
});

const memoryMiB = (): number => {
  const status = readFileSync(`/proc/${daemon.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
};

interface Pace {
  readonly reads: number;
  readonly median: number;
}

/** A client that does nothing but read, in its own thread. */
class Bystander {
  readonly #worker = new Worker(join(import.meta.dirname, 'pace-worker.mjs'), {
    workerData: { path },
  });

  /** Its reads since it was asked last, and their median in microseconds. */
  async pace(): Promise<Pace> {
    this.#worker.postMessage('pace');
    return (await once(this.#worker, 'message'))[0] as Pace;
  }

  async leave(): Promise<void> {
    this.#worker.postMessage('stop');
    await once(this.#worker, 'exit');
  }
}

/** A client that talks nonsense, reads what it gets and comes back when it is thrown out. */
class Vandal {
  #socket: Socket | undefined;
  #broken = 0;
  thrownOut = 0;
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  async send(packets: number): Promise<void> {
    const socket = await this.#connected();
    const parts: Uint8Array[] = [];
    for (let i = 0; i < packets; i++) {
      const { bytes, framing } = mutate(this.#random);
      parts.push(bytes);
      if (framing === 'broken') this.#broken += 1;
    }
    if (!socket.write(Buffer.concat(parts))) {
      await Promise.race([once(socket, 'drain'), once(socket, 'close')]).catch(() => undefined);
    }
    // Out of step for long enough: leave in mid-message, as a crashing client would.
    if (this.#broken > 40) this.leave();
  }

  leave(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
    this.#broken = 0;
  }

  async #connected(): Promise<Socket> {
    if (this.#socket !== undefined && !this.#socket.destroyed) return this.#socket;
    const socket = connect({ path });
    socket.on('error', () => undefined);
    socket.on('data', () => undefined);
    socket.on('close', () => {
      if (this.#socket === socket) this.thrownOut += 1;
    });
    try {
      await once(socket, 'connect');
    } catch (error) {
      // The queue of the listener is full of those that have left: it is to be tried again when it has accepted some.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      await new Promise((resolve) => setImmediate(resolve));
      return this.#connected();
    }
    this.#socket = socket;
    this.#broken = 0;
    return socket;
  }
}

test(`${COUNT} mutated packets on sockets`, async () => {
  const honest = await socketWire(path);
  const bystander = new Bystander();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const quiet = await bystander.pace();
  const vandals = [1, 2, 3, 4].map((n) => new Vandal(SEED + n));
  const batch = 50;
  const attack = async (packets: number): Promise<Pace> => {
    await bystander.pace();
    for (let sent = 0; sent < packets; sent += batch * vandals.length) {
      await Promise.all(vandals.map((vandal) => vandal.send(batch)));
    }
    return bystander.pace();
  };
  const settle = async (): Promise<number> => {
    for (const vandal of vandals) vandal.leave();
    await honest.request(XS.RM, '/f\0');
    daemon.kill('SIGUSR2');
    await new Promise((resolve) => setTimeout(resolve, 1000));
    return memoryMiB();
  };
  // A first tenth warms the daemon up: what it takes then it may keep.
  await attack(COUNT / 10);
  const before = await settle();
  const busy = await attack(COUNT);
  const after = await settle();
  await bystander.leave();
  await new Promise((resolve) => setTimeout(resolve, 100));
  const left = (await honest.request(XS.CONTROL, 'memreport\0')).body;
  const thrown = vandals.reduce((sum, { thrownOut }) => sum + thrownOut, 0);
  const packetsPerRead = COUNT / busy.reads;
  console.log(
    `fuzz, socket: ${COUNT} packets, seed ${SEED}; thrown out ${thrown} times; read ${quiet.median.toFixed(0)} us ` +
      `alone, ${busy.median.toFixed(0)} us and ${packetsPerRead.toFixed(0)} packets meanwhile; memory ${before.toFixed(0)} MiB before, ${after.toFixed(0)} after`,
  );
  expect(daemon.exitCode).toBeNull();
  expect(said).not.toMatch(/Error/);
  expect((await honest.request(XS.CONTROL, 'check\0')).body).toBe('OK\0');
  expect(left).toContain('connections: 1\n');
  expect(left).toContain('transactions: 0\n');
  expect(after).toBeLessThan(before + 40);
  // Counted in packets, not in time: how long a busy machine takes for them says nothing about who waits for whom.
  expect(packetsPerRead).toBeLessThan(FAIR_PACKETS);
  honest.close();
}, 900_000);

test(`${COUNT} mutated packets on a ring`, () => {
  const bugs: unknown[] = [];
  const server = new XenstoreServer({ hooks: { bug: (error) => bugs.push(error) } });
  const page = new Uint8Array(4096);
  const words = new DataView(page.buffer);
  const { offset } = XS_RING;
  const random = new Random(SEED);
  const deferred: (() => void)[] = [];
  const joinDomain = (): RingTransport => {
    page.fill(0);
    server.introduce(1, 1, 1);
    const options = { domid: 1, page, notify: () => undefined };
    return new RingTransport(server, { ...options, defer: (run) => void deferred.push(run) });
  };
  let transport = joinDomain();
  let deaths = 0;
  for (let sent = 0; sent < COUNT; sent++) {
    const { bytes } = mutate(random);
    const producer = words.getUint32(offset.req_prod, true);
    const room = XS_RING_SIZE - (producer - words.getUint32(offset.req_cons, true));
    const count = Math.min(bytes.length, room);
    for (let i = 0; i < count; i++) {
      page[offset.req + ((producer + i) % XS_RING_SIZE)] = bytes[i] as number;
    }
    words.setUint32(offset.req_prod, producer + count, true);
    // It reads most of the time, and now and then writes where it should not.
    if (random.chance(80)) {
      words.setUint32(offset.rsp_cons, words.getUint32(offset.rsp_prod, true), true);
    }
    if (random.below(500) === 0)
      words.setUint32(2048 + 4 * random.below(7), random.below(2 ** 31), true);
    transport.kick();
    for (const run of deferred.splice(0)) run();
    if (words.getUint32(offset.error, true) !== 0 || random.below(1000) === 0) {
      deaths += 1;
      server.domainDied(1);
      transport = joinDomain();
    }
  }
  console.log(`fuzz, ring: ${COUNT} packets, seed ${SEED}; the domain died ${deaths} times`);
  expect(bugs).toEqual([]);
  expect(deaths).toBeGreaterThan(COUNT / 5000);
  server.domainDied(1);
  const { counted, found } = server.checkStore();
  expect(counted).toBe(found);
  expect(server.inspect()).toMatchObject({ connections: [], watches: 0 });
  expect(server.store.owned(1)).toBe(0);
}, 900_000);
