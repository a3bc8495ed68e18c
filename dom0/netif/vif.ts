/**
 * A network interface of a guest from dom0's side: a split device whose rings end at a port of a virtual switch.
 *
 *   guest ── tx ring ──▶ TxQueue ──▶ SwitchPort.send ──▶ switch
 *   guest ◀── rx ring ── RxQueue ◀── PortOwner.receive ◀── switch
 *
 * The port is there for as long as the device is attached; frames for a guest that is not connected are dropped.
 * Spec: Xen public/io/netif.h.
 */

import { NETIF_FRONTEND_NODES } from '../../hypervisor/public/io/netif.js';
import type { Device, DeviceEvent, DeviceStatus } from '../device.js';
import type { Dom0 } from '../guest.js';
import type { Frame, PortCapabilities, PortOwner, Switch, SwitchPort } from '../network/port.js';
import { type ReadFrontend, XenbusDevice } from '../xenbus-device.js';
import { newCounters } from './counters.js';
import { backendNodes, type FrontendFeatures, frontendNodes, readFeatures } from './features.js';
import { chooseQueue } from './flow-hash.js';
import { MulticastFilter } from './multicast-filter.js';
import { VifQueue } from './vif-queue.js';
import type { VifSpec } from './vif-spec.js';

const ETHERNET_HEADER = 14;
const DEFAULT_MTU = 1500;
const { REQUEST_MULTICAST_CONTROL } = NETIF_FRONTEND_NODES;

/**
 * Attaches an interface to a domain and to a switch; the guest's driver finds it and connects.
 * @throws TypeError if the address is none or is in use on that switch; XenStoreError.
 */
export async function attachVif(
  dom0: Dom0,
  domid: number,
  spec: VifSpec,
  network: Switch,
  onEvent: (event: DeviceEvent) => void,
): Promise<Device> {
  const vif = new Vif(dom0, domid, spec, network, onEvent);
  await vif.attach();
  return vif;
}

class Vif implements Device, PortOwner {
  readonly kind = 'vif';
  readonly devid: number;
  readonly name: string;
  readonly #dom0: Dom0;
  readonly #domid: number;
  readonly #spec: VifSpec;
  readonly #port: SwitchPort;
  readonly #xenbus: XenbusDevice;
  readonly #counters = newCounters();
  readonly #multicast = new MulticastFilter();
  #queues: VifQueue[] = [];
  #features: FrontendFeatures | undefined;
  #isWatching = false;

  constructor(
    dom0: Dom0,
    domid: number,
    spec: VifSpec,
    network: Switch,
    onEvent: (event: DeviceEvent) => void,
  ) {
    const { devid, mac, rate, antiSpoof = false } = spec;
    this.devid = devid;
    this.name = `vif${domid}.${devid}`;
    this.#dom0 = dom0;
    this.#domid = domid;
    this.#spec = spec;
    this.#port = network.attach(this, { mac, antiSpoof, rate });
    this.#xenbus = new XenbusDevice(
      dom0,
      {
        kind: 'vif',
        domid,
        devid,
        name: `vif ${devid}`,
        frontendNodes: frontendNodes(spec),
        backendNodes: backendNodes(spec),
      },
      {
        connect: (read) => this.#connect(read),
        disconnect: () => this.#disconnect(),
        event: onEvent,
      },
    );
  }

  async attach(): Promise<void> {
    try {
      await this.#xenbus.attach();
    } catch (error) {
      this.#port.close();
      throw error;
    }
  }

  async detach(options: { readonly waitMs: number }): Promise<void> {
    await this.#xenbus.detach(options);
    this.#port.close();
  }

  status(): DeviceStatus {
    const { devid, kind } = this;
    const { backendState, frontendState } = this.#xenbus;
    const drops = Object.entries(this.#port.counters.drops);
    return {
      kind,
      devid,
      backendState,
      frontendState,
      counters: {
        ...this.#counters,
        ...Object.fromEntries(drops.map(([reason, count]) => [`drop-${reason}`, count])),
      },
      negotiated: this.#negotiated(),
    };
  }

  capabilities(): PortCapabilities {
    const {
      sg = false,
      gsoTcp4 = false,
      gsoTcp6 = false,
      checksum = false,
      checksum6 = false,
    } = this.#features ?? {};
    const mtu = sg ? (this.#spec.mtu ?? DEFAULT_MTU) : DEFAULT_MTU;
    return {
      // A port does not tell the two apart; there is hardly a frontend that does.
      checksum: checksum && checksum6,
      gsoTcp4,
      gsoTcp6,
      maxFrame: ETHERNET_HEADER + mtu,
    };
  }

  receive(frame: Frame): boolean {
    const { bytes } = frame;
    const queue = this.#queues[chooseQueue(bytes, this.#queues.length)];
    if (queue !== undefined && !this.#multicast.passes(bytes)) {
      this.#counters.rxFiltered += 1;
      return true;
    }
    const isTaken = queue?.receive(frame) === true;
    if (!isTaken) this.#counters.rxFull += 1;
    return isTaken;
  }

  async #connect(read: ReadFrontend): Promise<void> {
    const features = await readFeatures(read);
    await this.#watchMulticast(read);
    const parts = {
      privcmd: this.#dom0.privcmd,
      domid: this.#domid,
      counters: this.#counters,
      rxNotifies: features.rxNotify,
      send: (frame: Frame) => this.#port.send(frame),
      multicast: (join: boolean, address: Uint8Array) => this.#multicast.change(join, address),
      fail: (reason: string) => this.#xenbus.fail(reason),
    };
    for (const nodes of features.queues) this.#queues.push(await VifQueue.connect(parts, nodes));
    this.#features = features;
  }

  async #disconnect(): Promise<void> {
    const queues = this.#queues;
    this.#queues = [];
    this.#features = undefined;
    await Promise.all(queues.map((queue) => queue.disconnect()));
    await this.#unwatchMulticast();
    this.#multicast.clear();
  }

  /** The guest may change its mind at any time. */
  async #watchMulticast(read: ReadFrontend): Promise<void> {
    const look = async (): Promise<void> => {
      this.#multicast.active = (await read(REQUEST_MULTICAST_CONTROL)) === '1' && this.#isWatching;
    };
    this.#isWatching = true;
    await this.#dom0.store.watch(this.#multicastNode, this.name, () => void look());
  }

  async #unwatchMulticast(): Promise<void> {
    if (!this.#isWatching) return;
    this.#isWatching = false;
    await this.#dom0.store.unwatch(this.#multicastNode, this.name).catch(() => undefined);
  }

  get #multicastNode(): string {
    return `${this.#xenbus.frontendPath}/${REQUEST_MULTICAST_CONTROL}`;
  }

  #negotiated(): DeviceStatus['negotiated'] {
    const { mac, bridge } = this.#spec;
    if (this.#features === undefined) return { mac, bridge };
    const { queues, ...features } = this.#features;
    return {
      mac,
      bridge,
      ...features,
      multicastControl: this.#multicast.active,
      queues: queues.length,
      splitEventChannels: queues.some(({ txPort, rxPort }) => txPort !== rxPort),
    };
  }
}
