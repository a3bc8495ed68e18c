/** set_gdt, update_descriptor, set_segment_base, MMUEXT_SET_LDT: descriptors that guests may have. */

import { describe, expect, test } from 'vitest';
import { asVirtAddr } from '../../hypervisor/machine/types.js';
import { ERRNO } from '../../hypervisor/public/errno.js';
import { MMUEXT } from '../../hypervisor/public/xen.js';
import { checkDescriptor } from '../../hypervisor/pv/descriptors.js';
import { PGT } from '../../hypervisor/pv/page-types.js';
import { PvMachine } from '../support/pv-machine.js';

const { EINVAL, EFAULT, EBUSY } = ERRNO;
/** Flat code and data of ring 0, as a kernel writes them. */
const CODE = 0x00af_9b00_0000_ffffn;
const DATA = 0x00cf_9300_0000_ffffn;
const DPL3 = 0x6000_0000_0000n;

const halves = (descriptor: bigint): [number, number] => [
  Number(descriptor & 0xffff_ffffn),
  Number(descriptor >> 32n),
];

// biome-ignore format: one row per descriptor
test.each([
  ['code of ring 0',                  0x00af_9b00_0000_ffffn, 0x00af_fb00_0000_ffffn],
  ['data of ring 3',                  0x00cf_f300_0000_ffffn, 0x00cf_f300_0000_ffffn],
  ['not present, whatever it is',     0x0000_0900_0000_1234n, 0x0000_0900_0000_1234n],
  ['empty',                           0n,                     0n],
  ['type 0',                          0x0000_8000_0000_0000n, 0x0000_e000_0000_0000n],
  ['a TSS',                           0x0000_8900_0000_0067n, undefined],
  ['an LDT',                          0x0000_8200_0000_0067n, undefined],
  ['an interrupt gate',               0x0000_8e00_0008_0000n, undefined],
  ['a call gate to its own segment',  0x0000_ec00_0010_4321n, 0x0000_8c00_0013_4321n],
  ['a call gate with reserved bits',  0x0000_ec01_0010_4321n, undefined],
  ["a call gate to Xen's segments",   0x0000_ec00_e008_4321n, undefined],
  ['a call gate to flat code',        0x0000_ec00_e033_4321n, 0x0000_8c00_e033_4321n],
])('%s', (_what, descriptor, expected) => {
  const checked = checkDescriptor(...halves(descriptor));
  const found = checked && (BigInt(checked.hi >>> 0) << 32n) | BigInt(checked.lo);
  expect(found).toBe(expected);
});

describe('set_gdt', () => {
  function withGdt(entries: Record<number, bigint>) {
    const m = new PvMachine();
    const page = m.spare(0);
    m.fill(page, entries);
    m.writeProtect(page);
    return { m, page, result: m.call('set_gdt', m.put(page.mfn), 512) };
  }

  test('takes a page whose descriptors hold, raises them to ring 3, and keeps it unwritable', () => {
    const { m, page, result } = withGdt({ 2: CODE, 3: DATA });
    expect(result).toBe(0);
    expect(m.entry(page.mfn, 2)).toBe(CODE | DPL3);
    expect(m.pv.readDescriptor(0x13)).toEqual({ lo: 0xffff, hi: 0x00af_fb00 });
    expect(m.call('update_va_mapping', page.va, (BigInt(page.mfn) << 12n) | 0x63n, 2)).toBe(-EBUSY);
    expect(m.wrongCounts()).toEqual([]);
    expect(m.call('set_gdt', 0, 0)).toBe(0);
    expect(m.wrongCounts()).toEqual([]);
  });

  test('a page with a TSS in it is refused, with its place', () => {
    const { m, result } = withGdt({ 9: 0x0000_8900_0000_0067n });
    expect(result).toBe(-EINVAL);
    expect(m.explanations.join()).toContain('descriptor 0x9 of mfn');
    expect(m.wrongCounts()).toEqual([]);
  });

  test('a writable page, too many entries, a list that cannot be read', () => {
    const m = new PvMachine();
    expect(m.call('set_gdt', m.put(m.spare(0).mfn), 1)).toBe(-EINVAL);
    expect(m.call('set_gdt', m.put(m.spare(0).mfn), 7169)).toBe(-EINVAL);
    expect(m.call('set_gdt', 0x1000, 1)).toBe(-EFAULT);
  });

  test("Xen's own descriptors are always there, nothing beyond the tables is", () => {
    const m = new PvMachine();
    expect(m.pv.readDescriptor(0xe033)).toEqual({ lo: 0xffff, hi: 0x00af_fb00 });
    expect(m.pv.readDescriptor(0xe02b)).toEqual({ lo: 0xffff, hi: 0x00cf_f300 });
    expect(m.pv.readDescriptor(0x13)).toBeUndefined();
    expect(m.pv.readDescriptor(0x17)).toBeUndefined();
    expect(m.pv.readDescriptor(0xe043)).toBeUndefined();
  });
});

