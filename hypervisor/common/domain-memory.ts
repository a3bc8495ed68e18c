/** A domain's memory: its reservation, the pages Xen shares with it, and the frames of others that it sees by alias MFNs. */

import { asMfn, type Frame, type Mfn } from '../machine/types.js';
import type { FrameMap } from './frame-map.js';
import type { FramePool } from './frame-pool.js';
import type { PageHooks, PageKind } from './hooks.js';
import { MachineFrames } from './machine-frames.js';

export class DomainMemory<D> {
  readonly machineFrames: MachineFrames;
  /** Pages of the domain's own. */
  totPages = 0;
  maxPages: number;
  readonly #domain: D;
  readonly #map: FrameMap;
  readonly #pool: FramePool;
  readonly #hooks: PageHooks<D>;
  readonly #aliases = new Map<Frame, { mfn: Mfn; count: number }>();

  constructor(domain: D, map: FrameMap, maxPages: number, pool: FramePool, hooks: PageHooks<D>) {
    this.#domain = domain;
    this.#map = map;
    this.#pool = pool;
    this.#hooks = hooks;
    this.maxPages = maxPages;
    this.machineFrames = new MachineFrames(map);
    map.unshare = (mfn) => this.unshare(mfn);
  }

  allocatePage(): Mfn | undefined {
    if (this.totPages >= this.maxPages) return undefined;
    const page = this.allocate('ram');
    if (page) this.totPages++;
    return page?.mfn;
  }

  /**
   * A page of an image: the frame of a domain that has the same page and has not written to it, or a fresh one.
   * @param fill puts the page's bytes into a fresh frame.
   */
  allocateImagePage(image: string, offset: number, fill: (frame: Frame) => void): Mfn | undefined {
    const { shared } = this.#pool;
    const known = shared.find(image, offset);
    if (!this.canAdopt || (known !== undefined && this.#pool.free === 0)) return undefined;
    const frame = known ?? this.#pool.allocate();
    if (frame === undefined) return undefined;
    if (known === undefined) {
      fill(frame);
      shared.add(image, offset, frame);
    } else {
      shared.addUser(frame);
    }
    const mfn = this.adopt(frame);
    this.#map.setShared(mfn, frame);
    return mfn;
  }

  /** Makes a shared page the domain's own. @returns its frame. Nothing happens to one that is its own. */
  unshare(mfn: Mfn): Frame {
    const shared = this.#map.peek(mfn);
    if (shared === undefined) throw new Error(`MFN ${mfn} has no frame`);
    if (!this.#map.isShared(mfn)) return shared;
    const own = this.#pool.unshare(shared);
    this.#map.set(mfn, own);
    if (own !== shared) this.#hooks.pageMoved(this.#domain);
    return own;
  }

  allocateBlock(order: number): Mfn | undefined {
    if (order === 0) return this.allocatePage();
    const size = 2 ** order;
    if (this.totPages + size > this.maxPages || this.#pool.free < size) return undefined;
    const base = this.machineFrames.findBlock(order);
    if (base === undefined) return undefined;
    for (let offset = 0; offset < size; offset++) {
      const frame = this.#pool.allocate();
      if (frame === undefined) throw new Error('the pool has fewer frames than it says');
      this.machineFrames.put(asMfn(base + offset), frame, 'ram');
      this.#hooks.pageAdded(this.#domain, asMfn(base + offset), frame, 'ram');
    }
    this.totPages += size;
    return base;
  }

  releasePage(mfn: Mfn): void {
    const kind = this.machineFrames.kindOf(mfn);
    const frame = this.#map.peek(mfn);
    if (frame === undefined || kind === undefined) return;
    this.#remove(mfn, frame);
    if (kind === 'ram') this.totPages--;
    this.#pool.release(frame);
  }

  /** Takes a page of the domain's own out of it, with its frame and what is in it, for another domain to have. */
  detach(mfn: Mfn): Frame {
    const frame = this.unshare(mfn);
    this.#remove(mfn, frame);
    this.totPages--;
    return frame;
  }

  /** @returns whether there is room for one page more. */
  get canAdopt(): boolean {
    return this.totPages < this.maxPages && this.machineFrames.hasFree;
  }

  /** Makes a frame that is no other domain's own a page of this one, which `canAdopt`. */
  adopt(frame: Frame): Mfn {
    const mfn = this.machineFrames.add(frame, 'ram');
    if (mfn === undefined) throw new Error('there is no free MFN');
    this.#hooks.pageAdded(this.#domain, mfn, frame, 'ram');
    this.totPages++;
    return mfn;
  }

  alias(frame: Frame): Mfn | undefined {
    const known = this.#aliases.get(frame);
    if (known) {
      known.count++;
      return known.mfn;
    }
    const mfn = this.machineFrames.add(frame, 'alias');
    if (mfn === undefined) return undefined;
    this.#pool.hold(frame);
    this.#hooks.pageAdded(this.#domain, mfn, frame, 'alias');
    this.#aliases.set(frame, { mfn, count: 1 });
    return mfn;
  }

  dropAlias(mfn: Mfn): void {
    const frame = this.#map.lookup(mfn);
    const alias = frame === undefined ? undefined : this.#aliases.get(frame);
    if (frame === undefined || alias?.mfn !== mfn || --alias.count > 0) return;
    this.#aliases.delete(frame);
    this.#remove(mfn, frame);
    this.#pool.drop(frame);
  }

  /** A zeroed frame with a fresh MFN, outside the reservation. */
  allocate(kind: PageKind): { mfn: Mfn; frame: Frame } | undefined {
    const frame = this.#pool.allocate();
    if (frame === undefined) return undefined;
    const mfn = this.machineFrames.add(frame, kind);
    if (mfn === undefined) {
      this.#pool.release(frame);
      return undefined;
    }
    this.#hooks.pageAdded(this.#domain, mfn, frame, kind);
    return { mfn, frame };
  }

  /** Gives every frame back. Nobody asks pv about single pages any more: the domain is gone as a whole. */
  destroy(): void {
    for (const [frame, { mfn }] of this.#aliases) {
      this.#map.clear(mfn);
      this.#pool.drop(frame);
    }
    this.#aliases.clear();
    this.#map.forEach((_, frame) => {
      this.#pool.release(frame);
    });
    this.#pool.shared.forgetEmpty();
    this.totPages = 0;
  }

  #remove(mfn: Mfn, frame: Frame): void {
    this.#hooks.pageRemoved(this.#domain, mfn, frame);
    this.machineFrames.remove(mfn);
  }
}
