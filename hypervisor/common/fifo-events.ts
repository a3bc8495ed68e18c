/**
 * FIFO events: one word for each port, in pages that the guest gives; for each vCPU and priority a queue that is a list
 * linked through those words. Spec: event_channel.h, "FIFO ABI".
 *
 *   word            31 PENDING  30 MASKED  29 LINKED  28 BUSY  16-0 LINK: next port of the queue
 *   control block   ready: queues with events | head[16]: first port of each            one for each vCPU
 *
 * Xen appends: it links the tail to the new port if the tail is still on the queue, and else the queue is empty and the port
 * becomes its head. The guest takes from the front, clearing LINKED and LINK in one step. Tails are known to Xen alone, and
 * a LINK that the guest wrote is never followed.
 *
 * A port whose vCPU or priority changes while it is linked stays where it is; it goes to its new queue when it is next
 * linked. If it was the tail of its old queue that one is empty by then and must forget it, or a later event there would be
 * appended to a port that stands in another queue.
 */

import type { Ram } from '../machine/ram.js';
import type { Mfn } from '../machine/types.js';
import { ERRNO } from '../public/errno.js';
import {
  EVTCHN_FIFO,
  EVTCHN_FIFO_LINK_MASK,
  EVTCHN_FIFO_MAX_QUEUES,
  EVTCHN_FIFO_NR_CHANNELS,
  EVTCHN_FIFO_WORDS_PER_PAGE,
  evtchnFifoControlBlock,
} from '../public/event-channel.js';
import type { EventOwner, EventPorts, PortState } from './event-ports.js';
import { markEventsPending } from './event-ports.js';

const { PENDING, MASKED, LINKED, BUSY } = EVTCHN_FIFO;
const IN_PAGE = EVTCHN_FIFO_WORDS_PER_PAGE - 1;
const PAGE_BITS = 10;
const MAX_PAGES = EVTCHN_FIFO_NR_CHANNELS / EVTCHN_FIFO_WORDS_PER_PAGE;
const HEAD = evtchnFifoControlBlock.offset.head >>> 2;
/** Attempts to change a word that somebody else is changing. */
const ATTEMPTS = 4;

/** A page of event words. */
interface ArrayPage {
  /** Index of its first word in ram.u32. */
  readonly start: number;
  /** For each port the queue it was last put on. */
  readonly lastQueue: Uint16Array;
}

export class FifoEvents implements EventPorts {
  readonly count = EVTCHN_FIFO_NR_CHANNELS;
  readonly #owner: EventOwner;
  readonly #ram: Ram;
  readonly #pages: ArrayPage[] = [];
  /** By vCPU: index of its control block in ram.u32, 0 for none. */
  readonly #control: Uint32Array;
  /** Last port put on each queue: vcpu * 16 + priority. */
  readonly #tails: Uint32Array;
  readonly #held: Mfn[] = [];

  constructor(owner: EventOwner, ram: Ram) {
    this.#owner = owner;
    this.#ram = ram;
    this.#control = new Uint32Array(owner.vcpus.length);
    this.#tails = new Uint32Array(owner.vcpus.length * EVTCHN_FIFO_MAX_QUEUES);
  }

