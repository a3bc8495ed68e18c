/**
 * What all queues of a disk share while they serve it: the storage, the order of writes, room for transfers, counters,
 * and a voice that does not repeat itself.
 */

import type { DeviceEventKind } from '../device.js';
import { messageOf } from '../message-of.js';
import type { Discard, DiskLimits, Transfer } from './blk-request.js';
import { IoSlots } from './io-slots.js';
import type { Storage } from './storage.js';
import { type Turn, WriteOrder } from './write-order.js';

/** Transfers of a disk that are under way at once, each of at most a megabyte. */
const IO_SLOTS = 32;
/** A guest can provoke errors as fast as it likes: the operator hears of them so often. */
const QUIET_MS = 10_000;

const COUNTERS = {
  requests: 0,
  readRequests: 0,
  writeRequests: 0,
  flushRequests: 0,
  discardRequests: 0,
  bytesRead: 0,
  bytesWritten: 0,
  refused: 0,
  ioErrors: 0,
};
type Counters = typeof COUNTERS;

export class Disk {
  readonly storage: Storage;
  readonly limits: DiskLimits;
  readonly order = new WriteOrder();
  readonly slots = new IoSlots(IO_SLOTS);
  readonly counters: Counters = { ...COUNTERS };
  readonly #tell: (kind: DeviceEventKind, detail: string) => void;
  readonly #now: () => number;
  #quietUntil = Number.NEGATIVE_INFINITY;
  #untold = 0;

  constructor(
    storage: Storage,
    limits: DiskLimits,
    tell: (kind: DeviceEventKind, detail: string) => void,
    now: () => number = () => performance.now(),
  ) {
    this.storage = storage;
    this.limits = limits;
    this.#tell = tell;
    this.#now = now;
  }

  /** Does what a sound request asks for. @throws Error if the medium fails. */
  async perform(request: Transfer | Discard, views: readonly Uint8Array[]): Promise<void> {
    const { counters, storage } = this;
    const { position, length } = request;
    switch (request.kind) {
      case 'read':
        counters.readRequests += 1;
        await storage.read(views, position);
        counters.bytesRead += length;
        break;
      case 'write':
        counters.writeRequests += 1;
        await this.#write(views, request, this.order.enterWrite());
        break;
      case 'barrier':
        counters.writeRequests += 1;
        counters.flushRequests += 1;
        await this.#flushAround(views, request, this.order.enterBarrier());
        break;
      case 'flush':
        counters.flushRequests += 1;
        if (length === 0) await storage.flush();
        else await this.#flushAround(views, request, this.order.enterWrite());
        break;
      case 'discard':
        counters.discardRequests += 1;
        await inTurn(this.order.enterWrite(), () => storage.discard(position, length));
        break;
    }
  }

  #write(views: readonly Uint8Array[], { position, length }: Transfer, turn: Turn): Promise<void> {
    return inTurn(turn, async () => {
      await this.storage.write(views, position);
      this.counters.bytesWritten += length;
    });
  }

  /** What was written before is stable before this is written, and this is before it is answered. */
  #flushAround(views: readonly Uint8Array[], request: Transfer, turn: Turn): Promise<void> {
    return inTurn(turn, async () => {
      await this.storage.flush();
      if (request.length === 0) return;
      await this.storage.write(views, request.position);
      this.counters.bytesWritten += request.length;
      await this.storage.flush();
    });
  }

  /** The medium has failed: the guest gets an error, the operator an event. */
  ioError({ kind, position, length }: Transfer | Discard, error: unknown): void {
    this.counters.ioErrors += 1;
    const now = this.#now();
    if (now < this.#quietUntil) {
      this.#untold += 1;
      return;
    }
    const more = this.#untold === 0 ? '' : ` (and ${this.#untold} errors more since the last)`;
    this.#quietUntil = now + QUIET_MS;
    this.#untold = 0;
    const message = messageOf(error);
    this.#tell('io-error', `${kind} of ${length} bytes at ${position}: ${message}${more}`);
  }
}

async function inTurn(turn: Turn, work: () => Promise<void>): Promise<void> {
  try {
    await turn.ready;
    await work();
  } finally {
    turn.leave();
  }
}
