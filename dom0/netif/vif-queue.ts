/** One queue of a vif: its two rings, mapped, and its event channels, bound; connected and let go of as one. */

import { NETIF_RX_REQUEST, NETIF_TX_REQUEST } from '../../hypervisor/public/io/netif.js';
import type { Frame } from '../network/port.js';
import type { EventChannel, MappedGrant, Privcmd } from '../privcmd.js';
import { SharedRing } from '../shared-ring.js';
import type { VifCounters } from './counters.js';
import type { QueueNodes } from './features.js';
import { RxQueue } from './rx-queue.js';
import { TxQueue } from './tx-queue.js';

export interface VifQueueParts {
  readonly privcmd: Privcmd;
  readonly domid: number;
  readonly counters: VifCounters;
  /** Whether the guest sends events for receive pages that were asked for. */
  readonly rxNotifies: boolean;
  send(frame: Frame): void;
  multicast(join: boolean, address: Uint8Array): boolean;
  fail(reason: string): void;
}

interface Taken {
  grants: readonly MappedGrant[];
  readonly channels: EventChannel[];
}

export class VifQueue {
  readonly #privcmd: Privcmd;
  readonly #taken: Taken;
  readonly #tx: TxQueue;
  readonly #rx: RxQueue;

  private constructor(privcmd: Privcmd, taken: Taken, tx: TxQueue, rx: RxQueue) {
    this.#privcmd = privcmd;
    this.#taken = taken;
    this.#tx = tx;
    this.#rx = rx;
  }

  /** @throws PrivcmdRefusal if a grant or a port is none; then nothing is held. */
  static async connect(parts: VifQueueParts, nodes: QueueNodes): Promise<VifQueue> {
    const { privcmd, domid } = parts;
    const taken: Taken = { grants: [], channels: [] };
    try {
      taken.grants = await privcmd.mapGrants(domid, [nodes.txRef, nodes.rxRef]);
      const queue = VifQueue.#build(parts, taken);
      await queue.#bind(domid, nodes);
      return queue;
    } catch (error) {
      await letGo(privcmd, taken);
      throw error;
    }
  }

  static #build(parts: VifQueueParts, taken: Taken): VifQueue {
    const { privcmd, rxNotifies } = parts;
    const [txPage, rxPage] = taken.grants;
    if (txPage === undefined || rxPage === undefined) throw new Error('two pages were asked for');
    const { channels } = taken;
    const tx = new TxQueue({
      ...parts,
      ring: new SharedRing([txPage.bytes], NETIF_TX_REQUEST.size),
      notify: () => channels[0]?.notify(),
    });
    const rx = new RxQueue({
      ...parts,
      notifies: rxNotifies,
      ring: new SharedRing([rxPage.bytes], NETIF_RX_REQUEST.size),
      notify: () => channels.at(-1)?.notify(),
    });
    return new VifQueue(privcmd, taken, tx, rx);
  }

  /** @returns false if the guest does not take frames as fast as they come. */
  receive(frame: Frame): boolean {
    return this.#rx.push(frame);
  }

  /** Nothing of the guest is touched any more when this resolves. */
  async disconnect(): Promise<void> {
    await Promise.all([this.#tx.stop(), this.#rx.stop()]);
    await letGo(this.#privcmd, this.#taken);
  }

  async #bind(domid: number, { txPort, rxPort }: QueueNodes): Promise<void> {
    const { channels } = this.#taken;
    const isSplit = txPort !== rxPort;
    const onTx = isSplit ? () => this.#tx.kick() : () => this.#kick();
    channels.push(await this.#privcmd.bindInterdomain(domid, txPort, onTx));
    if (!isSplit) return;
    channels.push(await this.#privcmd.bindInterdomain(domid, rxPort, () => this.#rx.kick()));
  }

  #kick(): void {
    this.#tx.kick();
    this.#rx.kick();
  }
}

async function letGo(privcmd: Privcmd, { grants, channels }: Taken): Promise<void> {
  await Promise.all(channels.map((channel) => channel.close()));
  await privcmd.unmapGrants(grants);
}
