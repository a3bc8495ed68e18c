/** Who may do what on a service that others can reach: each route needs a token, and one of a scope that is large enough. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { SCOPES, type Scope } from '../../toolstack/schemas/token.js';
import {
  type Answer,
  eventually,
  startTestService,
  type TestService,
  TestSocket,
} from '../support/service.js';

let service: TestService;
let admin: string;
const tokens = {} as Record<Scope, string>;
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const ask = (method: string, path: string, token?: string, body?: unknown): Promise<Answer> =>
  service.request(method, path, body, token === undefined ? {} : bearer(token));
const newToken = async (scope: Scope, more: object = {}): Promise<{ id: string; token: string }> =>
  (await ask('POST', '/v1/tokens', admin, { name: `a ${scope}`, scope, ...more })).json;

beforeAll(async () => {
  service = await startTestService({ memory: 64, listen: '0.0.0.0' });
  admin = service.firstToken!;
  for (const scope of SCOPES) tokens[scope] = (await newToken(scope)).token;
  await ask('POST', '/v1/domains', admin, { name: 'hello', kernel: 'hello', memory: 4 });
});
afterAll(() => service.close());

/** What is answered before the body, which may be a stream without an end. */
async function headOf(method: string, path: string, token: string): Promise<Response> {
  const answer = await fetch(service.url + path, { method, headers: bearer(token) });
  await answer.body?.cancel();
  return answer;
}

interface Route {
  readonly method: string;
  readonly path: string;
  readonly scope: Scope;
}

/** Every route of the document that needs a token, its parameters filled in with something. */
async function documented(): Promise<Route[]> {
  const { json } = await ask('GET', '/openapi.json', admin);
  return Object.entries<Record<string, { security: { bearer: Scope[] }[] }>>(json.paths).flatMap(
    ([path, operations]) =>
      Object.entries(operations).flatMap(
        ([
          method,
          {
            security: [needed],
          },
        ]) =>
          needed === undefined
            ? []
            : {
                method: method.toUpperCase(),
                path: path.replace(/\{\w+\}/g, 'nothing').replace('*', 'nothing'),
                scope: needed.bearer[0]!,
              },
      ),
  );
}

describe('each route of /openapi.json', () => {
  test('refuses a request without a token, and one with a token that is none', async () => {
    const routes = await documented();
    expect(routes.length).toBeGreaterThan(40);
    for (const { method, path } of routes) {
      for (const token of [undefined, 'nonsense', `${admin}x`, admin.replace('.', '')]) {
        const { status, headers, json } = await ask(method, path, token);
        const code = token === undefined ? 'no-token' : 'bad-token';
        expect({ path, status, type: json?.type }).toEqual({
          path,
          status: 401,
          type: `/problems/${code}`,
        });
        expect(headers.get('www-authenticate')).toMatch(/^Bearer realm="xenolith"/);
      }
    }
  });

  test('refuses a token of a smaller scope than is documented, and takes the others', async () => {
    for (const { method, path, scope } of await documented()) {
      for (const held of SCOPES) {
        const enough = SCOPES.indexOf(held) >= SCOPES.indexOf(scope);
        const { status, headers } = await headOf(method, path, tokens[held]);
        expect({ method, path, held, refused: status === 403 || status === 401 }).toEqual({
          method,
          path,
          held,
          refused: !enough,
        });
        if (!enough) expect(headers.get('www-authenticate')).toContain(`scope="${scope}"`);
      }
    }
  });

  test('is for viewers if it only reads, for operators if it changes something, for admins if it says so', async () => {
    const routes = await documented();
    const scopeOf = (method: string, path: string) =>
      routes.find((route) => route.method === method && route.path === path)?.scope;
    expect(scopeOf('GET', '/v1/domains')).toBe('viewer');
    expect(scopeOf('POST', '/v1/domains')).toBe('operator');
    expect(scopeOf('DELETE', '/v1/domains/nothing')).toBe('operator');
    expect(scopeOf('GET', '/v1/tokens')).toBe('admin');
    const reading = routes.filter(({ method }) => method !== 'GET');
    expect(reading.filter(({ scope }) => scope === 'viewer')).toEqual([]);
  });
});

