/**
 * UDP of guests with the outside: one socket for each address and port of a guest, whomever it talks to, so that others
 * see it at one place (endpoint-independent mapping, RFC 4787 §4.1); only those it has talked to may answer (§5).
 *
 * A socket that is bound to all addresses hears no ICMP errors, so the guest does not either.
 */

import { createSocket, type Socket } from 'node:dgram';
import { quotationOf, UNREACHABLE } from './icmp.js';
import type { Ipv4Address, Ipv4Packet } from './ipv4.js';
import type { Mac } from './mac.js';
import { type Endpoint, type NatContext, route } from './nat-context.js';
import { sendUdp, type UdpDatagram } from './udp.js';
import { copyOf } from './wire.js';

/** Milliseconds without a datagram either way: RFC 4787 §4.3 asks for two minutes. */
const IDLE = 120_000;
/** Whom one flow may talk to at once, and what may wait in its socket. */
const MOST_REMOTES = 256;
const MOST_QUEUED = 1024 * 1024;

interface Remote {
  /** As the guest knows it. */
  readonly address: Ipv4Address;
  readonly port: number;
}

class Flow {
  readonly mac: Mac;
  readonly socket: Socket;
  readonly #remotes = new Map<string, Remote>();
  lastUsed = 0;

  constructor(mac: Mac, socket: Socket) {
    this.mac = mac;
    this.socket = socket;
  }

  remoteOf(endpoint: Endpoint): Remote | undefined {
    return this.#remotes.get(nameOf(endpoint));
  }

  /** Lets a remote answer; the one added first gives way. */
  expect(endpoint: Endpoint, remote: Remote): void {
    const name = nameOf(endpoint);
    if (this.#remotes.has(name)) return;
    for (const oldest of this.#remotes.keys()) {
      if (this.#remotes.size < MOST_REMOTES) break;
      this.#remotes.delete(oldest);
    }
    this.#remotes.set(name, remote);
  }
}

export class UdpFlows {
  readonly #context: NatContext;
  /** In the order of their last use: the first is the first to go. */
  readonly #flows = new Map<string, Flow>();
  #cancelSweep: (() => void) | undefined;

  constructor(context: NatContext) {
    this.#context = context;
  }

  get size(): number {
    return this.#flows.size;
  }

  /** A datagram of a guest. */
  receive(mac: Mac, packet: Ipv4Packet, datagram: UdpDatagram): void {
    const remote = { address: packet.destination, port: datagram.destination };
    const endpoint = route(this.#context, 'udp', remote.address, remote.port);
    if (!endpoint) {
      const quotation = quotationOf(packet);
      this.#context.unreachable(mac, packet.source, quotation, UNREACHABLE.PROHIBITED);
      return;
    }
    const flow = this.#flowOf(mac, packet.source, datagram.source);
    flow.expect(endpoint, remote);
    if (flow.socket.getSendQueueSize() + datagram.data.length > MOST_QUEUED) return;
    // Errors of sending (no route, a full buffer) are losses, as on any network.
    flow.socket.send(copyOf(datagram.data), endpoint.port, endpoint.address, () => undefined);
  }

  forget(mac: Mac): void {
    for (const [key, flow] of this.#flows) if (flow.mac === mac) this.#drop(key, flow);
  }

  close(): void {
    this.#cancelSweep?.();
    for (const [key, flow] of this.#flows) this.#drop(key, flow);
  }

  #flowOf(mac: Mac, guest: Ipv4Address, port: number): Flow {
    const key = `${guest}:${port}`;
    const known = this.#flows.get(key);
    const flow = known ?? this.#open(key, mac, guest, port);
    this.#touch(key, flow);
    return flow;
  }

  #open(key: string, mac: Mac, guest: Ipv4Address, port: number): Flow {
    this.#makeRoom(mac);
    const socket = createSocket('udp4');
    const flow = new Flow(mac, socket);
    socket.on('error', () => this.#drop(key, flow));
    socket.on('message', (data, from) => {
      const remote = flow.remoteOf(from);
      if (!remote || this.#flows.get(key) !== flow) return;
      this.#touch(key, flow);
      const answer = { mac, source: remote.address, destination: guest };
      sendUdp(this.#context.output, answer, { source: remote.port, destination: port, data });
    });
    this.#cancelSweep ??= this.#context.host.after(IDLE, () => this.#sweep());
    return flow;
  }

  #touch(key: string, flow: Flow): void {
    flow.lastUsed = this.#context.host.now();
    this.#flows.delete(key);
    this.#flows.set(key, flow);
  }

  /** The flow of the guest that was unused for longest gives way to a new one. */
  #makeRoom(mac: Mac): void {
    const own = [...this.#flows].filter(([, flow]) => flow.mac === mac);
    const [first] = own;
    if (first && own.length >= this.#context.limits.udpFlows) this.#drop(...first);
  }

  #sweep(): void {
    const now = this.#context.host.now();
    for (const [key, flow] of this.#flows) {
      if (now - flow.lastUsed < IDLE) break;
      this.#drop(key, flow);
    }
    const again = this.#flows.size > 0;
    this.#cancelSweep = again ? this.#context.host.after(IDLE / 4, () => this.#sweep()) : undefined;
  }

  #drop(key: string, flow: Flow): void {
    if (this.#flows.get(key) !== flow) return;
    this.#flows.delete(key);
    flow.socket.close();
  }
}

const nameOf = ({ address, port }: Endpoint): string => `${address}:${port}`;
