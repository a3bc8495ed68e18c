/** A split device's backend follows whatever the frontend says, over a real store with the guest's own rights. */

import { beforeEach, describe, expect, test } from 'vitest';
import type { DeviceEvent } from '../../dom0/device.js';
import { guestNodes } from '../../dom0/guest-nodes.js';
import type { Privcmd } from '../../dom0/privcmd.js';
import { type ReadFrontend, XenbusDevice } from '../../dom0/xenbus-device.js';
import { XENBUS_STATE } from '../../hypervisor/public/io/xenbus.js';
import { XenstoreClient } from '../../xenstore/client/client.js';
import { XenstoreServer } from '../../xenstore/server/server.js';
import { inProcessChannel } from '../../xenstore/transport/in-process.js';
import { GUEST_FACTS } from '../support/guest-facts.js';

const DOMID = GUEST_FACTS.domid;
const FRONTEND = `/local/domain/${DOMID}/device/vbd/51712`;
const BACKEND = `/local/domain/0/backend/vbd/${DOMID}/51712`;
const LIBXL = `/libxl/${DOMID}/device/vbd/51712`;
const { INITIALISING, INIT_WAIT, INITIALISED, CONNECTED, CLOSING, CLOSED } = XENBUS_STATE;

let store: XenstoreClient;
let guest: XenstoreClient;
let device: XenbusDevice;
/** What the hooks were called for, and what was told. */
let log: string[];
let events: DeviceEvent[];
let onConnect: (read: ReadFrontend) => Promise<void>;

beforeEach(async () => {
  const server = new XenstoreServer();
  store = new XenstoreClient(inProcessChannel(server));
  for (const { path, value, perms } of guestNodes(GUEST_FACTS)) {
    await store.write(path, value);
    if (perms !== undefined) await store.setPerms(path, perms);
  }
  server.introduce(DOMID, 11, 1);
  guest = new XenstoreClient(inProcessChannel(server, { domid: DOMID }));
  log = [];
  events = [];
  onConnect = () => Promise.resolve();
  device = makeDevice();
  await device.attach();
});

function makeDevice(): XenbusDevice {
  return new XenbusDevice(
    { store, privcmd: {} as Privcmd },
    {
      kind: 'vbd',
      domid: DOMID,
      devid: 51712,
      name: 'vbd 51712 (xvda)',
      frontendNodes: { 'virtual-device': '51712' },
      backendNodes: { 'feature-persistent': '1' },
    },
    {
      connect: async (read) => {
        log.push('connect');
        await onConnect(read);
      },
      disconnect: () => {
        log.push('disconnect');
        return Promise.resolve();
      },
      event: (event) => events.push(event),
    },
  );
}

/** Lets everything happen that is under way. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** The frontend says its state; what the backend says then. */
async function says(state: number | string): Promise<number> {
  await guest.write('device/vbd/51712/state', String(state));
  await settle();
  return Number(await guest.read(`${BACKEND}/state`));
}

describe('the directories', () => {
  test('name each other, and hold what the backend is given', async () => {
    expect(await guest.read('device/vbd/51712/backend')).toBe(BACKEND);
    expect(await guest.read('device/vbd/51712/backend-id')).toBe('0');
    expect(await guest.read('device/vbd/51712/state')).toBe(String(INITIALISING));
    expect(await guest.read('device/vbd/51712/virtual-device')).toBe('51712');
    expect(await guest.read(`${BACKEND}/frontend`)).toBe(FRONTEND);
    expect(await guest.read(`${BACKEND}/frontend-id`)).toBe(String(DOMID));
    expect(await guest.read(`${BACKEND}/online`)).toBe('1');
    expect(await guest.read(`${BACKEND}/state`)).toBe(String(INIT_WAIT));
    expect(await guest.read(`${BACKEND}/feature-persistent`)).toBe('1');
    expect(await store.read(`${LIBXL}/frontend`)).toBe(FRONTEND);
    expect(await store.read(`${LIBXL}/backend`)).toBe(BACKEND);
  });

  test('have the permissions that libxl gives them', async () => {
    const dom0 = { access: 'n', domid: 0 };
    const owner = { access: 'n', domid: DOMID };
    expect(await store.getPerms(`${FRONTEND}/backend`)).toEqual([owner, { access: 'r', domid: 0 }]);
    expect(await store.getPerms(`${BACKEND}/state`)).toEqual([dom0, { access: 'r', domid: DOMID }]);
    await expect(guest.write(`${BACKEND}/state`, '4')).rejects.toMatchObject({ code: 'EACCES' });
    await expect(guest.read(`${LIBXL}/frontend`)).rejects.toMatchObject({ code: 'EACCES' });
  });
});

