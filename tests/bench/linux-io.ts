/**
 * `npx tsx tests/bench/linux-io.ts [rounds [name]]`: Debian's kernel at work on a disk and on the network: sequential direct reads and
 * writes, one TCP stream each way; beside what the host itself does with the same file and over its own loopback, in turn in the
 * same run. It needs linux-image-amd64 and busybox-static.
 */

import { mkdirSync, readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { KERNEL } from '../support/debian.js';
import { debianRamdisk } from '../support/debian-linux.js';
import { LinuxDomain } from '../support/linux-over-rest.js';
import { startTestService, type TestService, uploadImage } from '../support/service.js';
import { median, report } from './report.js';

const MODULES = ['drivers/block/xen-blkfront', 'drivers/net/xen-netfront'];
const ROUNDS = 3;
const MIB = 1024 * 1024;
const BLOCK = MIB;
const DISK_BYTES = 256 * MIB;
const STREAM_BYTES = 48 * MIB;
const MS = 1000;

/** What one transfer took: of the clock, and of the processor for all of the service, guest included. */
interface Taken {
  readonly seconds: number;
  readonly cpu: number;
}

async function timed(work: () => Promise<unknown>): Promise<Taken> {
  const before = process.cpuUsage();
  const start = performance.now();
  await work();
  const seconds = (performance.now() - start) / MS;
  const { user, system } = process.cpuUsage(before);
  return { seconds, cpu: (user + system) / 1e6 };
}

/** Sends a stream to whoever says "get", and takes one from everybody else. */
class Peer {
  readonly server: Server;
  #ended: (bytes: number) => void = () => undefined;

  constructor() {
    this.server = createServer({ allowHalfOpen: true }, (socket) => this.#serve(socket));
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
  }

  /** Resolves when the next stream has been taken to its end. @throws Error if it is not whole. */
  async taken(): Promise<void> {
    const bytes = await new Promise<number>((resolve) => {
      this.#ended = resolve;
    });
    if (bytes !== STREAM_BYTES) throw new Error(`${bytes} bytes came, not ${STREAM_BYTES}`);
  }

  #serve(socket: Socket): void {
    let bytes = 0;
    socket.once('data', (first) => {
      if (first.toString('latin1', 0, 3) === 'get') pour(socket);
    });
    socket.on('data', (data: Buffer) => {
      bytes += data.length;
    });
    socket.on('end', () => {
      this.#ended(bytes);
      if (!socket.writableEnded) socket.end();
    });
    socket.on('error', () => undefined);
  }
}

function pour(socket: Socket): void {
  const block = Buffer.alloc(64 * 1024);
  let left = STREAM_BYTES;
  const more = (): void => {
    while (left > 0) {
      left -= block.length;
      if (!socket.write(block)) {
        socket.once('drain', more);
        return;
      }
    }
    socket.end();
  };
  more();
}

/** The host as its own guest: through a file, and through a connection to the same server. */
async function hostDisk(path: string, write: boolean): Promise<void> {
  const file = await open(path, 'r+');
  const block = Buffer.alloc(BLOCK);
  for (let at = 0; at < DISK_BYTES; at += BLOCK) {
    if (write) await file.write(block, 0, BLOCK, at);
    else await file.read(block, 0, BLOCK, at);
  }
  await file.close();
}

function hostStream(port: number, send: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    socket.on('error', reject);
    socket.on('data', () => undefined);
    socket.on('end', () => {
      socket.end();
      resolve();
    });
    if (send) pour(socket);
    else socket.write('get\n');
  });
}

const blocks = (bytes: number): number => bytes / BLOCK;

function work(guest: LinuxDomain, peer: Peer, path: string) {
  const { port } = peer;
  const run = async (command: string): Promise<void> => {
    const output = await guest.run(command);
    if (!output.includes('<done 0>')) throw new Error(output);
  };
  const dd = `busybox dd bs=${BLOCK} count=${blocks(DISK_BYTES)}`;
  const to = `busybox nc 10.0.2.2 ${port} -e busybox`;
  const send = `${to} dd if=/dev/zero bs=64k count=${STREAM_BYTES / 65536}`;
  const get = `${to} sh -c 'echo get; exec busybox dd of=/dev/null bs=64k'`;
  // biome-ignore format: one row per transfer
  return [
    { name: 'disk, read',        bytes: DISK_BYTES,   unit: 'MB/s', scale: 1e6,     guest: () => run(`${dd} if=/dev/xvda of=/dev/null iflag=direct`), host: () => hostDisk(path, false) },
    { name: 'disk, write',       bytes: DISK_BYTES,   unit: 'MB/s', scale: 1e6,     guest: () => run(`${dd} if=/dev/zero of=/dev/xvda oflag=direct`), host: () => hostDisk(path, true) },
    { name: 'TCP, guest sends',  bytes: STREAM_BYTES, unit: 'Mb/s', scale: 1e6 / 8, guest: () => Promise.all([peer.taken(), run(send)]),                        host: () => hostStream(port, true) },
    { name: 'TCP, guest gets',   bytes: STREAM_BYTES, unit: 'Mb/s', scale: 1e6 / 8, guest: () => run(get),                                                      host: () => hostStream(port, false) },
  ];
}

async function boot(service: TestService): Promise<LinuxDomain> {
  await uploadImage(service, 'linux', readFileSync(KERNEL));
  await uploadImage(service, 'initramfs', debianRamdisk(MODULES));
  mkdirSync(join(service.folder, 'disks'), { recursive: true });
  await service.request('POST', '/v1/disks', { name: 'io.img', size: DISK_BYTES });
  const guest = await LinuxDomain.create(service, {
    name: 'io',
    disks: [{ vdev: 'xvda', target: 'io.img' }],
    vifs: [{}],
  } as Parameters<typeof LinuxDomain.create>[1]);
  await guest.prompt();
  await guest.run('busybox ifconfig eth0 up; busybox udhcpc -i eth0 -n -q -s /bin/dhcp');
  return guest;
}

async function measure(service: TestService, rounds: number): Promise<void> {
  const guest = await boot(service);
  const peer = new Peer();
  await peer.listen();
  const path = join(service.folder, 'disks', 'io.img');
  const only = process.argv[3] ?? '';
  const rows = work(guest, peer, path).filter(({ name }) => name.includes(only));
  for (const row of rows) {
    await row.host();
    await row.guest();
    const taken: { guest: Taken; host: Taken }[] = [];
    for (let round = 0; round < rounds; round++) {
      taken.push({ guest: await timed(row.guest), host: await timed(row.host) });
    }
    const rate = (who: 'guest' | 'host'): number =>
      row.bytes / row.scale / median(taken.map((pair) => pair[who].seconds));
    const cpu = median(taken.map((pair) => pair.guest.cpu));
    report(row.name, [
      { name: 'guest', value: rate('guest'), unit: row.unit },
      { name: 'host', value: rate('host'), unit: row.unit },
      { name: 'guest to host', value: rate('guest') / rate('host'), unit: '' },
      {
        name: 'processor',
        value: (cpu * 1e9) / row.bytes,
        unit: 'ns a byte',
        remark: 'guest, too',
      },
    ]);
  }
  peer.server.close();
  guest.socket.close();
}

const service = await startTestService({ memory: 512 });
try {
  await measure(service, Number(process.argv[2] ?? ROUNDS));
} finally {
  await service.close();
}