// biome-ignore format: one row per request
test.each([
  ['GET',     '/nothing/at/all'],
  ['GET',     '/openapi.json'],
  ['HEAD',    '/v1/domains'],
  ['OPTIONS', '/v1/domains'],
  ['PATCH',   '/v1/images'],
  ['POST',    '/v1/tokens/'],
  ['GET',     '/v1/trace'],
])('%s %s is refused without a token, whether it exists or not', async (method, path) => {
  expect((await ask(method, path)).status).toBe(401);
});

test('the page that asks for a token needs none itself', async () => {
  expect((await ask('GET', '/')).status).toBe(200);
  expect((await ask('GET', '/dashboard/main.js')).status).toBe(200);
});

describe('of what machines ask', () => {
  test('probes need no token, and are told how the service is and nothing else', async () => {
    expect(await ask('GET', '/healthz')).toMatchObject({ status: 200, json: { alive: true } });
    const { status, json } = await ask('GET', '/readyz');
    expect(status).toBe(200);
    expect(json).toEqual({
      ready: true,
      checks: { service: 'ok', hypervisor: 'ok', xenstore: 'ok' },
    });
    const { json: document } = await ask('GET', '/openapi.json', admin);
    for (const path of ['/healthz', '/readyz']) {
      expect(document.paths[path].get.security).toEqual([]);
    }
  });

  test('metrics need a viewer, as a bearer token: names of domains are among them', async () => {
    expect((await ask('GET', '/metrics')).status).toBe(401);
    const { status, text } = await ask('GET', '/metrics', tokens.viewer);
    expect(status).toBe(200);
    expect(text).toContain('name="hello"');
  });
});

describe('a token', () => {
  test('is told once, and kept as a hash only', async () => {
    const { id, token } = await newToken('viewer');
    const { json } = await ask('GET', '/v1/tokens', admin);
    expect(json.tokens.map((other: { id: string }) => other.id)).toContain(id);
    expect(JSON.stringify(json)).not.toContain(token.split('.')[1]);
    const kept = readFileSync(join(service.folder, 'state', 'data.mdb'));
    expect(kept.includes(id)).toBe(true);
    expect(kept.includes(token.split('.')[1]!)).toBe(false);
  });

  test('is refused once it is revoked, and what is open under it is ended', async () => {
    const { id, token } = await newToken('operator');
    const socket = new TestSocket(`${service.url}/v1/events`, { headers: bearer(token) });
    await socket.opened();
    expect((await ask('GET', '/v1/host', token)).status).toBe(200);
    expect((await ask('DELETE', `/v1/tokens/${id}`, admin)).status).toBe(204);
    await socket.until(() => socket.closed !== undefined, 'end');
    expect(socket.closed).toMatchObject({ code: 1008 });
    expect((await ask('GET', '/v1/host', token)).status).toBe(401);
    expect((await ask('DELETE', `/v1/tokens/${id}`, admin)).status).toBe(404);
  });

  test('is refused once it has expired', async () => {
    const { token } = await newToken('viewer', { expiresIn: 1 });
    const status = async () => (await ask('GET', '/v1/host', token)).status;
    expect([200, 401]).toContain(await status());
    expect(await eventually(status, (answer) => answer === 401)).toBe(401);
  });

  test('is not taken for another one with the same id', async () => {
    const [a, b] = [await newToken('admin'), await newToken('admin')];
    const mixed = `${a.id}.${b.token.split('.')[1]}`;
    expect((await ask('GET', '/v1/host', mixed)).status).toBe(401);
    expect((await ask('GET', '/v1/host', `${a.id}.`)).status).toBe(401);
    expect((await ask('GET', '/v1/host', a.id)).status).toBe(401);
  });

  // biome-ignore format: one row per mistake
  test.each([
    [{},                                             '/name'],
    [{ name: '' },                                   '/name'],
    [{ name: 'a\nb' },                               '/name'],
    [{ name: 'x', scope: 'root' },                   '/scope'],
    [{ name: 'x', expiresIn: 0 },                    '/expiresIn'],
    [{ name: 'x', hash: '00' },                      '/hash'],
  ])('is not made of %j', async (body, pointer) => {
    const { status, json } = await ask('POST', '/v1/tokens', admin, body);
    expect(status).toBe(400);
    expect(json.errors).toMatchObject([{ pointer }]);
  });
});

