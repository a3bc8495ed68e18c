/** Debian's own kernel, unmodified, as a PV domain: from its bzImage to a shell on the console, and down again. */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect } from 'vitest';
import { unpack } from '../../toolstack/domains/unpack.js';
import { BUSYBOX, KERNEL } from '../support/debian.js';
import { Harness } from '../support/hypervisor-harness.js';
import { initramfs } from '../support/initramfs.js';
import { testWithPeer } from '../support/peer.js';
import { StoreHost } from './store-host.js';

const MIB = 1024 * 1024;
const PAGES_PER_MIB = 256;
const BOOT_MS = 120_000;
const COMMAND_MS = 60_000;

/** A booted Linux and a way to have commands run in it. */
async function boot(memory: number, vcpus = 1) {
  const harness = new Harness({ memory: memory + 64 });
  const store = new StoreHost(harness);
  const guest = harness.create(await unpack(readFileSync(KERNEL), 128 * MIB), {
    memoryPages: memory * PAGES_PER_MIB,
    vcpus,
    maxVcpus: vcpus,
    cmdline: 'console=hvc0',
    ramdisk: initramfs(readFileSync(BUSYBOX)),
    paused: true,
  });
  await store.attach(guest, 'linux');
  harness.call('unpausedomain', { domid: guest.domid });
  const until = (pattern: RegExp, ms: number) =>
    harness.runUntil(() => {
      store.turn();
      return guest.shows(pattern, 0) || pattern.test(guest.output);
    }, ms);
  return {
    harness,
    store,
    guest,
    until,
    /** What a command prints, up to the next prompt. */
    run(command: string): string {
      guest.output = '';
      guest.type(`${command}; echo "<done $?>"\r`);
      expect(until(/\n<done \d+>/, COMMAND_MS), `${command}:\n${guest.output}`).toBe(true);
      return guest.output.replaceAll('\r', '');
    },
  };
}

describe('Debian 12 Linux', () => {
  testWithPeer(
    'linux-image-amd64 busybox-static',
    [KERNEL, BUSYBOX],
    'boots to a shell, runs programs and powers off',
    async () => {
      const { harness, store, guest, until, run } = await boot(256);
      expect(until(/XENOLITH-INIT[\s\S]*\/ # /, BOOT_MS), guest.output).toBe(true);
      expect(run('dmesg | grep on.Xen')).toContain('Booting kernel on Xen');
      expect(run('cat /proc/cpuinfo')).toContain('model name\t: Xenolith');
      expect(run('uname -a')).toContain('Debian 6.1');
      const digest = createHash('sha256').update(readFileSync(BUSYBOX)).digest('hex');
      expect(run('sha256sum /bin/busybox')).toContain(digest);
      expect(run('gzip -c /bin/busybox | gunzip | cmp - /bin/busybox')).toContain('<done 0>');
      const harmonic = `awk 'BEGIN { for (i = 1; i <= 1000; i++) s += 1 / i; printf "%.9f\\n", s }'`;
      expect(run(harmonic)).toContain('\n7.485470861\n');
      expect(run('seq 1 200 | while read n; do true | expr $n \\* $n; done | tail -n 1')).toContain(
        '\n40000\n',
      );
      expect(run('mkdir /tmp/a && ls -d /tmp/a')).toContain('\n/tmp/a\n');
      expect(run('false')).toContain('<done 1>');
      guest.type('poweroff -f\r');
      expect(guest.ends()).toBe(true);
      expect(guest.info.shutdownReason).toBe('poweroff');
      expect(harness.bugs).toBe(0);
      store.detach(guest);
      guest.destroy();
    },
  );

  testWithPeer(
    'linux-image-amd64 busybox-static',
    [KERNEL, BUSYBOX],
    'brings up two vCPUs and runs on both',
    async () => {
      const { harness, guest, until, run } = await boot(256, 2);
      expect(until(/XENOLITH-INIT[\s\S]*\/ # /, BOOT_MS), guest.output).toBe(true);
      expect(run('nproc')).toContain('\n2\n');
      for (const cpu of [0, 1]) {
        const where = `taskset ${1 << cpu} sh -c 'cut -d " " -f 39 /proc/self/stat'`;
        expect(run(where)).toContain(`\n${cpu}\n`);
      }
      guest.type('poweroff -f\r');
      expect(guest.ends()).toBe(true);
      expect(guest.info.shutdownReason).toBe('poweroff');
      expect(harness.bugs).toBe(0);
    },
  );
});
