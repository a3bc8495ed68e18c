/** Conversations over the rings of disks, with a guest that is played by the test and a file that is a real one. */

import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { attachDisk } from '../../dom0/block/block-device.js';
import type { DiskSpec } from '../../dom0/block/disk-spec.js';
import type { Device, DeviceEvent } from '../../dom0/device.js';
import { BLKIF_OP, BLKIF_RSP } from '../../hypervisor/public/io/blkif.js';
import { XENBUS_STATE } from '../../hypervisor/public/io/xenbus.js';
import {
  Blkfront,
  BlkWorld,
  DOMID,
  FrontRing,
  type GrantedPage,
  indirect,
  type RequestWords,
} from '../support/blkfront.js';

const { READ, WRITE, WRITE_BARRIER, FLUSH_DISKCACHE, DISCARD, INDIRECT } = BLKIF_OP;
const { OKAY, ERROR, EOPNOTSUPP } = BLKIF_RSP;
const { INITIALISING, INIT_WAIT, INITIALISED, CLOSING, CLOSED } = XENBUS_STATE;
const XVDA = 51712;
const SECTORS = 4096;

let folder: string;
let path: string;
let world: BlkWorld;
let events: DeviceEvent[];
let devices: Device[];
let front: Blkfront;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'xenolith-block-'));
  path = join(folder, 'disk.img');
  writeFileSync(path, pattern(SECTORS * 512, 1));
  world = await BlkWorld.start();
  front = new Blkfront(world, XVDA);
  events = [];
  devices = [];
});
afterEach(async () => {
  for (const device of devices) await device.detach({ waitMs: 0 });
  expect(world.machine.mapped.size, 'grants that are still mapped').toBe(0);
  expect(world.machine.bound.size, 'ports that are still bound').toBe(0);
  expect(world.machine.privcmd.bounce.freePages).toBe(world.machine.privcmd.bounce.pages);
  rmSync(folder, { recursive: true, force: true });
});

/** Bytes of which no two sectors are equal. */
function pattern(length: number, seed: number): Uint8Array {
  const words = new Uint32Array(length / 4).map((_, n) => Math.imul(n + 1, 0x9e37_79b1) ^ seed);
  return new Uint8Array(words.buffer);
}

async function attach(spec: Partial<DiskSpec> = {}): Promise<Device> {
  const device = await attachDisk(
    world.dom0,
    DOMID,
    { vdev: 'xvda', path, readonly: false, discard: false, ...spec },
    (event) => events.push(event),
  );
  devices.push(device);
  return device;
}

/** Compared as one: a matcher would look at each byte. */
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

const ring = (port = 1, pages = 1): FrontRing => new FrontRing(world, port, pages);
const file = (): Uint8Array => new Uint8Array(readFileSync(path));
const sectors = (from: number, count: number): Uint8Array =>
  file().subarray(from * 512, (from + count) * 512);
const whole = ({ ref }: GrantedPage): [number, number, number] => [ref, 0, 7];

