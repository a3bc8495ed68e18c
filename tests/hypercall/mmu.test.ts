/** mmu_update, update_va_mapping, mmuext_op on a domain that the builder made: rules, refusals, counts, preemption. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { asMfn } from '../../hypervisor/machine/types.js';
import { ERRNO } from '../../hypervisor/public/errno.js';
import { MMUEXT } from '../../hypervisor/public/xen.js';
import { PGT } from '../../hypervisor/pv/page-types.js';
import { BASE, PvMachine, pte } from '../support/pv-machine.js';

/** Flags as a kernel writes them: present, accessed, dirty; with and without RW. */
const RO = 0x61;
const RW = 0x63;
const TABLE = 0x67;
const { EINVAL, EBUSY, EPERM, EFAULT, ESRCH, ENOSYS, EOPNOTSUPP } = ERRNO;

/** Spare pages 0, 1, … made read-only and cleared, so that they can become tables. */
function tables(m: PvMachine, count: number) {
  return Array.from({ length: count }, (_, n) => {
    const page = m.spare(n);
    expect(m.writeProtect(page)).toBe(0);
    return page;
  });
}

describe('a fresh domain', () => {
  test('has counts that agree with its tables', () => {
    const m = new PvMachine();
    expect(m.wrongCounts()).toEqual([]);
  });

  test('gives every frame back', () => {
    const m = new PvMachine();
    const { free } = m.frames;
    const domain = m.newDomain(2);
    expect(m.frames.free).toBeLessThan(free);
    domain.destroy();
    m.pv.destroyDomain(domain);
    expect(m.frames.free).toBe(free);
  });
});

describe('update_va_mapping', () => {
  test('a kernel page gets USER and GUEST_KERNEL, a user page GLOBAL', () => {
    const m = new PvMachine();
    const { va, mfn } = m.spare(0);
    const { table, slot } = m.entryOf(va);
    expect(m.call('update_va_mapping', va, pte(mfn, RW), 2)).toBe(0);
    expect(m.entry(table, slot)).toBe(pte(mfn, 0x67) | (1n << 52n));
    expect(m.call('update_va_mapping', va, pte(mfn, RW | 4), 2)).toBe(0);
    expect(m.entry(table, slot)).toBe(pte(mfn, 0x167));
    expect(m.wrongCounts()).toEqual([]);
  });

  // biome-ignore format: one row per refusal
  test.each([
    ['cache attributes',       (m: PvMachine) => pte(m.spare(0).mfn, RW | 0x18),        -EINVAL],
    ["Xen's grant bit",        (m: PvMachine) => pte(m.spare(0).mfn, RW) | (1n << 62n), -EINVAL],
    ['no frame of its own',    () => pte(0xf_0000, RO),                                 -EPERM],
    ['no frame at all',        () => pte(0xff_ffff_ffff, RO),                           -EINVAL],
    ['a live table, writable', (m: PvMachine) => pte(m.v.kernelTable, RW),              -EBUSY],
  ])('%s is refused and changes nothing', (_what, entry, result) => {
    const m = new PvMachine();
    const { va } = m.spare(0);
    const { table, slot } = m.entryOf(va);
    const before = m.entry(table, slot);
    expect(m.call('update_va_mapping', va, entry(m), 2)).toBe(result);
    expect(m.entry(table, slot)).toBe(before);
    expect(m.wrongCounts()).toEqual([]);
  });

  test('the refusal says which type was seen and expected, and who holds it', () => {
    const m = new PvMachine();
    const { kernelTable } = m.v;
    m.call('update_va_mapping', m.spare(0).va, pte(kernelTable, RW), 2);
    expect(m.explanations.join()).toContain(
      `bad type (saw l4 != expected writable) for mfn 0x${kernelTable.toString(16)} of d1, type count 2, references 4`,
    );
  });

  test('an address without a table, or in Xen range, is -EINVAL', () => {
    const m = new PvMachine();
    expect(m.call('update_va_mapping', 0x1000, 0, 0)).toBe(-EINVAL);
    expect(m.call('update_va_mapping', -0x8000_0000_0000, 0, 0)).toBe(-EINVAL);
    expect(m.call('update_va_mapping', 1n << 63n, 0, 0)).toBe(-EINVAL);
  });

  test('another domain may not be named', () => {
    const m = new PvMachine();
    const { va } = m.spare(0);
    expect(m.call('update_va_mapping_otherdomain', va, 0, 0, 77)).toBe(-ESRCH);
    expect(m.call('update_va_mapping_otherdomain', va, 0, 0, 0x7ff1)).toBe(-EPERM);
  });
});

