/**
 * Ports of the host that lead to guests. A guest sees who comes through one as the gateway, at a port of its own.
 * They listen on loopback unless told otherwise: what a guest offers is nobody's business on the host's network.
 */

import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import type { NetworkHost } from './host.js';
import { type Ipv4Address, parseIpv4 } from './ipv4.js';
import type { Nat } from './nat.js';
import type { Protocol } from './nat-context.js';
import { isInside } from './subnet.js';
import { sendUdp, type UdpDatagram } from './udp.js';
import { copyOf } from './wire.js';

const LOOPBACK = '127.0.0.1';
/** Ports of the gateway that those who come through seem to have: RFC 6335's dynamic range. */
const FIRST_PORT = 49_152;
const PORTS = 0x1_0000 - FIRST_PORT;
const MOST_FORWARDS = 256;
const MOST_UDP_PEERS = 256;
/** Milliseconds: a silent UDP peer is forgotten; a guest is asked for its MAC so often and so long. */
const UDP_IDLE = 120_000;
const ASK_EVERY = 200;
const ASK_TIMES = 15;

export interface ForwardSpec {
  readonly protocol: Protocol;
  /** 127.0.0.1 if there is none. */
  readonly hostAddress?: string | undefined;
  /** 0: any free one. */
  readonly hostPort: number;
  readonly guestAddress: string;
  readonly guestPort: number;
}

export interface Forward extends Required<ForwardSpec> {
  readonly id: number;
}

interface Listener {
  readonly port: number;
  close(): void;
}

interface Target {
  readonly address: Ipv4Address;
  readonly port: number;
}

export class Forwards {
  readonly #nat: Nat;
  readonly #host: NetworkHost;
  readonly #running = new Map<number, { readonly forward: Forward; readonly listener: Listener }>();
  #lastId = 0;

  constructor(nat: Nat, host: NetworkHost) {
    this.#nat = nat;
    this.#host = host;
  }

