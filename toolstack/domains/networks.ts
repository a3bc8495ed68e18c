/** The networks of the host in the toolstack's words: switches, leases, forwards, captures. */

import type { StreamCapture } from '../../dom0/network/capture.js';
import type { Forward as Running } from '../../dom0/network/forwards.js';
import type { Network } from '../../dom0/network/network.js';
import type { PortCounters, Switch } from '../../dom0/network/port.js';
import type { Forward, ForwardCreate, NetworkInfo } from '../schemas/network.js';
import { CommandError } from './errors.js';

/** The network that leads outside. */
export const OUTSIDE = 'xenbr0';

export class Networks {
  readonly #network: Network;

  constructor(network: Network) {
    this.#network = network;
  }

  /** The switch of that name, made when it is first asked for. */
  switch(bridge: string): Switch {
    return this.#network.switch(bridge);
  }

  /** Has DHCP give an interface the address that its configuration names, if it names one. */
  reserve(vif: { bridge: string; mac: string; ip?: string | undefined }, pointer: string): void {
    const { bridge, mac, ip } = vif;
    if (ip === undefined || bridge !== OUTSIDE) return;
    try {
      this.#network.reserve(mac, ip);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      throw badField(`${pointer}/ip`, error.message, ip);
    }
  }

  /** The address that an interface has been given. */
  addressOf(bridge: string, mac: string): string | undefined {
    if (bridge !== OUTSIDE) return undefined;
    return this.#network.leases().find((lease) => lease.mac === mac)?.address;
  }

  list(): NetworkInfo[] {
    return Object.entries(this.#network.counters()).map(([name, ports]) => ({
      name,
      ...(name === OUTSIDE && { gateway: this.#network.gateway }),
      ports: Object.entries(ports).map(([port, counters]) => describePort(port, counters)),
      leases: name === OUTSIDE ? this.#leases() : [],
    }));
  }

  read(name: string): NetworkInfo {
    const found = this.list().find((network) => network.name === name);
    if (found === undefined) {
      throw new CommandError('no-such-network', `There is no network "${name}".`);
    }
    return found;
  }

  forwards(name: string): Forward[] {
    this.#requireNat(name);
    return this.#network.forwards.list().map(describeForward);
  }

  async addForward(
    name: string,
    { protocol, hostPort, guestAddress, guestPort }: ForwardCreate,
  ): Promise<Forward> {
    this.#requireNat(name);
    try {
      const spec = { protocol, hostPort, guestAddress, guestPort };
      return describeForward(await this.#network.forwards.add(spec));
    } catch (error) {
      if (error instanceof TypeError) throw badField('/guestAddress', error.message, guestAddress);
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === undefined) throw error;
      throw badField('/hostPort', message, String(hostPort));
    }
  }

  removeForward(name: string, id: number): void {
    this.#requireNat(name);
    if (this.#network.forwards.remove(id)) return;
    throw new CommandError('no-such-forward', `There is no forward ${id}.`);
  }

  /** What passes at one port, as pcapng, until its reader leaves. */
  capture(bridge: string, portName: string): StreamCapture {
    const port = this.#network.switch(bridge).ports.find(({ name }) => name === portName);
    if (port === undefined) throw new CommandError('wrong-state', `${portName} is not attached.`);
    return this.#network.captureToStream(bridge, { port });
  }

  #leases(): NetworkInfo['leases'] {
    return this.#network.leases().map(({ mac, address, state, hostName }) => ({
      mac,
      address,
      state,
      ...(hostName !== undefined && { hostName }),
    }));
  }

  #requireNat(name: string): void {
    this.read(name);
    if (name === OUTSIDE) return;
    const message = `The network "${name}" leads nowhere: only ${OUTSIDE} has forwards.`;
    throw new CommandError('wrong-state', message);
  }
}

const describeForward = ({ hostAddress = '127.0.0.1', ...rest }: Running): Forward => ({
  hostAddress,
  ...rest,
});

const describePort = (name: string, { sent, received, drops }: PortCounters) => ({
  name,
  sent: { ...sent },
  received: { ...received },
  drops: { ...drops },
});

const badField = (pointer: string, detail: string, found: string): CommandError =>
  new CommandError('bad-value', `${pointer.slice(1)}: ${detail}.`, {
    errors: [{ pointer, detail, found }],
  });
