/**
 * The server's end of a guest's ring page. The host calls `kick` when the guest has notified; the guest is notified
 * after each read and each write. Everything in the page is the guest's to spoil: a bad index or a payload too long
 * sets `error`, ends the connection, and nobody else notices. Spec: xenstore-ring.txt.
 */
import {
  XS_CONNECTION,
  XS_FEATURE,
  XS_RING_ERROR,
  XS_RING_SIZE,
} from '../../hypervisor/public/io/xs-wire.js';
import { RingPage } from '../protocol/ring.js';
import { type Connection, TOO_LONG } from '../server/connection.js';
import type { XenstoreServer } from '../server/server.js';

export interface RingOptions {
  readonly domid: number;
  /** The shared page: 4096 bytes of machine memory. */
  readonly page: Uint8Array;
  /** Notifies the guest through its event channel. */
  readonly notify: () => void;
  /** Runs a function soon, after others had their turn. Default: a timer. */
  readonly defer?: (run: () => void) => void;
}

/** Rings full of requests taken before others get a turn. */
const ROUNDS = 4;
const NOTHING: Uint8Array = new Uint8Array(0);

export class RingTransport {
  readonly #server: XenstoreServer;
  readonly #domid: number;
  readonly #ring: RingPage;
  readonly #notify: () => void;
  readonly #defer: (run: () => void) => void;
  readonly #scratch = new Uint8Array(XS_RING_SIZE);
  /** What did not fit in the ring; the connection is blocked until it is empty. */
  #pending: Uint8Array = NOTHING;
  #connection: Connection;
  #closed = false;

  constructor(server: XenstoreServer, options: RingOptions) {
    this.#server = server;
    this.#domid = options.domid;
    this.#ring = new RingPage(options.page, 'server');
    this.#notify = options.notify;
    this.#defer = options.defer ?? ((run) => setTimeout(run, 0));
    this.#connection = this.#connect();
    const features = server.featuresOf(this.#connection);
    this.#ring.setFlag('server_features', features);
    this.#ring.setFlag('connection', XS_CONNECTION.CONNECTED);
    this.#ring.setFlag('error', XS_RING_ERROR.NONE);
  }

  get connection(): Connection {
    return this.#connection;
  }

  /** The guest has notified: it has written requests, read replies, or asks to reconnect. */
  kick(): void {
    if (this.#closed) return;
    if (this.#wantsReconnect()) this.restart();
    this.#pump();
    for (let round = 0; round < ROUNDS; round++) if (!this.#takeRequests()) return;
    this.#defer(() => this.kick());
  }

  /** Empties the rings and forgets the guest's watches and transactions (INTRODUCE again, reconnection). */
  restart(): void {
    this.#pending = NOTHING;
    this.#ring.reset();
    this.#connection = this.#connect();
    this.#closed = false;
    this.#ring.setFlag('error', XS_RING_ERROR.NONE);
    this.#ring.setFlag('connection', XS_CONNECTION.CONNECTED);
    this.#notify();
  }

  /** The host ends it: the page is no longer touched. */
  close(): void {
    this.#closed = true;
    this.#connection.close('ring closed');
  }

  #connect(): Connection {
    // The server closes the domain's earlier connection first; that must not end this transport.
    const made: { connection?: Connection } = {};
    made.connection = this.#server.connect({
      domid: this.#domid,
      transport: 'ring',
      send: (bytes) => this.#send(bytes),
      close: (reason) => {
        if (this.#connection === made.connection) this.#ended(reason);
      },
    });
    return made.connection;
  }

  #wantsReconnect(): boolean {
    const offered = this.#server.featuresOf(this.#connection) & XS_FEATURE.RECONNECTION;
    return offered !== 0 && this.#ring.flag('connection') === XS_CONNECTION.RECONNECT;
  }

  /** @returns whether there may be more. */
  #takeRequests(): boolean {
    const readable = this.#ring.readable;
    if (readable === 'bad-index') return this.#fault(XS_RING_ERROR.RINGIDX);
    const { outstanding } = this.#server.quotasOf(this.#domid);
    if (this.#closed || readable === 0 || !this.#connection.wantsInput(outstanding)) return false;
    this.#ring.take(readable, this.#scratch);
    this.#notify();
    this.#connection.receive(this.#scratch.subarray(0, readable));
    return !this.#closed;
  }

  #send(bytes: Uint8Array): boolean {
    this.#pending = bytes;
    this.#fill();
    return this.#pending.length === 0;
  }

  /** Moves what waits into the ring; when all is in, the connection goes on. */
  #pump(): void {
    if (this.#pending.length === 0) return;
    this.#fill();
    if (!this.#closed && this.#pending.length === 0) this.#connection.drained();
  }

  #fill(): void {
    const writable = this.#ring.writable;
    if (writable === 'bad-index') {
      this.#fault(XS_RING_ERROR.RINGIDX);
      return;
    }
    const count = Math.min(writable, this.#pending.length);
    if (count === 0) return;
    this.#ring.put(this.#pending.subarray(0, count));
    this.#pending = this.#pending.subarray(count);
    this.#notify();
  }

  #fault(error: number): false {
    this.#ring.setFlag('error', error);
    this.#connection.close('bad ring index');
    return false;
  }

  #ended(reason: string): void {
    this.#closed = true;
    if (this.#ring.flag('error') === XS_RING_ERROR.NONE) {
      this.#ring.setFlag('error', reason === TOO_LONG ? XS_RING_ERROR.PROTO : XS_RING_ERROR.COMM);
    }
    this.#notify();
  }
}
