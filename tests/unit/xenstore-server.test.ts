/** xenstore/server: what has no rule: the inspector, blame, quotas by domain, the messages younger than 4.17. */
import { describe, expect, test } from 'vitest';
import { XS, XS_FEATURE } from '../../hypervisor/public/io/xs-wire.js';
import { XenstoreClient } from '../../xenstore/client/client.js';
import { XenstoreServer } from '../../xenstore/server/server.js';
import type { ServerOptions } from '../../xenstore/server/types.js';
import { inProcessChannel } from '../../xenstore/transport/in-process.js';

function world(options: ServerOptions = {}) {
  const server = new XenstoreServer(options);
  const client = (domid = 0) => new XenstoreClient(inProcessChannel(server, { domid }));
  return { server, client, dom0: client() };
}

describe('the inspector', () => {
  test('says who spoilt a transaction', async () => {
    const { server, dom0, client } = world();
    const other = client();
    await dom0.write('/a', '1');
    let attempts = 0;
    await dom0.transaction(async (store) => {
      attempts += 1;
      await store.read('/a');
      if (attempts === 1) await other.write('/a', '2');
      await store.write('/b', 'x');
    });
    const [first, ...more] = server.inspect().conflicts;
    const [mine, theirs] = server.inspect().connections.map(({ id }) => id);
    expect(first).toMatchObject({
      connection: mine,
      transaction: 1,
      path: '/a',
      what: 'changed',
      writer: { connection: theirs, domid: 0 },
    });
    expect(more).toEqual([]);
  });

  test('a vanished and an appeared node have a culprit too', async () => {
    const { server, dom0, client } = world();
    const other = client();
    await dom0.write('/d/a', '1');
    const [, theirs] = [0, server.inspect().connections[1]?.id];
    let attempts = 0;
    await dom0.transaction(async (store) => {
      attempts += 1;
      await store.tryRead('/d/a');
      if (attempts === 1) await other.rm('/d/a');
      if (attempts === 2) await other.write('/d/a', '3');
    });
    expect(attempts).toBe(3);
    const conflicts = server.inspect().conflicts;
    expect(conflicts.map(({ what }) => what)).toEqual(['vanished', 'appeared']);
    expect(conflicts.map(({ writer }) => writer.connection)).toEqual([theirs, theirs]);
  });

  test('shows open transactions with age and touched nodes, watches, headroom, requests', async () => {
    let now = 1000;
    const { server, dom0, client } = world({ clock: () => now });
    server.introduce(5, 1, 1);
    const guest = client(5);
    await dom0.write('/local/domain/5', '');
    await dom0.setPerms('/local/domain/5', [{ access: 'n', domid: 5 }]);
    await guest.write('a', 'x');
    await guest.watch('a', 'token', () => undefined);
    const id = Number((await guest.request(XS.TRANSACTION_START, '\0')).slice(0, -1));
    await guest.request(XS.WRITE, 'b\0y', id);
    now = 1500;
    const seen = server.inspect();
    expect(seen.connections[1]).toMatchObject({
      domid: 5,
      transport: 'in-process',
      backlog: 0,
      watches: [{ path: '/local/domain/5/a', token: 'token' }],
      transactions: [{ id, age: 500 }],
    });
    expect(seen.connections[1]?.transactions[0]?.touched).toEqual([
      { path: '/local/domain/5/b', modified: true },
      { path: '/local/domain/5', modified: true },
    ]);
    const domain = seen.domains.find(({ domid }) => domid === 5);
    expect(domain?.quotas.nodes).toEqual({ used: 2, limit: 1000 });
    expect(domain?.quotas.watches).toEqual({ used: 1, limit: 128 });
    expect(seen.requests.at(-1)).toMatchObject({
      domid: 5,
      type: 'WRITE',
      transaction: id,
      result: 'OK',
    });
    expect(JSON.parse(JSON.stringify(seen))).toMatchObject({ watches: 1 });
  });

  test('requests can be seen live', async () => {
    const { server, dom0 } = world({ recentRequests: 0 });
    const seen: string[] = [];
    server.onRequest = ({ type, result }) => seen.push(`${type} ${result}`);
    await dom0.mkdir('/a');
    await dom0.tryRead('/b');
    expect(seen).toEqual(['MKDIR OK', 'READ ENOENT']);
    expect(server.inspect().requests).toEqual([]);
  });

  test('a snapshot is one moment of the tree', async () => {
    const { server, dom0 } = world();
    await dom0.write('/a/b', 'grün');
    const before = server.snapshot('/a');
    await dom0.rm('/a');
    expect(before).toMatchObject({
      path: '/a',
      permissions: ['n0'],
      children: [{ path: '/a/b', name: 'b', value: 'grün', children: [] }],
    });
    expect(server.snapshot('/a')).toBeUndefined();
    expect(server.snapshot('//')).toBeUndefined();
    expect(server.snapshot('/', 0)?.children).toBeUndefined();
  });
});

test('a domain can have quotas of its own', async () => {
  const { server, dom0, client } = world({ quotas: { nodes: 3 } });
  server.introduce(5, 1, 1);
  const guest = client(5);
  await dom0.mkdir('/local/domain/5');
  await dom0.setPerms('/local/domain/5', [{ access: 'n', domid: 5 }]);
  await guest.mkdir('a');
  await guest.mkdir('b');
  await expect(guest.mkdir('c')).rejects.toMatchObject({ code: 'ENOSPC' });
  server.setQuota(5, 'nodes', 4);
  await guest.mkdir('c');
});

