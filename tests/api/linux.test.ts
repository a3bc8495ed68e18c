/**
 * Debian's own Linux over REST: its bzImage and a RAM disk uploaded, a disk and a network interface attached before it starts
 * and while it runs.
 */

import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { BUSYBOX, KERNEL, kernelModule } from '../support/debian.js';
import { debianRamdisk } from '../support/debian-linux.js';
import { testWithPeer } from '../support/peer.js';
import { startTestService, type TestService, uploadImage } from '../support/service.js';
import { Shell } from '../support/shell.js';

const MIB = 1024 * 1024;
const BOOT_MS = 240_000;
const COMMAND_MS = 120_000;
const MODULES = ['drivers/block/xen-blkfront', 'drivers/net/xen-netfront'];
const PEER = 'linux-image-amd64 busybox-static';
const FILES = [KERNEL, BUSYBOX, ...MODULES.map(kernelModule)];

let service: TestService;
let web: Server;
beforeAll(async () => {
  service = await startTestService({ memory: 512 });
  web = createServer((_request, response) => response.end('hello from the host\n'));
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  web.close();
  await service.close();
});

const request = (...args: Parameters<TestService['request']>) => service.request(...args);

describe('Debian 12 Linux over REST', () => {
  testWithPeer(PEER, FILES, 'has the disk and the network it was created with', async () => {
    await uploadImage(service, 'linux', readFileSync(KERNEL));
    await uploadImage(service, 'initrd', debianRamdisk(MODULES));
    const content = randomBytes(2 * MIB);
    const disk = await fetch(`${service.url}/v1/disks/data.img`, {
      method: 'PUT',
      body: new Uint8Array(content),
    });
    expect(disk.status).toBe(201);
    await request('POST', '/v1/disks', { name: 'blank.img', size: 8 * MIB });
    const created = await request('POST', '/v1/domains', {
      name: 'linux',
      kernel: 'linux',
      ramdisk: 'initrd',
      memory: 192,
      cmdline: 'console=hvc0 quiet',
      disks: [{ vdev: 'xvda', target: 'data.img' }],
      vifs: [{ mac: '00:16:3e:00:00:01' }],
    });
    expect(created.status, created.text).toBe(201);
    expect(created.json.disks).toMatchObject([{ vdev: 'xvda', devid: 51712, access: 'rw' }]);
    const shell = new Shell(service, 'linux', COMMAND_MS);
    await shell.shows(/XENOLITH-INIT[\s\S]*\/ # /, BOOT_MS);

    // The disk: what is on it, and what is written to it.
    const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
    expect(await shell.run('sha256sum /dev/xvda')).toContain(digest(content));
    await shell.run('echo written by the guest | dd of=/dev/xvda conv=notrunc,fsync');
    const path = join(service.folder, 'disks', 'data.img');
    expect(readFileSync(path).toString('latin1', 0, 20)).toBe('written by the guest');
    expect((await request('GET', '/v1/domains/linux/disks/xvda')).json).toMatchObject({
      state: 'connected',
      frontendState: 'connected',
      counters: { bytesRead: expect.any(Number) },
    });

    // The network: an address by DHCP, the host at the gateway, and back by a forward.
    await shell.run('busybox ifconfig eth0 up; busybox udhcpc -i eth0 -n -q -s /bin/dhcp');
    const { port } = web.address() as { port: number };
    expect(await shell.run(`busybox wget -q -O - http://10.0.2.2:${port}/`)).toContain(
      'hello from the host',
    );
    const api = Number(new URL(service.url).port);
    const forbidden = await shell.run(`busybox nc -w 5 10.0.2.2 ${api} </dev/null`);
    expect(forbidden).toContain('<done 1>');
    const [vif] = (await request('GET', '/v1/domains/linux/vifs')).json.vifs;
    expect(vif).toMatchObject({ mac: '00:16:3e:00:00:01', state: 'connected' });
    shell.type('busybox nc -l -p 7 -e cat &');
    const forward = await request('POST', '/v1/networks/xenbr0/forwards', {
      guestAddress: vif.ip,
      guestPort: 7,
    });
    expect(forward.status, forward.text).toBe(201);
    const capturing = new AbortController();
    const capture = await fetch(service.url + vif.capture, { signal: capturing.signal });
    const reader = capture.body?.getReader();
    expect(Buffer.from((await reader?.read())?.value ?? []).readUInt32LE(0)).toBe(0x0a0d0d0a);
    await expect.poll(() => echo(forward.json.hostPort), { timeout: COMMAND_MS }).toBe('through');
    const frames = Buffer.from((await reader?.read())?.value ?? []);
    expect(frames.includes(Buffer.from('00163e000001', 'hex'))).toBe(true);
    capturing.abort();
    const { json: network } = await request('GET', '/v1/networks/xenbr0');
    expect(network.leases).toContainEqual(
      expect.objectContaining({ mac: vif.mac, address: vif.ip }),
    );
    expect(
      (await request('DELETE', `/v1/networks/xenbr0/forwards/${forward.json.id}`)).status,
    ).toBe(204);

    // Hot: another disk and another interface, and away again.
    const hot = { vdev: 'xvdb', target: 'blank.img', access: 'ro' };
    expect((await request('POST', '/v1/domains/linux/disks', hot)).status).toBe(201);
    await shell.run('while [ ! -e /dev/xvdb ]; do sleep 0.1; done');
    expect(await shell.run('cat /sys/block/xvdb/ro /sys/block/xvdb/size')).toContain('1\n16384\n');
    expect((await request('DELETE', '/v1/disks/blank.img')).json).toMatchObject({ status: 409 });
    expect((await request('DELETE', '/v1/domains/linux/disks/xvdb')).status).toBe(204);
    await shell.run('while [ -e /dev/xvdb ]; do sleep 0.1; done');
    expect((await request('DELETE', '/v1/disks/blank.img')).status).toBe(204);
    expect(
      (await request('POST', '/v1/domains/linux/vifs', { bridge: 'inside' })).json,
    ).toMatchObject({ devid: 1 });
    await shell.run('while [ ! -e /sys/class/net/eth1 ]; do sleep 0.1; done');
    expect((await request('DELETE', '/v1/domains/linux/vifs/1')).status).toBe(204);

    // It asks its kernel, which has a sysrq handler, to say something.
    await shell.run('echo 8 > /proc/sysrq; echo 9 > /proc/sys/kernel/printk');
    const asked = shell.output.length;
    await request('POST', '/v1/domains/linux/actions/sysrq', { key: 'h' });
    await shell.shows(/sysrq: HELP/, COMMAND_MS, asked);

    shell.type('poweroff -f');
    await shell.socket.until(() => shell.socket.closed !== undefined, 'end', COMMAND_MS);
    for (const kind of ['vbd', 'vif']) {
      const { json } = await request('GET', `/v1/xenstore/local/domain/0/backend/${kind}`);
      expect(json.children).toEqual([]);
    }
    expect((await request('DELETE', '/v1/disks/data.img')).status).toBe(204);
  });
});

/** @returns what comes back through a forward, or why nothing does. */
function echo(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('through'));
    socket.on('data', (data) => {
      socket.destroy();
      resolve(String(data));
    });
    socket.on('error', (error) => resolve(error.message));
    socket.on('close', () => resolve('closed'));
  });
}
