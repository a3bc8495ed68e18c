/**
 * Several guests side by side for a while, under load: do their clocks keep the host's time, does every one still answer,
 * does the service's memory stay where it was?
 */

import { readFileSync } from 'node:fs';
import type { DomainCreateInput } from '../../toolstack/schemas/domain.js';
import { KERNEL } from './debian.js';
import { LinuxDomain } from './linux-over-rest.js';
import { type TestService, TestSocket, uploadImage } from './service.js';
import {
  digestServer,
  LOAD_DISK_BYTES,
  load,
  loadRamdisk,
  type Work,
  type WorkKind,
  work,
} from './soak-load.js';

const MS = 1000;
const ROUND_MS = 5000;
/** Readings of a clock, of which the one that took least time counts. */
const READINGS = 7;
/** Rounds before the memory is looked at: caches fill, buffers find their size. */
const WARM_UP_ROUNDS = 4;
export interface SoakReport {
  readonly seconds: number;
  /** Parts per million by which each Linux's clock gained on the host's. */
  readonly driftPpm: readonly number[];
  /** Seconds the slowest answer of any guest took. */
  readonly slowestAnswer: number;
  /** What each Linux has done meanwhile, by kind. */
  readonly work: readonly Readonly<Record<WorkKind, Work>>[];
  /** Answers of hello and GRUB that were asked for, all of which came. */
  readonly answers: number;
  /** Bytes of heap a minute, fitted to the rounds after the first few; and of resident memory, all told. */
  readonly heapPerMinute: number;
  readonly residentGrowth: number;
  readonly bugs: number;
}

export interface SoakOptions {
  readonly seconds: number;
  /** The image of GRUB for Xen, already uploaded. */
  readonly grub: string;
}

interface Sample {
  readonly minutes: number;
  readonly heap: number;
  readonly resident: number;
}

export async function soak(
  service: TestService,
  { seconds, grub }: SoakOptions,
): Promise<SoakReport> {
  const host = await digestServer();
  const linux = await boot(service);
  const talkers = [await talker(service, 'hello', 'hello'), await talker(service, 'grub', grub)];
  await load(linux, host);
  const rounds = new Rounds(service, linux, talkers);
  const before = await clocks(linux);
  await rounds.run(seconds);
  const after = await clocks(linux);
  const done = [];
  for (const guest of linux) done.push(await workOf(guest));
  const { faults } = await service.services.host.read();
  for (const guest of linux) await guest.destroy();
  host.close();
  return {
    ...rounds.result(),
    seconds: (after[0]?.host ?? 0) - (before[0]?.host ?? 0),
    driftPpm: after.map((clock, n) => drift(before[n] as Clock, clock)),
    work: done,
    bugs: faults,
  };
}

/** Two of them, each with a disk and an interface. */
async function boot(service: TestService): Promise<LinuxDomain[]> {
  await uploadImage(service, 'linux', readFileSync(KERNEL));
  await uploadImage(service, 'initramfs', loadRamdisk());
  const guests: LinuxDomain[] = [];
  for (const name of ['linux-a', 'linux-b']) {
    const target = `${name}.img`;
    const made = await service.request('POST', '/v1/disks', {
      name: target,
      size: LOAD_DISK_BYTES,
    });
    if (made.status !== 201) throw new Error(made.text);
    const devices: Partial<DomainCreateInput> = { disks: [{ vdev: 'xvda', target }], vifs: [{}] };
    guests.push(await LinuxDomain.create(service, { name, memory: 128, ...devices }));
  }
  for (const guest of guests) await guest.prompt();
  return guests;
}

async function workOf(guest: LinuxDomain): Promise<Record<WorkKind, Work>> {
  return {
    sleeper: await work(guest, 'sleeper'),
    disk: await work(guest, 'disk'),
    peer: await work(guest, 'peer'),
    host: await work(guest, 'host'),
  };
}

interface Clock {
  readonly host: number;
  readonly guest: number;
}

const drift = (a: Clock, b: Clock): number => ((b.guest - a.guest) / (b.host - a.host) - 1) * 1e6;

