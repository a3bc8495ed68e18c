/** The hypervisor whole, driven by hand in this thread: the life of domains, privcmd's answers, frames to the frame. */

import { describe, expect, test } from 'vitest';
import { GNTST } from '../../hypervisor/public/grant-table.js';
import type { CreateDomain } from '../../hypervisor/public/privcmd.js';
import { TRACE_CLASS } from '../../hypervisor/public/trace.js';
import { Harness, image, Refused } from '../support/hypervisor-harness.js';

const HANDLE = '01234567-89ab-cdef-0123-456789abcdef';
const hello = image('hello');
const config = (more: Partial<CreateDomain> = {}): CreateDomain => ({
  handle: HANDLE,
  memoryPages: 1024,
  kernel: hello,
  ...more,
});

/** The error a call is refused with. */
function refusal(act: () => unknown) {
  try {
    act();
  } catch (error) {
    if (error instanceof Refused) return error.error;
    throw error;
  }
  throw new Error('it was not refused');
}

describe('life', () => {
  test('hello greets, answers, and leaves no frame behind', () => {
    const h = new Harness();
    const free = h.freeFrames;
    const guest = h.create('hello');
    expect(guest.shows('Hello from domain 1')).toBe(true);
    expect(guest.info).toMatchObject({ domid: 1, handle: HANDLE, totPages: 1024, paused: false });
    guest.destroy();
    expect(h.freeFrames).toBe(free);
    expect(h.bugs).toBe(0);
  });

  test('two hundred domains come and go: frames equal, ids new', () => {
    const h = new Harness();
    const free = h.freeFrames;
    const ids = Array.from({ length: 200 }, () => {
      const { domid } = h.call('createdomain', config());
      h.call('destroydomain', { domid });
      return domid;
    });
    expect(new Set(ids).size).toBe(200);
    expect(h.freeFrames).toBe(free);
  });

  test('a domain is created paused unless it is asked to run', () => {
    const h = new Harness();
    const { domid } = h.call('createdomain', config());
    h.runFor(20);
    expect(h.call('getdomaininfo', { domid })).toMatchObject({ paused: true, retired: 0 });
    h.call('unpausedomain', { domid });
    h.runFor(50);
    expect(h.call('getdomaininfo', { domid }).retired).toBeGreaterThan(0);
    expect(refusal(() => h.call('unpausedomain', { domid })).errno).toBe('EINVAL');
  });

  test('a paused domain retires nothing, and goes on afterwards', () => {
    const h = new Harness();
    const guest = h.create('hostile-masked-loop');
    h.runFor(20);
    h.call('pausedomain', { domid: guest.domid });
    const before = guest.info.retired;
    h.runFor(20);
    expect(guest.info.retired).toBe(before);
    h.call('unpausedomain', { domid: guest.domid });
    h.runFor(20);
    expect(guest.info.retired).toBeGreaterThan(before);
  });

  test('shutdown by dom0 stops it and is told', () => {
    const h = new Harness();
    const { domid } = h.create('hello');
    h.call('shutdown', { domid, reason: 'reboot' });
    expect(h.events).toContainEqual({
      event: 'domain',
      domid,
      state: 'shutdown',
      reason: 'reboot',
    });
    expect(h.call('getdomaininfo', { domid })).toMatchObject({
      shutdown: true,
      shutdownReason: 'reboot',
    });
    h.call('destroydomain', { domid });
    expect(h.events).toContainEqual({ event: 'domain', domid, state: 'destroyed' });
  });

  test('a crash keeps its reason, and others live on', () => {
    const h = new Harness();
    const good = h.create('hello');
    const bad = h.create('hostile-no-handler');
    expect(bad.ends()).toBe(true);
    expect(bad.info.crashReason).toContain('Unhandled: vec 6');
    expect(h.events).toContainEqual(
      expect.objectContaining({ domid: bad.domid, state: 'crashed', reason: 'crash' }),
    );
    expect(good.shows('Hello')).toBe(true);
    expect(h.bugs).toBe(0);
  });

  test('a domain can be destroyed while it runs', () => {
    const h = new Harness();
    const free = h.freeFrames;
    const guest = h.create('hostile-masked-loop');
    h.runFor(10);
    guest.destroy();
    h.runFor(10);
    expect(h.freeFrames).toBe(free);
  });

  test('frames that dom0 has mapped stay until it lets go', () => {
    const h = new Harness();
    const free = h.freeFrames;
    const { domid, storeMfn } = h.call('createdomain', config());
    h.call('foreignmap', { domid, mfn: storeMfn });
    h.call('foreignmap', { domid, mfn: storeMfn });
    const { address } = h.call('foreignmap', { domid, mfn: storeMfn });
    const { grants } = h.call('gnttab.map', { domid, refs: [1] });
    expect(grants).toEqual([{ handle: 0, address }]);
    h.call('destroydomain', { domid });
    expect(h.freeFrames).toBe(free - 1);
    for (let n = 0; n < 3; n++) h.call('foreignunmap', { domid, mfn: storeMfn });
    expect(h.freeFrames).toBe(free - 1);
    h.call('gnttab.unmap', { handles: [0] });
    expect(h.freeFrames).toBe(free);
  });

  test('its ports at dom0 become unbound when it dies', () => {
    const h = new Harness();
    const { domid, storePort } = h.call('createdomain', config());
    const { port } = h.call('evtchn.bind_interdomain', { remoteDom: domid, remotePort: storePort });
    h.call('destroydomain', { domid });
    expect(h.call('evtchn.send', { port })).toBe(null);
    expect(h.call('evtchn.close', { port })).toBe(null);
    expect(refusal(() => h.call('evtchn.close', { port })).errno).toBe('EINVAL');
  });
});

