/** A guest's network driver played by a test, over a hypervisor that knows nothing but grants and event channels. */

import { Privcmd, type PrivcmdChannel } from '../../dom0/privcmd.js';
import { GNTST } from '../../hypervisor/public/grant-table.js';
import { NETTXF } from '../../hypervisor/public/io/netif.js';
import { RING } from '../../hypervisor/public/io/ring.js';
import {
  GRANT_COPY,
  type GrantMapping,
  type PrivcmdCall,
  type PrivcmdMessage,
} from '../../hypervisor/public/privcmd.js';

const PAGE = 4096;
const PAGES = 2048;
const SLOTS = 256;
const TX_SLOT = 12;
const RX_SLOT = 8;

interface Granted {
  readonly page: number;
  readonly readonly: boolean;
}

/** Answers privcmd calls a turn of the event loop later, as a real one does at the earliest. */
export class FakeMachine implements PrivcmdChannel {
  readonly ram = new Uint8Array(new SharedArrayBuffer(PAGES * PAGE));
  readonly bounce = new Uint8Array(new SharedArrayBuffer(2 * 1024 * 1024));
  readonly privcmd: Privcmd;
  readonly grants = new Map<number, Granted>();
  /** Handles of grants that dom0 has mapped. */
  readonly mapped = new Set<number>();
  /** Ports of the guest that dom0 has bound, by dom0's port; and events dom0 has sent to them. */
  readonly bound = new Map<number, number>();
  readonly events = new Map<number, number>();
  /** Calls of each kind. */
  readonly calls = new Map<string, number>();
  /** Set, all copies are refused: the domain is dying. */
  isDying = false;
  #receive: (message: PrivcmdMessage) => void = () => undefined;
  #nextPage = 0;
  #nextRef = 8;
  #nextHandle = 1;
  #nextPort = 100;

  constructor() {
    this.privcmd = new Privcmd(this, this);
  }

  listen(receive: (message: PrivcmdMessage) => void): void {
    this.#receive = receive;
  }

  send(call: PrivcmdCall): void {
    this.calls.set(call.op, (this.calls.get(call.op) ?? 0) + 1);
    setImmediate(() => {
      const { id } = call;
      if (this.isDying && call.op === 'gnttab.copy') {
        const error = { errno: 'ESRCH', number: -3, message: 'no such domain' } as const;
        this.#receive({ id, error });
      } else {
        this.#receive({ id, result: this.#answer(call) });
      }
    });
  }

  /** A page of the guest. */
  page(): { readonly number: number; readonly bytes: Uint8Array } {
    const number = this.#nextPage++ % PAGES;
    return { number, bytes: this.ram.subarray(number * PAGE, (number + 1) * PAGE) };
  }

  grant(page: number, readonly = false): number {
    const ref = this.#nextRef++;
    this.grants.set(ref, { page, readonly });
    return ref;
  }

  /** The guest sends an event. */
  raise(guestPort: number): void {
    const ports = [...this.bound].filter(([, port]) => port === guestPort).map(([port]) => port);
    this.#receive({ event: 'evtchn', ports });
  }

