/** The network of dom0, put together: switches by name, the NAT on one of them, forwards, leases, captures, counters. */

import { getServers } from 'node:dns';
import {
  type Capture,
  type CaptureOptions,
  captureToFile,
  captureToStream,
  type StreamCapture,
} from './capture.js';
import { Forwards } from './forwards.js';
import { type NetworkHost, systemHost } from './host.js';
import { formatIpv4, parseIpv4 } from './ipv4.js';
import { formatMac, parseMac } from './mac.js';
import { Nat } from './nat.js';
import type { NatLimits, Policy } from './nat-context.js';
import type { Echo } from './ping.js';
import type { PortCounters, Switch } from './port.js';
import { DEFAULT_NETWORK } from './subnet.js';
import { LearningSwitch } from './switch.js';
import type { Connect } from './tcp-flows.js';

export interface NetworkOptions {
  readonly host?: NetworkHost | undefined;
  /** The switch that leads outside: "xenbr0" unless told otherwise. All others are isolated. */
  readonly natSwitch?: string | undefined;
  /** "10.0.2.0/24": the gateway is .2, DNS .3, guests begin at .15. */
  readonly network?: string | undefined;
  readonly mtu?: number | undefined;
  /** The host's own by default. */
  readonly resolvers?: (() => readonly string[]) | undefined;
  /** Ports of the host's loopback that guests do not reach at the gateway: the toolstack's own API must be among them. */
  readonly closedHostPorts?: readonly number[] | undefined;
  /** Forbids more; asked with addresses as guests see them. */
  readonly policy?: Policy | undefined;
  readonly limits?: Partial<NatLimits> | undefined;
  readonly echo?: Echo | undefined;
  readonly connect?: Connect | undefined;
}

export interface LeaseInfo {
  readonly mac: string;
  readonly address: string;
  readonly state: string;
  readonly hostName: string | undefined;
}

export interface ConnectionInfo {
  readonly mac: string;
  /** "address:port" of the guest, and of the other end as the guest sees it. */
  readonly guest: string;
  readonly remote: string;
  readonly state: string;
}

export interface Network {
  /** The switch of that name, made when it is first asked for. */
  switch(name: string): Switch;
  readonly forwards: Forwards;
  readonly gateway: string;
  leases(): LeaseInfo[];
  /** Gives a guest its address in advance: a vif's `ip=`. @throws TypeError if it cannot be. */
  reserve(mac: string, address: string, hostName?: string): void;
  connections(): ConnectionInfo[];
  captureToFile(switchName: string, path: string, options?: CaptureOptions): Promise<Capture>;
  captureToStream(switchName: string, options?: CaptureOptions): StreamCapture;
  counters(): Readonly<Record<string, Readonly<Record<string, PortCounters>>>>;
  /** Packets the NAT could not use, by reason. */
  readonly natDrops: Readonly<Record<string, number>>;
  close(): Promise<void>;
}

const DEFAULT_SWITCH = 'xenbr0';
/** Ethernet's, as netfront expects it. */
const DEFAULT_MTU = 1500;
/** A mistyped bridge name in a loop must not fill memory. */
const MOST_SWITCHES = 1024;

export function createNetwork(options: NetworkOptions = {}): Network {
  return new VirtualNetwork(options);
}

class VirtualNetwork implements Network {
  readonly forwards: Forwards;
  readonly #host: NetworkHost;
  readonly #nat: Nat;
  readonly #switches = new Map<string, LearningSwitch>();
  readonly #captures = new Set<Capture>();

  constructor(options: NetworkOptions) {
    const { host = systemHost, natSwitch = DEFAULT_SWITCH, closedHostPorts = [] } = options;
    this.#host = host;
    const gateway = (): string => this.gateway;
    this.#nat = new Nat({
      ...options,
      host,
      network: options.network ?? DEFAULT_NETWORK,
      mtu: options.mtu ?? DEFAULT_MTU,
      resolvers: options.resolvers ?? getServers,
      policy: (protocol, address, port) =>
        !(address === gateway() && closedHostPorts.includes(port)) &&
        (options.policy?.(protocol, address, port) ?? true),
    });
    this.forwards = new Forwards(this.#nat, host);
    const outside = new LearningSwitch(natSwitch, host, (mac) => this.#nat.forget(mac));
    this.#switches.set(natSwitch, outside);
    this.#nat.attachTo(outside);
  }

  get gateway(): string {
    return formatIpv4(this.#nat.subnet.gateway);
  }

  get natDrops(): Readonly<Record<string, number>> {
    return { ...this.#nat.drops, refused: this.#nat.tcp.refused };
  }

  switch(name: string): LearningSwitch {
    const known = this.#switches.get(name);
    if (known) return known;
    if (this.#switches.size >= MOST_SWITCHES) throw new RangeError('too many switches');
    const isolated = new LearningSwitch(name, this.#host);
    this.#switches.set(name, isolated);
    return isolated;
  }

  leases(): LeaseInfo[] {
    return this.#nat.leases.all().map(({ mac, address, state, hostName }) => ({
      mac: formatMac(mac),
      address: formatIpv4(address),
      state,
      hostName,
    }));
  }

  reserve(mac: string, address: string, hostName?: string): void {
    this.#nat.leases.reserve(parseMac(mac), parseIpv4(address), hostName);
  }

  connections(): ConnectionInfo[] {
    return this.#nat.tcp.list().map(({ mac, guest, guestPort, remote, remotePort, state }) => ({
      mac: formatMac(mac),
      guest: `${formatIpv4(guest)}:${guestPort}`,
      remote: `${formatIpv4(remote)}:${remotePort}`,
      state,
    }));
  }

  async captureToFile(name: string, path: string, options?: CaptureOptions): Promise<Capture> {
    return this.#keep(await captureToFile(this.switch(name), this.#host, path, options));
  }

  captureToStream(name: string, options?: CaptureOptions): StreamCapture {
    return this.#keep(captureToStream(this.switch(name), this.#host, options));
  }

  counters(): Record<string, Record<string, PortCounters>> {
    const ofPorts = (network: LearningSwitch) =>
      Object.fromEntries(network.ports.map(({ name, counters }) => [name, counters]));
    return Object.fromEntries([...this.#switches].map(([name, it]) => [name, ofPorts(it)]));
  }

  async close(): Promise<void> {
    this.forwards.close();
    this.#nat.close();
    await Promise.all([...this.#captures].map((capture) => capture.stop()));
  }

  #keep<C extends Capture>(capture: C): C {
    for (const old of this.#captures) if (!old.running) this.#captures.delete(old);
    this.#captures.add(capture);
    return capture;
  }
}
