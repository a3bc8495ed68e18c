/** Debian's own kernel, unmodified, as a PV domain: from its bzImage to a shell on the console, and down again. */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { BUSYBOX } from '../support/debian.js';
import { LINUX_FILES, LinuxGuest } from '../support/linux-guest.js';
import { testWithPeer } from '../support/peer.js';

const MIB = 1024 * 1024;
const GCC = '/usr/bin/gcc';

/** A program of programs/, statically linked. */
function build(source: string): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), 'xenolith-program-'));
  try {
    const program = join(folder, 'program');
    const path = join(import.meta.dirname, 'programs', source);
    execFileSync(GCC, ['-O2', '-static', '-pthread', '-o', program, path]);
    return readFileSync(program);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('Debian 12 Linux', () => {
  testWithPeer(
    'linux-image-amd64 busybox-static gcc',
    [...LINUX_FILES, GCC],
    'boots to a shell, runs programs, balloons and powers off',
    async () => {
      const linux = await LinuxGuest.boot({ files: { 'bin/stress': build('stress.c') } });
      const { harness, store, guest } = linux;
      const run = (command: string) => linux.run(command);
      expect(run('dmesg | grep on.Xen')).toContain('Booting kernel on Xen');
      expect(run('dmesg | grep ABI')).toContain('Using FIFO-based ABI');
      expect(run('cat /proc/cpuinfo')).toContain('model name\t: Xenolith');
      expect(run('uname -a')).toContain('Debian 6.1');
      const digest = createHash('sha256').update(readFileSync(BUSYBOX)).digest('hex');
      expect(run('sha256sum /bin/busybox')).toContain(digest);
      const zeros = createHash('sha256')
        .update(Buffer.alloc(100 * MIB))
        .digest('hex');
      expect(run('dd if=/dev/zero bs=1M count=100 | sha256sum')).toContain(zeros);
      expect(run('gzip -c /bin/busybox | gunzip | cmp - /bin/busybox')).toContain('<done 0>');
      const harmonic = `awk 'BEGIN { for (i = 1; i <= 1000; i++) s += 1 / i; printf "%.9f\\n", s }'`;
      expect(run(harmonic)).toContain('\n7.485470861\n');
      expect(run('seq 1 200 | while read n; do true | expr $n \\* $n; done | tail -n 1')).toContain(
        '\n40000\n',
      );
      expect(run('mkdir /tmp/a && ls -d /tmp/a')).toContain('\n/tmp/a\n');
      expect(run('false')).toContain('<done 1>');
      expect(run('stress')).toContain('VERDICT: success: ');
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
