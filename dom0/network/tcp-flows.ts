/**
 * All TCP connections of guests with the outside. A guest's SYN is answered when the host's own connection stands, so a
 * guest sees a refusal as one; a connection forwarded to a guest is opened towards it.
 */

import type { Socket } from 'node:net';
import { foldSum, ipv4PseudoSum } from './checksum.js';
import { quotationOf, UNREACHABLE } from './icmp.js';
import type { Ipv4Address, Ipv4Packet } from './ipv4.js';
import { PAYLOAD } from './ipv4-output.js';
import type { Mac } from './mac.js';
import { type Endpoint, type NatContext, route } from './nat-context.js';
import { IP_PROTOCOL, TCP, TCP_FLAG } from './protocols.js';
import { type OutgoingSegment, TcpConnection, type TcpState } from './tcp-connection.js';
import { TcpFlow } from './tcp-flow.js';
import { type TcpSegment, writeTcpHeader } from './tcp-segment.js';
import { write16 } from './wire.js';

/** Milliseconds a host is given to answer. */
const CONNECT_PATIENCE = 30_000;
const { ACK, FIN, RST, SYN } = TCP_FLAG;
const NO_OPTIONS = new Uint8Array(0);

/** How the host opens a connection: node:net's connect, or what a test puts in its place. */
export type Connect = (endpoint: Endpoint) => Socket;

/** What a failed connection means to a guest, besides RST: RFC 1812 §5.2.7.1. */
// biome-ignore format: one row per error
const CODES: ReadonlyMap<string, number> = new Map([
  ['ENETUNREACH',  UNREACHABLE.NETWORK],
  ['EHOSTUNREACH', UNREACHABLE.HOST],
  ['EHOSTDOWN',    UNREACHABLE.HOST],
  ['ETIMEDOUT',    UNREACHABLE.HOST],
  ['EACCES',       UNREACHABLE.PROHIBITED],
  ['EPERM',        UNREACHABLE.PROHIBITED],
]);

/** Both ends as the guest sees them. */
interface Ends {
  readonly mac: Mac;
  readonly guest: Ipv4Address;
  readonly guestPort: number;
  readonly remote: Ipv4Address;
  readonly remotePort: number;
}

const OPENING: ReadonlySet<TcpState> = new Set(['opening', 'syn-received']);

interface Entry {
  readonly ends: Ends;
  readonly connection: TcpConnection;
  readonly flow: TcpFlow;
}

export interface TcpFlowInfo extends Ends {
  readonly state: TcpState;
}

export class TcpFlows {
  readonly #context: NatContext;
  readonly #connect: Connect;
  readonly #entries = new Map<string, Entry>();
  /** How many each guest has. */
  readonly #counts = new Map<Mac, number>();
  refused = 0;

  constructor(context: NatContext, connect: Connect) {
    this.#context = context;
    this.#connect = connect;
  }

