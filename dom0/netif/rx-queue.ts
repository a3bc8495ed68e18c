/**
 * What the guest receives on one queue. Frames wait, bounded, until the guest has posted pages for them; then as many as
 * fit are copied at once, with one batch of responses and at most one event. One batch is under way at a time; what comes
 * meanwhile is the next one's.
 * Spec: Xen public/io/netif.h, "Guest receive".
 *
 *   slot        first      GSO extra    further pages
 *             +----------+------------+----------+-----+----------+
 *             | response | extra info | response |  …  | response |   each in the slot of the request it uses up
 *             +----------+------------+----------+-----+----------+
 */

import {
  NETIF_EXTRA,
  NETIF_EXTRA_INFO,
  NETIF_GSO,
  NETIF_RSP,
  NETIF_RX_REQUEST,
  NETIF_RX_RESPONSE,
  NETRXF,
} from '../../hypervisor/public/io/netif.js';
import type { BounceRun } from '../bounce-buffer.js';
import type { Frame, Gso } from '../network/port.js';
import type { GrantCopy, Privcmd } from '../privcmd.js';
import type { SharedRing } from '../shared-ring.js';
import type { VifCounters } from './counters.js';
import { breathe, Worklist } from './worklist.js';

const PAGE_SIZE = 4096;
/** Bytes that wait for a guest: more than a TCP window, so that what is lost is lost to a guest that does not read. */
const QUEUE_BYTES = 4 * 1024 * 1024;
const QUEUE_FRAMES = 4096;
/** What has waited for so long is of no use to anybody. */
const EXPIRES_MS = 10_000;
/** How often the ring of a guest is looked at that sends no event for the pages it posts. */
const POLL_MS = 30;
const RX_SLOT = NETIF_RX_REQUEST.size;

const { id: ID, gref: GREF } = NETIF_RX_REQUEST.offset;
const RESPONSE = NETIF_RX_RESPONSE.offset;
const EXTRA = NETIF_EXTRA_INFO.offset;

export interface RxQueueParts {
  readonly privcmd: Privcmd;
  readonly domid: number;
  readonly ring: SharedRing;
  readonly counters: VifCounters;
  /** Whether the guest sends events for pages that were asked for. */
  readonly notifies: boolean;
  notify(): void;
  /** The frontend broke the protocol. */
  fail(reason: string): void;
}

/** A frame with what it needs, kept from when it came. */
interface Waiting {
  readonly bytes: Uint8Array;
  readonly checksumBlank: boolean;
  readonly gso: Gso | undefined;
  readonly since: number;
  readonly slots: number;
}

const pagesOf = (bytes: number): number => Math.ceil(bytes / PAGE_SIZE);

export class RxQueue {
  readonly #parts: RxQueueParts;
  readonly #work: Worklist;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #poll: NodeJS.Timeout | undefined;
  readonly #request = new Uint8Array(RX_SLOT);
  readonly #requestView = new DataView(this.#request.buffer);
  readonly #response = new Uint8Array(NETIF_RX_RESPONSE.size);
  readonly #responseView = new DataView(this.#response.buffer);

  constructor(parts: RxQueueParts) {
    this.#parts = parts;
    this.#work = new Worklist(() => this.#step(), parts.fail);
  }

