/** Saving and restoring over REST and by xl: Linux with a disk and a network interface goes on where it was. */

import { execFile } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
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
const XL = join(import.meta.dirname, '..', '..', 'toolstack', 'cli', 'xl.ts');

let service: TestService;
beforeAll(async () => {
  service = await startTestService({ memory: 512 });
});
afterAll(() => service.close());

const request = (...args: Parameters<TestService['request']>) => service.request(...args);

const xl = (...args: string[]) =>
  promisify(execFile)(process.execPath, ['--import', 'tsx', XL, '--host', service.url, ...args]);

const freeFrames = async (): Promise<number> =>
  (await request('GET', '/v1/host')).json.memory.freeFrames;

async function taskOf(path: string, body: object) {
  const { json } = await request('POST', path, body);
  const waited = await fetch(`${service.url}/v1/tasks/${json.id}`, { headers: { prefer: 'wait' } });
  return (await waited.json()) as { state: string; problem?: { type: string; detail: string } };
}

/** The disk and the network work. */
async function useDevices(shell: Shell, text: string): Promise<void> {
  await shell.run(`echo ${text} | dd of=/dev/xvda conv=notrunc,fsync`);
  expect(await shell.run(`head -c ${text.length} /dev/xvda; echo`)).toContain(text);
  expect(await shell.run('ping -c 2 -w 20 10.0.2.2 || ip addr')).toContain(' 0% packet loss');
}

describe('a saved domain', () => {
  testWithPeer(
    PEER,
    FILES,
    'of Linux goes on after it was restored, with its devices',
    async () => {
      await uploadImage(service, 'linux', readFileSync(KERNEL));
      await uploadImage(service, 'initrd', debianRamdisk(MODULES));
      await request('POST', '/v1/disks', { name: 'data.img', size: 8 * MIB });
      const free = await freeFrames();
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
      let shell = new Shell(service, 'linux', COMMAND_MS);
      await shell.shows(/XENOLITH-INIT[\s\S]*\/ # /, BOOT_MS);
      await shell.run('ip link set eth0 up; udhcpc -i eth0 -n -q -s /bin/true; echo kept > /tmp/x');
      await shell.run('ip addr add 10.0.2.77/24 dev eth0');
      await useDevices(shell, 'before');
      const file = join(service.folder, 'linux.save');

      // Saved and left running: nothing has happened to it.
      await xl('save', '-c', 'linux', file);
      await shell.run('true');
      await useDevices(shell, 'between');

      // Saved by xl, destroyed, restored by xl.
      await xl('save', 'linux', file);
      expect(statSync(file).size).toBeGreaterThan(192 * MIB);
      expect((await request('GET', '/v1/domains')).json.domains).toEqual([]);
      expect((await request('GET', '/v1/saves')).json.saves).toEqual([]);
      expect(await freeFrames()).toBe(free);
      await xl('restore', file);
      const again = await request('GET', '/v1/domains/linux');
      expect(again.json).toMatchObject({ uuid: created.json.uuid, name: 'linux' });
      shell = new Shell(service, 'linux', COMMAND_MS);
      await shell.socket.opened();
      await shell.run('true');
      expect(await shell.run('cat /tmp/x')).toContain('kept\n');
      await useDevices(shell, 'afterwards');

      // A reboot afterwards builds it from its kernel.
      const { json } = await request('POST', '/v1/domains/linux/actions/reboot', { force: true });
      expect(json.kind).toBe('reboot');
      await shell.socket.until(
        () => (shell.output.match(/XENOLITH-INIT/g) ?? []).length > 0,
        'reboot',
        BOOT_MS,
      );
      await request('DELETE', '/v1/domains/linux');
      await request('DELETE', '/v1/domains/linux');

      // A name in use, a file cut off, a file that is none.
      const cut = join(service.folder, 'cut.save');
      writeFileSync(cut, readFileSync(file).subarray(0, 20 * MIB));
      await expect(xl('restore', cut)).rejects.toMatchObject({
        code: 1,
        stderr: expect.stringContaining('cannot be restored: the file is cut off'),
      });
      await expect(xl('restore', KERNEL)).rejects.toMatchObject({
        stderr: expect.stringContaining('does not begin as a saved domain does'),
      });
      expect((await request('GET', '/v1/domains')).json.domains).toEqual([]);
      expect(await freeFrames()).toBe(free);
    },
  );

  test('cannot be made of a kernel that does not suspend itself, which goes on', async () => {
    await request('POST', '/v1/domains', { name: 'hello', kernel: 'hello', memory: 8 });
    const task = await taskOf('/v1/domains/hello/actions/save', { timeout: 1 });
    expect(task).toMatchObject({ state: 'failed', problem: { type: '/problems/unresponsive' } });
    const { domid, state } = (await request('GET', '/v1/domains/hello')).json;
    expect(['running', 'blocked']).toContain(state);
    const node = await request('GET', `/v1/xenstore/local/domain/${domid}/control/shutdown`);
    expect(node.json.value).toBe('');
    expect((await request('GET', '/v1/saves')).json).toEqual({ saves: [] });
    expect((await request('DELETE', '/v1/domains/hello')).status).toBe(204);
  });

  test('is restored as a task if that is preferred, which says what is wrong with the file', async () => {
    await fetch(`${service.url}/v1/saves/none-at-all`, { method: 'PUT', body: 'no saved domain' });
    const path = '/v1/saves/none-at-all/actions/restore';
    expect((await request('POST', path)).status).toBe(422);
    const headers = { prefer: 'respond-async, wait=600' };
    const { status, json, headers: answered } = await request('POST', path, {}, headers);
    expect(status).toBe(200);
    expect(answered.get('location')).toBe(`/v1/tasks/${json.id}`);
    expect(json).toMatchObject({ state: 'failed', problem: { type: '/problems/bad-save' } });
    const missing = await request('POST', '/v1/saves/none/actions/restore', {}, headers);
    expect(missing.status).toBe(404);
    await request('DELETE', '/v1/saves/none-at-all');
  });

  test('that is not there is said so', async () => {
    expect((await request('GET', '/v1/saves/none')).status).toBe(404);
    expect((await request('DELETE', '/v1/saves/none')).status).toBe(404);
    const restored = await request('POST', '/v1/saves/none/actions/restore');
    expect(restored.json).toMatchObject({ status: 404, type: '/problems/no-such-save' });
    expect((await request('PUT', '/v1/saves/..%2Fx')).status).toBe(400);
  });
});
