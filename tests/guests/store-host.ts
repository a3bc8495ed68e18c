/** XenStore for guests of the harness: the real server and ring transport, driven in the harness's own thread. */

import { guestNodes } from '../../dom0/guest-nodes.js';
import { XenstoreClient } from '../../xenstore/client/client.js';
import { XenstoreServer } from '../../xenstore/server/server.js';
import { inProcessChannel } from '../../xenstore/transport/in-process.js';
import { RingTransport } from '../../xenstore/transport/ring.js';
import type { Guest, Harness } from '../support/hypervisor-harness.js';

const PAGE_SIZE = 4096;
const KIB_PER_PAGE = 4;

/** What the store needs to know of a guest. */
type Connected = Pick<Guest, 'domid' | 'created'>;

interface Attached {
  readonly transport: RingTransport;
  readonly port: number;
  readonly mfn: number;
}

export class StoreHost {
  readonly server: XenstoreServer;
  readonly client: XenstoreClient;
  readonly #harness: Harness;
  readonly #rings = new Map<number, Attached>();
  /** What a transport wants to do soon: done between rounds of the hypervisor. */
  readonly #later: (() => void)[] = [];

  constructor(harness: Harness) {
    this.#harness = harness;
    this.server = new XenstoreServer({ hooks: {} });
    this.client = new XenstoreClient(inProcessChannel(this.server));
  }

  /** Writes the nodes of a guest and connects its ring. */
  async attach(
    guest: Connected,
    name: string,
    cpus: { vcpus: number; maxVcpus: number } = { vcpus: 1, maxVcpus: 1 },
  ): Promise<void> {
    const { domid, created } = guest;
    const { totPages } = this.#harness.call('getdomaininfo', { domid });
    const memoryKib = totPages * KIB_PER_PAGE; // the guest's balloon goes by it
    const nodes = guestNodes({
      ...created,
      uuid: `0000-${domid}`,
      name,
      memoryKib,
      maxMemoryKib: memoryKib,
      ...cpus,
      consoleLimit: 1,
    });
    for (const { path, value, perms } of nodes) {
      await this.client.write(path, value);
      if (perms) await this.client.setPerms(path, perms);
    }
    this.#connect(guest);
  }

  /** Lets go of the ring, before the guest is destroyed. */
  detach({ domid }: Connected): void {
    const ring = this.#rings.get(domid);
    if (ring === undefined) return;
    this.#rings.delete(domid);
    ring.transport.close();
    this.#harness.ports.delete(ring.port);
    this.#harness.call('foreignunmap', { domid, mfn: ring.mfn });
    this.#harness.call('evtchn.close', { port: ring.port });
    this.server.domainDied(domid);
  }

  /** To be called between rounds. */
  turn(): void {
    for (const run of this.#later.splice(0)) run();
  }

  #connect({ domid, created }: Connected): void {
    const { storeMfn: mfn, storePort } = created;
    const harness = this.#harness;
    this.server.introduce(domid, mfn, storePort);
    const { address } = harness.call('foreignmap', { domid, mfn });
    const { port } = harness.call('evtchn.bind_interdomain', {
      remoteDom: domid,
      remotePort: storePort,
    });
    const transport = new RingTransport(this.server, {
      domid,
      page: harness.ram.u8.subarray(address, address + PAGE_SIZE),
      notify: () => void harness.post('evtchn.send', { port }),
      defer: (run) => this.#later.push(run),
    });
    harness.ports.set(port, () => transport.kick());
    this.#rings.set(domid, { transport, port, mfn });
    transport.kick();
  }
}