  list(): TcpFlowInfo[] {
    return [...this.#entries.values()].map(({ ends, connection }) => ({
      ...ends,
      state: connection.state,
    }));
  }

  /** A segment of a guest. */
  receive(mac: Mac, packet: Ipv4Packet, segment: TcpSegment): void {
    const { source: guestPort, destination: remotePort, flags } = segment;
    const ends = { mac, guest: packet.source, guestPort, remote: packet.destination, remotePort };
    const key = keyOf(ends);
    const entry = this.#entries.get(key);
    const opens = (flags & (SYN | ACK | RST)) === SYN;
    if (entry && !(opens && entry.connection.state === 'time-wait')) {
      if (entry.ends.mac === mac) entry.connection.receive(segment);
      return;
    }
    if (entry) this.#remove(key);
    if (opens) this.#open(key, ends, packet, segment);
    else if (!(flags & RST)) this.#refuse(ends, segment);
  }

  /** Opens a connection to a guest for a socket. @returns false if there are too many. */
  forward(ends: Ends, socket: Socket): boolean {
    const key = keyOf(ends);
    if (this.#entries.has(key) || this.#isFull(ends.mac)) return false;
    const { flow, connection } = this.#add(key, ends, socket);
    this.#watch(socket, flow, () => flow.fail());
    connection.connect();
    return true;
  }

  isUsed(ends: Ends): boolean {
    return this.#entries.has(keyOf(ends));
  }

  /** The guest is gone. */
  forget(mac: Mac): void {
    for (const { ends, flow } of [...this.#entries.values()]) if (ends.mac === mac) flow.fail();
  }

  close(): void {
    for (const { flow } of [...this.#entries.values()]) flow.fail();
  }

  #open(key: string, ends: Ends, packet: Ipv4Packet, syn: TcpSegment): void {
    const endpoint = route(this.#context, 'tcp', ends.remote, ends.remotePort);
    if (!endpoint) {
      const quotation = quotationOf(packet);
      this.#context.unreachable(ends.mac, ends.guest, quotation, UNREACHABLE.PROHIBITED);
    } else if (this.#isFull(ends.mac)) {
      this.#refuse(ends, syn);
    } else if (this.#opening(ends.mac) >= this.#context.limits.tcpOpening) {
      this.refused++; // silently: it will ask again
    } else {
      this.#connectTo(endpoint, key, ends, packet, syn);
    }
  }

  #connectTo(
    endpoint: Endpoint,
    key: string,
    ends: Ends,
    packet: Ipv4Packet,
    syn: TcpSegment,
  ): void {
    const socket = this.#connect(endpoint);
    const { flow, connection } = this.#add(key, ends, socket);
    connection.open(syn);
    const quotation = quotationOf(packet);
    this.#watch(socket, flow, (code) => this.#failed(ends, connection, flow, quotation, code));
    socket.setTimeout(CONNECT_PATIENCE, () => {
      this.#failed(ends, connection, flow, quotation, 'ETIMEDOUT');
    });
    socket.once('connect', () => {
      socket.setTimeout(0);
      connection.answer();
    });
  }

  /** @param failed called with the error that ends the socket, or that it has ended by itself. */
  #watch(socket: Socket, flow: TcpFlow, failed: (code: string) => void): void {
    socket.on('error', (error: NodeJS.ErrnoException) => failed(error.code ?? ''));
    socket.once('close', (hadError: boolean) => {
      if (!hadError && !socket.readableEnded) flow.fail();
    });
  }

  #failed(
    ends: Ends,
    connection: TcpConnection,
    flow: TcpFlow,
    quotation: Uint8Array,
    code: string,
  ): void {
    const told = connection.state === 'opening' ? CODES.get(code) : undefined;
    if (told !== undefined) {
      connection.vanish();
      this.#context.unreachable(ends.mac, ends.guest, quotation, told);
    }
    flow.fail();
  }

  #add(key: string, ends: Ends, socket: Socket): Entry {
    const flow = new TcpFlow(socket, () => this.#remove(key, flow));
    const connection = new TcpConnection({
      host: this.#context.host,
      user: flow,
      mtu: this.#context.mtu,
      transmit: (segment) => this.#transmit(ends, segment),
    });
    flow.join(connection);
    const entry = { ends, connection, flow };
    this.#entries.set(key, entry);
    this.#counts.set(ends.mac, (this.#counts.get(ends.mac) ?? 0) + 1);
    return entry;
  }

  /** @param flow only if it is that one: another may have taken its place. */
  #remove(key: string, flow?: TcpFlow): void {
    const entry = this.#entries.get(key);
    if (!entry || (flow && entry.flow !== flow)) return;
    this.#entries.delete(key);
    const left = (this.#counts.get(entry.ends.mac) ?? 1) - 1;
    if (left > 0) this.#counts.set(entry.ends.mac, left);
    else this.#counts.delete(entry.ends.mac);
  }

  #isFull(mac: Mac): boolean {
    const full = (this.#counts.get(mac) ?? 0) >= this.#context.limits.tcpConnections;
    if (full) this.refused++;
    return full;
  }

  #opening(mac: Mac): number {
    let count = 0;
    for (const { ends, connection } of this.#entries.values()) {
      if (ends.mac === mac && OPENING.has(connection.state)) count++;
    }
    return count;
  }

  #transmit(ends: Ends, segment: OutgoingSegment): void {
    const { bytes } = this.#context.output;
    const { guestPort, remotePort } = ends;
    const header = writeTcpHeader(bytes, PAYLOAD, remotePort, guestPort, segment);
    segment.ring.copy(segment.from, segment.length, bytes, PAYLOAD + header);
    this.#send(ends, header + segment.length, segment.length > segment.mss ? segment.mss : 0);
  }

  /** @param cut bytes of payload per segment; 0: it is one. */
  #send({ mac, guest, remote }: Ends, length: number, cut: number): void {
    const { output } = this.#context;
    const pseudo = ipv4PseudoSum(remote, guest, IP_PROTOCOL.TCP, length);
    write16(output.bytes, PAYLOAD + TCP.CHECKSUM, foldSum(pseudo));
    output.send({ mac, source: remote, destination: guest, protocol: IP_PROTOCOL.TCP }, length, {
      checksumBlank: true,
      gso: cut > 0 ? { kind: 'tcpv4', size: cut } : undefined,
    });
  }

  /** RFC 9293 §3.10.7.1: a reset the sender believes. */
  #refuse(ends: Ends, { seq, ack, flags, data }: TcpSegment): void {
    const length = data.length + (flags & SYN ? 1 : 0) + (flags & FIN ? 1 : 0);
    const header = {
      ...(flags & ACK
        ? { seq: ack, ack: 0, flags: RST }
        : { seq: 0, ack: (seq + length) >>> 0, flags: RST | ACK }),
      window: 0,
      options: NO_OPTIONS,
    };
    const { output } = this.#context;
    const size = writeTcpHeader(output.bytes, PAYLOAD, ends.remotePort, ends.guestPort, header);
    this.#send(ends, size, 0);
  }
}

const keyOf = ({ guest, guestPort, remote, remotePort }: Ends): string =>
  `${guest}:${guestPort}>${remote}:${remotePort}`;