describe.each([
  ['copied pages', {}],
  ['persistent grants', { 'feature-persistent': '1' }],
])('with %s', (_what, nodes) => {
  test('sectors are read into the parts of pages that are named', async () => {
    await attach();
    const r = ring();
    await front.connect([r], nodes);
    const [a, b] = [world.page(), world.page()];
    const answers = await r.ask({
      operation: READ,
      id: 5,
      sector: 100,
      segments: [[a.ref, 2, 4], whole(b)],
    });
    expect(answers).toEqual([{ id: 5, operation: READ, status: OKAY }]);
    expect(same(a.bytes.slice(1024, 2560), sectors(100, 3))).toBe(true);
    expect(same(a.bytes.slice(0, 1024), new Uint8Array(1024))).toBe(true);
    expect(same(a.bytes.slice(2560), new Uint8Array(1536))).toBe(true);
    expect(same(b.bytes.slice(), sectors(103, 8))).toBe(true);
  });

  test('sectors are written out of them, and nothing else is', async () => {
    await attach();
    const r = ring();
    await front.connect([r], nodes);
    const before = file();
    const page = world.page();
    page.bytes.set(pattern(4096, 99));
    expect(
      await r.ask({ operation: WRITE, id: 1, sector: 7, segments: [[page.ref, 1, 2]] }),
    ).toEqual([{ id: 1, operation: WRITE, status: OKAY }]);
    before.set(page.bytes.slice(512, 1536), 7 * 512);
    expect(same(file(), before)).toBe(true);
  });

  test('an indirect request moves a megabyte', async () => {
    await attach();
    const r = ring();
    await front.connect([r], nodes);
    const pages = Array.from({ length: 256 }, () => world.page());
    const list = world.page();
    const segments = pages.map(whole);
    const read = indirect(list, { operation: READ, id: 9, sector: 2048, segments });
    expect(await r.ask(read)).toEqual([{ id: 9, operation: READ, status: OKAY }]);
    expect(same(Buffer.concat(pages.map(({ bytes }) => bytes)), sectors(2048, 2048))).toBe(true);
    const write = indirect(list, { operation: WRITE, id: 10, sector: 0, segments });
    expect(await r.ask(write)).toEqual([{ id: 10, operation: WRITE, status: OKAY }]);
    expect(same(sectors(0, 2048), sectors(2048, 2048))).toBe(true);
  });

  test('a full ring is answered, each request once, and then another', async () => {
    const device = await attach();
    const r = ring();
    await front.connect([r], nodes);
    for (const round of [0, 1, 2]) {
      const pages = Array.from({ length: r.slots }, () => world.page());
      const requests = pages.map((page, n) => ({
        operation: READ,
        id: n,
        sector: (round * 32 + n) * 8,
        segments: [whole(page)],
      }));
      const answers = await r.ask(...requests);
      expect(answers.map(({ id }) => id).sort((a, b) => a - b)).toEqual(pages.map((_, n) => n));
      for (const [n, page] of pages.entries()) {
        expect(same(page.bytes.slice(), sectors((round * 32 + n) * 8, 8))).toBe(true);
      }
    }
    expect(device.status().counters).toMatchObject({
      requests: 96,
      readRequests: 96,
      bytesRead: 96 * 4096,
    });
  });

  test('a page that is not granted is an error, and its neighbours in the sweep are not', async () => {
    await attach();
    const r = ring();
    await front.connect([r], nodes);
    const [a, b] = [world.page(), world.page()];
    const before = file();
    const answers = await r.ask(
      { operation: READ, id: 1, sector: 0, segments: [whole(a)] },
      { operation: READ, id: 2, sector: 0, segments: [[99_999, 0, 7]] },
      { operation: WRITE, id: 3, sector: 0, segments: [whole(a), [99_999, 0, 7]] },
      { operation: READ, id: 4, sector: 8, segments: [whole(b)] },
      { operation: INDIRECT, second: READ, third: 1, id: 5, tail: [0, 88_888] },
    );
    const status = Object.fromEntries(answers.map((answer) => [answer.id, answer.status]));
    expect(status).toEqual({ 1: OKAY, 2: ERROR, 3: ERROR, 4: OKAY, 5: ERROR });
    expect(same(b.bytes.slice(), sectors(8, 8))).toBe(true);
    expect(same(file(), before)).toBe(true);
  });

  test('a page that may only be read cannot be read into', async () => {
    await attach();
    const r = ring();
    await front.connect([r], nodes);
    const page = world.page(true);
    const [answer] = await r.ask({ operation: READ, id: 1, sector: 0, segments: [whole(page)] });
    expect(answer).toMatchObject({ status: ERROR });
    expect(same(page.bytes.slice(), new Uint8Array(4096))).toBe(true);
    page.bytes.set(pattern(4096, 3));
    const [written] = await r.ask({ operation: WRITE, id: 2, sector: 0, segments: [whole(page)] });
    expect(written).toMatchObject({ status: OKAY });
    expect(same(sectors(0, 8), pattern(4096, 3))).toBe(true);
  });
});

