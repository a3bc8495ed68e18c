/** Debian's own kernel as a guest of the harness: booted to a shell on the console, with commands run in it. */

import { readFileSync } from 'node:fs';
import { unpack } from '../../toolstack/domains/unpack.js';
import { StoreHost } from '../guests/store-host.js';
import { BUSYBOX, KERNEL } from './debian.js';
import { type Guest, Harness } from './hypervisor-harness.js';
import { initramfs } from './initramfs.js';

const MIB = 1024 * 1024;
const PAGES_PER_MIB = 256;
const KIB_PER_MIB = 1024;
const BOOT_MS = 280_000;
const COMMAND_MS = 120_000;

/** What has to be there, for testWithPeer. */
export const LINUX_FILES = [KERNEL, BUSYBOX];

export interface LinuxOptions {
  /** MiB; 256 if absent. */
  readonly memory?: number;
  readonly vcpus?: number;
  readonly maxVcpus?: number;
  /** Programs in its root file system, by path. */
  readonly files?: Readonly<Record<string, Uint8Array>>;
}

export class LinuxGuest {
  readonly harness: Harness;
  readonly store: StoreHost;
  readonly guest: Guest;

  private constructor(harness: Harness, store: StoreHost, guest: Guest) {
    this.harness = harness;
    this.store = store;
    this.guest = guest;
  }

  /** @returns a kernel whose shell waits for commands. */
  static async boot(options: LinuxOptions = {}): Promise<LinuxGuest> {
    const { memory = 256, vcpus = 1, maxVcpus = vcpus, files = {} } = options;
    const harness = new Harness({ memory: memory + 64 });
    const store = new StoreHost(harness);
    const guest = harness.create(await unpack(readFileSync(KERNEL), 128 * MIB), {
      memoryPages: memory * PAGES_PER_MIB,
      vcpus,
      maxVcpus,
      cmdline: 'console=hvc0',
      ramdisk: initramfs(readFileSync(BUSYBOX), undefined, files),
      paused: true,
    });
    await store.attach(guest, 'linux', { vcpus, maxVcpus });
    harness.call('unpausedomain', { domid: guest.domid });
    const linux = new LinuxGuest(harness, store, guest);
    if (!linux.until(/XENOLITH-INIT[\s\S]*\/ # /, BOOT_MS)) {
      throw new Error(`no shell: ${guest.output}\n${harness.log}`);
    }
    return linux;
  }

  /** Runs until the console shows it. @returns false if it does not. */
  until(pattern: RegExp, ms = COMMAND_MS): boolean {
    return this.harness.runUntil(() => {
      this.store.turn();
      return this.guest.shows(pattern, 0) || pattern.test(this.guest.output);
    }, ms);
  }

  /** What a command prints, up to the next prompt, and `<done STATUS>`. @throws if it does not end. */
  run(command: string): string {
    this.guest.output = '';
    this.guest.type(`${command}; echo "<done $?>"\r`);
    if (!this.until(/\n<done \d+>/)) throw new Error(`${command}:\n${this.guest.output}`);
    return this.guest.output.replaceAll('\r', '');
  }

  /** Writes a node of the guest's, as the toolstack does. */
  async write(node: string, value: string): Promise<void> {
    await this.store.client.write(`/local/domain/${this.guest.domid}/${node}`, value);
  }

  /** Sets the balloon's target. @throws if the kernel does not come to have so many MiB. */
  async balloon(mib: number): Promise<void> {
    await this.write('memory/target', String(mib * KIB_PER_MIB));
    const reached = () => {
      this.store.turn();
      return this.guest.info.totPages === mib * PAGES_PER_MIB;
    };
    if (!this.harness.runUntil(reached, COMMAND_MS)) {
      throw new Error(`${this.guest.info.totPages} pages, not ${mib} MiB`);
    }
  }

  /** Runs until the domain has shut down. @returns why, undefined if it has not. */
  ended(ms = COMMAND_MS): string | undefined {
    const { harness, guest } = this;
    const isOver = () => {
      this.store.turn();
      return harness.events.some((e) => e.event === 'domain' && e.domid === guest.domid);
    };
    return harness.runUntil(isOver, ms) ? guest.info.shutdownReason : undefined;
  }
}