describe('mmu_update', () => {
  test('stores into a page that is no table, which is how tables are built', () => {
    const m = new PvMachine();
    const { mfn } = m.spare(0);
    expect(m.mmuUpdate(mfn * 4096 + 8, 0x1234n)).toBe(0);
    expect(m.entry(mfn, 1)).toBe(0x1234n);
  });

  test('keeps accessed and dirty on request', () => {
    const m = new PvMachine();
    const { va, mfn } = m.spare(0);
    const { address, table, slot } = m.entryOf(va);
    expect(m.mmuUpdate(address + 2, pte(mfn, 0x03))).toBe(0);
    expect(m.entry(table, slot) & 0x60n).toBe(0x60n);
    expect(m.mmuUpdate(address, pte(mfn, 0x03))).toBe(0);
    expect(m.entry(table, slot) & 0x60n).toBe(0n);
  });

  test("Xen's slots of a top-level table are closed, those beside are open", () => {
    const m = new PvMachine();
    const root = m.v.kernelTable * 4096;
    expect(m.mmuUpdate(root + 256 * 8, 0n)).toBe(-EINVAL);
    expect(m.mmuUpdate(root + 271 * 8, 0n)).toBe(-EINVAL);
    expect(m.mmuUpdate(root + 272 * 8, 0n)).toBe(0);
  });

  test('sets the machine-to-physical table', () => {
    const m = new PvMachine();
    const { mfn } = m.spare(0);
    expect(m.mmuUpdate(mfn * 4096 + 1, 0x4711n)).toBe(0);
    expect(m.pvDomain.m2p.get(mfn)).toBe(0x4711);
    expect(m.mmuUpdate(0xf_0000 * 4096 + 1, 1n)).toBe(-EINVAL);
  });

  test('stops at the first error and counts what was done', () => {
    const m = new PvMachine();
    const { mfn, va } = m.spare(0);
    const list = m.put(mfn * 4096, 1, mfn * 4096 + 8, 2, 0xf_0000 * 4096, 3, mfn * 4096 + 16, 4);
    expect(m.call('mmu_update', list, 4, va + 2048, 0x7ff0)).toBe(-EINVAL);
    expect(m.ram.u32[m.spare(0).word + 512]).toBe(2);
    expect(m.entry(mfn, 2)).toBe(0n);
  });

  test.each([
    ['the list', [0x1000, 1, 0]],
    ['the list, in Xen range', [-0x8000_0000_0000, 1, 0]],
  ])('%s cannot be read: -EFAULT', (_what, args) => {
    expect(new PvMachine().call('mmu_update', ...args, 0x7ff0)).toBe(-EFAULT);
  });

  test('a preempted batch goes on where it stopped', () => {
    const m = new PvMachine();
    const { mfn } = m.spare(0);
    const words = Array.from({ length: 100 }, (_, n) => [mfn * 4096 + n * 8, n + 1]).flat();
    m.preempt = true;
    const args = [m.put(...words), 100, m.spare(1).va, 0x7ff0];
    let result = m.callOnce('mmu_update', ...args);
    expect(result).toBeUndefined();
    for (let n = 0; n < 10 && result === undefined; n++) result = m.again();
    expect(result).toBe(0);
    expect(m.entry(mfn, 99)).toBe(100n);
    expect(m.ram.u32[m.spare(1).word]).toBe(100);
  });
});