describe('refusals', () => {
  // biome-ignore format: one row per refusal
  test.each([
    ['no vCPU',             { vcpus: 0 },                    'EINVAL', { field: 'vcpus', found: 0 }],
    ['half a page',         { memoryPages: 0.5 },            'EINVAL', { field: 'memoryPages' }],
    ['a ceiling too low',   { maxPages: 5 },                 'EINVAL', { field: 'maxPages' }],
    ['a weight of 0',       { weight: 0 },                   'EINVAL', { field: 'weight' }],
    ['a reserved id',       { domid: 0x7ff0 },               'EINVAL', { field: 'domid' }],
    ['no ELF image',        { kernel: new Uint8Array(100) }, 'ENOEXEC', {}],
    ['an empty image',      { kernel: new Uint8Array(0) },   'ENOEXEC', {}],
    ['a truncated image',   { kernel: hello.slice(0, 2000) }, 'ENOEXEC', {}],
    ['more than the image', { memoryPages: 8 },              'ENOEXEC', {}],
    ['more than the host',  { memoryPages: 100_000 },        'ENOMEM', { needed: expect.any(Number), free: expect.any(Number) }],
  ] as const)('%s, and nothing leaks', (_, fields, errno, detail) => {
    const h = new Harness();
    const free = h.freeFrames;
    const error = refusal(() => h.call('createdomain', config(fields)));
    expect(error.errno).toBe(errno);
    expect(error.detail).toMatchObject(detail);
    expect(h.freeFrames).toBe(free);
    expect(h.call('physinfo', {})).toMatchObject({ domains: 0, bugs: 0 });
  });

  test('ids that are taken, and ids that nobody has', () => {
    const h = new Harness();
    h.call('createdomain', config({ domid: 5 }));
    expect(refusal(() => h.call('createdomain', config({ domid: 5 }))).errno).toBe('EEXIST');
    for (const domid of [0, 7, -1, 99_999]) {
      expect(refusal(() => h.call('getdomaininfo', { domid })).errno).toBe('ESRCH');
      expect(refusal(() => h.call('destroydomain', { domid })).errno).toBe('ESRCH');
    }
    expect(h.call('getdomaininfolist', {})).toHaveLength(1);
  });

  test('dom0 copies to and from granted pages, each copy with a status of its own', () => {
    const h = new Harness();
    const { domid, storeMfn } = h.call('createdomain', config());
    const { address } = h.call('foreignmap', { domid, mfn: storeMfn });
    const page = h.ram.u8.subarray(address, address + 4096);
    h.bounce.set([1, 2, 3, 4], 8000);
    const copy = (toGuest: boolean, ...copies: number[]) => [
      ...h.call('gnttab.copy', { domid, toGuest, copies: Uint32Array.from(copies) }).statuses,
    ];
    const last = h.bounce.length - 4;
    // biome-ignore format: one row per copy: reference, offset in the page, length, offset in the buffer
    const toGuest = [
      1,   4092, 4, 8000,
      1,   4093, 4, 8000,
      77,  0,    4, 8000,
      1,   16,   2, 8002,
      1,   16,   5, last,
      1, 0xffff_ffff, 2, 0,
    ];
    expect(copy(true, ...toGuest)).toEqual([0, -10, -1, 0, -10, -10]);
    expect([...page.subarray(4090)]).toEqual([0, 0, 1, 2, 3, 4]);
    expect([...page.subarray(15, 19)]).toEqual([0, 3, 4, 0]);
    expect(copy(false, 1, 4094, 2, last + 2)).toEqual([0]);
    expect([...h.bounce.subarray(last)]).toEqual([0, 0, 3, 4]);
    expect(h.bugs).toBe(0);
  });

  test('grants, frames and ports that are none', () => {
    const h = new Harness();
    const { domid } = h.call('createdomain', config());
    expect(h.call('gnttab.map', { domid, refs: [1, 77, 100_000] }).grants).toEqual([
      { handle: 0, address: expect.any(Number) },
      { status: GNTST.general_error, why: expect.stringContaining('77') },
      { status: GNTST.bad_gntref, why: expect.stringContaining('100000') },
    ]);
    expect(refusal(() => h.call('gnttab.unmap', { handles: [0, 3] })).errno).toBe('EINVAL');
    expect(refusal(() => h.call('gnttab.written', { handles: [3] })).errno).toBe('EINVAL');
    h.call('gnttab.unmap', { handles: [0] });
    expect(refusal(() => h.call('foreignmap', { domid, mfn: 99_999_999 })).errno).toBe('EINVAL');
    expect(refusal(() => h.call('foreignunmap', { domid, mfn: 1 })).errno).toBe('EINVAL');
    expect(refusal(() => h.call('evtchn.send', { port: 1 })).errno).toBe('EINVAL');
    const bind = () => h.call('evtchn.bind_interdomain', { remoteDom: domid, remotePort: 9 });
    expect(refusal(bind).errno).toBe('EINVAL');
    expect(refusal(() => h.call('nonsense' as 'stop', {})).errno).toBe('ENOSYS');
    expect(h.bugs).toBe(0);
  });
});

