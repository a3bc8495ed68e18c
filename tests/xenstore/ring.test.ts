/** Rule 32: the ring page, whatever the guest does to it. */
import { expect, test } from 'vitest';
import {
  XS,
  XS_CONNECTION,
  XS_FEATURE,
  XS_RING,
  XS_RING_ERROR,
  XS_RING_SIZE,
} from '../../hypervisor/public/io/xs-wire.js';
import { XenstoreClient } from '../../xenstore/client/client.js';
import { encodePacket } from '../../xenstore/protocol/packet.js';
import { XenstoreServer } from '../../xenstore/server/server.js';
import { RingTransport } from '../../xenstore/transport/ring.js';
import { Wire } from './wire.js';
import { makeRing } from './world.js';

const { offset } = XS_RING;

/** A page without a client: the test is the guest. */
function bare(options: { features?: number } = {}) {
  const server = new XenstoreServer(options);
  const page = new Uint8Array(4096);
  const words = new DataView(page.buffer);
  let notified = 0;
  const transport = new RingTransport(server, {
    domid: 1,
    page,
    notify: () => {
      notified += 1;
    },
    defer: () => undefined,
  });
  return { server, page, words, transport, notified: () => notified };
}

const request = (body: string, type: number = XS.GET_DOMAIN_PATH): Uint8Array =>
  encodePacket({ type, reqId: 7, txId: 0, body });

test('rule 32: indices run freely and wrap at 2^32', () => {
  const { page, words, transport, notified } = bare();
  const start = 0xffff_fff0;
  for (const name of ['req_cons', 'req_prod', 'rsp_cons', 'rsp_prod'] as const) {
    words.setUint32(offset[name], start, true);
  }
  const bytes = request('1\0');
  bytes.forEach((byte, i) => {
    page[offset.req + ((start + i) % XS_RING_SIZE)] = byte;
  });
  words.setUint32(offset.req_prod, start + bytes.length, true);
  transport.kick();
  expect(words.getUint32(offset.req_cons, true)).toBe((start + bytes.length) >>> 0);
  const reply = 16 + '/local/domain/1'.length + 1;
  expect(words.getUint32(offset.rsp_prod, true)).toBe((start + reply) >>> 0);
  expect(notified()).toBe(2); // after the read, and after the write
});

test('rule 32: a header may be split anywhere', () => {
  const { page, words, transport } = bare();
  const bytes = request('1\0');
  bytes.forEach((byte, i) => {
    page[offset.req + i] = byte;
    words.setUint32(offset.req_prod, i + 1, true);
    transport.kick();
  });
  expect(words.getUint32(offset.rsp_prod, true)).toBe(16 + '/local/domain/1'.length + 1);
});

test.each([
  ['requests', 'req_prod'],
  ['responses', 'rsp_prod'],
] as const)('rule 32: an index of the %s more than a ring ahead is error 2', (_, name) => {
  const { page, words, server, transport } = bare();
  page.set(request('1\0'), offset.req);
  words.setUint32(offset.req_prod, 18, true);
  words.setUint32(offset[name], 2000, true);
  transport.kick();
  expect(words.getUint32(offset.error, true)).toBe(XS_RING_ERROR.RINGIDX);
  expect(server.inspect().connections).toEqual([]);
  transport.kick();
});

test('rule 32: a payload over 4096 is error 3', () => {
  const { page, words, server, transport } = bare();
  const bytes = request('1\0');
  new DataView(bytes.buffer).setUint32(12, 4097, true);
  page.set(bytes, offset.req);
  words.setUint32(offset.req_prod, 16, true);
  transport.kick();
  expect(words.getUint32(offset.error, true)).toBe(XS_RING_ERROR.PROTO);
  expect(server.inspect().connections).toEqual([]);
});

test('a guest that never reads is served its outstanding requests and no more', () => {
  const { page, words, server, transport } = bare();
  const bytes = request('1\0');
  let producer = 0;
  for (let i = 0; i < 500; i++) {
    if (producer - words.getUint32(offset.req_cons, true) + bytes.length > XS_RING_SIZE) break;
    for (const byte of bytes) page[offset.req + (producer++ % XS_RING_SIZE)] = byte;
    words.setUint32(offset.req_prod, producer, true);
    transport.kick();
  }
  const [connection] = server.inspect().connections;
  expect(connection?.requests).toBeLessThan(120);
  expect(words.getUint32(offset.rsp_prod, true)).toBe(XS_RING_SIZE);
  expect(words.getUint32(offset.error, true)).toBe(0);
  // It reads at last: everything comes.
  let read = 0;
  while (words.getUint32(offset.rsp_prod, true) !== read) {
    read = words.getUint32(offset.rsp_prod, true);
    words.setUint32(offset.rsp_cons, read, true);
    transport.kick();
  }
  const asked = Math.floor(producer / bytes.length);
  expect(read).toBe(asked * (16 + '/local/domain/1'.length + 1));
});

test('a guest reconnects its ring when the server offers that', () => {
  const { page, words, server, transport } = bare({ features: XS_FEATURE.RECONNECTION });
  expect(words.getUint32(offset.server_features, true)).toBe(XS_FEATURE.RECONNECTION);
  page.set(request('/tool\0t\0', XS.WATCH), offset.req);
  words.setUint32(offset.req_prod, 24, true);
  transport.kick();
  expect(server.inspect().watches).toBe(1);
  words.setUint32(offset.connection, XS_CONNECTION.RECONNECT, true);
  transport.kick();
  expect(words.getUint32(offset.connection, true)).toBe(XS_CONNECTION.CONNECTED);
  expect(words.getUint32(offset.req_prod, true)).toBe(0);
  expect(words.getUint32(offset.rsp_prod, true)).toBe(0);
  expect(server.inspect().watches).toBe(0);
  expect(server.inspect().connections).toHaveLength(1);
});

test('long payloads pass a ring of 1024 bytes both ways', async () => {
  const server = new XenstoreServer();
  const guest = new Wire(makeRing(server, 3).channel);
  const dom0 = new XenstoreClient(makeRing(server, 0).channel);
  const value = 'v'.repeat(4000);
  await dom0.write('/local/domain/3/data', value);
  await dom0.setPerms('/local/domain/3/data', [{ access: 'n', domid: 3 }]);
  expect((await guest.request(XS.READ, 'data\0')).body).toBe(value);
});
