/**
 * One ring of a disk. Requests are taken in sweeps; a sweep is prepared as a whole and its transfers then run at once, while
 * the next sweep is prepared.
 *
 *     take ─▶ segments of indirect requests ─▶ map or copy in ─▶ transfers start, in the ring's order
 *                                                                   │ each when it is done: copy out, response
 *
 * Pages of a frontend with persistent grants are mapped, and the file is read into them and written from them. All others
 * are copied through the bounce buffer, a run of it for a chunk of the sweep. What waits for what cannot go round in a
 * circle: a chunk takes its run, then each transfer a slot of the disk, then its turn among the writes.
 */

import { BLKIF_ABI, BLKIF_RSP } from '../../hypervisor/public/io/blkif.js';
import { messageOf } from '../message-of.js';
import type { EventChannel, MappedGrant, Privcmd } from '../privcmd.js';
import type { SharedRing } from '../shared-ring.js';
import {
  type BlkAbi,
  type BlkStatus,
  decodeRequest,
  encodeResponse,
  type Indirect,
} from './blk-request.js';
import {
  type Chunk,
  chunksOf,
  fetchChunk,
  type Placed,
  type Request,
  returnChunk,
} from './chunk.js';
import type { Disk } from './disk.js';
import { fetchIndirect } from './indirect.js';
import type { PersistentGrants } from './persistent-grants.js';

export interface QueueParts {
  readonly privcmd: Privcmd;
  readonly domid: number;
  readonly ring: SharedRing;
  readonly abi: BlkAbi;
  readonly disk: Disk;
  /** Undefined if the frontend does not reuse its grants. */
  readonly grants: PersistentGrants | undefined;
  /** The frontend has broken the protocol. */
  fail(reason: string): void;
}

export class BlockQueue {
  readonly #parts: QueueParts;
  readonly #slot: Uint8Array;
  readonly #slotView: DataView;
  #channel: EventChannel | undefined;
  #isSweeping = false;
  #isStopped = false;
  /** Requests taken whose transfers are not done, and the sweep. */
  #busy = 0;
  #whenIdle: () => void = () => undefined;
  #isPublishDue = false;
  /** Mapped pages written to since the last publication. */
  #written: MappedGrant[] = [];

  constructor(parts: QueueParts) {
    this.#parts = parts;
    this.#slot = new Uint8Array(BLKIF_ABI[parts.abi].REQUEST);
    this.#slotView = new DataView(this.#slot.buffer);
  }

  /** The channel by which the frontend is told of responses. */
  start(channel: EventChannel): void {
    this.#channel = channel;
    this.pump();
  }

  /** Requests may have come. */
  pump(): void {
    if (this.#isSweeping || this.#isStopped || this.#channel === undefined) return;
    this.#isSweeping = true;
    this.#begin();
    void this.#sweep().finally(() => this.#end());
  }

  /** No more requests are taken, and no page of the guest is touched any more once this resolves. Cannot fail. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#busy > 0) {
      await new Promise<void>((resolve) => {
        this.#whenIdle = resolve;
      });
    }
    await this.#parts.grants?.release();
    await this.#channel?.close();
  }

  #begin(): void {
    this.#busy += 1;
  }

  #end(): void {
    this.#busy -= 1;
    if (this.#busy === 0) this.#whenIdle();
  }

  /** Ends when the ring is empty and the frontend has been asked to send an event for the next request. */
  async #sweep(): Promise<void> {
    const { ring, fail } = this.#parts;
    try {
      do {
        const waiting = ring.waiting();
        if (waiting === undefined) {
          fail('the ring holds more requests than it has slots');
          return;
        }
        await this.#serve(this.#take(waiting));
      } while (!this.#isStopped && ring.finalCheck());
    } catch (error) {
      // The hypervisor is gone, or this is a mistake of ours: the other devices go on.
      fail(messageOf(error));
    } finally {
      this.#isSweeping = false;
    }
  }

  #take(waiting: number): (Request | Indirect)[] {
    const { ring, abi, disk } = this.#parts;
    disk.counters.requests += waiting;
    return Array.from({ length: waiting }, () => {
      ring.take(this.#slot);
      return decodeRequest(this.#slotView, abi, disk.limits);
    });
  }

  async #serve(taken: readonly (Request | Indirect)[]): Promise<void> {
    const requests = await fetchIndirect(this.#parts, taken);
    await this.#map(requests);
    for (const part of chunksOf(requests, this.#parts.grants)) {
      const chunk = await fetchChunk(this.#parts, part);
      this.#begin();
      void this.#carryOut(chunk).finally(() => this.#end());
    }
  }

  /** Maps what a frontend with persistent grants uses for the first time. */
  async #map(requests: readonly Request[]): Promise<void> {
    const { grants } = this.#parts;
    if (grants === undefined) return;
    const refs = requests.flatMap((request) =>
      'segments' in request ? request.segments.map(({ ref }) => ref) : [],
    );
    const missing = grants.missing(refs);
    if (missing.length > 0) await grants.map(missing);
  }

  /** All transfers of a chunk at once; what was read into the bounce buffer goes to the guest in one call at the end. */
  async #carryOut(chunk: Chunk): Promise<void> {
    try {
      const outcomes = await Promise.all(chunk.placed.map((placed) => this.#perform(placed)));
      const toReturn = chunk.placed.filter((_, n) => outcomes[n] === 'to be returned');
      await returnChunk(this.#parts, toReturn);
      for (const { request, isLost } of toReturn) this.#answer(request, isLost ? ERROR : OKAY);
    } catch (error) {
      this.#parts.fail(messageOf(error));
    } finally {
      chunk.free();
    }
  }

  /** Cannot fail: if the medium does, that is the answer. */
  async #perform(placed: Placed): Promise<'answered' | 'to be returned'> {
    const { request, copies } = placed;
    const { disk } = this.#parts;
    if (request.kind === 'refused' || placed.isLost) {
      disk.counters.refused += 1;
      this.#answer(request, request.kind === 'refused' ? request.status : ERROR);
      return 'answered';
    }
    await disk.slots.take();
    try {
      await disk.perform(request, placed.views);
    } catch (error) {
      disk.ioError(request, error);
      this.#answer(request, ERROR);
      return 'answered';
    } finally {
      disk.slots.free();
    }
    if (request.kind === 'read' && copies.length > 0) return 'to be returned';
    if (request.kind === 'read') this.#written.push(...placed.mapped);
    this.#answer(request, OKAY);
    return 'answered';
  }

  #answer(request: Request, status: BlkStatus): void {
    if (this.#isStopped) return;
    const { ring, abi } = this.#parts;
    ring.put(encodeResponse(request, status, abi));
    if (this.#isPublishDue) return;
    this.#isPublishDue = true;
    // What else completes in this turn of the event loop is told in the same event.
    setImmediate(() => this.#publish());
  }

  #publish(): void {
    this.#isPublishDue = false;
    if (this.#isStopped) return;
    this.#parts.privcmd.grantsWritten(this.#written);
    this.#written = [];
    if (this.#parts.ring.publish()) this.#channel?.notify();
  }
}

const { OKAY, ERROR } = BLKIF_RSP;