describe('update_descriptor', () => {
  test('changes a descriptor of a table in use, checked', () => {
    const m = new PvMachine();
    const page = m.spare(0);
    m.writeProtect(page);
    m.call('set_gdt', m.put(page.mfn), 512);
    expect(m.call('update_descriptor', page.mfn * 4096 + 24, CODE)).toBe(0);
    expect(m.entry(page.mfn, 3)).toBe(CODE | DPL3);
    expect(m.call('update_descriptor', page.mfn * 4096 + 24, 0x0000_8900_0000_0067n)).toBe(-EINVAL);
    expect(m.call('update_descriptor', page.mfn * 4096 + 25, CODE)).toBe(-EINVAL);
    expect(m.call('update_descriptor', m.v.kernelTable * 4096, CODE)).toBe(-EINVAL);
    expect(m.call('update_descriptor', 0xf_0000 * 4096, CODE)).toBe(-EINVAL);
    expect(m.wrongCounts()).toEqual([]);
  });
});

test('the LDT is looked up when used, and given back with its base', () => {
  const m = new PvMachine();
  const page = m.spare(0);
  m.fill(page, { 1: DATA });
  m.writeProtect(page);
  expect(m.mmuext(MMUEXT.SET_LDT, page.va, 2)).toBe(0);
  expect(m.pvDomain.types.typeInUse(page.mfn)).not.toBe(PGT.SEG_DESC);
  expect(m.pv.readDescriptor(0x0f)).toEqual({ lo: 0xffff, hi: 0x00cf_f300 });
  expect(m.pvDomain.types.typeInUse(page.mfn)).toBe(PGT.SEG_DESC);
  expect(m.pv.readDescriptor(0x17)).toBeUndefined();
  expect(m.wrongCounts()).toEqual([]);
  expect(m.mmuext(MMUEXT.SET_LDT, 0, 0)).toBe(0);
  expect(m.pvDomain.types.typeInUse(page.mfn)).not.toBe(PGT.SEG_DESC);
  expect(m.wrongCounts()).toEqual([]);
});

describe('set_segment_base', () => {
  test('fs, the inactive gs of applications, the active one of the kernel', () => {
    const m = new PvMachine();
    expect(
      [0, 1, 2].map((which) => m.call('set_segment_base', which, 0x1000 * (which + 1))),
    ).toEqual([0, 0, 0]);
    const { fsBase, gsBase, kernelGsBase } = m.registers;
    expect([fsBase, kernelGsBase, gsBase]).toEqual([0x1000n, 0x2000n, 0x3000n]);
  });

  test('a selector that does not hold becomes 0', () => {
    const m = new PvMachine();
    expect(m.call('set_segment_base', 3, 0xe02b)).toBe(0);
    expect(m.registers.gs).toBe(0xe02b);
    expect(m.call('set_segment_base', 3, 0x1230)).toBe(0);
    expect(m.registers.gs).toBe(0);
  });

  test('no such base, no such address', () => {
    const m = new PvMachine();
    expect(m.call('set_segment_base', 4, 0)).toBe(-EINVAL);
    expect(m.call('set_segment_base', 0, 1n << 63n)).toBe(-EINVAL);
    expect(m.registers.fsBase).toBe(0n);
    expect(m.pv.guest.readU8(asVirtAddr(-0x8000_0000_0000))).toBeUndefined();
  });
});
