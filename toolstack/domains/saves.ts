/**
 * Saved domains. A kernel is asked to suspend itself, as on Xen; what it then is goes to a file, and a domain built from the
 * file goes on where it was. A kernel that does not suspend itself cannot be saved.
 */

import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { requestShutdown, withdrawShutdown } from '../../dom0/control.js';
import type { Dom0 } from '../../dom0/guest.js';
import { restoreDomain } from '../../dom0/migration/restorer.js';
import { saveDomain } from '../../dom0/migration/saver.js';
import { StreamError } from '../../dom0/migration/stream.js';
import type { DomainCreate } from '../schemas/domain.js';
import type { Save, SaveRequest } from '../schemas/save.js';
import { CommandError } from './errors.js';
import { FileShelf, fileNameFor } from './file-shelf.js';
import type { BuildFrom, DomainRecord } from './record.js';
import { readSaveHeader, saveHeader, sinkOf, sourceOf } from './save-file.js';
import type { Progress } from './tasks.js';

const MS = 1000;
const WORDS = { noun: 'saved domain', missing: 'no-such-save', exists: 'save-exists' } as const;

export class Saves {
  readonly shelf: FileShelf;
  readonly #dom0: Dom0;

  constructor(folder: string, dom0: Dom0) {
    this.shelf = new FileShelf(folder, WORDS);
    this.#dom0 = dom0;
  }

  /** A file that was saved elsewhere, or downloaded. Nothing is left of one that breaks off. */
  upload(name: string, source: Readable): Promise<Save> {
    return this.shelf.write(name, async (file) => {
      for await (const chunk of source) await sinkOf(file).write(chunk as Uint8Array);
    });
  }

  /**
   * Suspends a domain that runs and writes it to a file. It is left suspended if it is to be destroyed; else, and if
   * anything fails, it goes on. The caller sees to it that nothing else happens to it.
   */
  async save(record: DomainRecord, request: SaveRequest, progress: Progress): Promise<Save> {
    const { name = fileNameFor(record, 'save'), afterwards, timeout } = request;
    await this.shelf.requireFree(name);
    progress.step('asked its kernel to suspend');
    await this.#suspend(record, timeout * MS);
    try {
      const save = await this.#write(record, name, progress);
      if (afterwards === 'pause')
        await this.#dom0.privcmd.call('pausedomain', { domid: record.domid });
      if (afterwards !== 'destroy') await this.#resume(record);
      return save;
    } catch (error) {
      await this.#resume(record);
      if (!(error instanceof StreamError)) throw error;
      throw new CommandError('wrong-state', `It cannot be saved as it is: ${error.message}.`);
    }
  }

  /** Has a domain built from a file, by `create`. Throws `bad-save`, and what `create` throws. */
  async restore<Result>(
    name: string,
    create: (config: DomainCreate, build: BuildFrom) => Promise<Result>,
  ): Promise<Result> {
    await this.shelf.read(name);
    const file = await open(this.shelf.pathOf(name));
    const source = sourceOf(file);
    try {
      const config = await readSaveHeader(source);
      return await create(config, (params) => restoreDomain(this.#dom0.privcmd, params, source));
    } catch (error) {
      if (!(error instanceof StreamError)) throw error;
      throw new CommandError('bad-save', `"${name}" cannot be restored: ${error.message}.`);
    } finally {
      await file.close();
    }
  }

  #write(record: DomainRecord, name: string, progress: Progress): Promise<Save> {
    const { domid, config, uuid } = record;
    return this.shelf.write(name, async (file) => {
      const sink = sinkOf(file);
      await sink.write(saveHeader({ ...config, name: record.name }, uuid));
      await saveDomain(this.#dom0.privcmd, domid, sink, (share) => {
        progress.signal.throwIfAborted();
        progress.step('writes pages', share);
      });
    });
  }

  async #suspend({ domid }: DomainRecord, timeoutMs: number): Promise<void> {
    const { privcmd, store } = this.#dom0;
    let stop = (): unknown => undefined;
    const stopped = new Promise<string>((resolve) => {
      stop = privcmd.onDomain((notice) => {
        if (notice.domid === domid) resolve(notice.reason ?? notice.state);
      });
    });
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), timeoutMs);
    });
    await requestShutdown(store, domid, 'suspend', timeoutMs);
    const reason = await Promise.race([stopped, tooLate]);
    clearTimeout(timer);
    stop();
    if (reason === 'suspend') return;
    if (reason === undefined) {
      await withdrawShutdown(store, domid, 'suspend');
      const message = `Its kernel has not suspended itself within ${timeoutMs / MS} s.`;
      throw new CommandError('unresponsive', message);
    }
    throw new CommandError('wrong-state', `It has stopped instead: ${reason}.`);
  }

  /** The suspend of a domain returns, as cancelled. */
  async #resume(record: DomainRecord): Promise<void> {
    const { domid } = record;
    await this.#dom0.store.resume(domid);
    await this.#dom0.privcmd.call('resumedomain', { domid });
    delete record.shutdownReason;
  }
}