describe('pinning', () => {
  test('counts once, refuses twice, and gives all back', () => {
    const m = new PvMachine();
    const [l1] = tables(m, 1) as [ReturnType<PvMachine['spare']>];
    m.fill(l1, { 3: pte(m.spare(9).mfn, RW), 4: pte(m.spare(9).mfn, RO) });
    expect(m.mmuext(MMUEXT.PIN_L1_TABLE, l1.mfn)).toBe(0);
    expect(m.wrongCounts()).toEqual([]);
    expect(m.mmuext(MMUEXT.PIN_L1_TABLE, l1.mfn)).toBe(-EINVAL);
    expect(m.mmuext(MMUEXT.PIN_L2_TABLE, l1.mfn)).toBe(-EINVAL);
    expect(m.mmuext(MMUEXT.UNPIN_TABLE, l1.mfn)).toBe(0);
    expect(m.mmuext(MMUEXT.UNPIN_TABLE, l1.mfn)).toBe(-EINVAL);
    expect(m.wrongCounts()).toEqual([]);
  });

  test('a page with a writable mapping, or a wrong entry, is no table; nothing stays taken', () => {
    const m = new PvMachine();
    expect(m.mmuext(MMUEXT.PIN_L1_TABLE, m.spare(0).mfn)).toBe(-EINVAL);
    const [l1, l2] = tables(m, 2) as ReturnType<PvMachine['spare']>[];
    m.fill(l1!, { 0: pte(m.spare(9).mfn, RW), 511: pte(l2!.mfn, RW) });
    m.fill(l2!, { 0: pte(l1!.mfn, TABLE) });
    // l2 is being validated when its own L1 wants to map it writable.
    expect(m.mmuext(MMUEXT.PIN_L2_TABLE, l2!.mfn)).toBe(-EBUSY);
    m.fill(l1!, { 511: 0n });
    m.fill(l2!, { 1: pte(m.spare(9).mfn, TABLE | 0x80) });
    expect(m.mmuext(MMUEXT.PIN_L2_TABLE, l2!.mfn)).toBe(-EINVAL);
    expect(m.wrongCounts()).toEqual([]);
  });

  test('linear maps: read-only to itself or to another of its level, not in a chain', () => {
    const m = new PvMachine();
    const [a, b, c] = tables(m, 3) as ReturnType<PvMachine['spare']>[];
    m.fill(a!, { 100: pte(a!.mfn, RO | 4) });
    expect(m.mmuext(MMUEXT.PIN_L4_TABLE, a!.mfn)).toBe(0);
    expect(m.mmuUpdate(a!.mfn * 4096 + 800, pte(a!.mfn, TABLE))).toBe(-EINVAL);
    m.fill(b!, { 5: pte(a!.mfn, RO | 4) });
    expect(m.mmuext(MMUEXT.PIN_L4_TABLE, b!.mfn)).toBe(0);
    m.fill(c!, { 5: pte(b!.mfn, RO | 4) });
    expect(m.mmuext(MMUEXT.PIN_L4_TABLE, c!.mfn)).toBe(-EINVAL);
    expect(m.wrongCounts()).toEqual([]);
    expect(m.mmuext(MMUEXT.UNPIN_TABLE, b!.mfn)).toBe(0);
    expect(m.mmuext(MMUEXT.UNPIN_TABLE, a!.mfn)).toBe(0);
    expect(m.wrongCounts()).toEqual([]);
    expect(m.pvDomain.types.linear.size).toBe(0);
  });

  test('a big tree is pinned and given up in several calls, its counts right in between', () => {
    const m = new PvMachine();
    const [l4, l3, l2, ...l1] = tables(m, 12) as ReturnType<PvMachine['spare']>[];
    m.fill(l4!, { 0: pte(l3!.mfn, TABLE) });
    m.fill(l3!, { 7: pte(l2!.mfn, TABLE) });
    for (const [n, table] of l1.entries()) {
      m.fill(l2!, { [n]: pte(table.mfn, TABLE) });
      m.fill(table, { [n]: pte(m.spare(50 + n).mfn, RW) });
    }
    const { types } = m.pvDomain;
    let work = 1024;
    Object.defineProperty(types, 'work', {
      get: () => work,
      set: (value: number) => {
        work = Math.min(value, 1024); // two tables a call
      },
    });
    let calls = 1;
    let result = m.callOnce('mmuext_op', m.put(MMUEXT.PIN_L4_TABLE, l4!.mfn, 0), 1, 0, 0x7ff0);
    for (; result === undefined; calls++) {
      expect(m.wrongCounts()).toEqual([]);
      result = m.again();
    }
    expect(result).toBe(0);
    expect(calls).toBeGreaterThan(3);
    expect(types.is(l1[8]!.mfn, PGT.L1)).toBe(true);
    result = m.callOnce('mmuext_op', m.put(MMUEXT.UNPIN_TABLE, l4!.mfn, 0), 1, 0, 0x7ff0);
    for (calls = 1; result === undefined; calls++) {
      expect(m.wrongCounts()).toEqual([]);
      result = m.again();
    }
    expect(result).toBe(0);
    expect(m.wrongCounts()).toEqual([]);
    expect(types.partialNext.size).toBe(0);
  });
});

