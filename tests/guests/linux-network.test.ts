/** Debian's own kernel and network driver, two of them on one switch: what they say to each other arrives, and is right. */

import { existsSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import type { Device, DeviceEvent } from '../../dom0/device.js';
import { attachVif } from '../../dom0/netif/vif.js';
import { LearningSwitch } from '../../dom0/network/switch.js';
import { unpack } from '../../toolstack/domains/unpack.js';
import { BUSYBOX, KERNEL, kernelModule } from '../support/debian.js';
import { Dom0Host, type HostGuest } from '../support/dom0-host.js';
import { initramfs } from '../support/initramfs.js';
import { realHost } from '../support/network.js';
import { testWithPeer } from '../support/peer.js';

const MIB = 1024 * 1024;
const BOOT_MS = 240_000;
const TRANSFER_MS = 120_000;
const NETFRONT = kernelModule('drivers/net/xen-netfront');
const PACKAGES = 'linux-image-amd64 busybox-static';
const PEERS = [KERNEL, BUSYBOX, NETFRONT];

const INIT = `#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
busybox insmod /etc/xen-netfront.ko
echo XENOLITH-INIT $(cat /proc/uptime)
exec setsid -c sh
`;

const mac = (number: number): string => `00:16:3e:00:00:0${number}`;
const address = (number: number): string => `10.0.0.${number}`;

describe('two Linux guests on a switch', () => {
  let host: Dom0Host;
  const guests: HostGuest[] = [];
  const vifs: Device[] = [];
  const events: DeviceEvent[] = [];

  beforeAll(async () => {
    if (!PEERS.every((file) => existsSync(file))) return;
    host = await Dom0Host.start(700);
    const network = new LearningSwitch('xenbr0', realHost);
    const kernel = await unpack(readFileSync(KERNEL), 128 * MIB);
    const ramdisk = initramfs(readFileSync(BUSYBOX), INIT, {
      'etc/xen-netfront.ko': readFileSync(NETFRONT),
    });
    for (const number of [1, 2]) {
      const guest = await host.create({
        name: `linux${number}`,
        kernel,
        ramdisk,
        memory: 256,
        cmdline: 'console=hvc0 quiet',
      });
      const spec = { devid: 0, mac: mac(number), bridge: 'xenbr0' };
      vifs.push(
        await attachVif(host.dom0, guest.domid, spec, network, (event) => events.push(event)),
      );
      guests.push(guest);
      await guest.unpause();
    }
    for (const [n, guest] of guests.entries()) {
      await guest.shows(/XENOLITH-INIT[\s\S]*\/ # /, BOOT_MS);
      const network = `busybox ip addr add ${address(n + 1)}/24 dev eth0`;
      expect(await guest.run(`${network} && busybox ip link set eth0 up`)).toContain('<done 0>');
    }
  }, BOOT_MS);

  afterAll(async () => {
    for (const vif of vifs) await vif.detach({ waitMs: 0 });
    await host?.close();
  });

  const peerTest = (name: string, body: (first: HostGuest, second: HostGuest) => Promise<void>) =>
    testWithPeer(PACKAGES, PEERS, name, async () => {
      const [first, second] = guests;
      if (!first || !second) throw new Error('there are no guests');
      await body(first, second);
      for (const { counters } of vifs.map((vif) => vif.status())) {
        expect(counters).toMatchObject({ txErrors: 0, rxErrors: 0, rxExpired: 0 });
      }
      expect(await host.bugs()).toBe(0);
    });

  peerTest('connect with everything Linux can do', async () => {
    expect(events.map(({ kind }) => kind)).toEqual(['connected', 'connected']);
    for (const vif of vifs) {
      expect(vif.status().negotiated).toMatchObject({
        sg: true,
        gsoTcp4: true,
        gsoTcp6: true,
        checksum: true,
        checksum6: true,
        rxNotify: true,
        splitEventChannels: true,
      });
    }
  });

  peerTest('ping each other, with small packets and with fragments', async (first, second) => {
    expect(await first.run(`busybox ping -c 3 ${address(2)}`)).toContain(' 0% packet loss');
    expect(await second.run(`busybox ping -c 3 ${address(1)}`)).toContain(' 0% packet loss');
    const large = await first.run(`busybox ping -c 3 -s 20000 ${address(2)}`);
    expect(large).toContain(' 0% packet loss');
  });

  peerTest('ping each other over IPv6, found by multicast', async (first, second) => {
    const shown = await second.run('busybox ip -6 addr show dev eth0');
    const link = /fe80::[0-9a-f:]+/.exec(shown)?.[0] ?? '';
    expect(await first.run(`busybox ping6 -c 3 ${link}%eth0`)).toContain(' 0% packet loss');
  });

  peerTest('10 MiB by TCP arrive whole, both ways', async (first, second) => {
    const made = await first.run(
      'dd if=/dev/urandom of=/tmp/data bs=1M count=10; sha256sum </tmp/data',
      TRANSFER_MS,
    );
    const [digest = 'none'] = /[0-9a-f]{64}/.exec(made) ?? [];
    const arrival = second.run('busybox nc -l -p 5001 >/tmp/data', TRANSFER_MS);
    await first.run(`sleep 1; busybox nc ${address(2)} 5001 </tmp/data`, TRANSFER_MS);
    await arrival;
    expect(await second.run('sha256sum </tmp/data', TRANSFER_MS)).toContain(digest);
    await second.run('busybox httpd -h /tmp');
    await first.run(`busybox wget -O /tmp/back http://${address(2)}/data`, TRANSFER_MS);
    expect(await first.run('sha256sum </tmp/back', TRANSFER_MS)).toContain(digest);
    // Segments of many pages travel as one frame: nobody had to cut them.
    const counter = (name: string): number => vifs[0]?.status().counters[name] ?? 0;
    expect(counter('txBytes') / counter('txPackets')).toBeGreaterThan(3000);
  });

  peerTest(
    'a driver that lets go of its device and takes it again is served anew',
    async (first) => {
      const driver = '/sys/bus/xen/drivers/vif';
      expect(await first.run(`echo vif-0 >${driver}/unbind`)).toContain('<done 0>');
      expect(await first.run(`echo vif-0 >${driver}/bind && sleep 1`)).toContain('<done 0>');
      const up = `busybox ip addr add ${address(1)}/24 dev eth0 && busybox ip link set eth0 up`;
      expect(await first.run(up)).toContain('<done 0>');
      expect(await first.run(`busybox ping -c 3 ${address(2)}`)).toContain(' 0% packet loss');
      expect(events.map(({ kind }) => kind).slice(2)).toEqual(['closed', 'connected']);
    },
  );

  peerTest('an interface that is detached is gone from the guest', async (first) => {
    await vifs[0]?.detach({ waitMs: 10_000 });
    expect(await first.run('busybox ip link show eth0')).not.toContain('<done 0>');
  });
});