  #answer(call: PrivcmdCall): never {
    switch (call.op) {
      case 'gnttab.map':
        return { grants: call.refs.map((ref) => this.#map(ref, call.readonly)) } as never;
      case 'gnttab.unmap':
        for (const handle of call.handles) this.mapped.delete(handle);
        break;
      case 'gnttab.copy':
        return { statuses: this.#copy(call.copies, call.toGuest) } as never;
      case 'evtchn.bind_interdomain':
        this.bound.set(this.#nextPort, call.remotePort);
        return { port: this.#nextPort++ } as never;
      case 'evtchn.close':
        this.bound.delete(call.port);
        break;
      case 'evtchn.send': {
        const port = this.bound.get(call.port) ?? -1;
        this.events.set(port, (this.events.get(port) ?? 0) + 1);
        break;
      }
    }
    return null as never;
  }

  #map(ref: number, readonly = false): GrantMapping {
    const grant = this.grants.get(ref);
    if (!grant) return { status: GNTST.bad_gntref, why: `grant ${ref} is none` };
    if (grant.readonly && !readonly) {
      return { status: GNTST.general_error, why: `grant ${ref} is for reading` };
    }
    const handle = this.#nextHandle++;
    this.mapped.add(handle);
    return { handle, address: grant.page * PAGE };
  }

  #copy(copies: Uint32Array, toGuest: boolean): Int8Array {
    return Int8Array.from({ length: copies.length / GRANT_COPY.WORDS }, (_, n) => {
      const [ref = 0, offset = 0, length = 0, at = 0] = copies.subarray(n * GRANT_COPY.WORDS);
      const grant = this.grants.get(ref);
      if (!grant) return GNTST.bad_gntref;
      if (toGuest && grant.readonly) return GNTST.general_error;
      if (offset + length > PAGE) return GNTST.bad_copy_arg;
      const address = grant.page * PAGE + offset;
      if (toGuest) this.ram.set(this.bounce.subarray(at, at + length), address);
      else this.bounce.set(this.ram.subarray(address, address + length), at);
      return GNTST.okay;
    });
  }
}

/** A slot of the transmit ring as it is written. */
export type TxSlot =
  | {
      readonly gref: number;
      readonly offset?: number;
      readonly flags?: number;
      readonly id?: number;
      readonly size: number;
    }
  | { readonly extra: readonly number[] };

export interface TxResponse {
  readonly id: number;
  readonly status: number;
}

export interface RxResponse {
  readonly id: number;
  readonly offset: number;
  readonly flags: number;
  readonly status: number;
  /** The eight bytes: an extra, if the one before says so. */
  readonly raw: Uint8Array;
  /** The page that was posted in that slot. */
  readonly page: Uint8Array;
}

/** The guest's end of one queue. */
export class Netfront {
  readonly machine: FakeMachine;
  readonly txRef: number;
  readonly rxRef: number;
  readonly txPort: number;
  readonly rxPort: number;
  readonly #tx: DataView;
  readonly #rx: DataView;
  #txProd = 0;
  #txCons = 0;
  #rxProd = 0;
  #rxCons = 0;
  readonly #posted: Uint8Array[] = [];

  constructor(machine: FakeMachine, txPort = 1, rxPort = txPort) {
    this.machine = machine;
    this.txPort = txPort;
    this.rxPort = rxPort;
    const [tx, rx] = [machine.page(), machine.page()];
    this.txRef = machine.grant(tx.number);
    this.rxRef = machine.grant(rx.number);
    this.#tx = new DataView(tx.bytes.buffer, tx.bytes.byteOffset, PAGE);
    this.#rx = new DataView(rx.bytes.buffer, rx.bytes.byteOffset, PAGE);
    for (const ring of [this.#tx, this.#rx]) {
      ring.setUint32(RING.REQ_EVENT, 1, true);
      ring.setUint32(RING.RSP_EVENT, 1, true);
    }
  }

  /** Writes slots and publishes them; an event is sent in any case. */
  transmit(...slots: readonly TxSlot[]): void {
    for (const slot of slots) {
      const at = RING.SLOTS + (this.#txProd++ % SLOTS) * TX_SLOT;
      if ('extra' in slot) {
        for (let n = 0; n < TX_SLOT; n++) this.#tx.setUint8(at + n, slot.extra[n] ?? 0);
        continue;
      }
      this.#tx.setUint32(at, slot.gref, true);
      this.#tx.setUint16(at + 4, slot.offset ?? 0, true);
      this.#tx.setUint16(at + 6, slot.flags ?? 0, true);
      this.#tx.setUint16(at + 8, slot.id ?? 0, true);
      this.#tx.setUint16(at + 10, slot.size, true);
    }
    this.publish(this.#txProd);
  }

  /** A whole packet in pages of its own, each holding so many bytes of it. */
  packet(
    bytes: Uint8Array,
    { flags = 0, piece = PAGE, extra = undefined as number[] | undefined } = {},
  ): void {
    const pieces: TxSlot[] = [];
    for (let at = 0; at < bytes.length; at += piece) {
      const part = bytes.subarray(at, at + piece);
      const page = this.machine.page();
      const offset = PAGE - part.length;
      page.bytes.set(part, offset);
      const more = at + piece < bytes.length ? NETTXF.MORE_DATA : 0;
      const first = at === 0 ? flags | (extra ? NETTXF.EXTRA_INFO : 0) : 0;
      const gref = this.machine.grant(page.number, true);
      const size = at === 0 ? bytes.length : part.length;
      pieces.push({ gref, offset, size, flags: first | more, id: pieces.length });
    }
    if (extra) pieces.splice(1, 0, { extra });
    this.transmit(...pieces);
  }

  /** Says that so many transmit requests were published, true or not, and sends an event. */
  publish(requests: number): void {
    this.#tx.setUint32(RING.REQ_PROD, requests, true);
    this.machine.raise(this.txPort);
  }

  /** Says that so many receive requests were published, and sends an event. */
  publishRx(requests: number): void {
    this.#rx.setUint32(RING.REQ_PROD, requests, true);
    this.machine.raise(this.rxPort);
  }

  /** Answers to what was transmitted since the last time. */
  answers(): TxResponse[] {
    const answers: TxResponse[] = [];
    while (this.#txCons !== this.#tx.getUint32(RING.RSP_PROD, true)) {
      const at = RING.SLOTS + (this.#txCons++ % SLOTS) * TX_SLOT;
      answers.push({ id: this.#tx.getUint16(at, true), status: this.#tx.getInt16(at + 2, true) });
    }
    this.#tx.setUint32(RING.RSP_EVENT, this.#txCons + 1, true);
    return answers;
  }

  /** Posts pages to receive into. @param refs of grants that are none, instead of good ones. */
  post(count: number, refs: readonly number[] = []): void {
    for (let n = 0; n < count; n++) {
      const at = RING.SLOTS + (this.#rxProd % SLOTS) * RX_SLOT;
      const page = this.machine.page();
      this.#posted[this.#rxProd % SLOTS] = page.bytes;
      this.#rx.setUint16(at, this.#rxProd & 0xffff, true);
      this.#rx.setUint32(at + 4, refs[n] ?? this.machine.grant(page.number), true);
      this.#rxProd++;
    }
    this.publishRx(this.#rxProd);
  }

  /** What was received since the last time, slot by slot. */
  received(): RxResponse[] {
    const responses: RxResponse[] = [];
    while (this.#rxCons !== this.#rx.getUint32(RING.RSP_PROD, true)) {
      const slot = this.#rxCons++ % SLOTS;
      const at = RING.SLOTS + slot * RX_SLOT;
      responses.push({
        id: this.#rx.getUint16(at, true),
        offset: this.#rx.getUint16(at + 2, true),
        flags: this.#rx.getUint16(at + 4, true),
        status: this.#rx.getInt16(at + 6, true),
        raw: new Uint8Array(this.#rx.buffer, this.#rx.byteOffset + at, RX_SLOT).slice(),
        page: this.#posted[slot] ?? new Uint8Array(0),
      });
    }
    this.#rx.setUint32(RING.RSP_EVENT, this.#rxCons + 1, true);
    return responses;
  }

  /** Where the backend asks for an event about posted pages. */
  get rxRequestEvent(): number {
    return this.#rx.getUint32(RING.REQ_EVENT, true);
  }
}
