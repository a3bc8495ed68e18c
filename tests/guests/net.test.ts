/** The kit's own network driver against dom0's backend: two guests that echo, alone and beside one whose rings lie. */

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Device, DeviceEvent } from '../../dom0/device.js';
import { attachVif } from '../../dom0/netif/vif.js';
import { systemHost } from '../../dom0/network/host.js';
import { LearningSwitch } from '../../dom0/network/switch.js';
import { Dom0Host, type HostGuest } from '../support/dom0-host.js';
import { image } from '../support/hypervisor-harness.js';
import { eventually } from '../support/service.js';

const ENDS_MS = 60_000;
const COUNT = 2000;

let host: Dom0Host;
let network: LearningSwitch;
let devices: Device[] = [];
let events: DeviceEvent[] = [];
let number = 0;

beforeAll(async () => {
  host = await Dom0Host.start(64);
  network = new LearningSwitch('xenbr0', systemHost);
});
afterAll(() => host.close());

async function start(name: string, cmdline: string): Promise<HostGuest> {
  number += 1;
  const mac = `00:16:3e:00:01:${number.toString(16).padStart(2, '0')}`;
  const guest = await host.create({ name, kernel: image(name), memory: 4, cmdline });
  const spec = { devid: 0, mac, bridge: 'xenbr0' };
  devices.push(await attachVif(host.dom0, guest.domid, spec, network, (e) => events.push(e)));
  await guest.unpause();
  return guest;
}

async function freeFrames(): Promise<number> {
  return (await host.dom0.privcmd.call('physinfo', {})).freeFrames;
}

/** An echo server and its client; what they say at the end. */
async function echo(blank: number): Promise<HostGuest[]> {
  const server = await start('net', `ip=10.0.0.1 blank=${blank}`);
  const options = `count=${COUNT} blank=${blank} patience=${ENDS_MS / 1000}`;
  const client = await start('net', `ip=10.0.0.2 peer=10.0.0.1 ${options}`);
  for (const guest of [client, server]) await guest.shows(/VERDICT: .*\r?\n/, ENDS_MS);
  expect(client.output).toContain(`VERDICT: success: ${COUNT} echoes, all right; 0 errors`);
  expect(server.output).toContain(`VERDICT: success: ${COUNT + 1} datagrams answered, 0 wrong`);
  return [client, server];
}

async function end(guests: readonly HostGuest[]): Promise<void> {
  for (const device of devices) await device.detach({ waitMs: 0 });
  for (const guest of guests) await guest.destroy();
  devices = [];
  events = [];
}

test.each([
  ['their own', 0],
  ['left to the backend', 1],
])('echoes of all sizes are right, checksums %s', async (_, blank) => {
  const before = await freeFrames();
  const guests = await echo(blank);
  for (const { counters } of devices.map((device) => device.status())) {
    expect(counters).toMatchObject({ txErrors: 0, rxErrors: 0, rxExpired: 0 });
    expect(counters['txPackets']).toBeGreaterThan(COUNT);
  }
  await end(guests);
  expect(await freeFrames()).toBe(before);
  expect(await host.bugs()).toBe(0);
});

test('a guest whose rings lie is answered with errors and disconnected, and harms nobody', async () => {
  const before = await freeFrames();
  const hostile = await start('hostile-net-rings', '');
  const [liar] = devices;
  await hostile.shows(/begins/, ENDS_MS);
  const guests = await echo(0);
  await hostile.shows(/life 3 ends/, ENDS_MS);
  const refused = () => Promise.resolve(liar?.status().counters['txErrors'] ?? 0);
  await eventually(refused, (count) => count > 0, ENDS_MS);
  const broken = events.filter(({ kind }) => kind === 'protocol-error');
  expect(broken.length).toBeGreaterThanOrEqual(3);
  expect(new Set(broken.map(({ domid }) => domid))).toEqual(new Set([hostile.domid]));
  const info = await host.dom0.privcmd.call('getdomaininfo', { domid: hostile.domid });
  expect(info).toMatchObject({ shutdown: false });
  await end([...guests, hostile]);
  expect(await freeFrames()).toBe(before);
  expect(host.dom0.privcmd.bounce.freePages).toBe(host.dom0.privcmd.bounce.pages);
  expect(await host.bugs()).toBe(0);
});
