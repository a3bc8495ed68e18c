/** Maptrack: the grants of others that a domain has mapped, by handle. Spec: grant_table.h, grant_handle_t. */

import type { DomId, Frame, Mfn } from '../machine/types.js';
import { inWords } from './words.js';

/** The granter's side of a mapping. */
export interface Granter {
  readonly domid: DomId;
  release(ref: number, write: boolean): void;
}

export interface Mapping {
  readonly granter: Granter;
  readonly ref: number;
  readonly write: boolean;
  readonly frame: Frame;
  /** The frame's MFN in the mapper's space; undefined for dom0, which has none. */
  readonly alias: Mfn | undefined;
  /** MFN by which devices name the frame: the alias, or the domain's own MFN if the page is its own. */
  readonly busMfn?: Mfn;
  /** GNTMAP.* of the request. */
  readonly flags: number;
  /** Uses that are left: the host mapping, the device mapping. */
  hostMapped: boolean;
  deviceMapped: boolean;
}

/** Mappings that one frame of maptrack is good for. */
const MAPPINGS_PER_FRAME = 256;

export class Maptrack {
  readonly #limit: number;
  readonly #mappings: (Mapping | undefined)[] = [];
  readonly #free: number[] = [];

  constructor(maxFrames: number) {
    this.#limit = maxFrames * MAPPINGS_PER_FRAME;
  }

  /** Mappings there are. */
  get size(): number {
    return this.#mappings.length - this.#free.length;
  }

  get isFull(): boolean {
    return this.size >= this.#limit;
  }

  lookup(handle: number): Mapping | undefined {
    return this.#mappings[handle];
  }

  /** The grant that an MFN of the mapper's stands for, in words; '' if it is none. */
  describe(alias: Mfn): string {
    const handle = this.#mappings.findIndex((mapping) => mapping?.alias === alias);
    const mapping = this.#mappings[handle];
    if (!mapping) return '';
    return inWords('grant %d of d%d (handle %d)', [mapping.ref, mapping.granter.domid, handle]);
  }

  /** @returns the handle. The caller has made sure that the track is not full. */
  add(mapping: Mapping): number {
    const handle = this.#free.pop() ?? this.#mappings.length;
    this.#mappings[handle] = mapping;
    return handle;
  }

  /** Ends a mapping: the handle is free and the granter's entry released. */
  remove(handle: number): void {
    const mapping = this.#mappings[handle];
    if (!mapping) return;
    this.#mappings[handle] = undefined;
    this.#free.push(handle);
    mapping.granter.release(mapping.ref, mapping.write);
  }

  /** Ends them all; the aliases go with the domain. */
  destroy(): void {
    for (const handle of this.#mappings.keys()) this.remove(handle);
  }
}
