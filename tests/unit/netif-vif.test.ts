/** A vif in conversation with a guest's driver played by the test: packets both ways, negotiation, and frontends that lie. */

import { beforeEach, describe, expect, test } from 'vitest';
import type { Device, DeviceEvent } from '../../dom0/device.js';
import { attachVif } from '../../dom0/netif/vif.js';
import type { VifSpec } from '../../dom0/netif/vif-spec.js';
import type { SwitchPort } from '../../dom0/network/port.js';
import { LearningSwitch } from '../../dom0/network/switch.js';
import { NETIF_RSP, NETRXF, NETTXF } from '../../hypervisor/public/io/netif.js';
import { XENBUS_STATE } from '../../hypervisor/public/io/xenbus.js';
import { XenstoreClient } from '../../xenstore/client/client.js';
import { XenstoreServer } from '../../xenstore/server/server.js';
import { inProcessChannel } from '../../xenstore/transport/in-process.js';
import { FakeMachine, Netfront, type TxSlot } from '../support/netfront.js';
import { FakeHost, frame, Station } from '../support/network.js';

const DOMID = 5;
const MAC = '00:16:3e:00:00:05';
const PEER = '00:16:3e:00:00:99';
const FRONTEND = `/local/domain/${DOMID}/device/vif/0`;
const BACKEND = `/local/domain/0/backend/vif/${DOMID}/0`;
const { CONNECTED, CLOSING } = XENBUS_STATE;
const { OKAY, ERROR, NULL } = NETIF_RSP;
/** What Linux announces. */
const LINUX = {
  'request-rx-copy': '1',
  'feature-rx-notify': '1',
  'feature-sg': '1',
  'feature-gso-tcpv4': '1',
  'feature-gso-tcpv6': '1',
  'feature-ipv6-csum-offload': '1',
};
const GSO_TCPV4 = [1, 0, 0xb4, 0x05, 1, 0, 0, 0];
const MCAST = [1, 0, 0x5e, 0, 0, 0x42];

let store: XenstoreClient;
let machine: FakeMachine;
let network: LearningSwitch;
let peer: Station;
let peerPort: SwitchPort;
let events: DeviceEvent[];
let device: Device;

beforeEach(async () => {
  store = new XenstoreClient(inProcessChannel(new XenstoreServer()));
  machine = new FakeMachine();
  network = new LearningSwitch('xenbr0', new FakeHost());
  peer = new Station('peer', { checksum: true, gsoTcp4: true, gsoTcp6: true });
  peerPort = network.attach(peer, { mac: PEER, antiSpoof: false });
  events = [];
  device = await attach();
});

const attach = (spec: Partial<VifSpec> = {}): Promise<Device> =>
  attachVif(
    { store, privcmd: machine.privcmd },
    DOMID,
    { devid: 0, mac: MAC, bridge: 'xenbr0', ...spec },
    network,
    (event) => events.push(event),
  );

/** Lets everything happen that is under way. */
async function settle(): Promise<void> {
  for (let n = 0; n < 50; n++) await new Promise((resolve) => setImmediate(resolve));
}

/** A queue whose nodes are written, and the frontend's state Connected. */
async function connect(nodes: Record<string, string> = LINUX): Promise<Netfront> {
  const front = new Netfront(machine);
  await announce({
    'tx-ring-ref': String(front.txRef),
    'rx-ring-ref': String(front.rxRef),
    'event-channel': String(front.txPort),
    ...nodes,
  });
  return front;
}

async function announce(nodes: Record<string, string>): Promise<void> {
  for (const [node, value] of Object.entries(nodes))
    await store.write(`${FRONTEND}/${node}`, value);
  await store.write(`${FRONTEND}/state`, String(CONNECTED));
  await settle();
}

const counter = (name: string): number | undefined => device.status().counters[name];
const payload = (length: number) =>
  Uint8Array.from({ length }, (_, n) => (n * 7 + (n >> 8)) & 0xff);
const fromGuest = (length = 46) => frame(PEER, MAC, payload(length)).bytes;
const toGuest = (length = 46) => frame(MAC, PEER, payload(length)).bytes;
const statuses = (front: Netfront): number[] => front.answers().map(({ status }) => status);

