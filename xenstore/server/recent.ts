/** The last few of something, oldest first. */
import type { Packet } from '../protocol/packet.js';
import type { Connection } from './connection.js';
import type { RequestRecord } from './types.js';

export class RecentList<Item> {
  readonly capacity: number;
  readonly #items: Item[] = [];
  #count = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /** How many were ever added: the serial number of the next. */
  get next(): number {
    return this.#count;
  }

  add(item: Item): void {
    if (this.capacity > 0) this.#items[this.#count % this.capacity] = item;
    this.#count += 1;
  }

  all(): Item[] {
    const start = this.#count > this.capacity ? this.#count % this.capacity : 0;
    return [...this.#items.slice(start), ...this.#items.slice(0, start)];
  }
}

/** Characters of a payload that are kept. */
const BODY_KEPT = 128;

export const recordOf = (
  serial: number,
  at: number,
  connection: Connection,
  packet: Packet,
  name: string | undefined,
  result: string,
): RequestRecord => ({
  serial,
  at,
  connection: connection.id,
  domid: connection.domid,
  type: name ?? String(packet.type),
  transaction: packet.txId,
  body: packet.body.length > BODY_KEPT ? packet.body.slice(0, BODY_KEPT) : packet.body,
  result,
});
