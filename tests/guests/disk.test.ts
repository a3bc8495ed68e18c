/** Guests of the kit with disks: one that checks what it wrote, and one that sends nonsense beside it. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { attachDisk } from '../../dom0/block/block-device.js';
import type { DiskSpec } from '../../dom0/block/disk-spec.js';
import type { DeviceEvent } from '../../dom0/device.js';
import { Dom0Host } from '../support/dom0-host.js';
import { image } from '../support/hypervisor-harness.js';

const DISK_BYTES = 8 * 1024 * 1024;
const PATIENCE_MS = 240_000;

let host: Dom0Host;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'xenolith-disk-'));
  host = await Dom0Host.start(128);
});
afterAll(async () => {
  await host.close();
  rmSync(folder, { recursive: true, force: true });
});

async function start(kernel: string, spec: Partial<DiskSpec> = {}, cmdline = '') {
  const path = join(folder, `${kernel}.img`);
  writeFileSync(path, new Uint8Array(DISK_BYTES));
  const events: DeviceEvent[] = [];
  const guest = await host.create({ name: kernel, kernel: image(kernel), memory: 8, cmdline });
  const device = await attachDisk(
    host.dom0,
    guest.domid,
    { vdev: 'xvda', path, readonly: false, discard: false, ...spec },
    (event) => events.push(event),
  );
  await guest.unpause();
  const end = async (): Promise<void> => {
    await device.detach({ waitMs: 0 });
    await guest.destroy();
  };
  return { guest, device, events, path, end };
}

const freeFrames = async (): Promise<number> =>
  (await host.dom0.privcmd.call('physinfo', {})).freeFrames;

test('a guest finds on its disk what it wrote, with copied pages and with persistent grants', async () => {
  const before = await freeFrames();
  const { guest, events, path, end } = await start('disk');
  const [verdict] = await guest.shows(/VERDICT: .*\r?\n/, PATIENCE_MS);
  expect(verdict).toMatch(/^VERDICT: success/);
  await end();
  expect(events.map(({ kind }) => kind)).toEqual(['connected', 'closed', 'connected', 'closed']);
  // The first word of sector 0 as the second round wrote it.
  expect(readFileSync(path).readBigUInt64LE(0)).toBe(2n << 48n);
  expect(await freeFrames()).toBe(before);
  expect(await host.bugs()).toBe(0);
});

test('the same with an overlay leaves the image as it was', async () => {
  const { guest, path, end } = await start('disk', { overlay: {} });
  const [verdict] = await guest.shows(/VERDICT: .*\r?\n/, PATIENCE_MS);
  expect(verdict).toMatch(/^VERDICT: success/);
  await end();
  expect(readFileSync(path).equals(Buffer.alloc(DISK_BYTES))).toBe(true);
});

test.each([1, 2])('a guest that sends nonsense harms only itself, seed %i', async (seed) => {
  const before = await freeFrames();
  const hostile = await start('hostile-block-rings', {}, `seed=${seed}`);
  await hostile.guest.shows(/life 1\b/, PATIENCE_MS);
  const neighbour = await start('disk');
  const [verdict] = await neighbour.guest.shows(/VERDICT: .*\r?\n/, PATIENCE_MS);
  expect(verdict).toMatch(/^VERDICT: success/);
  await hostile.guest.shows(/life 3\b/, PATIENCE_MS);
  const kinds = new Set(hostile.events.map(({ kind }) => kind));
  expect(kinds).toContain('protocol-error');
  expect(hostile.device.status().counters['refused']).toBeGreaterThan(0);
  expect(neighbour.events.every(({ kind }) => kind === 'connected' || kind === 'closed')).toBe(
    true,
  );
  await neighbour.end();
  await hostile.end();
  expect(await freeFrames()).toBe(before);
  expect(await host.bugs()).toBe(0);
});