describe('running', () => {
  test('dom0 is answered while a guest spins with events masked', () => {
    const h = new Harness({ clock: 'virtual' });
    h.create('hostile-masked-loop');
    h.runUntil(() => h.clock.now() > 50_000_000, 20_000);
    const times = Array.from({ length: 50 }, () => {
      const start = h.clock.now();
      h.call('physinfo', {});
      return h.clock.now() - start;
    });
    expect(Math.max(...times)).toBeLessThan(5_000_000);
  });

  test('weights are honoured among guests that spin', () => {
    const h = new Harness({ clock: 'virtual' });
    const a = h.create('hostile-masked-loop', { weight: 512 });
    const b = h.create('hostile-masked-loop', { weight: 256 });
    h.runUntil(() => h.clock.now() > 500_000_000, 20_000);
    const ratio = a.info.cpuTime / b.info.cpuTime;
    expect(ratio).toBeGreaterThan(1.8);
    expect(ratio).toBeLessThan(2.2);
  });

  test('a cap is honoured', () => {
    const h = new Harness({ clock: 'virtual' });
    const guest = h.create('hostile-masked-loop', { cap: 25 });
    h.runUntil(() => h.clock.now() > 400_000_000, 20_000);
    expect(guest.info.cpuTime / h.clock.now()).toBeCloseTo(0.25, 1);
  });

  test('under a virtual clock two runs are the same to the instruction', () => {
    const run = () => {
      const h = new Harness({ clock: 'virtual' });
      const ticker = h.create('ticker');
      const spinner = h.create('hostile-masked-loop');
      h.runUntil(() => h.clock.now() > 250_000_000, 30_000);
      const { retired, hypercalls } = ticker.info;
      return [ticker.output, retired, hypercalls, spinner.info.retired, h.clock.now()];
    };
    expect(run()).toEqual(run());
  });

  test('hypercalls are counted by name, missing ones too', () => {
    const h = new Harness();
    const guest = h.create('test-hypercall-basics');
    guest.ends();
    const { calls, missing } = h.call('hypercallstats', { domid: guest.domid });
    expect(calls['xen_version']).toBeGreaterThan(0);
    expect(missing['sched_op(99)']).toBe(1);
  });

  test('console_io goes to the log, and a flood of it is cut', () => {
    const h = new Harness();
    const guest = h.create('hostile-no-handler');
    guest.ends();
    expect(h.log).toContain(`d${guest.domid} created`);
    expect(h.log).toContain(`d${guest.domid} crashed: `);
    h.call('readconsole', { clear: true });
    expect(h.log).toBe('');
  });

  test('a host without work sleeps until the next timer', () => {
    const h = new Harness();
    h.create('hello').shows('Type help');
    const before = h.call('physinfo', {}).idleTime;
    h.create('ticker').ends(20_000);
    expect(h.call('physinfo', {}).idleTime).toBeGreaterThan(before);
  });
});

