/**
 * Debian's own kernel and network driver, two of them on the switch that leads outside: they find their addresses by DHCP,
 * talk to the gateway, to servers of the host and to each other, and what arrives is right.
 */

import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import type { Device, DeviceEvent } from '../../dom0/device.js';
import { attachVif } from '../../dom0/netif/vif.js';
import type { Capture } from '../../dom0/network/capture.js';
import { createNetwork, type Network } from '../../dom0/network/network.js';
import { BUSYBOX, KERNEL, kernelModule } from '../support/debian.js';
import { debianLinux } from '../support/debian-linux.js';
import { Dom0Host, type HostGuest } from '../support/dom0-host.js';
import { testWithPeer } from '../support/peer.js';

const MIB = 1024 * 1024;
const BOOT_MS = 240_000;
const TRANSFER_MS = 200_000;
const NETFRONT = 'drivers/net/xen-netfront';
const TSHARK = '/usr/bin/tshark';
const PACKAGES = 'linux-image-amd64 busybox-static tshark';
const PEERS = [KERNEL, BUSYBOX, kernelModule(NETFRONT), TSHARK];
const GATEWAY = '10.0.2.2';
const DATA = randomBytes(10 * MIB);

/** What udhcpc calls with the address it was given. */
const DHCP_SCRIPT = [
  '#!/bin/sh',
  '[ "$1" = bound ] || exit 0',
  'busybox ip addr add $ip/$mask dev $interface',
  'busybox ip route add default via $router',
].join('\\n');

const mac = (number: number): string => `00:16:3e:00:00:0${number}`;
const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Has the interface up and an address from the DHCP server. @returns the address. */
async function configure(guest: HostGuest): Promise<string> {
  await guest.run(`printf '${DHCP_SCRIPT}\\n' >/tmp/dhcp; busybox chmod 755 /tmp/dhcp`);
  const up = 'busybox ip link set lo up; busybox ip link set eth0 up';
  const asked = await guest.run(`${up}; busybox udhcpc -i eth0 -s /tmp/dhcp -q -n -t 10 -T 1`);
  expect(asked).toContain('<done 0>');
  const shown = await guest.run('busybox ip -4 addr show dev eth0');
  return /inet ([\d.]+)\/24/.exec(shown)?.[1] ?? 'none';
}

/** A server on the host's loopback that takes a stream and says its digest. */
async function digestServer(): Promise<{ server: Server; digest: Promise<string> }> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const digest = new Promise<string>((resolve) => {
    server.once('connection', (socket) => {
      const hash = createHash('sha256');
      socket.on('data', (bytes) => hash.update(bytes));
      socket.on('end', () => socket.end(() => resolve(hash.digest('hex'))));
    });
  });
  return { server, digest };
}