test('what open transactions hold is limited for all of a domain together', async () => {
  const { server, dom0, client } = world({ quotas: { memory: 1000 } });
  server.introduce(5, 1, 1);
  const guest = client(5);
  await dom0.mkdir('/local/domain/5');
  await dom0.setPerms('/local/domain/5', [{ access: 'n', domid: 5 }]);
  const start = async () => Number((await guest.request(XS.TRANSACTION_START, '\0')).slice(0, -1));
  const write = (id: number, name: string, length: number) =>
    guest.request(XS.WRITE, `${name}\0${'v'.repeat(length)}`, id);
  const [one, two] = [await start(), await start()];
  await write(one, 'a', 600);
  await write(one, 'a', 700);
  await write(two, 'b', 300);
  await expect(write(two, 'c', 1)).rejects.toMatchObject({ code: 'ENOSPC' });
  await guest.request(XS.RM, 'a\0', one);
  await write(one, 'd', 700);
  expect(server.usageOf(5).memory).toBe(1000);
  await guest.request(XS.TRANSACTION_END, 'T\0', one);
  expect(server.usageOf(5).memory).toBe(300);
  // The one that was refused something cannot be committed.
  await expect(guest.request(XS.TRANSACTION_END, 'T\0', two)).rejects.toMatchObject({
    code: 'ENOMEM',
  });
  expect(await guest.directory('/local/domain/5')).toEqual(['d']);
});

test('a dead domain is forgotten, and the next with its number starts afresh', async () => {
  const { server, dom0, client } = world();
  server.introduce(5, 1, 1);
  const guest = client(5);
  await guest.watch('/x', 't', () => undefined);
  const fired: string[] = [];
  await dom0.watch('@releaseDomain', 'r', (path) => fired.push(path));
  let lost = '';
  guest.onClose = (reason) => {
    lost = reason;
  };
  server.domainDied(5);
  await dom0.read('/tool');
  expect(fired).toEqual(['@releaseDomain', '@releaseDomain']);
  expect(lost).toBe('domain released');
  expect(server.inspect().watches).toBe(1);
  expect(await dom0.isDomainIntroduced(5)).toBe(false);
});

test('an exception that is none of XenStore’s is a bug: reported, and EIO for the client', async () => {
  const bugs: unknown[] = [];
  const { server, dom0 } = world({ hooks: { bug: (error) => bugs.push(error) } });
  server.store.lookup = () => {
    throw new TypeError('oh');
  };
  await expect(dom0.read('/a')).rejects.toMatchObject({ code: 'EIO' });
  expect(bugs).toHaveLength(1);
});

describe('messages younger than 4.17, when WATCH_DEPTH is offered', () => {
  const younger = () => world({ features: XS_FEATURE.WATCH_DEPTH | XS_FEATURE.ERROR });

  test('a depth must be a number', async () => {
    const { dom0 } = younger();
    for (const depth of ['-1', 'x', '']) {
      const request = dom0.request(XS.WATCH, `/a\0d\0${depth}\0`);
      await expect(request, depth).rejects.toMatchObject({ code: 'EINVAL' });
    }
  });

  test.each([
    [0, ['/a']],
    [1, ['/a', '/a/b']],
    [2, ['/a', '/a/b', '/a/b/c']],
  ])('depth %i', async (depth, wanted) => {
    const { server, dom0 } = younger();
    const events: string[] = [];
    await dom0.request(XS.WATCH, `/a\0token\0${depth}\0`);
    for (const path of ['/a', '/a/b', '/a/b/c']) {
      const before = server.inspect().connections[0]?.events ?? 0;
      await dom0.write(path, 'x');
      if ((server.inspect().connections[0]?.events ?? 0) > before) events.push(path);
    }
    expect(events).toEqual(wanted);
  });

  test('GET_FEATURE and SET_FEATURE', async () => {
    const { server, dom0 } = younger();
    expect(await dom0.request(XS.GET_FEATURE, '')).toBe('6\0');
    await dom0.request(XS.SET_FEATURE, '5\x002\0');
    expect(await dom0.request(XS.GET_FEATURE, '5\0')).toBe('2\0');
    await expect(dom0.request(XS.SET_FEATURE, '5\x001\0')).rejects.toMatchObject({
      code: 'EINVAL',
    });
    server.introduce(5, 1, 1);
    await expect(dom0.request(XS.SET_FEATURE, '5\x002\0')).rejects.toMatchObject({ code: 'EBUSY' });
  });

  test('GET_QUOTA and SET_QUOTA', async () => {
    const { dom0 } = younger();
    expect(await dom0.request(XS.GET_QUOTA, '')).toContain('nodes watches');
    expect(await dom0.request(XS.GET_QUOTA, 'nodes\0')).toBe('1000\0');
    await dom0.request(XS.SET_QUOTA, '7\0nodes\x005\0');
    expect(await dom0.request(XS.GET_QUOTA, '7\0nodes\0')).toBe('5\0');
    expect(await dom0.request(XS.GET_QUOTA, '8\0nodes\0')).toBe('1000\0');
    await dom0.request(XS.SET_QUOTA, 'nodes\x0012\0');
    expect(await dom0.request(XS.GET_QUOTA, '8\0nodes\0')).toBe('12\0');
    await expect(dom0.request(XS.SET_QUOTA, 'pears\x001\0')).rejects.toMatchObject({
      code: 'EINVAL',
    });
  });

  test('without the bit they do not exist', async () => {
    const { dom0 } = world();
    await expect(dom0.request(XS.GET_QUOTA, '')).rejects.toMatchObject({ code: 'ENOSYS' });
  });
});
