/** Clients that keep to no HTTP and no WebSocket, or send without end, or do not send: each is answered or ended, and leaves nothing. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { RawConnection } from '../support/raw-request.js';
import { eventually, startTestService, type TestService, TestSocket } from '../support/service.js';

const MIB = 1024 * 1024;
const HEADERS_MS = 1000;
const BODY_MS = 2000;

let service: TestService;
beforeAll(async () => {
  service = await startTestService({
    memory: 64,
    uploadLimit: MIB,
    diskLimit: MIB,
    patience: { headers: HEADERS_MS, body: BODY_MS },
  });
  await service.request('POST', '/v1/domains', { name: 'hello', kernel: 'hello', memory: 4 });
});
afterAll(() => service.close());

/** Sends it all and waits for the end. */
async function sent(...parts: string[]): Promise<RawConnection> {
  const connection = new RawConnection(service.url);
  for (const part of parts) connection.send(part);
  await connection.ended;
  return connection;
}

const HEAD = 'GET /v1/host HTTP/1.1\r\nHost: localhost\r\n';

describe('HTTP', () => {
  // biome-ignore format: one row per mistake
  test.each([
    ['headers too large',             431, `${HEAD}X-Large: ${'x'.repeat(20_000)}\r\n\r\n`],
    ['too many headers',              431, `${HEAD}${'X-Many: 1234567890\r\n'.repeat(2000)}\r\n`],
    ['a URL too long',                431, `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`],
    ['what is no HTTP',               400, 'hello there\r\n\r\n'],
    ['binary',                        400, '\x16\x03\x01\x02\0\x01\0'],
    ['two lengths',                   400, 'POST /v1/domains HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}'],
    ['a length and chunks',           400, 'POST /v1/domains HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['a chunk that has no size',      400, 'POST /v1/domains HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'],
  ])('%s is answered %i as a problem, and hung up on', async (_what, status, bytes) => {
    const connection = await sent(bytes);
    expect(connection.statuses()).toEqual([status]);
    expect(connection.received).toMatch(/^content-type: application\/problem\+json/im);
    const body = connection.received.slice(connection.received.indexOf('{'));
    expect(JSON.parse(body)).toMatchObject({ status, requestId: expect.any(String) });
  });

  test('garbage behind a request does not harm that, and is answered 400', async () => {
    const connection = new RawConnection(service.url);
    connection.send(`${HEAD}\r\n`);
    await eventually(
      async () => connection.statuses(),
      ([status]) => status === 200,
    );
    connection.send('\0\0garbage\r\n\r\n');
    await connection.ended;
    expect(connection.statuses()).toEqual([200, 400]);
  });

  test.each([
    ['nothing at all', ''],
    ['no end of its headers', HEAD],
  ])('a client that sends %s is ended', async (_what, bytes) => {
    const connection = new RawConnection(service.url);
    if (bytes !== '') connection.send(bytes);
    await connection.ended;
    expect(connection.statuses().filter((status) => status !== 408)).toEqual([]);
  });

  test('a client that sends one byte after the other is ended, however long it would go on', async () => {
    const connection = new RawConnection(service.url);
    let sentBytes = 0;
    const drip = setInterval(() => {
      connection.send(HEAD[sentBytes % HEAD.length] ?? 'x');
      sentBytes++;
    }, HEADERS_MS / 10);
    connection.send(`${HEAD}X-Slow: `);
    await connection.ended;
    clearInterval(drip);
    expect(connection.statuses()).toEqual([408]);
    expect(connection.received).toContain('/problems/too-slow');
  });

  test('a request that is answered late is not taken for one that comes late', async () => {
    await service.request('POST', '/v1/domains', {
      name: 'still',
      kernel: 'hello',
      memory: 4,
      paused: true,
    });
    const seconds = (2 * BODY_MS) / 1000;
    const headers = { prefer: 'wait' };
    const path = '/v1/domains/still/actions/shutdown';
    const { status, json } = await service.request('POST', path, { timeout: seconds }, headers);
    expect({ status, state: json.state }).toEqual({ status: 200, state: 'failed' });
  });
});

describe('a body', () => {
  const post = (path: string, type: string, more: string) =>
    `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\n${more}\r\n\r\n`;
  const put = (path: string, more: string) =>
    `PUT ${path} HTTP/1.1\r\nHost: localhost\r\n${more}\r\n\r\n`;
  const CHUNKED = 'Transfer-Encoding: chunked';
  const length = (bytes: number) => `Content-Length: ${bytes}`;

  // biome-ignore format: one row per body
  test.each([
    ['JSON that says it is too large',  post('/v1/domains', 'application/json', length(2 * MIB))],
    ['JSON in chunks',                  post('/v1/domains', 'application/json', CHUNKED)],
    ['typing that is too large',        post('/v1/domains/hello/console', 'text/plain', length(2 * MIB))],
    ['an image that says so',           put('/v1/images/large', length(2 * MIB))],
    ['an image in chunks',              put('/v1/images/large', CHUNKED)],
    ['a disk that says so',             put('/v1/disks/large', length(2 * MIB))],
    ['a disk in chunks',                put('/v1/disks/large', CHUNKED)],
  ])('%s is answered 413, and nothing is kept', async (_what, head) => {
    const connection = new RawConnection(service.url);
    connection.send(head);
    const part = Buffer.alloc(MIB / 4, ' ');
    for (let sentBytes = 0; sentBytes < 2 * MIB; sentBytes += part.length) {
      if (head.includes(CHUNKED)) connection.send(`${part.length.toString(16)}\r\n`);
      connection.send(part);
      if (head.includes(CHUNKED)) connection.send('\r\n');
    }
    await eventually(
      async () => connection.statuses(),
      ([status]) => status !== undefined,
    );
    expect(connection.statuses()[0]).toBe(413);
    connection.socket.destroy();
    for (const kind of ['images', 'disks']) {
      const { json } = await service.request('GET', `/v1/${kind}`);
      expect(JSON.stringify(json)).not.toContain('large');
    }
  });

  /** All files of the folder, also hidden ones. */
  const files = (folder: string): string[] => {
    try {
      return readdirSync(join(service.folder, folder));
    } catch {
      return [];
    }
  };

  test.each(['images', 'disks', 'saves'])(
    'among %s whose client dies or stands still leaves nothing',
    async (kind) => {
      const dead = new RawConnection(service.url);
      dead.send(`${put(`/v1/${kind}/half`, length(MIB / 2))}${'x'.repeat(MIB / 4)}`);
      const still = new RawConnection(service.url);
      still.send(`${put(`/v1/${kind}/still`, length(MIB / 2))}${'x'.repeat(MIB / 4)}`);
      // An image is kept in memory until it is whole.
      if (kind !== 'images')
        await eventually(
          async () => files(kind).length,
          (count) => count === 2,
        );
      dead.socket.destroy();
      await still.ended;
      await eventually(
        async () => files(kind),
        (names) => names.length === 0,
      );
      const { json } = await service.request('GET', `/v1/${kind}`);
      expect(json[kind].filter(({ name }: { name: string }) => /half|still/.test(name))).toEqual(
        [],
      );
    },
  );
});

describe('a WebSocket', () => {
  const console_ = () => new TestSocket(`${service.url}/v1/domains/hello/console`);
  /** A frame as it is on the wire: its first byte, and the second with the mask bit or without. */
  const frame = (first: number, masked: boolean, payload: string): Buffer => {
    const head = [first, (masked ? 0x80 : 0) | payload.length, ...(masked ? [0, 0, 0, 0] : [])];
    return Buffer.concat([Buffer.from(head), Buffer.from(payload, 'latin1')]);
  };

  // biome-ignore format: one row per frame
  test.each([
    ['that is not masked',              1002, frame(0x82, false, 'x')],
    ['with a reserved bit',             1002, frame(0xc2, true, 'x')],
    ['of an unknown kind',              1002, frame(0x83, true, 'x')],
    ['that continues nothing',          1002, frame(0x80, true, 'x')],
    ['that pings in pieces',            1002, frame(0x09, true, 'x')],
    ['of text that is no UTF-8',        1007, frame(0x81, true, '\xff\xfe')],
    ['that says it has 2^53 bytes',     1009, Buffer.from([0x82, 0xff, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])],
    ['that is larger than is taken',    1009, Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0])],
  ])('is closed for a frame %s, with %i', async (_what, code, bytes) => {
    const bad = console_();
    await bad.opened();
    // The connection below the client library.
    (bad.socket as unknown as { _socket: NodeJS.WritableStream })._socket.write(bytes);
    await bad.until(() => bad.closed !== undefined, 'close');
    expect(bad.closed?.code).toBe(code);
  });

  test('that was closed for its frames costs the domain and the others nothing', async () => {
    const other = console_();
    await other.shows('hello> ');
    other.send('echo all well\r');
    await other.shows('all well');
    expect(other.socket.readyState).toBe(WebSocket.OPEN);
    other.close();
    expect((await service.request('GET', '/v1/host')).json.faults).toBe(0);
  });

  // biome-ignore format: one row per mistake
  test.each([
    ['no key',            'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n'],
    ['another version',   'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 7\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n'],
    ['another protocol',  'Upgrade: h2c\r\nConnection: Upgrade\r\n'],
  ])('is not opened by a handshake with %s', async (_what, headers) => {
    const connection = await sent(`GET /v1/events HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`);
    expect(connection.statuses()[0]).toBeOneOf([400, 426]);
  });
});