test('a whole sweep of copied pages costs one call each way', async () => {
  await attach();
  const r = ring();
  await front.connect([r]);
  const pages = Array.from({ length: 32 }, () => world.page());
  const copies = () => world.machine.calls.get('gnttab.copy') ?? 0;
  await r.ask(
    ...pages.map((page, id) => ({ operation: READ, id, sector: id * 8, segments: [whole(page)] })),
  );
  expect(copies()).toBe(1);
  await r.ask(
    ...pages.map((page, id) => ({ operation: WRITE, id, sector: id * 8, segments: [whole(page)] })),
  );
  expect(copies()).toBe(2);
});

test('persistent grants are mapped once, and given back when the frontend closes', async () => {
  const device = await attach();
  const r = ring();
  await front.connect([r], { 'feature-persistent': '1' });
  const page = world.page();
  const maps = () => world.machine.calls.get('gnttab.map') ?? 0;
  const before = maps();
  for (let id = 0; id < 40; id += 1) {
    await r.ask({ operation: READ, id, sector: id * 8, segments: [whole(page)] });
  }
  expect(maps()).toBe(before + 1);
  expect(world.machine.calls.get('gnttab.copy')).toBeUndefined();
  expect(device.status().negotiated).toMatchObject({ persistentGrants: true, mappedGrants: 1 });
  await front.says(CLOSED);
  await front.seesBackend(CLOSED);
  expect(world.machine.mapped.size).toBe(0);
});

test('a frontend with the 32-bit ABI is understood', async () => {
  await attach();
  const r = new FrontRing(world, 1, 1, 'x86_32-abi');
  await front.connect([r], { protocol: 'x86_32-abi' });
  const page = world.page();
  const list = world.page();
  await r.ask({ operation: READ, id: 1, sector: 16, segments: [whole(page)] });
  expect(same(page.bytes.slice(), sectors(16, 8))).toBe(true);
  const read = indirect(list, { operation: READ, id: 2, sector: 64, segments: [whole(page)] });
  expect(await r.ask(read)).toEqual([{ id: 2, operation: READ, status: OKAY }]);
  expect(same(page.bytes.slice(), sectors(64, 8))).toBe(true);
});

test('several queues of several pages serve one disk', async () => {
  const device = await attach();
  const rings = [1, 2, 3, 4].map((port) => ring(port, 4));
  await front.connect(rings);
  expect(device.status().negotiated).toMatchObject({ queues: 4, ringPages: 4 });
  const pages = rings.map(() => Array.from({ length: 64 }, () => world.page()));
  await Promise.all(
    rings.map((r, q) =>
      r.ask(
        ...(pages[q] ?? []).map((page, id) => ({
          operation: READ,
          id,
          sector: (q * 64 + id) * 8,
          segments: [whole(page)],
        })),
      ),
    ),
  );
  const read = Buffer.concat(pages.flat().map(({ bytes }) => bytes));
  expect(same(read, sectors(0, 2048))).toBe(true);
});

test('flushes and barriers are answered when their data are in the file', async () => {
  const device = await attach();
  const r = ring();
  await front.connect([r]);
  const page = world.page();
  page.bytes.set(pattern(4096, 5));
  const answers = await r.ask(
    { operation: WRITE, id: 1, sector: 0, segments: [whole(page)] },
    { operation: WRITE_BARRIER, id: 2, sector: 8, segments: [whole(page)] },
    { operation: FLUSH_DISKCACHE, id: 3 },
    { operation: FLUSH_DISKCACHE, id: 4, sector: 16, segments: [whole(page)] },
  );
  expect(answers.every(({ status }) => status === OKAY)).toBe(true);
  const order = answers.map(({ id }) => id);
  expect(order.indexOf(1)).toBeLessThan(order.indexOf(2));
  for (const sector of [0, 8, 16]) expect(same(sectors(sector, 8), pattern(4096, 5))).toBe(true);
  expect(device.status().counters).toMatchObject({ flushRequests: 3, writeRequests: 2 });
});

