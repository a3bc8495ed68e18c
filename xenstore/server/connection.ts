/** One client: what it has sent, what waits for it, its watches and its transactions. */
import { XS, XS_LIMIT } from '../../hypervisor/public/io/xs-wire.js';
import { type Packet, PacketWriter } from '../protocol/packet.js';
import { PacketParser } from '../protocol/parser.js';
import type { Author } from '../store/node.js';
import type { Actor } from '../store/permissions.js';
import type { Transaction } from '../store/transaction.js';
import type { Watched } from '../store/watches.js';
import type { Link } from './types.js';

export interface Watch extends Watched {
  readonly connection: Connection;
  /** The path as the client named it: relative ones get relative events. */
  readonly name: string;
  readonly token: string;
  /** Characters of an event's absolute path that a relative name hides. */
  readonly hidden: number;
  /** The absolute path, or the special name. */
  readonly path: string;
}

/** What a connection needs of the server. */
export interface ConnectionOwner {
  /** Answers one packet. */
  handle(connection: Connection, packet: Packet): void;
  /** There are bytes to be sent at the end of this turn. */
  dirty(connection: Connection): void;
  /** Sends what this turn has gathered, for all connections. */
  flush(): void;
  closed(connection: Connection): void;
  readonly eventBacklog: number;
}

/** Bytes gathered in one turn before they are sent without waiting for its end. */
const FLUSH_AT = 64 * 1024;

export class Connection {
  readonly id: number;
  readonly domid: number;
  readonly transport: string;
  readonly author: Author;
  readonly watches = new Map<string, Watch>();
  readonly transactions = new Map<number, Transaction>();
  /** Counted for the inspector. */
  requests = 0;
  events = 0;
  /** The domain with whose rights this one acts too (SET_TARGET). */
  target: number | undefined;
  /** Replies waiting for a client that does not read. */
  outstanding = 0;
  nextTransaction = 1;
  open = true;
  readonly #owner: ConnectionOwner;
  readonly #link: Link;
  readonly #parser = new PacketParser();
  readonly #out = new PacketWriter();
  #blocked = false;
  #dirty = false;
  /** Events that wait while the link is blocked: the same one is not queued twice. */
  readonly #waiting = new Set<string>();
  #waitingBytes = 0;

  constructor(id: number, domid: number, transport: string, link: Link, owner: ConnectionOwner) {
    this.id = id;
    this.domid = domid;
    this.transport = transport;
    this.#link = link;
    this.#owner = owner;
    this.author = { connection: id, domid, label: `${transport} ${id} (domain ${domid})` };
  }

  /** In whose name it acts. */
  get actor(): Actor {
    return { domid: this.domid, privileged: this.domid === 0, target: this.target };
  }

  /** Bytes of values that its open transactions hold. */
  get transactionBytes(): number {
    let sum = 0;
    for (const { bytes } of this.transactions.values()) sum += bytes;
    return sum;
  }

  /** Bytes that wait because the client does not read. */
  get backlog(): number {
    return this.#blocked ? this.#out.length : 0;
  }

  /** Whether the transport should hand over more requests; if not, after `drained`. */
  wantsInput(outstandingQuota: number): boolean {
    if (!this.#blocked) return true;
    return this.domid !== 0 && this.outstanding < outstandingQuota;
  }

  /** Bytes from the client, in any portions; they are valid only during the call. */
  receive(bytes: Uint8Array): void {
    if (!this.open) return;
    const parser = this.#parser;
    parser.push(bytes);
    let found = parser.next();
    while (found === 'packet' && this.open) {
      this.#owner.handle(this, parser.packet);
      if (this.#out.length > FLUSH_AT) this.flush();
      found = parser.next();
    }
    this.#owner.flush();
    // xs_wire.h: violating PAYLOAD_MAX "is very bad"; nobody can tell where the next packet starts.
    if (found === 'too-long') this.close(TOO_LONG);
  }

  reply(packet: Packet, body: string): void {
    this.#queue(packet.type, packet.reqId, packet.txId, body);
    if (this.#blocked) this.outstanding += 1;
  }

  fail(packet: Packet, code: string): void {
    this.#queue(XS.ERROR, packet.reqId, packet.txId, `${code}\0`);
    if (this.#blocked) this.outstanding += 1;
  }

  /**
   * Queues an event. One that waits already for a reader that is behind is not queued again.
   * @param special events of "@names", which are all delivered
   */
  event(path: string, token: string, special: boolean): void {
    const body = `${path}\0${token}\0`;
    if (!this.open || body.length > XS_LIMIT.PAYLOAD_MAX) return;
    if (this.#blocked && !this.#admit(body, special)) return;
    this.events += 1;
    this.#queue(XS.WATCH_EVENT, 0, 0, body);
  }

  /** The link can send again. */
  drained(): void {
    this.#blocked = false;
    this.outstanding = 0;
    this.#waiting.clear();
    this.#waitingBytes = 0;
    this.flush();
  }

  flush(): void {
    this.#dirty = false;
    if (this.#blocked || !this.open || this.#out.length === 0) return;
    if (this.#link.send(this.#out.view())) {
      this.#out.clear();
      return;
    }
    this.#blocked = true;
    this.#out.abandon();
  }

  /** Ends the connection from either side: its watches and transactions go with it. */
  close(reason: string): void {
    if (!this.open) return;
    this.open = false;
    this.#owner.closed(this);
    this.#link.close(reason);
  }

  #queue(type: number, reqId: number, txId: number, body: string): void {
    this.#out.packet(type, reqId, txId, body);
    if (this.#dirty) return;
    this.#dirty = true;
    this.#owner.dirty(this);
  }

  #admit(body: string, special: boolean): boolean {
    if (!special && this.#waiting.has(body)) return false;
    this.#waitingBytes += body.length;
    if (this.#waitingBytes > this.#owner.eventBacklog) {
      this.close('slow reader: too many events waiting');
      return false;
    }
    this.#waiting.add(body);
    return true;
  }
}

/** The reason a connection ends with when a payload is too long. */
export const TOO_LONG = 'payload longer than 4096 bytes';
