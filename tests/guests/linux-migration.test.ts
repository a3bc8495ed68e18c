/** Debian's kernel suspended, written to a stream, destroyed, and built anew from the stream: it goes on where it was. */

import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { Console } from '../../dom0/console.js';
import { connectGuest, disconnectGuest } from '../../dom0/guest.js';
import { restoreDomain } from '../../dom0/migration/restorer.js';
import { saveDomain } from '../../dom0/migration/saver.js';
import { type Source, StreamError } from '../../dom0/migration/stream.js';
import { unpack } from '../../toolstack/domains/unpack.js';
import { BUSYBOX, KERNEL } from '../support/debian.js';
import { Dom0Host, HostGuest } from '../support/dom0-host.js';
import { initramfs } from '../support/initramfs.js';
import { LINUX_FILES } from '../support/linux-guest.js';
import { testWithPeer } from '../support/peer.js';

const MIB = 1024 * 1024;
const MEMORY = 128;
const PEER = 'linux-image-amd64 busybox-static';
const BOOT_MS = 280_000;

let host: Dom0Host;
beforeAll(async () => {
  host = await Dom0Host.start(512);
});
afterAll(() => host.close());

const call = () => host.dom0.privcmd;

async function bootLinux(vcpus: number): Promise<HostGuest> {
  const guest = await host.create({
    name: 'linux',
    kernel: await unpack(readFileSync(KERNEL), 128 * MIB),
    ramdisk: initramfs(readFileSync(BUSYBOX), undefined, {}),
    cmdline: 'console=hvc0',
    memory: MEMORY,
    vcpus,
  });
  await guest.unpause();
  await guest.shows(/XENOLITH-INIT[\s\S]*\/ # /, BOOT_MS);
  return guest;
}

async function suspend({ domid }: HostGuest): Promise<void> {
  const { privcmd, store } = host.dom0;
  const stopped = new Promise<string | undefined>((resolve) => {
    const stop = privcmd.onDomain((notice) => {
      if (notice.domid !== domid) return;
      stop();
      resolve(notice.reason);
    });
  });
  await store.write(`/local/domain/${domid}/control/shutdown`, 'suspend');
  expect(await stopped).toBe('suspend');
}

async function save({ domid }: HostGuest): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const write = async (bytes: Uint8Array) => void chunks.push(Uint8Array.from(bytes));
  await saveDomain(call(), domid, { write });
  return new Uint8Array(Buffer.concat(chunks));
}

/** @param damage changes the bytes of a read that begins at `at`. */
function sourceOf(stream: Uint8Array, damage?: (bytes: Uint8Array, at: number) => void): Source {
  let at = 0;
  return {
    read: async (length) => {
      if (at + length > stream.length) throw new StreamError('the stream is cut off');
      const bytes = stream.slice(at, at + length);
      damage?.(bytes, at);
      at += length;
      return bytes;
    },
  };
}

const paramsFor = (vcpus: number) => ({
  handle: randomUUID(),
  memoryPages: MEMORY * 256,
  vcpus,
  maxVcpus: vcpus,
});

async function restore(stream: Uint8Array, vcpus: number): Promise<HostGuest> {
  const params = paramsFor(vcpus);
  const created = await restoreDomain(call(), params, sourceOf(stream));
  const console = new Console(MIB);
  const memoryKib = MEMORY * 1024;
  const connected = await connectGuest(
    host.dom0,
    {
      ...created,
      uuid: params.handle,
      name: 'restored',
      memoryKib,
      maxMemoryKib: memoryKib,
      vcpus,
      maxVcpus: vcpus,
      consoleLimit: MIB,
    },
    console,
  );
  const { domid } = created;
  const guest = new HostGuest(host.dom0, domid, console, async () => {
    await disconnectGuest(host.dom0, connected);
    await call().call('destroydomain', { domid });
  });
  await guest.unpause();
  return guest;
}

const freeFrames = async () => (await call().call('physinfo', {})).freeFrames;