describe('attaching', () => {
  test('announces what Linux backends announce, without a control ring', async () => {
    const names = await store.directory(BACKEND);
    const nodes = await Promise.all(
      names.map(async (name) => [name, await store.read(`${BACKEND}/${name}`)]),
    );
    expect(Object.fromEntries(nodes)).toMatchObject({
      mac: MAC,
      bridge: 'xenbr0',
      handle: '0',
      'feature-sg': '1',
      'feature-gso-tcpv4': '1',
      'feature-gso-tcpv6': '1',
      'feature-ipv6-csum-offload': '1',
      'feature-rx-copy': '1',
      'feature-rx-flip': '0',
      'feature-multicast-control': '1',
      'feature-dynamic-multicast-control': '1',
      'feature-split-event-channels': '1',
      'multi-queue-max-queues': '4',
    });
    expect(names).not.toContain('feature-ctrl-ring');
    expect(await store.read(`${FRONTEND}/mac`)).toBe(MAC);
  });

  test('an address that another port has is a mistake of the host', async () => {
    await expect(attach({ devid: 1 })).rejects.toThrow(TypeError);
  });

  test('an address can be used again after its vif is detached', async () => {
    await device.detach({ waitMs: 0 });
    device = await attach();
    expect(device.status().backendState).toBe(XENBUS_STATE.INIT_WAIT);
  });

  test('detaching lets go of every page and port, and of the nodes', async () => {
    await connect();
    expect([machine.mapped.size, machine.bound.size]).toEqual([2, 1]);
    await device.detach({ waitMs: 0 });
    expect([machine.mapped.size, machine.bound.size]).toEqual([0, 0]);
    expect(await store.exists(BACKEND)).toBe(false);
    expect(peerPort.counters.sent.frames).toBe(0);
  });
});

describe('transmitting', () => {
  test('a packet in one slot reaches the switch and is answered', async () => {
    const front = await connect();
    front.packet(fromGuest());
    await settle();
    expect(peer.take()).toEqual([{ bytes: fromGuest(), checksumBlank: false, gso: undefined }]);
    expect(front.answers()).toEqual([{ id: 0, status: OKAY }]);
    expect(machine.events.get(front.txPort)).toBe(1);
    expect(device.status().counters).toMatchObject({ txPackets: 1, txBytes: 60 });
  });

  test('many packets are copied by one call and answered with one event', async () => {
    const front = await connect();
    for (let n = 0; n < 50; n++) front.packet(fromGuest(46 + n));
    await settle();
    expect(peer.take().map(({ bytes }) => bytes.length)).toEqual(
      Array.from({ length: 50 }, (_, n) => 60 + n),
    );
    expect(machine.calls.get('gnttab.copy')).toBe(1);
    expect(machine.events.get(front.txPort)).toBe(1);
    expect(statuses(front)).toEqual(Array.from({ length: 50 }, () => OKAY));
  });

  test('the indices wrap: thousands of packets arrive in order', async () => {
    const front = await connect();
    for (let round = 0; round < 30; round++) {
      for (let n = 0; n < 100; n++) front.packet(fromGuest(46 + n));
      await settle();
      expect(peer.take()).toHaveLength(100);
      expect(front.answers()).toHaveLength(100);
    }
    expect(counter('txPackets')).toBe(3000);
  });

  // biome-ignore format: one row per shape: bytes, bytes a slot
  test.each([
    [4000,  1000],
    [1400,  100],
    [65535, 4096],
    [18014, 1001],
  ])('%i bytes in slots of %i are one packet', async (length, piece) => {
    const front = await connect();
    const bytes = fromGuest(length - 14);
    front.packet(bytes, { piece, extra: GSO_TCPV4 });
    await settle();
    // The peer takes GSO only of what is TCP: what the switch makes of it is the switch's.
    expect(device.status().counters).toMatchObject({ txPackets: 1, txBytes: length, txErrors: 0 });
    const answers = statuses(front);
    expect(answers).toHaveLength(Math.ceil(length / piece) + 1);
    expect(answers.filter((status) => status === NULL)).toHaveLength(1);
    expect(answers[1]).toBe(NULL);
  });

  test('the bytes of a packet in many slots are in order', async () => {
    const front = await connect();
    front.packet(fromGuest(1400), { piece: 83 });
    await settle();
    expect(peer.take().map(({ bytes }) => bytes)).toEqual([fromGuest(1400)]);
  });

  test('a blank checksum stays blank on its way', async () => {
    const front = await connect();
    const bytes = fromGuest();
    peer.can = { ...peer.can, checksum: true };
    front.packet(bytes, { flags: NETTXF.CSUM_BLANK | NETTXF.DATA_VALIDATED });
    await settle();
    expect(peer.take()[0]?.checksumBlank).toBe(true);
  });
});

