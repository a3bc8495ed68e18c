/** dom0 on a real hypervisor thread, without toolstack and REST: guests with console and store, to attach devices to. */

import { randomUUID } from 'node:crypto';
import { Console } from '../../dom0/console.js';
import { connectGuest, type Dom0, disconnectGuest } from '../../dom0/guest.js';
import { Privcmd } from '../../dom0/privcmd.js';
import { HypervisorThread } from '../../toolstack/host/hypervisor-thread.js';
import { startStore } from '../../toolstack/host/store.js';
import { XenstoreClient } from '../../xenstore/client/client.js';
import { inProcessChannel } from '../../xenstore/transport/in-process.js';

const PAGES_PER_MIB = 256;
const KIB_PER_MIB = 1024;
const CONSOLE_BYTES = 1024 * 1024;

export interface HostGuestOptions {
  readonly name: string;
  readonly kernel: Uint8Array;
  readonly ramdisk?: Uint8Array;
  readonly cmdline?: string;
  /** MiB. */
  readonly memory: number;
  readonly vcpus?: number;
}

export class Dom0Host {
  readonly dom0: Dom0;
  readonly machine: HypervisorThread;
  readonly #guests = new Set<HostGuest>();

  private constructor(dom0: Dom0, machine: HypervisorThread) {
    this.dom0 = dom0;
    this.machine = machine;
  }

  /** @param memory MiB for all guests. */
  static async start(memory: number): Promise<Dom0Host> {
    const machine = new HypervisorThread(memory);
    const privcmd = new Privcmd(machine, machine);
    void machine.ended.then((reason) => privcmd.fail(reason));
    await privcmd.ready;
    const server = startStore(privcmd, () => undefined);
    const store = new XenstoreClient(inProcessChannel(server, { label: 'test' }));
    return new Dom0Host({ privcmd, store }, machine);
  }

  /** A domain that is paused, for devices to be attached first. */
  async create(options: HostGuestOptions): Promise<HostGuest> {
    const { name, kernel, ramdisk, cmdline = '', memory, vcpus = 1 } = options;
    const uuid = randomUUID();
    const created = await this.dom0.privcmd.call('createdomain', {
      handle: uuid,
      memoryPages: memory * PAGES_PER_MIB,
      vcpus,
      maxVcpus: vcpus,
      kernel,
      ...(ramdisk && { ramdisk }),
      cmdline,
      paused: true,
    });
    const memoryKib = memory * KIB_PER_MIB;
    const console = new Console(CONSOLE_BYTES);
    const facts = { uuid, name, memoryKib, maxMemoryKib: memoryKib, vcpus, maxVcpus: vcpus };
    const connected = await connectGuest(
      this.dom0,
      { ...created, ...facts, consoleLimit: CONSOLE_BYTES },
      console,
    );
    const { domid } = created;
    const guest = new HostGuest(this.dom0, domid, console, async () => {
      this.#guests.delete(guest);
      await disconnectGuest(this.dom0, connected);
      await this.dom0.privcmd.call('destroydomain', { domid });
    });
    this.#guests.add(guest);
    return guest;
  }

  /** JavaScript exceptions that escaped in the hypervisor. */
  async bugs(): Promise<number> {
    return (await this.dom0.privcmd.call('physinfo', {})).bugs;
  }

  async close(): Promise<void> {
    for (const guest of this.#guests) await guest.destroy();
    await this.dom0.privcmd.call('stop', {});
    await this.machine.terminate();
  }
}

export class HostGuest {
  readonly domid: number;
  /** Everything it has printed. */
  output = '';
  /** Lets go of it and destroys it; devices are detached before. */
  readonly destroy: () => Promise<void>;
  readonly #dom0: Dom0;
  readonly #console: Console;
  readonly #decoder = new TextDecoder();
  #wake: () => void = () => undefined;

  constructor(dom0: Dom0, domid: number, console: Console, destroy: () => Promise<void>) {
    this.domid = domid;
    this.destroy = destroy;
    this.#dom0 = dom0;
    this.#console = console;
    console.open({
      output: (bytes) => {
        this.output += this.#decoder.decode(bytes, { stream: true });
        this.#wake();
      },
      ended: () => undefined,
    });
  }

  async unpause(): Promise<void> {
    await this.#dom0.privcmd.call('unpausedomain', { domid: this.domid });
  }

  type(text: string): void {
    this.#console.type(new TextEncoder().encode(text));
  }

  /** Waits until the output from `from` on matches. @returns the match. */
  async shows(pattern: RegExp, ms: number, from = 0): Promise<RegExpExecArray> {
    const deadline = performance.now() + ms;
    for (;;) {
      const match = pattern.exec(this.output.slice(from));
      if (match) return match;
      const left = deadline - performance.now();
      if (left <= 0) throw new Error(`no ${pattern} in ${ms} ms:\n${this.output.slice(-4000)}`);
      await this.#moreOutput(Math.min(left, 1000));
    }
  }

  /** What a command prints at a shell's prompt, and its exit status in "<done n>". */
  async run(command: string, ms = 60_000): Promise<string> {
    const from = this.output.length;
    this.type(`${command}; echo "<done $?>"\r`);
    await this.shows(/\n<done \d+>/, ms, from);
    return this.output.slice(from).replaceAll('\r', '');
  }

  #moreOutput(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