// biome-ignore format: one row per mistake
test.each<[what: string, request: Partial<RequestWords>, status: number, spec?: Partial<DiskSpec>]>([
  ['an unknown operation',      { operation: 77 },                          EOPNOTSUPP],
  ['200 segments',              { operation: READ, second: 200 },           ERROR],
  ['sectors beyond the end',    { operation: READ, sector: SECTORS },       ERROR],
  ['a discard',                 { operation: DISCARD, tail: [8, 0] },       EOPNOTSUPP],
  ['a write, read-only',        { operation: WRITE },                       ERROR, { readonly: true }],
])('%s is answered with an error', async (_what, request, status, spec) => {
  const device = await attach(spec);
  const before = file();
  const r = ring();
  await front.connect([r]);
  const page = world.page();
  const words = { operation: READ, id: 3, sector: 0, segments: [whole(page)], ...request };
  expect(await r.ask(words)).toEqual([{ id: 3, operation: words.operation, status }]);
  expect(await r.ask({ operation: READ, id: 4, segments: [whole(page)] })).toMatchObject([{ id: 4, status: OKAY }]);
  expect(same(file(), before)).toBe(true);
  expect(device.status().counters).toMatchObject({ refused: 1, ioErrors: 0 });
  expect(events.map(({ kind }) => kind)).toEqual(['connected']);
});

test('a disk with an overlay discards, and leaves its image alone', async () => {
  const before = file();
  await attach({ discard: true, overlay: {} });
  const r = ring();
  await front.connect([r]);
  expect(await front.readBackend('feature-discard')).toBe('1');
  expect(await front.readBackend('discard-granularity')).toBe('4096');
  const page = world.page();
  page.bytes.set(pattern(4096, 7));
  await r.ask({ operation: WRITE, id: 1, sector: 8, segments: [whole(page)] });
  await r.ask({ operation: DISCARD, id: 2, sector: 0, tail: [8, 0] });
  const [a, b] = [world.page(), world.page()];
  a.bytes.set(pattern(4096, 8));
  const answers = await r.ask({
    operation: READ,
    id: 3,
    sector: 0,
    segments: [whole(a), whole(b)],
  });
  expect(answers).toEqual([{ id: 3, operation: READ, status: OKAY }]);
  expect(same(a.bytes, new Uint8Array(4096))).toBe(true);
  expect(same(b.bytes, page.bytes)).toBe(true);
  expect(same(file(), before)).toBe(true);
});

test('a ring that lies disconnects its device, and no other', async () => {
  const other = join(folder, 'other.img');
  writeFileSync(other, pattern(65_536, 2));
  await attach();
  await attach({ vdev: 'xvdb', path: other });
  const [r, s] = [ring(1), ring(2)];
  const second = new Blkfront(world, XVDA + 16);
  await front.connect([r]);
  await second.connect([s]);
  r.publish(0x8000_0000);
  await front.seesBackend(CLOSING);
  expect(events.filter(({ kind }) => kind === 'protocol-error')).toMatchObject([
    { device: 'vbd 51712 (xvda)', domid: DOMID },
  ]);
  const page = world.page();
  expect(await s.ask({ operation: READ, id: 1, segments: [whole(page)] })).toMatchObject([
    { status: OKAY },
  ]);
  await front.says(CLOSED);
  await front.seesBackend(CLOSED);
  await front.says(INITIALISING);
  await front.seesBackend(INIT_WAIT);
  const fresh = ring(3);
  await front.connect([fresh]);
  expect(await fresh.ask({ operation: READ, id: 1, segments: [whole(page)] })).toMatchObject([
    { status: OKAY },
  ]);
});