describe('the trace of a real guest', () => {
  test('is in words, with the reasons of refusals, and only of the classes asked for', () => {
    const h = new Harness();
    h.traceOn(TRACE_CLASS.mmu | TRACE_CLASS.fault | TRACE_CLASS.domain);
    const guest = h.create('hostile-writable-tables', { memoryPages: 2048 });
    expect(guest.ends()).toBe(true);
    const events = h.traceEvents();
    expect(new Set(events.map((event) => event.class))).toEqual(
      new Set(['mmu', 'fault', 'domain']),
    );
    expect(events.map(({ text }) => text)).toContainEqual(
      expect.stringMatching(
        /^d1v0 update_va_mapping\(va=0x[0-9a-f]+, pte=0x[0-9a-f]+, flags=0x2\) = -EBUSY \(.*bad type \(saw l1 != expected writable\)/,
      ),
    );
    expect(events.map(({ name }) => name)).toContain('#PF');
    expect(events.at(-1)?.text).toBe('d1 shut down: poweroff');
  });

  test('tells what hello asks for first', () => {
    const h = new Harness();
    h.traceOn();
    h.create('hello').shows('Type help');
    const calls = h.traceEvents().filter(({ kind }) => kind === 'hypercall');
    expect(calls.length).toBeGreaterThan(5);
    expect(calls.every(({ rip }) => rip.startsWith('0xffffffff8'))).toBe(true);
    expect(calls.find(({ name }) => name === 'xen_version')).toMatchObject({
      op: 'version',
      result: 0x4_0011,
    });
  });

  test('off, nothing is written', () => {
    const h = new Harness();
    h.create('hello').shows('Type help');
    expect(h.trace.fill).toBe(0);
  });
});
