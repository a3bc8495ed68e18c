/** Raw connections for tests: packets out, packets in, nothing hidden. */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { connect } from 'node:net';
import { XS, XS_RING, XS_RING_SIZE } from '../../hypervisor/public/io/xs-wire.js';
import type { Channel } from '../../xenstore/protocol/channel.js';
import { encodePacket, type Packet } from '../../xenstore/protocol/packet.js';
import { PacketParser } from '../../xenstore/protocol/parser.js';

/** How long a test waits for a packet before it gives up. */
const PATIENCE_MS = 5000;

export class Wire {
  /** Events in the order they came. */
  readonly received: Packet[] = [];
  closed: string | undefined;
  readonly #channel: Channel;
  readonly #parser = new PacketParser();
  #wake: (() => void) | undefined;
  #reqId = 0;

  constructor(channel: Channel) {
    this.#channel = channel;
    channel.open({
      data: (bytes) => {
        this.#parser.push(bytes);
        while (this.#parser.next() === 'packet') this.received.push(this.#parser.packet);
        this.#wake?.();
      },
      closed: (reason) => {
        this.closed ??= reason;
        this.#wake?.();
      },
    });
  }

  sendBytes(bytes: Uint8Array): void {
    this.#channel.send(bytes);
  }

  /** @returns the request's id, which its reply will carry. */
  send(type: number, body: string, txId = 0): number {
    this.#reqId += 1;
    this.sendBytes(encodePacket({ type, reqId: this.#reqId, txId, body }));
    return this.#reqId;
  }

  /** All packets up to and with the reply to `reqId`, taken out of `received`. Events have id 0. */
  async until(reqId: number): Promise<Packet[]> {
    const end = Date.now() + PATIENCE_MS;
    for (;;) {
      const at = this.received.findIndex((packet) => packet.reqId === reqId);
      if (at >= 0) return this.received.splice(0, at + 1);
      if (this.closed !== undefined) throw new Error(`connection closed: ${this.closed}`);
      await this.#more(end);
    }
  }

  /** Waits until the other side has closed. */
  async untilClosed(): Promise<string> {
    const end = Date.now() + PATIENCE_MS;
    while (this.closed === undefined) await this.#more(end);
    return this.closed;
  }

  async request(type: number, body: string, txId = 0): Promise<Packet> {
    const packets = await this.until(this.send(type, body, txId));
    return packets[packets.length - 1] as Packet;
  }

  /** Everything that has arrived once the server has certainly handled all earlier packets of everybody. */
  async settle(): Promise<Packet[]> {
    const packets = await this.until(this.send(XS.GET_DOMAIN_PATH, '0\0'));
    return packets.slice(0, -1);
  }

  close(): void {
    this.#channel.close();
  }

  async #more(end: number): Promise<void> {
    const left = end - Date.now();
    if (left <= 0) throw new Error('no answer');
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, left);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }
}

/** A socket whose data is seen as it comes. */
export function socketWire(path: string): Promise<Wire> {
  const socket = connect({ path });
  const wire = new Wire({
    open(events) {
      socket.on('data', (bytes) => events.data(bytes));
      socket.on('close', () => events.closed('closed'));
      socket.on('error', () => undefined);
    },
    send: (bytes) => void socket.write(bytes),
    close: () => void socket.destroy(),
  });
  return new Promise((resolve, reject) => {
    socket.once('connect', () => resolve(wire));
    socket.once('error', reject);
  });
}

/**
 * A ring page that lies in a file which a daemon of another process has mapped.
 * @param kick tells the daemon
 */
export function fileRingChannel(path: string, kick: () => void): Channel {
  const fd = openSync(path, 'r+');
  const word = Buffer.alloc(4);
  const load = (at: number): number => {
    readSync(fd, word, 0, 4, at);
    return word.readUInt32LE();
  };
  const store = (at: number, value: number): void => {
    word.writeUInt32LE(value >>> 0);
    writeSync(fd, word, 0, 4, at);
  };
  const { offset } = XS_RING;
  let waiting = Buffer.alloc(0);
  let timer: NodeJS.Timeout | undefined;

  const pump = (): void => {
    const producer = load(offset.req_prod);
    const room = XS_RING_SIZE - ((producer - load(offset.req_cons)) >>> 0);
    const count = Math.min(room, waiting.length);
    for (let i = 0; i < count; i++) {
      writeSync(fd, waiting, i, 1, offset.req + ((producer + i) % XS_RING_SIZE));
    }
    waiting = waiting.subarray(count);
    store(offset.req_prod, producer + count);
    if (count > 0) kick();
  };
  const takeReplies = (): Buffer => {
    const consumer = load(offset.rsp_cons);
    const count = (load(offset.rsp_prod) - consumer) >>> 0;
    const bytes = Buffer.alloc(count);
    for (let i = 0; i < count; i++) {
      readSync(fd, bytes, i, 1, offset.rsp + ((consumer + i) % XS_RING_SIZE));
    }
    store(offset.rsp_cons, consumer + count);
    if (count > 0) kick();
    return bytes;
  };
  return {
    open(events) {
      timer = setInterval(() => {
        const bytes = takeReplies();
        if (bytes.length > 0) events.data(bytes);
        if (waiting.length > 0) pump();
        if (load(offset.error) !== 0) events.closed(`ring error ${load(offset.error)}`);
      }, 1);
    },
    send(bytes) {
      waiting = Buffer.concat([waiting, bytes]);
      pump();
    },
    close() {
      if (timer === undefined) return;
      clearInterval(timer);
      timer = undefined;
      closeSync(fd);
    },
  };
}
