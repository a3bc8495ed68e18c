/**
 * A disk whose writes go to an overlay, and whose image is only read.
 *
 * A block that is written for the first time goes to the overlay whole. Such writes come one after the other: two that
 * fill up the same block from the base would otherwise undo each other. What is there already is written freely.
 */

import { BLKIF_SECTOR } from '../../hypervisor/public/io/blkif.js';
import { BLOCK, type BlockRun } from './block-map.js';
import { readFully } from './file-io.js';
import { BLOCK_BYTES, OverlayFile } from './overlay-file.js';
import { type OpenImage, openImage } from './raw-file.js';
import { DiskError, type Storage } from './storage.js';

type Views = readonly Uint8Array[];

/** @param overlayPath where the overlay is kept; undefined for one that lasts as long as the disk is open. @throws DiskError */
export async function openOverlaid(
  path: string,
  overlayPath: string | undefined,
): Promise<Storage> {
  const base = await openImage(path, true);
  try {
    const facts = { bytes: base.bytes - (base.bytes % BLKIF_SECTOR), changed: base.changed };
    if (facts.bytes === 0) throw new DiskError('not-a-disk', `${path} has no whole sector`);
    const overlay =
      overlayPath === undefined
        ? await OverlayFile.temporary(facts)
        : await OverlayFile.kept(overlayPath, facts);
    return new Overlaid(base, facts.bytes, overlay);
  } catch (error) {
    await base.close();
    throw error;
  }
}

class Overlaid implements Storage {
  readonly bytes: number;
  readonly discardGranularity = BLOCK_BYTES;
  readonly #base: OpenImage;
  readonly #overlay: OverlayFile;
  /** The last of the writes that change the map; never rejects. */
  #mapping: Promise<void> = Promise.resolve();

  constructor(base: OpenImage, bytes: number, overlay: OverlayFile) {
    this.bytes = bytes;
    this.#base = base;
    this.#overlay = overlay;
  }

  async read(views: Views, position: number): Promise<void> {
    const end = position + lengthOf(views);
    const runs = this.#overlay.map.runs(firstBlock(position), endBlock(end));
    await Promise.all(
      runs.map((run) => {
        const from = Math.max(position, run.first * BLOCK_BYTES);
        const to = Math.min(end, run.end * BLOCK_BYTES);
        return this.#readRun(run, slice(views, from - position, to - position), from);
      }),
    );
  }

  #readRun({ state }: BlockRun, views: Views, position: number): Promise<void> {
    if (state === BLOCK.HERE) return this.#overlay.read(views, position);
    if (state === BLOCK.BASE) return readFully(this.#base.handle, views, position);
    for (const view of views) view.set(new Uint8Array(view.length));
    return Promise.resolve();
  }

  write(views: Views, position: number): Promise<void> {
    const end = position + lengthOf(views);
    if (this.#overlay.map.isHere(firstBlock(position), endBlock(end))) {
      return this.#overlay.write(views, position);
    }
    return this.#inOrder(() => this.#writeAnew(views, position, end));
  }

  discard(position: number, length: number): Promise<void> {
    const first = endBlock(position);
    const end =
      position + length === this.bytes ? endBlock(this.bytes) : firstBlock(position + length);
    if (first >= end) return Promise.resolve();
    return this.#inOrder(() => this.#overlay.mark(first, end, BLOCK.ZEROS));
  }

  flush(): Promise<void> {
    return this.#overlay.sync();
  }

  async close(): Promise<void> {
    await Promise.all([this.#overlay.close(), this.#base.close()]);
  }

  #inOrder(work: () => Promise<void>): Promise<void> {
    const result = this.#mapping.then(work);
    this.#mapping = result.catch(() => undefined);
    return result;
  }

  /** Data first, then the map. */
  async #writeAnew(views: Views, position: number, end: number): Promise<void> {
    const first = firstBlock(position);
    const last = endBlock(end) - 1;
    const filled = new Set<number>();
    if (position > first * BLOCK_BYTES) filled.add(first);
    if (end < Math.min((last + 1) * BLOCK_BYTES, this.bytes)) filled.add(last);
    let isFilled = false;
    for (const block of filled) isFilled = (await this.#fill(block)) || isFilled;
    await this.#overlay.write(views, position);
    // What was copied from the base must not be lost with the power while the map says that it is here.
    if (isFilled) await this.#overlay.sync();
    await this.#overlay.mark(first, last + 1, BLOCK.HERE);
  }

  /** Copies a block that will be written in part. @returns false if it is there already. */
  async #fill(block: number): Promise<boolean> {
    if (this.#overlay.map.get(block) === BLOCK.HERE) return false;
    const at = block * BLOCK_BYTES;
    const content = new Uint8Array(Math.min(BLOCK_BYTES, this.bytes - at));
    await this.read([content], at);
    await this.#overlay.write([content], at);
    return true;
  }
}

const firstBlock = (position: number): number => Math.floor(position / BLOCK_BYTES);
const endBlock = (end: number): number => Math.ceil(end / BLOCK_BYTES);

const lengthOf = (views: Views): number => views.reduce((sum, { length }) => sum + length, 0);

/** The bytes from `from` to `to` of the views taken together. */
function slice(views: Views, from: number, to: number): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const view of views) {
    const start = Math.max(from - at, 0);
    const end = Math.min(to - at, view.length);
    if (start < end) parts.push(view.subarray(start, end));
    at += view.length;
  }
  return parts;
}
