/** A guest's block driver played by a test: over a real store, and a hypervisor that knows nothing but grants and event channels. */

import type { BlkAbi } from '../../dom0/block/blk-request.js';
import type { Dom0 } from '../../dom0/guest.js';
import { guestNodes } from '../../dom0/guest-nodes.js';
import {
  BLKIF_ABI,
  BLKIF_AFTER_ID,
  BLKIF_OP,
  BLKIF_RESPONSE,
} from '../../hypervisor/public/io/blkif.js';
import { RING, ringSlots } from '../../hypervisor/public/io/ring.js';
import { XENBUS_STATE } from '../../hypervisor/public/io/xenbus.js';
import { XenstoreClient } from '../../xenstore/client/client.js';
import { XenstoreServer } from '../../xenstore/server/server.js';
import { inProcessChannel } from '../../xenstore/transport/in-process.js';
import { FakeMachine } from './netfront.js';

const PAGE = 4096;
export const DOMID = 7;

/** A page of the guest that dom0 may use. */
export interface GrantedPage {
  readonly ref: number;
  readonly bytes: Uint8Array;
}

export interface RequestWords {
  readonly operation: number;
  /** Second byte; the number of segments if absent. */
  readonly second?: number;
  /** u16 behind that. */
  readonly third?: number;
  readonly id: number;
  readonly sector?: number | bigint;
  readonly segments?: readonly (readonly [ref: number, first: number, last: number])[];
  /** Words at the segments' place. */
  readonly tail?: readonly number[];
}

export interface Answer {
  readonly id: number;
  readonly operation: number;
  readonly status: number;
}

/** dom0 and one guest, without a hypervisor. */
export class BlkWorld {
  readonly machine = new FakeMachine();
  readonly dom0: Dom0;
  readonly guest: XenstoreClient;

  private constructor(dom0Store: XenstoreClient, guest: XenstoreClient) {
    this.dom0 = { privcmd: this.machine.privcmd, store: dom0Store };
    this.guest = guest;
  }

  static async start(): Promise<BlkWorld> {
    const server = new XenstoreServer();
    const store = new XenstoreClient(inProcessChannel(server));
    const kib = { memoryKib: 4096, maxMemoryKib: 4096, vcpus: 1, maxVcpus: 1, consoleLimit: 0 };
    const frames = { storeMfn: 11, storePort: 1, consoleMfn: 12, consolePort: 2 };
    const uuid = '00000000-0000-4000-8000-000000000007';
    for (const { path, value, perms } of guestNodes({
      domid: DOMID,
      name: 'g',
      uuid,
      ...kib,
      ...frames,
    })) {
      await store.write(path, value);
      if (perms !== undefined) await store.setPerms(path, perms);
    }
    server.introduce(DOMID, frames.storeMfn, frames.storePort);
    return new BlkWorld(store, new XenstoreClient(inProcessChannel(server, { domid: DOMID })));
  }

  page(readonly = false): GrantedPage {
    const { number, bytes } = this.machine.page();
    bytes.set(new Uint8Array(PAGE));
    return { ref: this.machine.grant(number, readonly), bytes };
  }

