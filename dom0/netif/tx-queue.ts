/**
 * What the guest transmits on one queue. A sweep takes all requests there are, has all packets copied at once, hands them
 * to the switch, and answers with one batch of responses and at most one event. One sweep is under way at a time; what
 * comes meanwhile is the next one's.
 */

import { NETIF_RSP, NETIF_TX_RESPONSE } from '../../hypervisor/public/io/netif.js';
import type { BounceRun } from '../bounce-buffer.js';
import type { Frame } from '../network/port.js';
import type { GrantCopy, Privcmd } from '../privcmd.js';
import type { SharedRing } from '../shared-ring.js';
import type { VifCounters } from './counters.js';
import {
  fragmentSlot,
  gref,
  id,
  type MulticastWish,
  multicastAddress,
  offset,
  parsePackets,
  size,
  TX_SLOT,
  type TxPacket,
} from './tx-packets.js';
import { breathe, Worklist } from './worklist.js';

const PAGE_SIZE = 4096;
const { ERROR, OKAY, NULL } = NETIF_RSP;
const RESPONSE = NETIF_TX_RESPONSE.offset;

export interface TxQueueParts {
  readonly privcmd: Privcmd;
  readonly domid: number;
  readonly ring: SharedRing;
  readonly counters: VifCounters;
  notify(): void;
  send(frame: Frame): void;
  /** @returns whether there was room for the address. */
  multicast(join: boolean, address: Uint8Array): boolean;
  /** The frontend broke the protocol. */
  fail(reason: string): void;
}

/** Where the fragments of a packet lie among the copies, and its bytes in the buffer. */
interface Placed {
  readonly packet: TxPacket;
  readonly firstCopy: number;
  readonly copies: number;
  readonly at: number;
}

export class TxQueue {
  readonly #parts: TxQueueParts;
  readonly #work: Worklist;
  /** The slots of a sweep, copied. */
  readonly #bytes: Uint8Array;
  readonly #slots: DataView;
  readonly #slotBytes: readonly Uint8Array[];
  readonly #response = new Uint8Array(NETIF_TX_RESPONSE.size);
  readonly #responseView = new DataView(this.#response.buffer);

  constructor(parts: TxQueueParts) {
    this.#parts = parts;
    this.#work = new Worklist(() => this.#step(), parts.fail);
    const bytes = new Uint8Array(parts.ring.slots * TX_SLOT);
    this.#bytes = bytes;
    this.#slots = new DataView(bytes.buffer);
    this.#slotBytes = Array.from({ length: parts.ring.slots }, (_, slot) =>
      bytes.subarray(slot * TX_SLOT, (slot + 1) * TX_SLOT),
    );
  }

  /** There may be requests. */
  kick(): void {
    this.#work.kick();
  }

  /** Resolves when nothing touches the ring any more. */
  stop(): Promise<void> {
    return this.#work.stop();
  }

  /** @returns whether there is more to do. */
  async #step(): Promise<boolean> {
    const { ring, fail } = this.#parts;
    const count = ring.waiting();
    if (count === undefined) {
      fail('the transmit ring has more requests than slots');
      return false;
    }
    if (count === 0) return ring.finalCheck();
    for (let slot = 0; slot < count; slot++) {
      const bytes = this.#slotBytes[slot];
      if (bytes) ring.take(bytes);
    }
    const packets = parsePackets(this.#slots, count);
    if (typeof packets === 'string') {
      fail(`transmit: ${packets}`);
      return false;
    }
    await this.#sweep(packets);
    return true;
  }

  async #sweep(packets: readonly TxPacket[]): Promise<void> {
    const copies: GrantCopy[] = [];
    const placed: Placed[] = [];
    let end = 0;
    for (const packet of packets) {
      if (packet.multicast || packet.refusal !== undefined) continue;
      const firstCopy = copies.length;
      this.#place(packet, end, copies);
      placed.push({ packet, firstCopy, copies: copies.length - firstCopy, at: end });
      end += packet.size;
    }
    const refused = end === 0 ? undefined : await this.#copyAndSend(placed, copies, end);
    if (end === 0) await breathe();
    if (this.#work.stopped) return;
    for (const packet of packets) this.#answer(packet, refused?.has(packet) === true);
    if (this.#parts.ring.publish()) this.#parts.notify();
  }

  /** The copies that bring a packet to `at`. */
  #place(packet: TxPacket, at: number, copies: GrantCopy[]): void {
    const fragments = packet.slots - packet.extras;
    let to = at;
    for (let n = 0; n < fragments; n++) {
      const slot = fragmentSlot(packet, n);
      const length = n === 0 ? packet.firstSize : size(this.#slots, slot);
      const ref = gref(this.#slots, slot);
      if (length > 0) copies.push({ ref, offset: offset(this.#slots, slot), length, at: to });
      to += length;
    }
  }

  /** @returns the packets that could not be copied. */
  async #copyAndSend(
    placed: readonly Placed[],
    copies: readonly GrantCopy[],
    bytes: number,
  ): Promise<ReadonlySet<TxPacket>> {
    const { privcmd, domid } = this.#parts;
    const refused = new Set<TxPacket>();
    const run = await privcmd.bounce.take(Math.ceil(bytes / PAGE_SIZE));
    try {
      const moved = copies.map((copy) => ({ ...copy, at: copy.at + run.at }));
      const statuses = await privcmd.copyFromGrants(domid, moved);
      if (this.#work.stopped) return refused;
      for (const each of placed) {
        if (allOkay(statuses, each)) this.#send(each, run);
        else refused.add(each.packet);
      }
    } finally {
      run.free();
    }
    return refused;
  }

  #send({ packet, at }: Placed, { bytes }: BounceRun): void {
    const { size, checksumBlank, gso } = packet;
    this.#parts.counters.txPackets += 1;
    this.#parts.counters.txBytes += size;
    this.#parts.send({ bytes: bytes.subarray(at, at + size), checksumBlank, gso });
  }

  /** Each slot gets its response in its own place, extras as well. */
  #answer(packet: TxPacket, isRefused: boolean): void {
    const { multicast, refusal, extras, slots } = packet;
    const failed = isRefused || refusal !== undefined || (multicast && !this.#join(multicast));
    const status = failed ? ERROR : OKAY;
    if (failed) this.#parts.counters.txErrors += 1;
    for (let n = 0; n < slots; n++) {
      const isExtra = n > 0 && n <= extras;
      this.#respond(packet.slot + n, isExtra ? NULL : status);
    }
  }

  #join(wish: MulticastWish): boolean {
    const at = multicastAddress(wish);
    return this.#parts.multicast(wish.join, this.#bytes.subarray(at));
  }

  #respond(slot: number, status: number): void {
    this.#responseView.setUint16(RESPONSE.id, id(this.#slots, slot), true);
    this.#responseView.setInt16(RESPONSE.status, status, true);
    this.#parts.ring.put(this.#response);
  }
}

function allOkay(statuses: Int8Array, { firstCopy, copies }: Placed): boolean {
  for (let n = firstCopy; n < firstCopy + copies; n++) if (statuses[n] !== 0) return false;
  return true;
}
