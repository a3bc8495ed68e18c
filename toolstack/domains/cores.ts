/** Cores of domains: made page by page through a small window, listed, downloaded, removed. */

import { type FileHandle, statfs } from 'node:fs/promises';
import type { BounceRun } from '../../dom0/bounce-buffer.js';
import type { Privcmd } from '../../dom0/privcmd.js';
import type { MemoryList } from '../../hypervisor/public/privcmd.js';
import type { Core, DumpCoreRequest } from '../schemas/core.js';
import { coreHead, PAGE_SIZE } from './core-file.js';
import { CommandError } from './errors.js';
import { FileShelf, fileNameFor } from './file-shelf.js';
import type { DomainRecord } from './record.js';
import { type Progress, QUIET } from './tasks.js';

/** Pages that are under way at once. */
const WINDOW_PAGES = 256;
/** Cores that may lie in the folder: a domain that crashes for ever must not fill the disk. */
const MOST_CORES = 64;
const WORDS = { noun: 'core', missing: 'no-such-core', exists: 'core-exists' } as const;
const ZEROS = new Uint8Array(WINDOW_PAGES * PAGE_SIZE);

export class Cores {
  readonly shelf: FileShelf;
  readonly #privcmd: Privcmd;

  constructor(folder: string, privcmd: Privcmd) {
    this.shelf = new FileShelf(folder, WORDS);
    this.#privcmd = privcmd;
  }

  /**
   * Writes a core. The domain stands still meanwhile unless `live`; the caller sees to it that it is not destroyed.
   * Throws `core-exists`, or `no-space` if it does not fit.
   */
  async dump(
    record: DomainRecord,
    { name = fileNameFor(record, 'core'), live }: DumpCoreRequest,
    progress: Progress,
  ): Promise<Core> {
    const { domid } = record;
    await this.shelf.requireFree(name);
    await this.#requireRoom(domid);
    if (!live) await this.#privcmd.call('pausedomain', { domid });
    try {
      return await this.#write(domid, name, progress);
    } finally {
      if (!live) await this.#privcmd.call('unpausedomain', { domid }).catch(() => undefined);
    }
  }

  async #requireRoom(domid: number): Promise<void> {
    const cores = (await this.shelf.list()).length;
    const { totPages } = await this.#privcmd.call('getdomaininfo', { domid });
    const { bavail, bsize } = await statfs(this.shelf.folder);
    const figures = { needed: totPages * PAGE_SIZE, free: bavail * bsize };
    if (cores >= MOST_CORES || figures.needed > figures.free) {
      const message = `A core of ${figures.needed} bytes: ${figures.free} are free, and ${cores} of at most ${MOST_CORES} cores are there.`;
      throw new CommandError('no-space', message, { figures });
    }
  }

  async #write(domid: number, name: string, progress: Progress): Promise<Core> {
    const run = await this.#privcmd.bounce.take(WINDOW_PAGES);
    try {
      return await this.shelf.write(name, (file) => this.#fill(file, domid, run, progress));
    } finally {
      run.free();
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

/** A policy asks for a core of a domain that has crashed; that it cannot be made is said, and no reason to do nothing else. */
export async function dumpCrashed(
  cores: Cores,
  record: DomainRecord,
): Promise<{ kind: 'core-dumped' | 'changed'; detail: string }> {
  try {
    const { name } = await cores.dump(record, { live: false }, QUIET);
    return { kind: 'core-dumped', detail: name };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { kind: 'changed', detail: `no core: ${why}` };
  }
}
