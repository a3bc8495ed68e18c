/** What guests of a soak are kept busy with: a processor, a disk, each other over the network, and the host behind the NAT. */

import { createHash } from 'node:crypto';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { debianRamdisk } from './debian-linux.js';
import type { LinuxDomain } from './linux-over-rest.js';

const MODULES = ['drivers/block/xen-blkfront', 'drivers/net/xen-netfront'];
const GATEWAY = '10.0.2.2';
const PEER_PORT = 7000;

/** Bytes of a disk: as many blocks of 256 KiB as are written in turn. */
export const LOAD_DISK_BYTES = 64 * 256 * 1024;

/** Past the page cache: what is read back comes from the disk. */
const DISK_LOAD = `#!/bin/sh
n=0; bad=0
while :; do
  dd if=/dev/urandom of=/tmp/block bs=64k count=4 2> /dev/null
  at=$((n % 64 * 4))
  dd if=/tmp/block of=/dev/xvda bs=64k seek=$at oflag=direct 2> /dev/null || bad=$((bad + 1))
  dd if=/dev/xvda bs=64k count=4 skip=$at iflag=direct 2> /dev/null | cmp -s - /tmp/block || bad=$((bad + 1))
  n=$((n + 1)); echo $n $bad > /tmp/count-disk
done
`;

/** net-load NAME ADDRESS PORT: to a server that answers with the digest of what it got. */
const NET_LOAD = `#!/bin/sh
dd if=/dev/urandom of=/tmp/data-$1 bs=64k count=16 2> /dev/null
want=$(sha256sum < /tmp/data-$1)
n=0; bad=0
while :; do
  got=$(busybox nc $2 $3 < /tmp/data-$1)
  [ "$got" = "$want" ] || bad=$((bad + 1))
  n=$((n + 1)); echo $n $bad > /tmp/count-$1
done
`;

/** Forks, pipes, arithmetic, hashing; a sleeper whose count tells of wake-ups. */
const CPU_LOAD = [
  'while :; do sha256sum /bin/busybox | grep -q . ; done & :',
  `while :; do awk 'BEGIN { for (i = 0; i < 20000; i++) s += i }'; ls -R /proc/self > /dev/null; done & :`,
  'n=0; while :; do busybox usleep 10000; n=$((n + 1)); echo $n 0 > /tmp/count-sleeper; done & :',
];

/** What has been done of one kind, and how often it came out wrong. */
export interface Work {
  readonly done: number;
  readonly wrong: number;
}

export type WorkKind = 'sleeper' | 'disk' | 'peer' | 'host';

export const loadRamdisk = (): Uint8Array =>
  debianRamdisk(MODULES, { 'bin/disk-load': DISK_LOAD, 'bin/net-load': NET_LOAD });

/** Takes streams on the host's loopback, and answers each with its digest. */
export async function digestServer(): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const hash = createHash('sha256');
    socket.on('data', (bytes) => hash.update(bytes));
    socket.on('end', () => socket.end(`${hash.digest('hex')}  -\n`));
    socket.on('error', () => undefined);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return server;
}

/** Sets all of it going in the background, for ever. @throws Error if a guest does not take its commands. */
export async function load(guests: readonly LinuxDomain[], host: Server): Promise<void> {
  const { port } = host.address() as AddressInfo;
  const addresses: string[] = [];
  for (const guest of guests) addresses.push(await address(guest));
  for (const guest of guests) {
    await guest.run(`busybox nc -ll -p ${PEER_PORT} -e busybox sha256sum & :`);
  }
  for (const [n, guest] of guests.entries()) {
    for (const command of CPU_LOAD) await guest.run(command);
    const peer = addresses[(n + 1) % guests.length];
    await guest.run('disk-load & :');
    await guest.run(`net-load peer ${peer} ${PEER_PORT} & :`);
    await guest.run(`net-load host ${GATEWAY} ${port} & :`);
  }
}

/** How far a guest has come with work of one kind. */
export async function work(guest: LinuxDomain, kind: WorkKind): Promise<Work> {
  // The file is empty while it is written.
  for (let n = 0; n < 20; n++) {
    const found = /^(\d+) (\d+)$/m.exec(await guest.run(`cat /tmp/count-${kind}`));
    if (found) return { done: Number(found[1]), wrong: Number(found[2]) };
  }
  return { done: 0, wrong: 0 };
}

async function address(guest: LinuxDomain): Promise<string> {
  await guest.run('busybox ifconfig eth0 up; busybox udhcpc -i eth0 -n -q -s /bin/dhcp');
  const shown = await guest.run('busybox ifconfig eth0');
  const found = /inet addr:([\d.]+)/.exec(shown)?.[1];
  if (found === undefined) throw new Error(`${guest.name} has no address: ${shown}`);
  return found;
}