/** The uptime of each guest beside the host's time, by the reading that took least. */
async function clocks(guests: readonly LinuxDomain[]): Promise<Clock[]> {
  const read: Clock[] = [];
  for (const guest of guests) {
    let best = { took: Number.POSITIVE_INFINITY, host: 0, guest: 0 };
    for (let n = 0; n < READINGS; n++) {
      const start = performance.now();
      const output = await guest.run('cat /proc/uptime');
      const took = performance.now() - start;
      const uptime = Number(/^(\d+\.\d+) /m.exec(output)?.[1]);
      if (took < best.took) best = { took, host: (start + took / 2) / MS, guest: uptime };
    }
    read.push(best);
  }
  return read;
}

/** A guest that says something whenever it is typed at. */
interface Talker {
  readonly terminal: TestSocket;
}

async function talker(service: TestService, name: string, kernel: string): Promise<Talker> {
  const answer = await service.request('POST', '/v1/domains', { name, kernel, memory: 64 });
  if (answer.status !== 201) throw new Error(answer.text);
  const terminal = new TestSocket(`${service.url}/v1/domains/${name}/console`);
  await terminal.until(() => terminal.output().length > 0, `greeting of ${name}`);
  return { terminal };
}

class Rounds {
  readonly #service: TestService;
  readonly #linux: readonly LinuxDomain[];
  readonly #talkers: readonly Talker[];
  readonly #samples: Sample[] = [];
  #slowest = 0;
  #answers = 0;

  constructor(service: TestService, linux: readonly LinuxDomain[], talkers: readonly Talker[]) {
    this.#service = service;
    this.#linux = linux;
    this.#talkers = talkers;
  }

  async run(seconds: number): Promise<void> {
    const start = performance.now();
    for (let round = 1; performance.now() - start < seconds * MS; round++) {
      await Promise.all([
        ...this.#linux.map((guest) => this.#timed(() => guest.run('true'))),
        ...this.#talkers.map((guest) => this.#timed(() => this.#talk(guest))),
      ]);
      await this.#sample((performance.now() - start) / MS / 60);
      const next = start + round * ROUND_MS - performance.now();
      await new Promise((resolve) => setTimeout(resolve, Math.max(next, 0)));
    }
  }

  result(): Pick<SoakReport, 'slowestAnswer' | 'answers' | 'heapPerMinute' | 'residentGrowth'> {
    const samples = this.#samples.slice(WARM_UP_ROUNDS);
    const [first, last] = [samples[0], samples.at(-1)];
    return {
      slowestAnswer: this.#slowest,
      answers: this.#answers,
      heapPerMinute: slope(samples.map(({ minutes, heap }) => [minutes, heap])),
      residentGrowth: (last?.resident ?? 0) - (first?.resident ?? 0),
    };
  }

  async #timed(ask: () => Promise<unknown>): Promise<void> {
    const start = performance.now();
    await ask();
    this.#slowest = Math.max(this.#slowest, (performance.now() - start) / MS);
  }

  async #talk({ terminal }: Talker): Promise<void> {
    const before = terminal.output().length;
    terminal.send('echo once more\r');
    await terminal.until(() => terminal.output().length > before, 'answer');
    this.#answers++;
  }

  /** What has become garbage is no growth. */
  async #sample(minutes: number): Promise<void> {
    globalThis.gc?.();
    const { heapUsed: heap, rss: resident } = process.memoryUsage();
    await this.#service.services.host.read();
    this.#samples.push({ minutes, heap, resident });
  }
}

/** Of the straight line nearest to the points. */
function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / Math.max(values.length, 1);
  const [middleX, middleY] = [mean(points.map(([x]) => x)), mean(points.map(([, y]) => y))];
  const above = points.reduce((sum, [x, y]) => sum + (x - middleX) * (y - middleY), 0);
  const below = points.reduce((sum, [x]) => sum + (x - middleX) ** 2, 0);
  return below === 0 ? 0 : above / below;
}
