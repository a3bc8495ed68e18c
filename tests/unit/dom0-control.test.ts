/** Asking a kernel to stop, and taking that back. */

import { expect, test } from 'vitest';
import { requestShutdown, withdrawShutdown } from '../../dom0/control.js';
import { XenstoreClient } from '../../xenstore/client/client.js';
import { XenstoreServer } from '../../xenstore/server/server.js';
import { inProcessChannel } from '../../xenstore/transport/in-process.js';

const DOMID = 7;
const NODE = `/local/domain/${DOMID}/control/shutdown`;

const newStore = () =>
  new XenstoreClient(inProcessChannel(new XenstoreServer(), { label: 'test' }));

test('a request that nobody has begun with is taken back', async () => {
  const store = newStore();
  const { acknowledged } = await requestShutdown(store, DOMID, 'suspend', 10);
  expect(await store.read(NODE)).toBe('suspend');
  expect(await acknowledged).toBe(false);
  await withdrawShutdown(store, DOMID, 'suspend');
  expect(await store.read(NODE)).toBe('');
});

test('a request of somebody else’s stays', async () => {
  const store = newStore();
  await requestShutdown(store, DOMID, 'poweroff', 10);
  await withdrawShutdown(store, DOMID, 'suspend');
  expect(await store.read(NODE)).toBe('poweroff');
});