describe('mmuext_op', () => {
  // biome-ignore format: one row per call
  test.each([
    ['an unknown command',           99,                         0, 0,      -ENOSYS],
    ['superpages',                   MMUEXT.MARK_SUPER,          0, 0,      -EOPNOTSUPP],
    ['a base that is no table',      MMUEXT.NEW_BASEPTR,         0xf_0000, 0, -EINVAL],
    ['no user base',                 MMUEXT.NEW_USER_BASEPTR,    0, 0,      0],
    ['all translations',             MMUEXT.TLB_FLUSH_ALL,       0, 0,      0],
    ['an LDT off the page',          MMUEXT.SET_LDT,             8, 1,      -EINVAL],
    ['an LDT too long',              MMUEXT.SET_LDT,             0, 8193,   -EINVAL],
    ['no LDT',                       MMUEXT.SET_LDT,             0, 0,      0],
    ['clearing a frame of nobody',   MMUEXT.CLEAR_PAGE,          0xf_0000, 0, -EINVAL],
    ['a mask that cannot be read',   MMUEXT.TLB_FLUSH_MULTI,     0, 0x1000, -EFAULT],
  ])('%s', (_what, cmd, arg1, arg2, result) => {
    const m = new PvMachine();
    expect(m.mmuext(cmd, arg1, arg2)).toBe(result);
    expect(m.wrongCounts()).toEqual([]);
  });

  test('clears and copies pages, but no tables', () => {
    const m = new PvMachine();
    const [from, to] = [m.spare(0), m.spare(1)];
    m.fill(from, { 7: 77n });
    expect(m.mmuext(MMUEXT.COPY_PAGE, to.mfn, from.mfn)).toBe(0);
    expect(m.entry(to.mfn, 7)).toBe(77n);
    expect(m.mmuext(MMUEXT.CLEAR_PAGE, to.mfn)).toBe(0);
    expect(m.entry(to.mfn, 7)).toBe(0n);
    expect(m.mmuext(MMUEXT.CLEAR_PAGE, m.v.kernelTable)).toBe(-EINVAL);
    expect(m.mmuext(MMUEXT.COPY_PAGE, m.v.kernelTable, from.mfn)).toBe(-EINVAL);
  });

  test('a new base takes a reference and gives the old one back', () => {
    const m = new PvMachine();
    const [l4] = tables(m, 1) as ReturnType<PvMachine['spare']>[];
    const old = m.v.kernelTable;
    m.fill(l4!, { 511: m.entry(old, 511) });
    expect(m.mmuext(MMUEXT.NEW_BASEPTR, l4!.mfn)).toBe(0);
    expect(m.v.kernelTable).toBe(l4!.mfn);
    expect(m.wrongCounts()).toEqual([]);
    expect(m.mmuext(MMUEXT.UNPIN_TABLE, old)).toBe(0);
    expect(m.pvDomain.types.typeInUse(old)).toBe(PGT.NONE);
    expect(m.wrongCounts()).toEqual([]);
  });
});