describe('a WebSocket', () => {
  const SOCKETS = [
    '/v1/events',
    '/v1/trace',
    '/v1/domains/hello/console',
    '/v1/xenstore/watch?path=/',
    '/v1/xenstore-inspector/requests',
    '/v1/nothing',
  ];

  const refusedWith = (path: string, headers: Record<string, string>, protocols?: string[]) =>
    new Promise<number | undefined>((resolve) => {
      const { socket } = new TestSocket(service.url + path, { headers }, protocols);
      socket.on('unexpected-response', (_request, { statusCode }) => resolve(statusCode));
      socket.on('open', () => resolve(undefined));
    });

  test.each(SOCKETS)('at %s needs a token', async (path) => {
    expect(await refusedWith(path, {})).toBe(401);
    expect(await refusedWith(path, bearer('nonsense'))).toBe(401);
    expect(await refusedWith(path, {}, ['xenolith', 'bearer.nonsense'])).toBe(401);
    expect(await refusedWith(path, {}, ['xenolith'])).toBe(401);
  });

  test('takes the token of a browser as a protocol, and answers with its own', async () => {
    const protocols = ['xenolith', `bearer.${tokens.viewer}`];
    const socket = new TestSocket(`${service.url}/v1/events`, {}, protocols);
    await socket.opened();
    expect(socket.socket.protocol).toBe('xenolith');
    socket.close();
  });

  test('of a page of another site is refused, with a token too', async () => {
    const headers = { ...bearer(admin), origin: 'https://evil.example' };
    expect(await refusedWith('/v1/events', headers)).toBe(403);
    expect(await refusedWith('/v1/events', { ...bearer(admin), host: 'evil.example' })).toBe(403);
  });

  test('of a console is read only for a viewer', async () => {
    const url = `${service.url}/v1/domains/hello/console`;
    const viewer = new TestSocket(url, { headers: bearer(tokens.viewer) });
    const operator = new TestSocket(url, { headers: bearer(tokens.operator) });
    await viewer.shows('hello> ');
    await operator.shows('hello> ');
    expect(viewer.lines()).toEqual([{ readOnly: true }]);
    viewer.send('echo from a viewer\r');
    operator.send('echo from an operator\r');
    await viewer.shows('from an operator');
    expect(operator.output()).not.toContain('from a viewer');
    expect(operator.lines()).toEqual([]);
    for (const socket of [viewer, operator]) socket.close();
  });

  test('that sends a frame too large is closed, and nobody else is', async () => {
    const url = `${service.url}/v1/domains/hello/console`;
    const other = new TestSocket(url, { headers: bearer(tokens.operator) });
    const greedy = new TestSocket(url, { headers: bearer(tokens.operator) });
    await Promise.all([other.opened(), greedy.opened()]);
    greedy.send('x'.repeat(64 * 1024 + 1));
    await greedy.until(() => greedy.closed !== undefined, 'close');
    expect(greedy.closed?.code).toBe(1009);
    other.send('echo still here\r');
    await other.shows('still here');
    other.close();
    expect(greedy.socket.readyState).toBe(WebSocket.CLOSED);
  });
});

describe('a service on loopback', () => {
  let local: TestService;
  beforeAll(async () => {
    local = await startTestService({ memory: 16 });
  });
  afterAll(() => local.close());

  test('needs no token, and makes none of itself', async () => {
    expect(local.firstToken).toBeUndefined();
    expect((await local.request('GET', '/v1/tokens')).json).toEqual({ tokens: [] });
  });

  test('holds who shows a token to what it allows', async () => {
    const body = { name: 'x', scope: 'viewer' };
    const { token } = (await local.request('POST', '/v1/tokens', body)).json;
    const list = (shown: string) => local.request('GET', '/v1/host', undefined, bearer(shown));
    expect((await list(token)).status).toBe(200);
    expect((await list('nonsense')).status).toBe(401);
    const create = await local.request('POST', '/v1/domains', {}, bearer(token));
    expect(create.status).toBe(403);
  });
});