  /** Waits until it holds. */
  async until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
    const deadline = performance.now() + 30_000;
    while (!(await condition())) {
      if (performance.now() > deadline) throw new Error(`no ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
}

/** The guest's end of one ring. */
export class FrontRing {
  readonly refs: readonly number[];
  readonly port: number;
  readonly slots: number;
  readonly #world: BlkWorld;
  readonly #abi: BlkAbi;
  readonly #pages: readonly GrantedPage[];
  readonly #header: DataView;
  #produced = 0;
  #consumed = 0;

  constructor(world: BlkWorld, port: number, pages = 1, abi: BlkAbi = 'x86_64-abi') {
    this.#world = world;
    this.#abi = abi;
    this.#pages = Array.from({ length: pages }, () => world.page());
    this.refs = this.#pages.map(({ ref }) => ref);
    this.port = port;
    this.slots = ringSlots(pages * PAGE, BLKIF_ABI[abi].REQUEST);
    const first = this.#pages[0]?.bytes ?? new Uint8Array(PAGE);
    this.#header = new DataView(first.buffer, first.byteOffset, PAGE);
    this.#header.setUint32(RING.REQ_EVENT, 1, true);
    this.#header.setUint32(RING.RSP_EVENT, 1, true);
  }

  /** Writes requests into the ring without publishing them. */
  put(...requests: readonly RequestWords[]): void {
    for (const request of requests) {
      this.#write(this.#produced, encode(request, this.#abi));
      this.#produced += 1;
    }
  }

  /** Says that so many were published, true or not, and sends an event. */
  publish(requests = this.#produced): void {
    this.#header.setUint32(RING.REQ_PROD, requests, true);
    this.#world.machine.raise(this.port);
  }

  /** Sends requests and waits for as many answers. */
  async ask(...requests: readonly RequestWords[]): Promise<Answer[]> {
    this.put(...requests);
    this.publish();
    return this.answers(requests.length);
  }

  async answers(count: number): Promise<Answer[]> {
    const answers: Answer[] = [];
    await this.#world.until(() => {
      answers.push(...this.#taken());
      return answers.length >= count;
    }, `${count} answers`);
    return answers;
  }

  get published(): number {
    return this.#header.getUint32(RING.RSP_PROD, true);
  }

  #taken(): Answer[] {
    const answers: Answer[] = [];
    while (this.#consumed !== this.published) {
      const slot = this.#read(this.#consumed, BLKIF_ABI[this.#abi].RESPONSE);
      this.#consumed += 1;
      answers.push({
        id: Number(slot.getBigUint64(BLKIF_RESPONSE.offset.id, true)),
        operation: slot.getUint8(BLKIF_RESPONSE.offset.operation),
        status: slot.getInt16(BLKIF_RESPONSE.offset.status, true),
      });
    }
    this.#header.setUint32(RING.RSP_EVENT, this.#consumed + 1, true);
    return answers;
  }

  /** Where byte `n` of a slot is. */
  #place(index: number, n: number): [page: Uint8Array, at: number] {
    const at = RING.SLOTS + (index % this.slots) * BLKIF_ABI[this.#abi].REQUEST + n;
    return [this.#pages[Math.floor(at / PAGE)]?.bytes ?? new Uint8Array(PAGE), at % PAGE];
  }

  #write(index: number, bytes: Uint8Array): void {
    for (const [n, byte] of bytes.entries()) {
      const [page, at] = this.#place(index, n);
      page[at] = byte;
    }
  }

  #read(index: number, length: number): DataView {
    const bytes = Uint8Array.from({ length }, (_, n) => {
      const [page, at] = this.#place(index, n);
      return page[at] ?? 0;
    });
    return new DataView(bytes.buffer);
  }
}

function encode(request: RequestWords, abi: BlkAbi): Uint8Array {
  const { ID, REQUEST } = BLKIF_ABI[abi];
  const { operation, id, sector = 0, segments = [], third = 0 } = request;
  const view = new DataView(new ArrayBuffer(REQUEST));
  view.setUint8(0, operation);
  view.setUint8(1, request.second ?? segments.length);
  view.setUint16(2, third, true);
  view.setBigUint64(ID, BigInt(id), true);
  view.setBigUint64(ID + BLKIF_AFTER_ID.SECTOR_NUMBER, BigInt(sector), true);
  const words = request.tail ?? segments.flatMap(segmentWords);
  for (const [n, word] of words.slice(0, 22).entries()) {
    view.setUint32(ID + BLKIF_AFTER_ID.SEGMENTS + n * 4, word, true);
  }
  return new Uint8Array(view.buffer);
}

const segmentWords = ([ref, first, last]: readonly [number, number, number]): number[] => [
  ref,
  first | (last << 8),
];

/** An indirect request, and its segments in a page of the guest. */
export function indirect(
  page: GrantedPage,
  request: Required<Pick<RequestWords, 'operation' | 'id' | 'sector' | 'segments'>>,
): RequestWords {
  const { operation, id, sector, segments } = request;
  const words = new Uint32Array(segments.flatMap(segmentWords));
  page.bytes.set(new Uint8Array(words.buffer));
  const tail = [0, page.ref];
  return {
    operation: BLKIF_OP.INDIRECT,
    second: operation,
    third: segments.length,
    id,
    sector,
    tail,
  };
}

/** The frontend's driver: publishes what it has, and says its states. */
export class Blkfront {
  readonly world: BlkWorld;
  readonly home: string;
  readonly #backend: string;

  constructor(world: BlkWorld, devid: number) {
    this.world = world;
    this.home = `device/vbd/${devid}`;
    this.#backend = `/local/domain/0/backend/vbd/${DOMID}/${devid}`;
  }

  readBackend(node: string): Promise<string> {
    return this.world.guest.read(`${this.#backend}/${node}`);
  }

  async write(nodes: Readonly<Record<string, string | number>>): Promise<void> {
    for (const [node, value] of Object.entries(nodes)) {
      await this.world.guest.write(`${this.home}/${node}`, String(value));
    }
  }

  async says(state: number): Promise<void> {
    await this.write({ state });
  }

  async seesBackend(state: number): Promise<void> {
    await this.world.until(
      async () => (await this.readBackend('state')) === String(state),
      `state ${state} of the backend`,
    );
  }

  /** Connects with these nodes besides those of the rings. */
  async connect(
    rings: readonly FrontRing[],
    nodes: Readonly<Record<string, string | number>> = {},
  ): Promise<void> {
    const isMany = rings.length > 1;
    for (const [n, { refs, port }] of rings.entries()) {
      const at = isMany ? `queue-${n}/` : '';
      await this.write({ [`${at}event-channel`]: port });
      for (const [page, ref] of refs.entries()) {
        await this.write({ [`${at}ring-ref${refs.length > 1 ? page : ''}`]: ref });
      }
      if (refs.length > 1) await this.write({ 'ring-page-order': Math.log2(refs.length) });
    }
    if (isMany) await this.write({ 'multi-queue-num-queues': rings.length });
    await this.write(nodes);
    await this.says(XENBUS_STATE.INITIALISED);
    await this.seesBackend(XENBUS_STATE.CONNECTED);
    await this.says(XENBUS_STATE.CONNECTED);
  }
}