describe('a suspended Linux', () => {
  for (const vcpus of [1, 2]) {
    testWithPeer(
      PEER,
      LINUX_FILES,
      `with ${vcpus} vCPU is saved and restored: files, processes and time are there`,
      async () => {
        const free = await freeFrames();
        const guest = await bootLinux(vcpus);
        await guest.run('seq 1 20000 > /tmp/before; dd if=/dev/urandom of=/tmp/data bs=1M count=8');
        const digest = await guest.run('sha256sum /tmp/data /bin/busybox');
        await guest.run('(while true; do echo tick >> /tmp/ticks; sleep 0.1; done) & true');
        await suspend(guest);
        const stream = await save(guest);
        await guest.destroy();
        expect(await freeFrames()).toBe(free);
        const restored = await restore(stream, vcpus);
        await restored.run('true');
        expect(await restored.run('nproc')).toContain(`\n${vcpus}\n`);
        const sums = /^[0-9a-f]{64} .*$/gm;
        expect((await restored.run('sha256sum /tmp/data /bin/busybox')).match(sums)).toEqual(
          digest.match(sums),
        );
        expect(await restored.run('tail -n 1 /tmp/before')).toContain('\n20000\n');
        const ticks = async () =>
          Number(/^(\d+)/m.exec(await restored.run('wc -l < /tmp/ticks'))?.[1]);
        const before = await ticks();
        await restored.run('sleep 1');
        expect(await ticks()).toBeGreaterThan(before);
        const drift = Math.abs(
          Number(/^(\d{9,})/m.exec(await restored.run('date +%s'))?.[1]) - Date.now() / 1000,
        );
        expect(drift).toBeLessThan(60);
        // once more, from what was restored
        await suspend(restored);
        const again = await save(restored);
        await restored.destroy();
        const third = await restore(again, vcpus);
        await third.run('true');
        expect(await third.run('tail -n 1 /tmp/before')).toContain('\n20000\n');
        await third.destroy();
        expect(await freeFrames()).toBe(free);
        expect(await host.bugs()).toBe(0);
      },
    );
  }

  testWithPeer(PEER, LINUX_FILES, 'goes on when it is resumed instead', async () => {
    const guest = await bootLinux(1);
    await guest.run('echo here > /tmp/x');
    await suspend(guest);
    const { domid } = guest;
    await host.dom0.store.resume(domid);
    await call().call('resumedomain', { domid });
    await guest.run('true');
    expect(await guest.run('cat /tmp/x')).toContain('\nhere\n');
    await expect(call().call('resumedomain', { domid })).rejects.toThrow('is not suspended');
    await guest.destroy();
  });

  testWithPeer(
    PEER,
    LINUX_FILES,
    'damaged as a stream is refused, and leaves nothing',
    async () => {
      const guest = await bootLinux(1);
      await suspend(guest);
      const stream = await save(guest);
      await guest.destroy();
      const free = await freeFrames();
      const byte = (offset: number, value: number) => (bytes: Uint8Array, at: number) => {
        if (offset >= at && offset < at + bytes.length) bytes[offset - at] = value;
      };
      // biome-ignore format: one row per damage
      const rows: [string, (bytes: Uint8Array, at: number) => void, RegExp][] = [
      ['libxl ident',        byte(0, 0),               /ident is 0x/],
      ['libxl version',      byte(11, 9),              /version of the libxl stream is 0x9/],
      ['libxc marker',       byte(24, 0),              /marker/],
      ['libxc version',      byte(39, 2),              /version of the libxc stream is 0x2/],
      ['HVM',                byte(48, 2),              /type of domain is 0x2/],
      ['page shift',         byte(52, 13),             /page shift/],
      ['an unknown record',  byte(64, 0x77),           /record of type 0x77/],
      ['a record too long',  byte(71, 0x7f),           /a record of \d+ bytes/],
      ['a 32-bit guest',     byte(72, 4),              /no 64-bit guest/],
      ['a P2M list too long', byte(103, 0xff),         /P2M frames for PFNs/],
    ];
      for (const [name, damage, message] of rows) {
        const failed = restoreDomain(call(), paramsFor(1), sourceOf(stream, damage));
        await expect(failed, name).rejects.toThrow(message);
      }
      for (const length of [0, 10, 70, 5000, MIB, stream.length - 5000, stream.length - 16]) {
        const cut = restoreDomain(call(), paramsFor(1), sourceOf(stream.subarray(0, length)));
        await expect(cut, `${length} bytes`).rejects.toThrow('the stream is cut off');
      }
      const small = { ...paramsFor(1), memoryPages: 1000 };
      await expect(restoreDomain(call(), small, sourceOf(stream))).rejects.toThrow(
        'no page for PFN',
      );
      // Bytes at random places of what is not contents: whatever comes of it, nothing is lost.
      for (let n = 0; n < 40; n++) {
        const place = n % 2 === 0 ? 64 + n * 7 : stream.length - 1 - n * 131;
        await restoreDomain(call(), paramsFor(1), sourceOf(stream, byte(place, 0xa5))).then(
          ({ domid }) => call().call('destroydomain', { domid }),
          () => undefined,
        );
      }
      expect(await freeFrames()).toBe(free);
      expect(await host.bugs()).toBe(0);
    },
  );
});
