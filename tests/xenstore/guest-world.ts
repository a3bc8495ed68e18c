/** A world whose guests are real: each is guests/relay, a kernel that lends its XenStore ring to its console. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Channel, ChannelEvents } from '../../xenstore/protocol/channel.js';
import { XenstoreServer } from '../../xenstore/server/server.js';
import { RingTransport } from '../../xenstore/transport/ring.js';
import { listenOnSocket } from '../../xenstore/transport/unix-socket.js';
import { Harness, image } from '../support/hypervisor-harness.js';
import { socketWire, Wire } from './wire.js';
import { scratchDirectory, type World } from './world.js';

const RELAY = 'relay';
const HANDLE = '01234567-89ab-cdef-0123-456789abcdef';
const PAGE_SIZE = 4096;
const PAGES = 1024;
/** io/console.h: in[1024], out[2048], then the four counters. */
const CONSOLE = { IN_SIZE: 1024, OUT: 1024, OUT_SIZE: 2048, COUNTERS: 3072 } as const;
const COUNTER = { IN_CONS: 0, IN_PROD: 1, OUT_CONS: 2, OUT_PROD: 3 } as const;

interface RealGuest {
  readonly domid: number;
  readonly consoleMfn: number;
  readonly console: ConsoleChannel;
  readonly storeMfn: number;
  readonly storePort: number;
  ring?: RingTransport;
}

/** The bytes of a console ring, as they are. */
class ConsoleChannel implements Channel {
  readonly #bytes: Uint8Array;
  readonly #counters: Int32Array;
  readonly #notify: () => void;
  #events: ChannelEvents | undefined;
  #waiting: Uint8Array[] = [];

  constructor(page: Uint8Array, notify: () => void) {
    this.#bytes = page;
    this.#counters = new Int32Array(page.buffer, page.byteOffset + CONSOLE.COUNTERS, 4);
    this.#notify = notify;
  }

  open(events: ChannelEvents): void {
    this.#events = events;
  }

  send(bytes: Uint8Array): void {
    this.#waiting.push(bytes);
    this.kick();
  }

  /** The guest has notified. */
  kick(): void {
    const moved = this.#type() + this.#drain();
    if (moved > 0) this.#notify();
  }

  close(): void {
    this.#events = undefined;
  }

  #type(): number {
    let moved = 0;
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const produced = Atomics.load(this.#counters, COUNTER.IN_PROD);
      const room = CONSOLE.IN_SIZE - (produced - Atomics.load(this.#counters, COUNTER.IN_CONS));
      const count = Math.min(room, first.length);
      for (let i = 0; i < count; i++) {
        this.#bytes[(produced + i) % CONSOLE.IN_SIZE] = first[i] as number;
      }
      Atomics.store(this.#counters, COUNTER.IN_PROD, produced + count);
      moved += count;
      if (count < first.length) {
        this.#waiting[0] = first.subarray(count);
        break;
      }
      this.#waiting.shift();
    }
    return moved;
  }

  #drain(): number {
    const consumed = Atomics.load(this.#counters, COUNTER.OUT_CONS);
    const count = Atomics.load(this.#counters, COUNTER.OUT_PROD) - consumed;
    const bytes = new Uint8Array(count);
    for (let i = 0; i < count; i++) {
      bytes[i] = this.#bytes[CONSOLE.OUT + ((consumed + i) % CONSOLE.OUT_SIZE)] as number;
    }
    Atomics.store(this.#counters, COUNTER.OUT_CONS, consumed + count);
    if (count > 0) this.#events?.data(bytes);
    return count;
  }
}

/** One hypervisor for many worlds, run between the turns of the event loop. */
export class Machine {
  readonly harness = new Harness({ memory: 96 });
  readonly #guests = new Map<number, RealGuest>();
  #running = true;

  constructor() {
    const turn = (): void => {
      if (!this.#running) return;
      if (this.#guests.size > 0) this.harness.hypervisor.step();
      setImmediate(turn);
    };
    turn();
  }

  create(domid: number): RealGuest {
    const known = this.#guests.get(domid);
    if (known !== undefined) return known;
    const { harness } = this;
    const created = harness.call('createdomain', {
      domid,
      handle: HANDLE,
      memoryPages: PAGES,
      cmdline: '',
      kernel: image(RELAY),
      paused: false,
    });
    const { port } = harness.call('evtchn.bind_interdomain', {
      remoteDom: domid,
      remotePort: created.consolePort,
    });
    const page = this.#page(domid, created.consoleMfn);
    const console = new ConsoleChannel(page, () => harness.post('evtchn.send', { port }));
    harness.ports.set(port, () => console.kick());
    const { consoleMfn, storeMfn, storePort } = created;
    const guest = { domid, consoleMfn, console, storeMfn, storePort };
    this.#guests.set(domid, guest);
    return guest;
  }

  /** Maps the guest's store page and serves it, or starts it anew. */
  introduce(server: XenstoreServer, domid: number): void {
    const guest = this.create(domid);
    if (guest.ring !== undefined) {
      guest.ring.restart();
      return;
    }
    const { harness } = this;
    const { port } = harness.call('evtchn.bind_interdomain', {
      remoteDom: domid,
      remotePort: guest.storePort,
    });
    const ring = new RingTransport(server, {
      domid,
      page: this.#page(domid, guest.storeMfn),
      notify: () => harness.post('evtchn.send', { port }),
      defer: (run) => void setImmediate(run),
    });
    guest.ring = ring;
    // Never from within a step: the server must not run in the middle of a hypercall.
    harness.ports.set(port, () => void setImmediate(() => ring.kick()));
  }

  guest(domid: number): RealGuest {
    const guest = this.#guests.get(domid);
    if (guest === undefined) throw new Error(`no domain ${domid}`);
    return guest;
  }

  destroy(domid: number): void {
    const guest = this.#guests.get(domid);
    if (guest === undefined) return;
    guest.ring?.close();
    this.#guests.delete(domid);
    this.harness.call('destroydomain', { domid });
  }

  destroyAll(): void {
    for (const domid of [...this.#guests.keys()]) this.destroy(domid);
  }

  stop(): void {
    this.destroyAll();
    this.#running = false;
  }

  #page(domid: number, mfn: number): Uint8Array {
    const { address } = this.harness.call('foreignmap', { domid, mfn });
    return this.harness.ram.u8.subarray(address, address + PAGE_SIZE);
  }
}

/** Our server, privileged connections over its socket, guests that are real. */
export async function guestWorld(machine: Machine): Promise<World> {
  const directory = scratchDirectory();
  const domains = new Set([0]);
  const server: XenstoreServer = new XenstoreServer({
    hooks: {
      domainExists: (domid) => domains.has(domid),
      introduce: (domid) => machine.introduce(server, domid),
    },
  });
  const socket = await listenOnSocket(server, join(directory, 's'));
  return {
    name: 'ours',
    server,
    privileged: () => socketWire(socket.path),
    createDomain(domid) {
      domains.add(domid);
      machine.create(domid);
    },
    guest: async (domid) => new Wire(machine.guest(domid).console),
    domainEvent(domid, state) {
      if (state === 's') {
        server.domainShutdown(domid);
        return;
      }
      domains.delete(domid);
      server.domainDied(domid);
      machine.destroy(domid);
    },
    async close() {
      machine.destroyAll();
      await socket.close();
      rmSync(directory, { recursive: true });
    },
  };
}