  list(): Forward[] {
    return [...this.#running.values()].map(({ forward }) => forward);
  }

  /** Rejects with a TypeError for a guest address outside the network, else with what listening failed with. */
  async add(spec: ForwardSpec): Promise<Forward> {
    const address = parseIpv4(spec.guestAddress);
    const { guestPort: port, hostAddress = LOOPBACK } = spec;
    if (!isInside(this.#nat.subnet, address) || address <= this.#nat.subnet.dns) {
      throw new TypeError(`${spec.guestAddress} is no guest's address`);
    }
    if (!Number.isInteger(port) || port < 1 || port > 0xffff) throw new TypeError('guestPort');
    if (this.#running.size >= MOST_FORWARDS) throw new TypeError('too many forwards');
    const listen = spec.protocol === 'tcp' ? this.#listenTcp : this.#listenUdp;
    const listener = await listen.call(this, hostAddress, spec.hostPort, { address, port });
    const id = ++this.#lastId;
    const forward = { ...spec, hostAddress, hostPort: listener.port, id };
    this.#running.set(id, { forward, listener });
    return forward;
  }

  /** Stops listening; connections that stand stay. @returns false if there is no such forward. */
  remove(id: number): boolean {
    this.#running.get(id)?.listener.close();
    return this.#running.delete(id);
  }

  close(): void {
    for (const id of [...this.#running.keys()]) this.remove(id);
  }

  async #listenTcp(host: string, port: number, target: Target): Promise<Listener> {
    const server: Server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
    server.maxConnections = this.#nat.context.limits.tcpConnections;
    server.on('connection', (socket) => this.#accept(socket, target, ASK_TIMES));
    server.listen({ host, port, exclusive: true });
    await once(server, 'listening');
    server.on('error', () => undefined); // accepting failed: out of files; the next one may do
    const address = server.address();
    const bound = typeof address === 'object' && address ? address.port : port;
    return { port: bound, close: () => server.close() };
  }

  /** Connects a socket to the guest, whose MAC may have to be asked for. */
  #accept(socket: Socket, target: Target, patience: number): void {
    const mac = this.#nat.neighbours.lookup(target.address);
    const ports = { guest: target.address, guestPort: target.port, remotePort: this.#freePort() };
    if (mac !== undefined) {
      const ends = { mac, ...ports, remote: this.#nat.subnet.gateway };
      if (!this.#nat.tcp.forward(ends, socket)) socket.resetAndDestroy();
      return;
    }
    if (patience === ASK_TIMES) socket.on('error', () => undefined);
    if (patience === 0 || socket.destroyed) {
      socket.resetAndDestroy();
      return;
    }
    this.#nat.ask(target.address);
    this.#host.after(ASK_EVERY, () => this.#accept(socket, target, patience - 1));
  }

  #freePort(): number {
    return FIRST_PORT + this.#host.random(PORTS);
  }

  async #listenUdp(host: string, port: number, target: Target): Promise<Listener> {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    socket.bind({ address: host, port, exclusive: true });
    await once(socket, 'listening');
    const peers = new UdpPeers(this.#nat, this.#host, socket, target);
    socket.on('error', () => undefined);
    socket.on('message', (data, from) => peers.toGuest(from, data));
    return { port: socket.address().port, close: () => peers.close() };
  }
}

interface Peer {
  readonly from: RemoteInfo;
  /** The gateway's port that stands for it. */
  readonly port: number;
  lastUsed: number;
}

/** Who sends datagrams to one forwarded port: each has a port of the gateway, so that the guest can answer. */
class UdpPeers {
  readonly #nat: Nat;
  readonly #host: NetworkHost;
  readonly #socket: UdpSocket;
  readonly #target: Target;
  readonly #peers = new Map<string, Peer>();

  constructor(nat: Nat, host: NetworkHost, socket: UdpSocket, target: Target) {
    this.#nat = nat;
    this.#host = host;
    this.#socket = socket;
    this.#target = target;
  }

  toGuest(from: RemoteInfo, data: Uint8Array): void {
    const { address: destination, port } = this.#target;
    const mac = this.#nat.neighbours.lookup(destination);
    if (mac === undefined) {
      this.#nat.ask(destination);
      return;
    }
    const peer = this.#peerOf(from);
    const source = this.#nat.subnet.gateway;
    const datagram = { source: peer.port, destination: port, data };
    sendUdp(this.#nat.context.output, { mac, source, destination }, datagram);
  }

  close(): void {
    for (const [name, peer] of this.#peers) this.#drop(name, peer);
    this.#socket.close();
  }

  #peerOf(from: RemoteInfo): Peer {
    const name = `${from.address}:${from.port}`;
    const known = this.#peers.get(name);
    const peer = known ?? this.#meet(name, from);
    peer.lastUsed = this.#host.now();
    this.#peers.delete(name);
    this.#peers.set(name, peer);
    return peer;
  }

  #meet(name: string, from: RemoteInfo): Peer {
    const now = this.#host.now();
    for (const [oldest, peer] of this.#peers) {
      if (this.#peers.size < MOST_UDP_PEERS && now - peer.lastUsed < UDP_IDLE) break;
      this.#drop(oldest, peer);
    }
    const { forwardedUdp } = this.#nat;
    let port = FIRST_PORT + this.#host.random(PORTS);
    while (forwardedUdp.has(port)) port = port === 0xffff ? FIRST_PORT : port + 1;
    forwardedUdp.set(port, (guest, datagram) => this.#fromGuest(name, guest, datagram));
    return { from, port, lastUsed: now };
  }

  /** @returns whether it is an answer of the guest. */
  #fromGuest(name: string, guest: Ipv4Address, { source, data }: UdpDatagram): boolean {
    const peer = this.#peers.get(name);
    if (!peer || guest !== this.#target.address || source !== this.#target.port) return false;
    peer.lastUsed = this.#host.now();
    this.#socket.send(copyOf(data), peer.from.port, peer.from.address, () => undefined);
    return true;
  }

  #drop(name: string, peer: Peer): void {
    this.#peers.delete(name);
    this.#nat.forwardedUdp.delete(peer.port);
  }
}
