/** Debian's own kernel, unmodified, as a PV domain: from its bzImage to a shell on the console, and down again. */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect } from 'vitest';
import { BUSYBOX } from '../support/debian.js';
import { LINUX_FILES, LinuxGuest } from '../support/linux-guest.js';
import { testWithPeer } from '../support/peer.js';

describe('Debian 12 Linux', () => {
  testWithPeer(
    'linux-image-amd64 busybox-static',
    LINUX_FILES,
    'boots to a shell, runs programs, balloons and powers off',
    async () => {
      const linux = await LinuxGuest.boot();
      const { harness, store, guest } = linux;
      const run = (command: string) => linux.run(command);
      expect(run('dmesg | grep on.Xen')).toContain('Booting kernel on Xen');
      expect(run('dmesg | grep ABI')).toContain('Using FIFO-based ABI');
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
      const { freeFrames } = harness;
      await linux.balloon(200);
      expect(harness.freeFrames - freeFrames, 'frames the host has back').toBeGreaterThan(14_000);
      await linux.balloon(256);
      expect(harness.freeFrames, 'and gives again').toBeLessThanOrEqual(freeFrames + 16);
      expect(harness.call('hypercallstats', { domid: guest.domid }).missing).toEqual({});
      guest.type('poweroff -f\r');
      expect(linux.ended()).toBe('poweroff');
      expect(harness.bugs).toBe(0);
      store.detach(guest);
      guest.destroy();
    },
  );
});
