/** Rules 1 to 3 on the unix socket, and clients that misbehave: only they suffer. */
import { once } from 'node:events';
import { rmSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { XS } from '../../hypervisor/public/io/xs-wire.js';
import { XenstoreClient } from '../../xenstore/client/client.js';
import { socketChannel } from '../../xenstore/client/socket-channel.js';
import { encodePacket, HEADER_SIZE } from '../../xenstore/protocol/packet.js';
import { XenstoreServer } from '../../xenstore/server/server.js';
import { listenOnSocket, type SocketTransport } from '../../xenstore/transport/unix-socket.js';
import { socketWire } from './wire.js';
import { scratchDirectory } from './world.js';

let server: XenstoreServer;
let socket: SocketTransport;

beforeEach(async () => {
  server = new XenstoreServer({ eventBacklog: 64 * 1024 });
  socket = await listenOnSocket(server, join(scratchDirectory(), 's'));
});
afterEach(async () => {
  await socket.close();
  rmSync(dirname(socket.path), { recursive: true });
});

const packet = (type: number, body: string): Uint8Array =>
  encodePacket({ type, reqId: 1, txId: 0, body });

async function raw(): Promise<Socket> {
  const made = connect({ path: socket.path });
  await once(made, 'connect');
  return made;
}

test('rule 1: the socket has mode 0600', () => {
  expect(statSync(socket.path).mode & 0o777).toBe(0o600);
});

test('rule 1: a socket left behind by a dead daemon is replaced, a live one is not', async () => {
  await expect(listenOnSocket(new XenstoreServer(), socket.path)).rejects.toThrow('another daemon');
});

test('rule 1: a path too long for a socket is refused with a reason', async () => {
  await expect(listenOnSocket(server, `/tmp/${'x'.repeat(108)}`)).rejects.toThrow('107 bytes');
});

test('rule 2: a packet may come byte by byte', async () => {
  const wire = await socketWire(socket.path);
  for (const byte of packet(XS.WRITE, '/a\0x')) {
    wire.sendBytes(Uint8Array.of(byte));
    await sleep(1);
  }
  expect((await wire.until(1)).map(({ body }) => body)).toEqual(['OK\0']);
  wire.close();
});

test('rule 2: pipelined requests are answered in order, with their ids', async () => {
  const wire = await socketWire(socket.path);
  const ids = Array.from({ length: 500 }, (_, i) => wire.send(XS.WRITE, `/n/${i}\0${i}`));
  const packets = await wire.until(ids[499] as number);
  expect(packets.map(({ reqId }) => reqId)).toEqual(ids);
  expect((await wire.request(XS.READ, '/n/499\0')).body).toBe('499');
  wire.close();
});

test('rule 3: a payload over 4096 ends that connection at once, and no other', async () => {
  const other = await socketWire(socket.path);
  const bad = await raw();
  const header = packet(XS.WRITE, '');
  header[13] = 0x10; // 4097
  header[12] = 1;
  bad.write(header);
  await once(bad, 'close');
  expect((await other.request(XS.READ, '/tool\0')).body).toBe('');
  other.close();
});

test('half a header, or a header without its body, stalls nobody else', async () => {
  const half = await raw();
  half.write(packet(XS.READ, '/tool\0').subarray(0, 7));
  const bodyless = await raw();
  bodyless.write(packet(XS.READ, '/tool\0').subarray(0, HEADER_SIZE));
  await sleep(10);
  const wire = await socketWire(socket.path);
  expect((await wire.request(XS.READ, '/tool\0')).body).toBe('');
  half.destroy();
  bodyless.destroy();
  wire.close();
  await expect.poll(() => server.inspect().connections.length).toBe(0);
});

test('a client that vanishes takes its watches and transactions with it', async () => {
  const wire = await socketWire(socket.path);
  await wire.request(XS.WATCH, '/a\0t\0');
  await wire.request(XS.TRANSACTION_START, '\0');
  expect(server.inspect().watches).toBe(1);
  wire.close();
  await expect.poll(() => server.inspect().watches).toBe(0);
  expect(server.inspect().connections).toEqual([]);
});

test('a client that asks and never reads is no longer listened to, and served on when it reads', async () => {
  const lazy = await raw();
  lazy.pause();
  const wire = await socketWire(socket.path);
  await wire.request(XS.WRITE, `/big\0${'v'.repeat(4000)}`);
  const requests = Buffer.concat(Array.from({ length: 5000 }, () => packet(XS.READ, '/big\0')));
  lazy.write(requests);
  await sleep(200);
  const served = Math.max(...server.inspect().connections.map(({ requests: count }) => count));
  expect(served).toBeLessThan(5000);
  expect((await wire.request(XS.READ, '/tool\0')).body).toBe('');
  let received = 0;
  lazy.on('data', (bytes) => {
    received += bytes.length;
  });
  lazy.resume();
  await expect.poll(() => received, { timeout: 10_000 }).toBe(5000 * (HEADER_SIZE + 4000));
  lazy.destroy();
  wire.close();
});

test('a client that watches and never reads is closed with a reason once too many events wait', async () => {
  const lazy = await raw();
  lazy.pause();
  const mine = 'w'.repeat(1000);
  lazy.write(packet(XS.WATCH, `/\0${mine}\0`));
  const wire = await socketWire(socket.path);
  for (let i = 0; i < 2000; i++) wire.send(XS.WRITE, `/n/${i}\0x`);
  expect((await wire.request(XS.READ, '/n/1999\0')).body).toBe('x');
  await expect.poll(() => server.inspect().connections.length).toBe(1);
  lazy.destroy();
  wire.close();
});

test('an event that waits already is not queued twice for a slow reader', async () => {
  const lazy = await raw();
  lazy.pause();
  lazy.write(packet(XS.WATCH, `/\0${'w'.repeat(2000)}\0`));
  const wire = await socketWire(socket.path);
  // One node: after the socket's buffer is full only one event waits, so the backlog is never exceeded.
  for (let i = 0; i < 2000; i++) wire.send(XS.WRITE, `/n\0${i}`);
  expect((await wire.request(XS.READ, '/n\0')).body).toBe('1999');
  expect(server.inspect().connections.length).toBe(2);
  lazy.destroy();
  wire.close();
});

test('the client over the socket: reads, writes, lists, watches, transactions', async () => {
  const client = new XenstoreClient(socketChannel(socket.path));
  await client.write('/a/ä'.replace('ä', 'b'), 'grüße');
  expect(await client.read('/a/b')).toBe('grüße');
  expect(await client.tryRead('/nothing')).toBeUndefined();
  await expect(client.read('/nothing')).rejects.toMatchObject({ code: 'ENOENT' });
  const names = Array.from({ length: 1000 }, (_, i) => `name-${i}`);
  for (const name of names) await client.mkdir(`/big/${name}`);
  expect(await client.directory('/big')).toEqual(names);
  const seen: string[] = [];
  await client.watch('/a', 'token', (path) => seen.push(path));
  await client.transaction(async (store) => {
    await store.write('/a/c', 'x');
    await store.rm('/a/b');
  });
  await client.read('/tool');
  expect(seen).toEqual(['/a', '/a/c', '/a/b']);
  client.close();
});