  /** Keeps a copy of the frame. @returns false if there is no room. */
  push({ bytes, checksumBlank = false, gso }: Frame): boolean {
    if (this.#waiting.length >= QUEUE_FRAMES) return false;
    if (this.#waitingBytes + bytes.length > QUEUE_BYTES) return false;
    const slots = pagesOf(bytes.length) + (gso ? 1 : 0);
    const since = performance.now();
    this.#waiting.push({ bytes: bytes.slice(), checksumBlank, gso, since, slots });
    this.#waitingBytes += bytes.length;
    this.#work.kick();
    return true;
  }

  /** The guest may have posted pages. */
  kick(): void {
    if (this.#waiting.length > 0) this.#work.kick();
  }

  /** Forgets all frames. Resolves when nothing touches the ring any more. */
  async stop(): Promise<void> {
    clearTimeout(this.#poll);
    await this.#work.stop();
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  /** @returns whether there is more to do. */
  async #step(): Promise<boolean> {
    const { ring, fail } = this.#parts;
    this.#expire();
    const posted = ring.waiting();
    if (posted === undefined) {
      fail('the receive ring has more requests than slots');
      return false;
    }
    const count = this.#fitting(posted);
    if (count > 0) {
      await this.#deliver(this.#shift(count));
      return this.#waiting.length > 0;
    }
    const [head] = this.#waiting;
    if (head === undefined) return false;
    if (ring.finalCheck(head.slots)) {
      await breathe();
      return true;
    }
    this.#pollLater();
    return false;
  }

  #expire(): void {
    const oldest = performance.now() - EXPIRES_MS;
    let count = 0;
    while ((this.#waiting[count]?.since ?? oldest) < oldest) count += 1;
    if (count > 0) this.#shift(count);
    this.#parts.counters.rxExpired += count;
  }

  /** How many of the frames that wait fit in so many pages. */
  #fitting(posted: number): number {
    let count = 0;
    let slots = 0;
    for (const frame of this.#waiting) {
      slots += frame.slots;
      if (slots > posted) break;
      count += 1;
    }
    return count;
  }

  #shift(count: number): Waiting[] {
    const frames = this.#waiting.slice(0, count);
    this.#waiting = this.#waiting.slice(count);
    for (const { bytes } of frames) this.#waitingBytes -= bytes.length;
    return frames;
  }

  async #deliver(frames: readonly Waiting[]): Promise<void> {
    const { ring, privcmd, domid } = this.#parts;
    let slots = 0;
    let bytes = 0;
    for (const frame of frames) {
      slots += frame.slots;
      bytes += frame.bytes.length;
    }
    const requests = this.#takeRequests(slots);
    const run = await privcmd.bounce.take(pagesOf(bytes));
    try {
      const statuses = await privcmd.copyToGrants(domid, this.#place(frames, requests, run));
      if (this.#work.stopped) return;
      this.#answer(frames, requests, statuses);
    } finally {
      run.free();
    }
    if (ring.publish()) this.#parts.notify();
  }

  /** Takes the requests of so many slots: id and reference of each. */
  #takeRequests(slots: number): Uint32Array {
    const requests = new Uint32Array(slots * 2);
    for (let n = 0; n < slots; n++) {
      this.#parts.ring.take(this.#request);
      requests[n * 2] = this.#requestView.getUint16(ID, true);
      requests[n * 2 + 1] = this.#requestView.getUint32(GREF, true);
    }
    return requests;
  }

  /** Puts the frames into the buffer one after the other. @returns the copies into the guest's pages. */
  #place(frames: readonly Waiting[], requests: Uint32Array, run: BounceRun): GrantCopy[] {
    const copies: GrantCopy[] = [];
    let slot = 0;
    let at = 0;
    for (const { bytes, gso } of frames) {
      run.bytes.set(bytes, at);
      for (let done = 0; done < bytes.length; done += PAGE_SIZE) {
        const length = Math.min(PAGE_SIZE, bytes.length - done);
        const ref = requests[slot * 2 + 1] ?? 0;
        copies.push({ ref, offset: 0, length, at: run.at + at + done });
        slot += 1;
        if (done === 0 && gso) slot += 1;
      }
      at += bytes.length;
    }
    return copies;
  }

  #answer(frames: readonly Waiting[], requests: Uint32Array, statuses: Int8Array): void {
    let slot = 0;
    let copy = 0;
    for (const frame of frames) {
      const failed = this.#answerFrame(frame, requests, slot, statuses, copy);
      slot += frame.slots;
      copy += pagesOf(frame.bytes.length);
      this.#count(frame, failed);
    }
  }

  /** @returns whether one of its pages could not be written to. */
  #answerFrame(
    { bytes, checksumBlank, gso }: Waiting,
    requests: Uint32Array,
    firstSlot: number,
    statuses: Int8Array,
    firstCopy: number,
  ): boolean {
    let slot = firstSlot;
    let copy = firstCopy;
    let failed = false;
    for (let done = 0; done < bytes.length; done += PAGE_SIZE) {
      const length = Math.min(PAGE_SIZE, bytes.length - done);
      const isOkay = statuses[copy++] === 0;
      let flags = done + length < bytes.length ? NETRXF.MORE_DATA : 0;
      if (done === 0 && checksumBlank) flags |= NETRXF.CSUM_BLANK | NETRXF.DATA_VALIDATED;
      if (done === 0 && gso) flags |= NETRXF.EXTRA_INFO;
      this.#respond(requests[slot++ * 2] ?? 0, flags, isOkay ? length : NETIF_RSP.ERROR);
      if (done === 0 && gso) {
        this.#respondGso(gso);
        slot += 1;
      }
      failed ||= !isOkay;
    }
    return failed;
  }

  #count({ bytes }: Waiting, failed: boolean): void {
    const { counters } = this.#parts;
    if (failed) {
      counters.rxErrors += 1;
    } else {
      counters.rxPackets += 1;
      counters.rxBytes += bytes.length;
    }
  }

  #respond(id: number, flags: number, status: number): void {
    const view = this.#responseView;
    view.setUint16(RESPONSE.id, id, true);
    view.setUint16(RESPONSE.offset, 0, true);
    view.setUint16(RESPONSE.flags, flags, true);
    view.setInt16(RESPONSE.status, status, true);
    this.#parts.ring.put(this.#response);
  }

  #respondGso({ kind, size }: Gso): void {
    const view = this.#responseView;
    this.#response.fill(0);
    view.setUint8(EXTRA.type, NETIF_EXTRA.GSO);
    view.setUint16(EXTRA.gsoSize, size, true);
    view.setUint8(EXTRA.gsoType, kind === 'tcpv4' ? NETIF_GSO.TCPV4 : NETIF_GSO.TCPV6);
    this.#parts.ring.put(this.#response);
  }

  /** For a guest that will not say that it has posted pages. */
  #pollLater(): void {
    if (this.#parts.notifies) return;
    clearTimeout(this.#poll);
    this.#poll = setTimeout(() => this.kick(), POLL_MS);
  }
}
