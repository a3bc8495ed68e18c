/** The guest's half of FIFO event channels: gives the pages, and takes events from its queues. Spec: event_channel.h, "FIFO ABI". */

import type { Domain } from '../../hypervisor/common/domain.js';
import type { Ram } from '../../hypervisor/machine/ram.js';
import type { Mfn } from '../../hypervisor/machine/types.js';
import {
  EVTCHN_FIFO,
  EVTCHN_FIFO_LINK_MASK,
  EVTCHN_FIFO_MAX_QUEUES,
  EVTCHN_FIFO_WORDS_PER_PAGE,
  evtchnFifoControlBlock,
} from '../../hypervisor/public/event-channel.js';

const { PENDING, MASKED, LINKED } = EVTCHN_FIFO;
const BLOCK_SPACING = 128;

export class FifoGuest {
  readonly domain: Domain;
  readonly #ram: Ram;
  readonly #control: Mfn;
  readonly #array: Mfn[] = [];
  /** By vCPU and priority, where the next look goes on. */
  readonly #heads: number[] = [];

  constructor(domain: Domain, ram: Ram) {
    this.domain = domain;
    this.#ram = ram;
    this.#control = domain.allocatePage()!;
  }

  /** @returns what init_control does for each vCPU. */
  init(): number[] {
    return this.domain.vcpus.map(({ id }) =>
      this.domain.events.initControl(id, this.#control, id * BLOCK_SPACING),
    );
  }

  /** Gives a page of words, all masked or all open. */
  expand(word: number = 0): number {
    const mfn = this.domain.allocatePage()!;
    this.#array.push(mfn);
    const start = this.#index(mfn);
    this.#ram.u32.fill(word, start, start + EVTCHN_FIFO_WORDS_PER_PAGE);
    return this.domain.events.expandArray(mfn);
  }

  word(port: number): number {
    return this.#ram.u32[this.#at(port)]!;
  }

  setWord(port: number, word: number): void {
    this.#ram.u32[this.#at(port)] = word;
  }

  mask(port: number): void {
    this.setWord(port, (this.word(port) | MASKED) >>> 0);
  }

  block(vcpu = 0) {
    const at = this.#index(this.#control) * 4 + vcpu * BLOCK_SPACING;
    const { ready } = evtchnFifoControlBlock.decode(this.#ram.view, at);
    const heads = Array.from({ length: EVTCHN_FIFO_MAX_QUEUES }, (_, priority) =>
      this.#ram.view.getUint32(at + evtchnFifoControlBlock.offset.head + priority * 4, true),
    );
    return { at, ready, heads };
  }

  /** Handles the upcall of a vCPU. @returns the ports that were delivered, in order. */
  upcall(vcpu = 0): number[] {
    const { at } = this.block(vcpu);
    const { view, u8 } = this.#ram;
    u8[this.domain.vcpus[vcpu]!.infoAddress] = 0;
    let ready = view.getUint32(at, true);
    view.setUint32(at, 0, true);
    const delivered: number[] = [];
    while (ready !== 0) {
      const priority = 31 - Math.clz32(ready & -ready);
      if (!this.#takeOne(vcpu, priority, delivered)) ready &= ~(1 << priority);
      ready = (ready | view.getUint32(at, true)) >>> 0;
      view.setUint32(at, 0, true);
    }
    return delivered;
  }

  /** @returns whether the queue goes on. */
  #takeOne(vcpu: number, priority: number, delivered: number[]): boolean {
    const queue = vcpu * EVTCHN_FIFO_MAX_QUEUES + priority;
    const port = this.#heads[queue] || this.block(vcpu).heads[priority]!;
    const word = this.word(port);
    const deliver = (word & (PENDING | MASKED)) >>> 0 === PENDING;
    const kept = word & ~(LINKED | EVTCHN_FIFO_LINK_MASK | (deliver ? PENDING : 0));
    this.setWord(port, kept >>> 0);
    if (deliver) delivered.push(port);
    const next = word & EVTCHN_FIFO_LINK_MASK;
    this.#heads[queue] = next;
    return next !== 0;
  }

  #index(mfn: Mfn): number {
    return this.#ram.addressOf(this.domain.frameMap.lookup(mfn)!) >>> 2;
  }

  #at(port: number): number {
    const page = this.#array[Math.floor(port / EVTCHN_FIFO_WORDS_PER_PAGE)]!;
    return this.#index(page) + (port % EVTCHN_FIFO_WORDS_PER_PAGE);
  }
}
