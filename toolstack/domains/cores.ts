/** Cores of domains: made page by page through a small window, listed, downloaded, removed. */

import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { BounceRun } from '../../dom0/bounce-buffer.js';
import type { Privcmd } from '../../dom0/privcmd.js';
import type { MemoryList } from '../../hypervisor/public/privcmd.js';
import type { Core, DumpCoreRequest } from '../schemas/core.js';
import { coreHead, PAGE_SIZE } from './core-file.js';
import { CommandError } from './errors.js';
import type { DomainRecord } from './record.js';
import type { Progress } from './tasks.js';

/** Pages that are under way at once. */
const WINDOW_PAGES = 256;
/** Cores that may lie in the folder: a domain that crashes for ever must not fill the disk. */
const MOST_CORES = 64;
const PARTIAL = '.partial';
const ZEROS = new Uint8Array(WINDOW_PAGES * PAGE_SIZE);

export class Cores {
  readonly #folder: string;
  readonly #privcmd: Privcmd;

  constructor(folder: string, privcmd: Privcmd) {
    this.#folder = folder;
    this.#privcmd = privcmd;
  }

  async list(): Promise<Core[]> {
    const names = await readdir(this.#folder).catch(() => []);
    const all = await Promise.all(
      names.filter(isCore).map((name) => this.read(name).catch(() => undefined)),
    );
    const found = all.filter((core) => core !== undefined);
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Throws `no-such-core`. */
  async read(name: string): Promise<Core> {
    const facts = isCore(name)
      ? await stat(join(this.#folder, name)).catch(() => undefined)
      : undefined;
    if (facts?.isFile() !== true) {
      throw new CommandError('no-such-core', `There is no core "${name}".`);
    }
    return { name, bytes: facts.size, createdAt: facts.mtime.toISOString() };
  }

  async download(name: string): Promise<{ bytes: number; stream: Readable }> {
    const { bytes } = await this.read(name);
    return { bytes, stream: createReadStream(join(this.#folder, name)) };
  }

  async delete(name: string): Promise<void> {
    await this.read(name);
    await rm(join(this.#folder, name));
  }

  /**
   * Writes a core. The domain stands still meanwhile unless `live`; the caller sees to it that it is not destroyed.
   * Throws `core-exists`, or `no-space` if it does not fit.
   */
  async dump(
    record: DomainRecord,
    { name = coreName(record), live }: DumpCoreRequest,
    progress: Progress,
  ): Promise<Core> {
    const { domid } = record;
    await mkdir(this.#folder, { recursive: true });
    await this.#makeSure(name, domid);
    if (!live) await this.#privcmd.call('pausedomain', { domid });
    try {
      await this.#write(domid, name, progress);
    } finally {
      if (!live) await this.#privcmd.call('unpausedomain', { domid }).catch(() => undefined);
    }
    return this.read(name);
  }

  /** There is room for a core of the name. */
  async #makeSure(name: string, domid: number): Promise<void> {
    const names = (await readdir(this.#folder)).filter(isCore);
    if (names.includes(name)) {
      throw new CommandError('core-exists', `There is a core "${name}" already.`, {
        errors: [{ pointer: '/name', detail: 'is there already', found: name }],
      });
    }
    const { totPages } = await this.#privcmd.call('getdomaininfo', { domid });
    const { bavail, bsize } = await statfs(this.#folder);
    const figures = { needed: totPages * PAGE_SIZE, free: bavail * bsize };
    if (names.length >= MOST_CORES || figures.needed > figures.free) {
      const message = `A core of ${figures.needed} bytes: ${figures.free} are free, and ${names.length} of at most ${MOST_CORES} cores are there.`;
      throw new CommandError('no-space', message, { figures });
    }
  }

  async #write(domid: number, name: string, progress: Progress): Promise<void> {
    const partial = join(this.#folder, `${name}${PARTIAL}`);
    const file = await open(partial, 'wx', 0o600);
    const run = await this.#privcmd.bounce.take(WINDOW_PAGES);
    try {
      await this.#fill(file, domid, run, progress);
      await rename(partial, join(this.#folder, name));
    } finally {
      run.free();
      await file.close();
      await rm(partial, { force: true });
    }
  }

  async #fill(file: FileHandle, domid: number, run: BounceRun, progress: Progress): Promise<void> {
    const { memory, head, pagesAt } = await this.#head(domid, run);
    await file.truncate(pagesAt + memory.mfns.length * PAGE_SIZE); // zeros need not be written
    await file.writev(head, 0);
    for (let first = 0; first < memory.mfns.length; first += WINDOW_PAGES) {
      progress.signal.throwIfAborted();
      const mfns = memory.mfns.slice(first, first + WINDOW_PAGES);
      await this.#privcmd.call('readpages', { domid, mfns, at: run.at });
      const { buffer, byteOffset } = run.bytes;
      const bytes = Buffer.from(buffer, byteOffset, mfns.length * PAGE_SIZE);
      if (!bytes.equals(ZEROS.subarray(0, bytes.length))) {
        await file.write(bytes, 0, bytes.length, pagesAt + first * PAGE_SIZE);
      }
      progress.step('writes pages', (first + mfns.length) / memory.mfns.length);
    }
  }

  async #head(
    domid: number,
    run: BounceRun,
  ): Promise<{ memory: MemoryList; head: Uint8Array[]; pagesAt: number }> {
    const privcmd = this.#privcmd;
    const [memory, { xenVersion }, { maxVcpus }] = await Promise.all([
      privcmd.call('getmemlist', { domid }),
      privcmd.call('physinfo', {}),
      privcmd.call('getdomaininfo', { domid }),
    ]);
    const contexts = await Promise.all(
      Array.from({ length: maxVcpus }, (_, vcpu) =>
        privcmd.call('getvcpucontext', { domid, vcpu }),
      ),
    );
    const vcpus = contexts.filter((context) => context !== undefined);
    const mfns = Uint32Array.of(memory.sharedInfoMfn);
    await privcmd.call('readpages', { domid, mfns, at: run.at });
    const sharedInfo = run.bytes.slice(0, PAGE_SIZE);
    return { memory, ...coreHead({ xenVersion, vcpus, sharedInfo, memory }) };
  }
}

const isCore = (name: string): boolean => !name.startsWith('.') && !name.endsWith(PARTIAL);

function coreName({ name, domid }: DomainRecord): string {
  const time = new Date().toISOString().replace(/[-:]/g, '').replace('.', '-');
  return `${name}-${domid}-${time}.core`;
}
