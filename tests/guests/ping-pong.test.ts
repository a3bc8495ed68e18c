/** Two domains find each other by XenStore and exchange messages through a granted page, none lost. */

import { expect, test } from 'vitest';
import type { CreateDomain } from '../../hypervisor/public/privcmd.js';
import { type Guest, Harness } from '../support/hypervisor-harness.js';
import { StoreHost } from './store-host.js';

async function boot(
  harness: Harness,
  store: StoreHost,
  image: string,
  options: Partial<CreateDomain> = {},
): Promise<Guest> {
  const guest = harness.create(image, { ...options, paused: true });
  await store.attach(guest, image);
  harness.call('unpausedomain', { domid: guest.domid });
  return guest;
}

const shut = (guest: Guest): boolean =>
  guest.harness.events.some((e) => e.event === 'domain' && e.domid === guest.domid);

test.each([
  ['ping starts first', ['ping', 'pong']],
  ['pong starts first', ['pong', 'ping']],
] as const)('100,000 messages, %s', async (_, images) => {
  const harness = new Harness();
  const before = harness.freeFrames;
  const store = new StoreHost(harness);
  const guests: Guest[] = [];
  for (const image of images) guests.push(await boot(harness, store, image));
  const finished = harness.runUntil(() => {
    store.turn();
    return guests.every(shut);
  }, 60_000);
  const outputs = new Map(images.map((image, i) => [image, guests[i]?.output ?? '']));
  expect(finished, [...outputs.values()].join('\n')).toBe(true);
  expect(outputs.get('ping')).toMatch(/VERDICT: success: 100000 messages .* none lost/);
  expect(outputs.get('pong')).toMatch(/VERDICT: success: 100000 messages answered/);
  for (const guest of guests) {
    store.detach(guest);
    guest.destroy();
  }
  expect(harness.freeFrames).toBe(before);
  expect(harness.bugs).toBe(0);
});