// biome-ignore format: one row per conversation
test.each<[what: string, states: (number | string)[], answers: number[], hooks: string[]]>([
  ['by way of Initialised',        [INITIALISED, CONNECTED],                    [CONNECTED, CONNECTED],                                 ['connect']],
  ['straight to Connected',        [CONNECTED],                                 [CONNECTED],                                            ['connect']],
  ['and closes',                   [CONNECTED, CLOSING, CLOSED],                [CONNECTED, CLOSING, CLOSED],                           ['connect', 'disconnect']],
  ['and comes back',               [CONNECTED, CLOSED, INITIALISING, CONNECTED], [CONNECTED, CLOSED, INIT_WAIT, CONNECTED],             ['connect', 'disconnect', 'connect']],
  ['comes back without a goodbye', [CONNECTED, INITIALISING, INITIALISED],      [CONNECTED, INIT_WAIT, CONNECTED],                      ['connect', 'disconnect', 'connect']],
  ['again as Initialised',         [CONNECTED, INITIALISED],                    [CONNECTED, CONNECTED],                                 ['connect', 'disconnect', 'connect']],
  ['without a new Initialising',   [CONNECTED, CLOSED, CONNECTED],              [CONNECTED, CLOSED, CONNECTED],                         ['connect', 'disconnect', 'connect']],
  ['and says nonsense',            [CONNECTED, 'nonsense', '', '99'],           [CONNECTED, CLOSED, CLOSED, CLOSED],                    ['connect', 'disconnect']],
  ['and says what means nothing',  [CONNECTED, 2, 7, 8],                        [CONNECTED, CONNECTED, CONNECTED, CONNECTED],           ['connect']],
])('a frontend that connects %s', async (_what, states, answers, hooks) => {
  const seen: number[] = [];
  for (const state of states) seen.push(await says(state));
  expect(seen).toEqual(answers);
  expect(log).toEqual(hooks);
});

test('a frontend that removes its own directory is closed', async () => {
  await says(CONNECTED);
  await guest.rm('device/vbd/51712');
  await settle();
  expect(device.backendState).toBe(CLOSED);
  expect(log).toEqual(['connect', 'disconnect']);
});

test('the frontend is read as it stands when it connects', async () => {
  const read: (string | undefined)[] = [];
  onConnect = async (readNode) => {
    read.push(await readNode('ring-ref'), await readNode('protocol'));
  };
  await guest.write('device/vbd/51712/ring-ref', '8');
  await says(CONNECTED);
  expect(read).toEqual(['8', undefined]);
});

test('a connection that fails closes the device until the frontend starts anew', async () => {
  onConnect = () => Promise.reject(new Error('ring-ref is not a number'));
  expect(await says(CONNECTED)).toBe(CLOSING);
  expect(log).toEqual(['connect', 'disconnect']);
  expect(events).toMatchObject([{ kind: 'protocol-error', detail: 'ring-ref is not a number' }]);
  expect(await says(INITIALISED)).toBe(CLOSING);
  expect(log).toHaveLength(2);
  onConnect = () => Promise.resolve();
  expect(await says(INITIALISING)).toBe(INIT_WAIT);
  expect(await says(CONNECTED)).toBe(CONNECTED);
});

test('a protocol error is told once, and disconnects', async () => {
  await says(CONNECTED);
  device.fail('the ring lies');
  device.fail('the ring lies again');
  await settle();
  expect(device.connected).toBe(false);
  expect(log).toEqual(['connect', 'disconnect']);
  expect(events.map(({ kind }) => kind)).toEqual(['connected', 'protocol-error']);
  expect(await says(CLOSED)).toBe(CLOSED);
});

describe('detach', () => {
  const left = async (): Promise<boolean[]> =>
    Promise.all(
      [FRONTEND, BACKEND, LIBXL, `/local/domain/0/backend/vbd/${DOMID}`].map((path) =>
        store.exists(path),
      ),
    );

  test('asks a connected frontend, and goes on when that has closed', async () => {
    await says(CONNECTED);
    const detached = device.detach({ waitMs: 60_000 });
    await settle();
    expect(await guest.read(`${BACKEND}/state`)).toBe(String(CLOSING));
    expect(await guest.read(`${BACKEND}/online`)).toBe('0');
    await guest.write('device/vbd/51712/state', String(CLOSING));
    await settle();
    await guest.write('device/vbd/51712/state', String(CLOSED));
    await detached;
    expect(log).toEqual(['connect', 'disconnect']);
    expect(await left()).toEqual([false, false, false, false]);
  });

  test('does not wait longer than it is told to', async () => {
    await says(CONNECTED);
    await device.detach({ waitMs: 20 });
    expect(log).toEqual(['connect', 'disconnect']);
    expect(await left()).toEqual([false, false, false, false]);
  });

  test('asks nobody if it must not wait, nor if nobody is connected', async () => {
    await device.detach({ waitMs: 60_000 });
    expect(await left()).toEqual([false, false, false, false]);
    device = makeDevice();
    await device.attach();
    await says(CONNECTED);
    await device.detach({ waitMs: 0 });
    await device.detach({ waitMs: 0 });
    expect(log).toEqual(['connect', 'disconnect']);
    expect(await left()).toEqual([false, false, false, false]);
  });

  test('leaves the other devices of the domain alone', async () => {
    await store.write(`/local/domain/0/backend/vbd/${DOMID}/51728/state`, '2');
    await device.detach({ waitMs: 0 });
    expect(await left()).toEqual([false, false, false, true]);
  });
});

test('a device that was taken offline in the store goes when the frontend closes', async () => {
  await says(CONNECTED);
  await store.write(`${BACKEND}/online`, '0');
  await store.write(`${BACKEND}/state`, String(CLOSING));
  await guest.write('device/vbd/51712/state', String(CLOSED));
  await settle();
  expect(await store.exists(BACKEND)).toBe(false);
  expect(await store.exists(FRONTEND)).toBe(false);
  expect(log).toEqual(['connect', 'disconnect']);
});
