/**
 * A learning switch: frames go to the port where their destination was last seen, or to all others.
 * Spec: IEEE 802.1D §7 (MAC bridges), without spanning trees: its ports end at guests, not at other bridges.
 */

import type { NetworkHost } from './host.js';
import { isMulticast, MAC_SIZE, type Mac, parseMac, readMac } from './mac.js';
import { MacTable } from './mac-table.js';
import { adaptFrame, completedCopy, type FrameTaker } from './offload.js';
import {
  type AttachOptions,
  type CapturedPacket,
  type CaptureSink,
  type DropReason,
  type Frame,
  MAX_FRAME,
  MIN_FRAME,
  type PortCounters,
  type PortOwner,
  type RateLimit,
  type Switch,
  type SwitchPort,
} from './port.js';
import { RateLimiter } from './rate-limit.js';
import { copyOf, read32 } from './wire.js';

interface PortOptions {
  readonly own: Mac | undefined;
  readonly antiSpoof: boolean;
  readonly rate: RateLimit | undefined;
}

interface Tap {
  readonly port: SwitchPort | undefined;
  readonly sink: CaptureSink;
}

interface Count {
  frames: number;
  bytes: number;
}

/** Addresses 01:80:c2:00:00:00 to 0f belong to the link itself and are never forwarded: 802.1D table 7-10. */
const RESERVED_GROUP = 0x0180_c200;

class Port implements SwitchPort, FrameTaker {
  readonly owner: PortOwner;
  /** Its own address, and the only one it may use, if there is one. */
  readonly own: Mac | undefined;
  readonly only: Mac | undefined;
  readonly sent: Count = { frames: 0, bytes: 0 };
  readonly received: Count = { frames: 0, bytes: 0 };
  // biome-ignore format: one row per reason
  readonly drops: Record<DropReason, number> =
    { spoofed: 0, 'too-long': 0, truncated: 0, malformed: 0, rate: 0, full: 0, 'no-route': 0 };
  readonly #switch: LearningSwitch;
  readonly #limiter: RateLimiter | undefined;
  #open = true;

  constructor(network: LearningSwitch, host: NetworkHost, owner: PortOwner, options: PortOptions) {
    this.#switch = network;
    this.owner = owner;
    this.own = options.own;
    this.only = options.antiSpoof ? options.own : undefined;
    const { rate } = options;
    if (rate) this.#limiter = new RateLimiter(host, rate, (frame) => network.forward(this, frame));
  }

  get name(): string {
    return this.owner.name;
  }

  get counters(): PortCounters {
    const { sent, received, drops } = this;
    return { sent: { ...sent }, received: { ...received }, drops: { ...drops } };
  }

  send(frame: Frame): void {
    if (!this.#open) return;
    const refusal = this.#switch.examine(this, frame.bytes);
    if (refusal !== undefined) this.drops[refusal]++;
    else if (!this.#limiter) this.#switch.forward(this, frame);
    else if (!this.#limiter.pass(frame)) this.drops.rate++;
  }

  /** A frame for the owner, in a form it can take. */
  take(frame: Frame): void {
    if (!this.#open) return;
    if (!this.owner.receive(frame)) {
      this.drops.full++;
      return;
    }
    this.received.frames++;
    this.received.bytes += frame.bytes.length;
    this.#switch.show(this, 'received', frame);
  }

  close(): void {
    this.#open = false;
    this.#limiter?.close();
    this.#switch.detach(this);
  }
}

export class LearningSwitch implements Switch {
  readonly name: string;
  readonly #host: NetworkHost;
  readonly #ports = new Set<Port>();
  readonly #table = new MacTable<Port>();
  readonly #taps = new Set<Tap>();
  readonly #detached: ((mac: Mac) => void) | undefined;

  /** @param detached told the address of a port that was closed and had its own. */
  constructor(name: string, host: NetworkHost, detached?: (mac: Mac) => void) {
    this.name = name;
    this.#host = host;
    this.#detached = detached;
  }

  get ports(): readonly SwitchPort[] {
    return [...this.#ports];
  }

  attach(owner: PortOwner, { mac, antiSpoof, rate }: AttachOptions): SwitchPort {
    const own = mac === undefined ? undefined : parseMac(mac);
    if (antiSpoof && own === undefined) throw new TypeError(`${owner.name}: antiSpoof needs a mac`);
    const port = new Port(this, this.#host, owner, { own, antiSpoof, rate });
    if (own !== undefined && !this.#table.fix(own, port)) {
      throw new TypeError(`${owner.name}: ${mac} is another port's address on ${this.name}`);
    }
    this.#ports.add(port);
    return port;
  }

  detach(port: Port): void {
    if (!this.#ports.delete(port)) return;
    this.#table.forget(port);
    if (port.own !== undefined) this.#detached?.(port.own);
  }

  capture(port: SwitchPort | undefined, sink: CaptureSink): () => void {
    const tap: Tap = { port, sink };
    this.#taps.add(tap);
    return () => this.#taps.delete(tap);
  }

  /** @returns why a frame from that port goes nowhere, undefined if it is fit to. */
  examine(from: Port, bytes: Uint8Array): DropReason | undefined {
    if (bytes.length < MIN_FRAME) return 'truncated';
    if (bytes.length > MAX_FRAME) return 'too-long';
    const source = readMac(bytes, MAC_SIZE);
    if (isMulticast(bytes, MAC_SIZE) || source === 0) return 'spoofed';
    if (from.only !== undefined && source !== from.only) return 'spoofed';
    if (!this.#table.learn(source, from, this.#host.now())) return 'spoofed';
    return isReserved(bytes) ? 'no-route' : undefined;
  }

  forward(from: Port, frame: Frame): void {
    from.sent.frames++;
    from.sent.bytes += frame.bytes.length;
    this.show(from, 'sent', frame);
    const to = isMulticast(frame.bytes, 0)
      ? undefined
      : this.#table.lookup(readMac(frame.bytes, 0), this.#host.now());
    if (to === from) from.drops['no-route']++;
    else if (to) deliver(to, frame);
    else for (const port of this.#ports) if (port !== from) deliver(port, frame);
  }

  /** Captures of all ports see a frame once, where it enters; those of one port both ways. */
  show(
    at: Port,
    direction: CapturedPacket['direction'],
    { bytes, checksumBlank, gso }: Frame,
  ): void {
    for (const { port, sink } of this.#taps) {
      if (port === undefined ? direction !== 'sent' : port !== at) continue;
      const copy = copyOf(checksumBlank || gso ? completedCopy(bytes) : bytes);
      const timestampNs = this.#host.wallClockNs();
      sink({ timestampNs, bytes: copy, originalLength: copy.length, port: at.name, direction });
    }
  }
}

function deliver(to: Port, frame: Frame): void {
  const refusal = adaptFrame(frame, to.owner.capabilities(), to);
  if (refusal !== undefined) to.drops[refusal]++;
}

const isReserved = (bytes: Uint8Array): boolean =>
  read32(bytes, 0) === RESERVED_GROUP && bytes[4] === 0 && (bytes[5] ?? 0) < 0x10;