describe('giving pages up', () => {
  test('a page that is mapped stays until its last mapping goes', () => {
    const m = new PvMachine();
    const { va, mfn } = m.spare(0);
    const { totPages } = m.domain;
    expect(m.pv.memory.dropAllocation(m.domain, mfn)).toBe(true);
    expect(m.pv.memory.dropAllocation(m.domain, mfn)).toBe(false);
    expect(m.domain.totPages).toBe(totPages);
    expect(m.call('update_va_mapping', va, 0, 2)).toBe(0);
    expect(m.domain.totPages).toBe(totPages - 1);
    expect(m.domain.kindOf(mfn)).toBeUndefined();
    expect(m.wrongCounts()).toEqual([]);
  });
});

/** A hostile guest's vocabulary: few frames, so that requests meet. */
const request = fc.record({
  what: fc.constantFrom('pin', 'unpin', 'store', 'map', 'base', 'noBase', 'clear', 'drop'),
  page: fc.nat(11),
  other: fc.nat(12),
  slot: fc.constantFrom(0, 1, 100, 256, 511),
  level: fc.integer({ min: 1, max: 4 }),
  flags: fc.constantFrom(0, RO, RW, TABLE, RO | 4, TABLE | 0x80, 0x100 | TABLE),
});

interface Attack {
  readonly mfn: number;
  readonly entry: bigint;
  readonly slot: number;
  readonly level: number;
}

// biome-ignore format: one row per request
const ATTACKS: Record<string, (m: PvMachine, attack: Attack) => unknown> = {
  pin:    (m, { level, mfn }) => m.mmuext(level - 1, mfn),
  unpin:  (m, { mfn }) => m.mmuext(MMUEXT.UNPIN_TABLE, mfn),
  store:  (m, { mfn, slot, entry }) => m.mmuUpdate(mfn * 4096 + slot * 8, entry),
  map:    (m, { slot, entry }) => m.call('update_va_mapping', BASE + 0x30_0000 + slot * 4096, entry, 2),
  base:   (m, { mfn }) => m.mmuext(MMUEXT.NEW_USER_BASEPTR, mfn),
  noBase: (m) => m.mmuext(MMUEXT.NEW_USER_BASEPTR, 0),
  clear:  (m, { mfn }) => m.mmuext(MMUEXT.CLEAR_PAGE, mfn),
  drop:   (m, { mfn }) => m.pv.memory.dropAllocation(m.domain, asMfn(mfn)),
};

describe('whatever is asked', () => {
  test('the counts agree with the tables', { timeout: 120_000 }, () => {
    fc.assert(
      fc.property(fc.array(request, { minLength: 20, maxLength: 120 }), (requests) => {
        const m = new PvMachine();
        const mfns = tables(m, 12).map((page) => page.mfn as number);
        mfns.push(m.v.kernelTable);
        for (const { what, page, other, slot, level, flags } of requests) {
          ATTACKS[what]!(m, { mfn: mfns[page]!, entry: pte(mfns[other]!, flags), slot, level });
        }
        expect(m.wrongCounts()).toEqual([]);
      }),
      { numRuns: Number(process.env['RUNS'] ?? 150) },
    );
  });
});