describe('receiving', () => {
  test('a frame is copied into a posted page, answered in its slot', async () => {
    const front = await connect();
    front.post(4);
    peerPort.send({ bytes: toGuest() });
    await settle();
    const [response, ...others] = front.received();
    expect(others).toEqual([]);
    expect(response).toMatchObject({ id: 0, offset: 0, flags: 0, status: 60 });
    expect(response?.page.subarray(0, 60)).toEqual(toGuest());
    expect(machine.events.get(front.rxPort)).toBe(1);
    expect(device.status().counters).toMatchObject({ rxPackets: 1, rxBytes: 60 });
  });

  test('frames of one moment are copied by one call', async () => {
    const front = await connect();
    front.post(100);
    for (let n = 0; n < 60; n++) peerPort.send({ bytes: toGuest(46 + n) });
    await settle();
    expect(front.received().map(({ status }) => status)).toEqual(
      Array.from({ length: 60 }, (_, n) => 60 + n),
    );
    expect(machine.calls.get('gnttab.copy')).toBe(1);
    expect(machine.events.get(front.rxPort)).toBe(1);
  });

  test('a frame waits for pages, and asks for as many as it needs', async () => {
    const front = await connect({ ...LINUX, 'feature-gso-tcpv4': '1' });
    await device.detach({ waitMs: 0 });
    device = await attach({ mtu: 9000 });
    const large = await connect();
    large.post(1);
    peerPort.send({ bytes: toGuest(8000) });
    await settle();
    expect(large.received()).toEqual([]);
    expect(large.rxRequestEvent).toBe(2);
    large.post(1);
    await settle();
    const responses = large.received();
    expect(responses.map(({ status }) => status)).toEqual([4096, 8014 - 4096]);
    expect(responses.map(({ flags }) => flags)).toEqual([NETRXF.MORE_DATA, 0]);
    const bytes = Buffer.concat(responses.map(({ page, status }) => page.subarray(0, status)));
    expect(bytes).toEqual(Buffer.from(toGuest(8000)));
    expect(front.received()).toEqual([]);
  });

  test('a frontend that does not notify is looked after all the same', async () => {
    const front = await connect({ 'request-rx-copy': '1' });
    peerPort.send({ bytes: toGuest() });
    await settle();
    machine.bound.clear(); // no event of the guest comes through
    front.post(1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await settle();
    expect(front.received()).toHaveLength(1);
  });

  test('a guest that posts nothing fills its queue, and then is refused frames', async () => {
    await connect();
    for (let n = 0; n < 5000; n++) peerPort.send({ bytes: toGuest(1400) });
    expect(counter('drop-full')).toBeGreaterThan(1000);
    expect(counter('rxFull')).toBe(counter('drop-full'));
  });

  test('frames for a guest that has not connected are dropped', () => {
    peerPort.send({ bytes: toGuest() });
    expect(counter('drop-full')).toBe(1);
  });

  test('pages that were not granted are answered with an error, the others are filled', async () => {
    const front = await connect();
    front.post(3, [9999]);
    peerPort.send({ bytes: toGuest(46) });
    peerPort.send({ bytes: toGuest(47) });
    await settle();
    expect(front.received().map(({ status }) => status)).toEqual([ERROR, 61]);
    expect(device.status().counters).toMatchObject({ rxPackets: 1, rxErrors: 1 });
  });
});

describe('negotiating', () => {
  // biome-ignore format: one row per frontend
  test.each<[string, Record<string, string>, object]>([
    ['Linux',                LINUX,                       { checksum: true,  gsoTcp4: true,  gsoTcp6: true,  maxFrame: 1514 }],
    ['a small one',          { 'request-rx-copy': '1' },  { checksum: false, gsoTcp4: false, gsoTcp6: false, maxFrame: 1514 }],
    ['GSO without SG',       { ...LINUX, 'feature-sg': '0' }, { checksum: true, gsoTcp4: false, gsoTcp6: false, maxFrame: 1514 }],
    ['no checksums',         { ...LINUX, 'feature-no-csum-offload': '1' }, { checksum: false, gsoTcp4: true, gsoTcp6: true, maxFrame: 1514 }],
  ])('%s', async (_, nodes, expected) => {
    await connect(nodes);
    expect(device.status().negotiated).toMatchObject({ queues: 1 });
    // The device is the owner of its port.
    const owner = device as unknown as { capabilities(): object };
    expect(owner.capabilities()).toEqual(expected);
  });

  // biome-ignore format: one row per mistake
  test.each<[string, Record<string, string>]>([
    ['request-rx-copy is not 1',     { ...LINUX, 'request-rx-copy': '0' }],
    ['multi-queue-num-queues is "0"', { ...LINUX, 'multi-queue-num-queues': '0' }],
    ['multi-queue-num-queues is "5"', { ...LINUX, 'multi-queue-num-queues': '5' }],
    ['multi-queue-num-queues is "x"', { ...LINUX, 'multi-queue-num-queues': 'x' }],
    ['queue-0/tx-ring-ref is undefined', { ...LINUX, 'multi-queue-num-queues': '2' }],
    ['tx-ring-ref is "-1"',          { ...LINUX, 'tx-ring-ref': '-1' }],
    ['rx-ring-ref is "4294967296"',  { ...LINUX, 'rx-ring-ref': '4294967296' }],
    ['event-channel is ""',          { ...LINUX, 'event-channel': '' }],
    ['grant 77 is none',             { ...LINUX, 'rx-ring-ref': '77' }],
  ])('%s: refused, and nothing is held', async (why, nodes) => {
    await connect(nodes);
    expect(events.map(({ kind }) => kind)).toEqual(['protocol-error']);
    expect(events[0]?.detail).toContain(why);
    expect(device.status().backendState).toBe(CLOSING);
    expect([machine.mapped.size, machine.bound.size]).toEqual([0, 0]);
  });

  test('two queues with split channels: each has its own conversations', async () => {
    const fronts = [new Netfront(machine, 1, 2), new Netfront(machine, 3, 4)];
    const nodes = fronts.flatMap((front, n) => [
      [`queue-${n}/tx-ring-ref`, String(front.txRef)],
      [`queue-${n}/rx-ring-ref`, String(front.rxRef)],
      [`queue-${n}/event-channel-tx`, String(front.txPort)],
      [`queue-${n}/event-channel-rx`, String(front.rxPort)],
    ]);
    await announce({ ...LINUX, 'multi-queue-num-queues': '2', ...Object.fromEntries(nodes) });
    expect(device.status().negotiated).toMatchObject({ queues: 2, splitEventChannels: true });
    for (const front of fronts) {
      front.packet(fromGuest());
      front.post(200);
    }
    await settle();
    expect(peer.take()).toHaveLength(2);
    const counts = new Map<number, Set<number>>();
    for (let port = 0; port < 64; port++) {
      for (const twice of [0, 1]) peerPort.send({ bytes: udpFrame(port, twice) });
    }
    await settle();
    for (const [n, front] of fronts.entries()) {
      const ports = front.received().map(({ page }) => page[35] ?? 0);
      expect(ports.length).toBeGreaterThan(20);
      counts.set(n, new Set(ports));
      expect(ports.length).toBe(2 * new Set(ports).size);
    }
    const [first, second] = [counts.get(0), counts.get(1)];
    expect([...(first ?? [])].filter((port) => second?.has(port))).toEqual([]);
  });

  test('a frontend that closes and comes back is served again', async () => {
    await connect();
    await store.write(`${FRONTEND}/state`, String(XENBUS_STATE.CLOSED));
    await settle();
    expect([machine.mapped.size, machine.bound.size]).toEqual([0, 0]);
    await store.write(`${FRONTEND}/state`, String(XENBUS_STATE.INITIALISING));
    await settle();
    const front = await connect();
    front.packet(fromGuest());
    await settle();
    expect(peer.take()).toHaveLength(1);
  });
});

/** UDP over IPv4 from the peer, the source port's low byte and something else given. */
function udpFrame(port: number, other: number): Uint8Array {
  const bytes = frame(MAC, PEER, new Uint8Array(46), 0x0800).bytes;
  bytes.set([0x45, 0, 0, 46], 14);
  bytes.set([64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, port, 0, 7], 22);
  bytes[59] = other;
  return bytes;
}

describe('multicast control', () => {
  const group = (last: number): Uint8Array =>
    frame(`01:00:5e:00:00:${last.toString(16)}`, PEER).bytes;
  const wish = (type: number, address = MCAST): TxSlot[] => [
    { gref: 0, size: 0, flags: NETTXF.EXTRA_INFO, id: 3 },
    { extra: [type, 0, ...address] },
  ];

  test('only the groups that were asked for pass, and broadcasts; the wish may come at any time', async () => {
    const front = await connect();
    front.post(50);
    peerPort.send({ bytes: group(0x42) });
    await settle();
    expect(front.received()).toHaveLength(1);
    await store.write(`${FRONTEND}/request-multicast-control`, '1');
    await settle();
    peerPort.send({ bytes: group(0x42) });
    await settle();
    expect(front.received()).toHaveLength(0);
    front.transmit(...wish(2));
    await settle();
    expect(front.answers()).toEqual([
      { id: 3, status: OKAY },
      { id: expect.any(Number), status: NULL },
    ]);
    for (const last of [0x42, 0x43]) peerPort.send({ bytes: group(last) });
    peerPort.send({ bytes: frame('ff:ff:ff:ff:ff:ff', PEER).bytes });
    await settle();
    expect(front.received()).toHaveLength(2);
    front.transmit(...wish(3));
    await settle();
    peerPort.send({ bytes: group(0x42) });
    await settle();
    expect(front.received()).toHaveLength(0);
    expect(counter('rxFiltered')).toBe(3);
    expect(peer.take()).toEqual([]);
  });

  test('there is room for 64 addresses', async () => {
    const front = await connect();
    for (let n = 0; n < 65; n++) front.transmit(...wish(2, [1, 0, 0x5e, 0, 1, n]));
    await settle();
    const answers = statuses(front).filter((status) => status !== NULL);
    expect(answers.filter((status) => status === OKAY)).toHaveLength(64);
    expect(answers.at(-1)).toBe(ERROR);
  });
});

describe('a frontend that lies', () => {
  const slot = (fields: Partial<Exclude<TxSlot, { extra: unknown }>> = {}): TxSlot => ({
    gref: 8,
    size: 60,
    ...fields,
  });
  const chain = (count: number, last = 0): TxSlot[] =>
    Array.from({ length: count }, (_, n) =>
      slot({ size: n === 0 ? 60 : 1, flags: n < count - 1 ? NETTXF.MORE_DATA : last }),
    );

  // biome-ignore format: one row per packet that is answered with an error
  test.each<[string, TxSlot[]]>([
    ['size 0',                       [slot({ size: 0 })]],
    ['shorter than a header',        [slot({ size: 13 })]],
    ['a grant that is none',         [slot({ gref: 0xffff_ffff })]],
    ['fragments longer than all',    [slot({ size: 60, flags: NETTXF.MORE_DATA }), slot({ size: 61 })]],
    ['a second grant that is none',  [slot({ flags: NETTXF.MORE_DATA }), slot({ gref: 7777, size: 10 })]],
    ['19 slots',                     chain(19)],
    ['20 slots',                     chain(20)],
  ])('%s: an error, and the next packet passes', async (_, slots) => {
    const front = await connect();
    front.transmit(...slots);
    front.packet(fromGuest());
    await settle();
    expect(statuses(front)).toEqual([...slots.map(() => ERROR), OKAY]);
    expect(peer.take().map(({ bytes }) => bytes)).toEqual([fromGuest()]);
    expect(counter('txErrors')).toBe(1);
    expect(events.map(({ kind }) => kind)).toEqual(['connected']);
  });

  // biome-ignore format: one row per way to break the protocol
  test.each<[string, TxSlot[]]>([
    ['a chain that does not end',    chain(5, NETTXF.MORE_DATA)],
    ['a chain of 21 slots',          chain(21)],
    ['a chain of 250 slots',         chain(250)],
    ['past the end of the page',     [slot({ offset: 4090 })]],
    ['offset and size at their most', [slot({ offset: 0xffff, size: 0xffff })]],
    ['a fragment past its page',     [slot({ flags: NETTXF.MORE_DATA }), slot({ offset: 4095, size: 2 })]],
    ['a first fragment past its page', [slot({ size: 5000 })]],
    ['an extra that does not come',  [slot({ flags: NETTXF.EXTRA_INFO })]],
    ['extras without end',           [slot({ flags: NETTXF.EXTRA_INFO }), { extra: [1, 1, 1, 0, 1] }, { extra: [1, 1, 1, 0, 1] }]],
    ['an extra of type 0',           [slot({ flags: NETTXF.EXTRA_INFO }), { extra: [0] }]],
    ['an extra of type 5',           [slot({ flags: NETTXF.EXTRA_INFO }), { extra: [5] }]],
    ['an extra of type 255',         [slot({ flags: NETTXF.EXTRA_INFO }), { extra: [255] }]],
    ['GSO of size 0',                [slot({ flags: NETTXF.EXTRA_INFO }), { extra: [1, 0, 0, 0, 1] }]],
    ['GSO of a type unknown',        [slot({ flags: NETTXF.EXTRA_INFO }), { extra: [1, 0, 1, 0, 9] }]],
  ])('%s: disconnected, once told', async (_, slots) => {
    const front = await connect();
    front.transmit(...slots);
    await settle();
    expect(events.map(({ kind }) => kind)).toEqual(['connected', 'protocol-error']);
    expect(device.status().backendState).toBe(CLOSING);
    expect([machine.mapped.size, machine.bound.size]).toEqual([0, 0]);
    expect(peer.take()).toEqual([]);
  });

  test.each([257, 1000, 0x8000_0000, 0xffff_ffff])(
    '%i transmit requests at once: disconnected',
    async (count) => {
      const front = await connect();
      front.publish(count);
      await settle();
      expect(events.at(-1)?.kind).toBe('protocol-error');
    },
  );

  test('a transmit producer that goes back: disconnected', async () => {
    const front = await connect();
    front.packet(fromGuest());
    await settle();
    front.publish(0);
    await settle();
    expect(events.at(-1)?.kind).toBe('protocol-error');
  });

  test.each([257, 0xffff_ffff])('%i posted pages at once: disconnected', async (count) => {
    const front = await connect();
    peerPort.send({ bytes: toGuest() });
    front.publishRx(count);
    await settle();
    expect(events.at(-1)?.kind).toBe('protocol-error');
  });

  test('a ring full of refusals keeps nobody else waiting', async () => {
    const front = await connect();
    for (let round = 0; round < 20; round++) {
      for (let n = 0; n < 256; n++) front.transmit(slot({ size: 1 }));
      await settle();
      expect(front.answers()).toHaveLength(256);
    }
    expect(counter('txErrors')).toBe(20 * 256);
  });

  test('after a protocol error the guest may start anew', async () => {
    const front = await connect();
    front.publish(1000);
    await settle();
    await store.write(`${FRONTEND}/state`, String(XENBUS_STATE.CLOSED));
    await settle();
    await store.write(`${FRONTEND}/state`, String(XENBUS_STATE.INITIALISING));
    await settle();
    const again = await connect();
    again.packet(fromGuest());
    await settle();
    expect(statuses(again)).toEqual([OKAY]);
  });

  test('a spoofed address is counted by the switch, and answered as sent', async () => {
    await device.detach({ waitMs: 0 });
    device = await attach({ antiSpoof: true });
    const front = await connect();
    front.packet(frame(PEER, '00:16:3e:00:00:77').bytes);
    await settle();
    expect(statuses(front)).toEqual([OKAY]);
    expect(counter('drop-spoofed')).toBe(1);
    expect(peer.take()).toEqual([]);
  });

  test('a domain that dies in the middle of a copy is no error', async () => {
    const front = await connect();
    machine.isDying = true;
    front.packet(fromGuest());
    await settle();
    expect(peer.take()).toEqual([]);
    await device.detach({ waitMs: 0 });
    expect([machine.mapped.size, machine.bound.size]).toEqual([0, 0]);
    expect(machine.privcmd.bounce.freePages).toBe(machine.privcmd.bounce.pages);
  });
});