/** A web server on the host's loopback that has nothing but DATA. */
async function dataServer(): Promise<Server> {
  const server = createHttpServer((_, response) => response.end(DATA)).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return server;
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

describe('two Linux guests', () => {
  let host: Dom0Host;
  let network: Network;
  let capture: Capture;
  let folder: string;
  const guests: HostGuest[] = [];
  const addresses: string[] = [];
  const vifs: Device[] = [];
  const events: DeviceEvent[] = [];

  beforeAll(async () => {
    if (!PEERS.every((file) => existsSync(file))) return;
    folder = mkdtempSync(join(tmpdir(), 'linux-network-'));
    host = await Dom0Host.start(700);
    network = createNetwork({ resolvers: () => [] });
    capture = await network.captureToFile('xenbr0', join(folder, 'all.pcapng'));
    const linux = await debianLinux([NETFRONT]);
    for (const number of [1, 2]) {
      const name = `linux${number}`;
      const cmdline = 'console=hvc0 quiet';
      const guest = await host.create({ ...linux, name, memory: 256, cmdline });
      const spec = { devid: 0, mac: mac(number), bridge: 'xenbr0' };
      const bridge = network.switch(spec.bridge);
      vifs.push(await attachVif(host.dom0, guest.domid, spec, bridge, (e) => events.push(e)));
      guests.push(guest);
      await guest.unpause();
    }
    for (const guest of guests) {
      await guest.shows(/XENOLITH-INIT[\s\S]*\/ # /, BOOT_MS);
      addresses.push(await configure(guest));
    }
  }, BOOT_MS);

  afterAll(async () => {
    for (const vif of vifs) await vif.detach({ waitMs: 0 });
    await network?.close();
    await host?.close();
    if (folder !== undefined) rmSync(folder, { recursive: true });
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

  peerTest('have addresses by DHCP and ping the gateway', async (first, second) => {
    const leased = network.leases().map(({ address }) => address);
    expect(leased.sort()).toEqual([...addresses].sort());
    for (const guest of [first, second]) {
      expect(await guest.run(`busybox ping -c 3 ${GATEWAY}`)).toContain(' 0% packet loss');
    }
  });

  peerTest('ping each other, with small packets and with fragments', async (first, second) => {
    const [one = '', other = ''] = addresses;
    expect(await first.run(`busybox ping -c 3 ${other}`)).toContain(' 0% packet loss');
    expect(await second.run(`busybox ping -c 3 ${one}`)).toContain(' 0% packet loss');
    const large = await first.run(`busybox ping -c 3 -s 20000 ${other}`);
    expect(large).toContain(' 0% packet loss');
  });

  peerTest('ping each other over IPv6, found by multicast', async (first, second) => {
    const shown = await second.run('busybox ip -6 addr show dev eth0');
    const link = /fe80::[0-9a-f:]+/.exec(shown)?.[0] ?? '';
    expect(await first.run(`busybox ping6 -c 3 ${link}%eth0`)).toContain(' 0% packet loss');
  });

  peerTest('10 MiB from a server of the host, and back to another, arrive whole', async (first) => {
    const source = await dataServer();
    const get = `busybox wget -O /tmp/data http://${GATEWAY}:${portOf(source)}/`;
    await first.run(`${get}; sha256sum </tmp/data`, TRANSFER_MS);
    expect(first.output).toContain(digestOf(DATA));
    source.close();
    const { server, digest } = await digestServer();
    await first.run(`busybox nc ${GATEWAY} ${portOf(server)} </tmp/data`, TRANSFER_MS);
    expect(await digest).toBe(digestOf(DATA));
    server.close();
  });

  peerTest('10 MiB from each guest to the other arrive whole', async (first, second) => {
    const [, other = ''] = addresses;
    const arrival = second.run('busybox nc -l -p 5001 >/tmp/data', TRANSFER_MS);
    const departure = first.run(
      `until busybox nc ${other} 5001 </tmp/data; do sleep 1; done`,
      TRANSFER_MS,
    );
    await Promise.all([arrival, departure]);
    expect(await second.run('sha256sum </tmp/data', TRANSFER_MS)).toContain(digestOf(DATA));
    await second.run('busybox httpd -h /tmp');
    await first.run(`busybox wget -O /tmp/back http://${other}/data`, TRANSFER_MS);
    expect(await first.run('sha256sum </tmp/back', TRANSFER_MS)).toContain(digestOf(DATA));
    // Segments of many pages travel as one frame: nobody had to cut them.
    const counter = (name: string): number => vifs[1]?.status().counters[name] ?? 0;
    expect(counter('txBytes') / counter('txPackets')).toBeGreaterThan(1000);
  });

  peerTest('nothing that was on the wire has a wrong checksum', async () => {
    await capture.stop();
    const bad = ['ip.checksum.status == 0', 'tcp.checksum.status == 0', 'udp.checksum.status == 0'];
    expect(frames(bad.join(' || '))).toBe(0);
    expect(frames('tcp.checksum.status == 1')).toBeGreaterThan(1000);
    expect(frames('dhcp')).toBeGreaterThan(3);
  });

  /** How many captured frames tshark finds. */
  function frames(filter: string): number {
    const check = ['ip', 'tcp', 'udp'].flatMap((it) => ['-o', `${it}.check_checksum:TRUE`]);
    const args = ['-r', join(folder, 'all.pcapng'), ...check, '-Y', filter, '-T', 'fields'];
    const shown = execFileSync(TSHARK, [...args, '-e', 'frame.number'], {
      encoding: 'utf8',
      stdio: 'pipe',
    });
    return shown.split('\n').filter((line) => line !== '').length;
  }

  peerTest(
    'a driver that lets go of its device and takes it again is served anew',
    async (first) => {
      const driver = '/sys/bus/xen/drivers/vif';
      expect(await first.run(`echo vif-0 >${driver}/unbind`)).toContain('<done 0>');
      expect(await first.run(`echo vif-0 >${driver}/bind && sleep 1`)).toContain('<done 0>');
      expect(await configure(first)).toBe(addresses[0]);
      expect(await first.run(`busybox ping -c 3 ${GATEWAY}`)).toContain(' 0% packet loss');
      expect(events.map(({ kind }) => kind).slice(2)).toEqual(['closed', 'connected']);
    },
  );

  peerTest('an interface that is detached is gone from the guest', async (first) => {
    await vifs[0]?.detach({ waitMs: 10_000 });
    // Its kernel unregisters the interface after it has told us that it lets go.
    const isThere = 'busybox ip link show eth0';
    await first.run(
      `n=0; while ${isThere} > /dev/null 2>&1 && [ $n -lt 100 ]; do busybox usleep 100000; n=$((n + 1)); done`,
    );
    expect(await first.run(isThere)).not.toContain('<done 0>');
  });
});
