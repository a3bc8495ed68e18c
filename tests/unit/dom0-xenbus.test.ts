/** The handshake of split drivers as dom0 sees it, over a real store; and the rings that drivers share. */

import { beforeEach, describe, expect, test } from 'vitest';
import { guestNodes } from '../../dom0/guest-nodes.js';
import { announceState, decodeState, watchState } from '../../dom0/xenbus.js';
import { ringSlots } from '../../hypervisor/public/io/ring.js';
import { XENBUS_STATE } from '../../hypervisor/public/io/xenbus.js';
import { XenstoreClient } from '../../xenstore/client/client.js';
import { XenstoreServer } from '../../xenstore/server/server.js';
import { inProcessChannel } from '../../xenstore/transport/in-process.js';
import { GUEST_FACTS } from '../support/guest-facts.js';

let server: XenstoreServer;
let store: XenstoreClient;
beforeEach(() => {
  server = new XenstoreServer();
  store = new XenstoreClient(inProcessChannel(server));
});

/** Lets everything happen that is under way. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

// biome-ignore format: one row per value
test.each([
  ['4',       XENBUS_STATE.CONNECTED],
  ['0',       XENBUS_STATE.UNKNOWN],
  ['9',       XENBUS_STATE.UNKNOWN],
  ['',        XENBUS_STATE.UNKNOWN],
  ['04',      XENBUS_STATE.UNKNOWN],
  ['closed',  XENBUS_STATE.UNKNOWN],
  [undefined, XENBUS_STATE.UNKNOWN],
])('a state node of %j means %i', (value, state) => {
  expect(decodeState(value)).toBe(state);
});

test('a watched state is told once for each change, the present one first', async () => {
  const directory = '/local/domain/1/device/vif/0';
  const seen: number[] = [];
  const stop = await watchState(store, directory, 'test', (state) => seen.push(state));
  await settle();
  for (const state of [
    XENBUS_STATE.INITIALISING,
    XENBUS_STATE.INITIALISING,
    XENBUS_STATE.CONNECTED,
  ]) {
    await announceState(store, directory, state);
    await settle();
  }
  await store.rm(directory);
  await settle();
  await stop();
  await announceState(store, directory, XENBUS_STATE.CLOSED);
  await settle();
  expect(seen).toEqual([0, 1, 4, 0]);
});

describe('the nodes of a new guest', () => {
  test('say what the guest looks for', () => {
    const values = Object.fromEntries(
      guestNodes(GUEST_FACTS).map(({ path, value }) => [path, value]),
    );
    expect(values).toMatchObject({
      '/local/domain/7/name': 'seven',
      '/local/domain/7/vm': `/vm/${GUEST_FACTS.uuid}`,
      '/local/domain/7/memory/target': '4096',
      '/local/domain/7/memory/static-max': '8192',
      '/local/domain/7/console/ring-ref': '12',
      '/local/domain/7/store/port': '1',
      '/local/domain/7/cpu/0/availability': 'online',
      '/local/domain/7/cpu/1/availability': 'offline',
      '/local/domain/7/control/shutdown': '',
    });
  });

  test('can be read by the guest, and only its own can be written', async () => {
    for (const { path, value, perms } of guestNodes(GUEST_FACTS)) {
      await store.write(path, value);
      if (perms !== undefined) await store.setPerms(path, perms);
    }
    server.introduce(7, 11, 1);
    const guest = new XenstoreClient(inProcessChannel(server, { domid: 7 }));
    expect(await guest.read('name')).toBe('seven');
    await guest.write('control/shutdown', '');
    await guest.write('data/mine', 'x');
    await expect(guest.write('name', 'eight')).rejects.toMatchObject({ code: 'EACCES' });
    await expect(guest.write('memory/target', '1')).rejects.toMatchObject({ code: 'EACCES' });
    await expect(guest.read('/libxl/7/type')).rejects.toMatchObject({ code: 'EACCES' });
  });
});

// blkif's and netif's own figures: public/io/blkif.h, netif.h
test.each([
  [4096, 112, 32],
  [4096, 12, 256],
  [4096, 8, 256],
])('a ring of %i bytes has for entries of %i bytes %i slots', (bytes, entry, slots) => {
  expect(ringSlots(bytes, entry)).toBe(slots);
});
