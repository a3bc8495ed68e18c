/** Debian's own kernel on several vCPUs: work and interrupts on each, vCPUs that go and come, orders by XenStore. */

import { describe, expect } from 'vitest';
import { LINUX_FILES, LinuxGuest } from '../support/linux-guest.js';
import { testWithPeer } from '../support/peer.js';

const PACKAGES = 'linux-image-amd64 busybox-static';

/** The sums of the rows of /proc/interrupts with that name, one for each CPU that is online. */
function interrupts(linux: LinuxGuest, row: string): number[] {
  const line = linux.run(`grep ${row} /proc/interrupts`).match(new RegExp(`^ *${row}:(.*)$`, 'm'));
  return [...(line?.[1] ?? '').matchAll(/ (\d+)\b/g)].map(([, count]) => Number(count));
}

/** On which CPU a program runs that may run only there. */
const placeOf = (cpu: number) =>
  `taskset ${(1 << cpu).toString(16)} sh -c 'cut -d " " -f 39 /proc/self/stat'`;

/** Brings a CPU up or down, and tells how many there are. */
const setOnline = (cpu: number, on: 0 | 1) =>
  `echo ${on} > /sys/devices/system/cpu/cpu${cpu}/online; nproc`;

describe('Debian 12 Linux', () => {
  testWithPeer(
    PACKAGES,
    LINUX_FILES,
    'runs on both of two vCPUs, one of which goes and comes back, and reboots when told by XenStore',
    async () => {
      const linux = await LinuxGuest.boot({ vcpus: 2 });
      expect(linux.run('nproc')).toContain('\n2\n');
      for (const cpu of [0, 1]) expect(linux.run(placeOf(cpu))).toContain(`\n${cpu}\n`);
      for (let round = 0; round < 3; round++) {
        expect(linux.run(setOnline(1, 0))).toContain('\n1\n');
        expect(linux.guest.info.vcpus.map(({ online }) => online)).toEqual([true, false]);
        expect(linux.run(setOnline(1, 1))).toContain('\n2\n');
        expect(linux.run(placeOf(1))).toContain('\n1\n');
      }
      await linux.write('control/sysrq', 'h');
      expect(linux.until(/sysrq: HELP/)).toBe(true);
      await linux.write('control/shutdown', 'reboot');
      expect(linux.ended()).toBe('reboot');
      expect(linux.harness.bugs).toBe(0);
    },
  );

  testWithPeer(
    PACKAGES,
    LINUX_FILES,
    'uses three of four vCPUs, then all, and crashes when told to',
    async () => {
      const linux = await LinuxGuest.boot({ vcpus: 3, maxVcpus: 4 });
      expect(linux.run('nproc')).toContain('\n3\n');
      await linux.write('cpu/3/availability', 'online');
      // the kernel makes it present; udev would bring it up
      expect(linux.run(`sleep 0.5; ${setOnline(3, 1)}`)).toContain('\n4\n');
      const before = interrupts(linux, 'CAL');
      const work = [0, 1, 2, 3].map((cpu) => `taskset ${1 << cpu} sh -c 'seq 1 400 | wc -l' &`);
      expect(linux.run(`${work.join(' ')} wait`).match(/\n400/g)).toHaveLength(4);
      for (const cpu of [0, 1, 2, 3]) expect(linux.run(placeOf(cpu))).toContain(`\n${cpu}\n`);
      const after = interrupts(linux, 'CAL');
      expect(after).toHaveLength(4);
      expect(
        after.every((count, cpu) => count > (before[cpu] ?? 0)),
        `${before} ${after}`,
      ).toBe(true);
      await linux.write('cpu/2/availability', 'offline');
      expect(linux.run('sleep 0.5; nproc')).toContain('\n3\n');
      expect(linux.guest.info.vcpus.map(({ online }) => online)).toEqual([true, true, false, true]);
      const { missing } = linux.harness.call('hypercallstats', { domid: linux.guest.domid });
      expect(missing).toEqual({});
      linux.run('echo 1 > /proc/sys/kernel/sysrq'); // Debian does not let all of it be asked for
      await linux.write('control/sysrq', 'c');
      expect(linux.ended()).toBe('crash');
      expect(linux.harness.bugs).toBe(0);
    },
  );
});
