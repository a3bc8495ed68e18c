/** Debian's own kernel with disks of ours: its xen-blkfront, its ext4, and what e2fsck says afterwards. */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { attachDisk } from '../../dom0/block/block-device.js';
import type { DiskSpec } from '../../dom0/block/disk-spec.js';
import type { DeviceEvent } from '../../dom0/device.js';
import { BUSYBOX, KERNEL, kernelModule } from '../support/debian.js';
import { debianLinux } from '../support/debian-linux.js';
import { Dom0Host } from '../support/dom0-host.js';
import { testWithPeer } from '../support/peer.js';

const MODULES = [
  'drivers/block/xen-blkfront',
  'crypto/crc32c_generic',
  'lib/crc16',
  'fs/mbcache',
  'fs/jbd2/jbd2',
  'fs/ext4/ext4',
];
const MKFS = '/usr/sbin/mkfs.ext4';
const PEER = 'linux-image-amd64 busybox-static e2fsprogs';
const PEER_FILES = [KERNEL, BUSYBOX, MKFS, ...MODULES.map(kernelModule)];
const BOOT_MS = 240_000;
const COMMAND_MS = 120_000;

let host: Dom0Host;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'xenolith-disk-'));
  host = await Dom0Host.start(512);
});
afterAll(async () => {
  await host.close();
  rmSync(folder, { recursive: true, force: true });
});

function makeExt4(name: string, size: string): string {
  const path = join(folder, name);
  execFileSync(MKFS, ['-q', '-F', path, size]);
  return path;
}

/** Throws if the file system has a fault. */
const check = (path: string): string =>
  execFileSync('/usr/sbin/e2fsck', ['-fn', path], { encoding: 'utf8', stdio: 'pipe' });

const contentOf = (path: string, file: string): Buffer =>
  execFileSync('/usr/sbin/debugfs', ['-R', `cat ${file}`, path], {
    stdio: 'pipe',
    maxBuffer: 64 * 1024 * 1024,
  });

const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A booted Linux with these disks. */
async function boot(specs: readonly DiskSpec[], vcpus = 1) {
  const events: DeviceEvent[] = [];
  const guest = await host.create({
    name: 'linux',
    ...(await debianLinux(MODULES)),
    memory: 256,
    vcpus,
    cmdline: 'console=hvc0',
  });
  const devices = await Promise.all(
    specs.map((spec) => attachDisk(host.dom0, guest.domid, spec, (event) => events.push(event))),
  );
  await guest.unpause();
  await guest.shows(/XENOLITH-INIT[\s\S]*\/ # /, BOOT_MS);
  return {
    guest,
    devices,
    events,
    run: (command: string) => guest.run(command, COMMAND_MS),
    async end() {
      for (const device of devices) await device.detach({ waitMs: 0 });
      await guest.destroy();
    },
  };
}

describe('Debian 12 Linux', () => {
  testWithPeer(PEER, PEER_FILES, 'mounts an ext4 disk, and what it writes is there', async () => {
    const path = makeExt4('ext4.img', '64M');
    const { run, events, devices, end } = await boot([
      { vdev: 'xvda', path, readonly: false, discard: false },
    ]);
    expect(await run('cat /sys/block/xvda/size')).toContain('\n131072\n');
    expect(await run('mount -t ext4 /dev/xvda /tmp')).toContain('<done 0>');
    await run('cp /bin/busybox /tmp/busybox; seq 1 100000 > /tmp/numbers; mkdir /tmp/d');
    expect(await run('dd if=/dev/zero of=/tmp/d/zeros bs=1M count=16 conv=fsync')).toContain(
      '<done 0>',
    );
    expect(await run('sync && umount /tmp')).toContain('<done 0>');
    expect(devices[0]?.status()).toMatchObject({
      backendState: 4,
      frontendState: 4,
      negotiated: { protocol: 'x86_64-abi', persistentGrants: true },
    });
    expect(events.map(({ kind }) => kind)).toEqual(['connected']);
    await end();
    check(path);
    expect(digestOf(contentOf(path, '/busybox'))).toBe(digestOf(readFileSync(BUSYBOX)));
    const numbers = Array.from({ length: 100_000 }, (_, n) => `${n + 1}\n`).join('');
    expect(contentOf(path, '/numbers').equals(Buffer.from(numbers))).toBe(true);
    expect(contentOf(path, '/d/zeros').equals(Buffer.alloc(16 * 1024 * 1024))).toBe(true);
    expect(await host.bugs()).toBe(0);
  });

  testWithPeer(PEER, PEER_FILES, 'with many requests at once waits for none for ever', async () => {
    const path = makeExt4('busy.img', '64M');
    const { run, end } = await boot([{ vdev: 'xvda', path, readonly: false, discard: false }]);
    // Six readers, one page a request: a response often comes just as the driver asks for an event. Without fences
    // between its index and its look at the ring, one in some ten thousand is missed, and nothing comes any more.
    const reader = 'dd if=/dev/xvda of=/dev/null bs=4k count=1500 skip=$((i*2000)) iflag=direct';
    for (let round = 0; round < 10; round += 1) {
      const all = `for i in 1 2 3 4 5 6; do ${reader} 2>/dev/null & done; wait`;
      expect(await run(all)).toContain('<done 0>');
    }
    await end();
  });

  testWithPeer(PEER, PEER_FILES, 'changes an overlay, and its image not by a bit', async () => {
    const path = makeExt4('base.img', '32M');
    const before = digestOf(readFileSync(path));
    const overlay = join(folder, 'linux.overlay');
    const spec = { vdev: 'xvda', path, readonly: false, discard: true, overlay: { path: overlay } };
    const first = await boot([spec]);
    expect(await first.run('mount -t ext4 -o discard /dev/xvda /tmp')).toContain('<done 0>');
    await first.run(
      'seq 1 50000 > /tmp/numbers; cp /bin/busybox /tmp/gone; sync; rm /tmp/gone; sync',
    );
    expect(await first.run('umount /tmp')).toContain('<done 0>');
    await first.end();
    expect(digestOf(readFileSync(path))).toBe(before);

    const readonly = { vdev: 'xvdb', path, readonly: true, discard: false };
    const second = await boot([spec, readonly]);
    await second.run('mkdir /tmp/a /tmp/b');
    expect(await second.run('mount -t ext4 /dev/xvda /tmp/a')).toContain('<done 0>');
    expect(await second.run('mount -t ext4 -o ro /dev/xvdb /tmp/b')).toContain('<done 0>');
    expect(await second.run('seq 1 50000 | cmp - /tmp/a/numbers')).toContain('<done 0>');
    expect(await second.run('ls /tmp/b')).not.toContain('numbers');
    expect(await second.run('dd if=/dev/zero of=/dev/xvdb count=1')).not.toContain('<done 0>');
    await second.run('umount /tmp/a; umount /tmp/b');
    expect(second.events.filter(({ kind }) => kind !== 'connected')).toEqual([]);
    await second.end();
    expect(digestOf(readFileSync(path))).toBe(before);
    expect(await host.bugs()).toBe(0);
  });
});