// biome-ignore format: one row per nonsense
test.each<[what: string, nodes: Record<string, string>]>([
  ['a protocol of its own',     { protocol: 'vax-abi' }],
  ['an inherited protocol',     { protocol: 'toString' }],
  ['a ring that is no number',  { 'ring-ref': 'here' }],
  ['a ring beyond 32 bits',     { 'ring-ref': '4294967304' }],
  ['a ring that is not granted', { 'ring-ref': '77777' }],
  ['no event channel',          { 'event-channel': '' }],
  ['queues without end',        { 'multi-queue-num-queues': '1000' }],
  ['no queues',                 { 'multi-queue-num-queues': '0' }],
  ['a ring of 2^31 pages',      { 'ring-page-order': '31' }],
  ['pages that are missing',    { 'ring-page-order': '1' }],
])('a frontend with %s is not connected', async (_what, nodes) => {
  await attach();
  const r = ring();
  await front.write({ 'ring-ref': r.refs[0] ?? 0, 'event-channel': r.port, ...nodes });
  await front.says(INITIALISED);
  await front.seesBackend(CLOSING);
  expect(events.map(({ kind }) => kind)).toEqual(['protocol-error']);
  expect(world.machine.mapped.size).toBe(0);
});

test('a file that shrinks gives I/O errors: all to the guest, few to the operator', async () => {
  const device = await attach();
  const r = ring();
  await front.connect([r]);
  truncateSync(path, 4096);
  const page = world.page();
  for (let id = 0; id < 20; id += 1) {
    const sector = id === 0 ? 0 : 1000;
    const [answer] = await r.ask({ operation: READ, id, sector, segments: [whole(page)] });
    expect(answer?.status).toBe(id === 0 ? OKAY : ERROR);
  }
  expect(events.filter(({ kind }) => kind === 'io-error')).toHaveLength(1);
  expect(device.status().counters).toMatchObject({ ioErrors: 19 });
});

// biome-ignore format: one row per file
test.each<[what: string, make: () => Partial<DiskSpec>, code: string]>([
  ['that is not there',     () => ({ path: join(folder, 'none') }),       'not-found'],
  ['that is a folder',      () => ({ path: folder }),                     'not-a-disk'],
  ['that is no disk',       () => ({ path: '/dev/null' }),                'not-a-disk'],
  ['called nonsense',       () => ({ vdev: 'vda' }),                      'not-a-disk'],
])('a disk %s cannot be attached', async (_what, make, code) => {
  await expect(attach(make())).rejects.toMatchObject({ code });
  expect(await world.dom0.store.exists('/local/domain/0/backend/vbd')).toBe(false);
});

test('an image has one writer or many readers', async () => {
  await attach({ readonly: true });
  await attach({ vdev: 'xvdb', readonly: true });
  await expect(attach({ vdev: 'xvdc' })).rejects.toMatchObject({ code: 'in-use' });
  for (const device of devices) await device.detach({ waitMs: 0 });
  await attach();
  await expect(attach({ vdev: 'xvdb', readonly: true })).rejects.toMatchObject({ code: 'in-use' });
});

test('the nodes say what the disk is', async () => {
  await attach({ vdev: 'hdc', readonly: true, cdrom: true });
  const hdc = new Blkfront(world, 22 << 8);
  const nodes = {
    sectors: SECTORS,
    'sector-size': 512,
    info: 7,
    mode: 'r',
    'device-type': 'cdrom',
    dev: 'hdc',
  };
  for (const [node, value] of Object.entries(nodes)) {
    expect(await hdc.readBackend(node)).toBe(String(value));
  }
  expect(await world.guest.read(`${hdc.home}/device-type`)).toBe('cdrom');
});