  /** Gives a vCPU its control block, once. @returns -EINVAL: it has one, or the page may not be written by Xen. */
  mapControlBlock(vcpu: number, mfn: Mfn, offset: number): number {
    if (this.#control[vcpu] !== 0) return -ERRNO.EINVAL;
    const address = this.#owner.holdPage(mfn);
    if (address === undefined) return -ERRNO.EINVAL;
    this.#held.push(mfn);
    this.#control[vcpu] = (address + offset) >>> 2;
    return 0;
  }

  /** Adds a page of words. @returns the first port of it; -ENOSPC: there are all; -EINVAL as above. */
  addPage(mfn: Mfn): number {
    if (this.#pages.length === MAX_PAGES) return -ERRNO.ENOSPC;
    const address = this.#owner.holdPage(mfn);
    if (address === undefined) return -ERRNO.EINVAL;
    this.#held.push(mfn);
    const lastQueue = new Uint16Array(EVTCHN_FIFO_WORDS_PER_PAGE);
    this.#pages.push({ start: address >>> 2, lastQueue });
    return (this.#pages.length - 1) * EVTCHN_FIFO_WORDS_PER_PAGE;
  }

  /** Whether the page is one of its control blocks or words. */
  holds(mfn: Mfn): boolean {
    return this.#held.includes(mfn);
  }

  /** Gives the guest its pages back. */
  destroy(): void {
    for (const mfn of this.#held.splice(0)) this.#owner.dropReference(mfn, true);
    this.#pages.length = 0;
  }

  setPending(port: number, state: PortState): boolean {
    const page = this.#pages[port >>> PAGE_BITS];
    if (!page) {
      state.pending = true;
      return false;
    }
    const before = Atomics.or(this.#ram.u32, page.start + (port & IN_PAGE), PENDING);
    if (!(before & (MASKED | LINKED))) this.#enqueue(port, page, state);
    return (before & PENDING) === 0;
  }

  clearPending(port: number, state: PortState): void {
    state.pending = false;
    const at = this.#word(port);
    if (at !== 0) Atomics.and(this.#ram.u32, at, ~PENDING);
  }

  unmask(port: number, state: PortState): void {
    const at = this.#word(port);
    if (at === 0) return;
    if (Atomics.and(this.#ram.u32, at, ~MASKED) & PENDING) this.setPending(port, state);
  }

  isPending(port: number): boolean {
    return (this.#read(port) & PENDING) !== 0;
  }

  /** The guest has yet to take it from the queue it is on. */
  isBusy(port: number): boolean {
    return (this.#read(port) & LINKED) !== 0;
  }

  /** Puts a port that is on no queue at the end of its own. */
  #enqueue(port: number, page: ArrayPage, { vcpu, priority }: PortState): void {
    const { u32 } = this.#ram;
    const control = this.#control[vcpu] ?? 0;
    if (control === 0) return; // nobody looks there: the event stays pending
    const queue = vcpu * EVTCHN_FIFO_MAX_QUEUES + priority;
    const last = page.lastQueue[port & IN_PAGE] ?? 0;
    if (this.#tails[last] === port) this.#tails[last] = 0;
    page.lastQueue[port & IN_PAGE] = queue;
    Atomics.or(u32, page.start + (port & IN_PAGE), LINKED);
    const tail = this.#tails[queue] ?? 0;
    const appended = tail !== 0 && this.#setLink(tail, port);
    this.#tails[queue] = port;
    if (appended) return;
    Atomics.store(u32, control + HEAD + priority, port);
    const ready = 1 << priority;
    if (!(Atomics.or(u32, control, ready) & ready)) {
      markEventsPending(this.#owner, this.#ram, vcpu);
    }
  }

  /**
   * Links the tail to the next port, unless the guest has taken it off. While others keep changing the word BUSY asks them to
   * wait; after a few attempts a guest that does not loses the event, which is its own.
   * @returns false if the tail is on no queue.
   */
  #setLink(tail: number, port: number): boolean {
    const at = this.#word(tail);
    for (let attempt = 0; attempt <= ATTEMPTS; attempt++) {
      const { u32 } = this.#ram;
      const word = Atomics.load(u32, at);
      if (!(word & LINKED)) return false;
      const linked = ((word & ~(BUSY | EVTCHN_FIFO_LINK_MASK)) | port) >>> 0;
      if (Atomics.compareExchange(u32, at, word, linked) === word) return true;
      Atomics.or(u32, at, BUSY);
    }
    Atomics.and(this.#ram.u32, at, ~BUSY);
    return true;
  }

  #read(port: number): number {
    const at = this.#word(port);
    return at === 0 ? 0 : Atomics.load(this.#ram.u32, at);
  }

  /** Index of the port's word in ram.u32, 0 if the guest has given no page for it. */
  #word(port: number): number {
    const page = this.#pages[port >>> PAGE_BITS];
    return page ? page.start + (port & IN_PAGE) : 0;
  }
}
