/** set_trap_table, callbacks, stack_switch, debug registers, vm_assist, fpu_taskswitch, physdev_op: stored and refused. */

import { describe, expect, test } from 'vitest';
import { asVirtAddr } from '../../hypervisor/machine/types.js';
import { ERRNO } from '../../hypervisor/public/errno.js';
import { PHYSDEVOP } from '../../hypervisor/public/physdev.js';
import { PvMachine } from '../support/pv-machine.js';

const { EINVAL, EFAULT, EPERM, ENODEV, ENOSYS } = ERRNO;
const NOT_CANONICAL = 1n << 63n;
const KERNEL = -0x7fff_f000;

/** vector, flags, cs in one word, then the address. */
const trap = (vector: number, flags: number, cs: number): bigint =>
  BigInt(vector) | (BigInt(flags) << 8n) | (BigInt(cs) << 16n);

describe('set_trap_table', () => {
  test('takes entries up to the empty one; null clears all', () => {
    const m = new PvMachine();
    const table = m.put(
      trap(14, 4, 0xe030),
      KERNEL,
      trap(3, 3, 0xe033),
      KERNEL + 1,
      0,
      0,
      trap(6, 0, 0),
      5,
    );
    expect(m.call('set_trap_table', table)).toBe(0);
    const { trapAddress, trapFlags, trapCs } = m.v;
    expect([trapAddress[14], trapFlags[14], trapCs[14]]).toEqual([KERNEL, 4, 0xe033]);
    expect([trapAddress[3], trapFlags[3], trapAddress[6]]).toEqual([KERNEL + 1, 3, 0]);
    expect(m.call('set_trap_table', 0)).toBe(0);
    expect(trapAddress[14]).toBe(0);
  });

  test('an address that is not canonical, a table that cannot be read', () => {
    const m = new PvMachine();
    expect(m.call('set_trap_table', m.put(trap(14, 0, 0), NOT_CANONICAL))).toBe(-EINVAL);
    expect(m.call('set_trap_table', 0x1000)).toBe(-EFAULT);
    expect(m.call('set_trap_table', NOT_CANONICAL)).toBe(-EFAULT);
  });

  test('a table without an end ends', () => {
    const m = new PvMachine();
    const words = Array.from({ length: 256 }, (_, n) => [trap(n, 0, 0), KERNEL]).flat();
    m.put(...words);
    // The page behind it goes on with the same.
    m.call('mmuext_op', m.spare(210).va, 0, 0, 0x7ff0);
    expect([0, -EFAULT]).toContain(m.call('set_trap_table', m.spare(200).va));
  });
});

describe('callbacks', () => {
  // biome-ignore format: one row per type
  test.each([
    [0, 'eventCallback'], [1, 'failsafeCallback'], [2, 'syscallCallback'], [5, 'sysenterCallback'], [7, 'syscall32Callback'],
  ] as const)('type %i is stored as %s', (type, field) => {
    const m = new PvMachine();
    expect(m.call('callback_op', 0, m.put(BigInt(type) | 0x1_0000n, KERNEL))).toBe(0);
    expect(m.v[field]).toEqual({ address: KERNEL, maskEvents: true });
    expect(m.call('callback_op', 1, m.put(type))).toBe(-EINVAL);
  });

  test('the NMI callback comes and goes', () => {
    const m = new PvMachine();
    expect(m.call('callback_op', 0, m.put(4, KERNEL))).toBe(0);
    expect(m.v.nmiCallback).toBe(KERNEL);
    expect(m.call('callback_op', 1, m.put(4))).toBe(0);
    expect(m.v.nmiCallback).toBeUndefined();
    expect(m.call('nmi_op', 0, m.put(KERNEL, 0))).toBe(0);
    expect(m.v.nmiCallback).toBe(KERNEL);
    expect(m.call('nmi_op', 1, 0)).toBe(0);
    expect(m.call('nmi_op', 2, 0)).toBe(-ENOSYS);
  });

  test('unknown types and commands, bad addresses', () => {
    const m = new PvMachine();
    expect(m.call('callback_op', 0, m.put(99, KERNEL))).toBe(-ENOSYS);
    expect(m.call('callback_op', 99, m.put(0))).toBe(-ENOSYS);
    expect(m.call('callback_op', 0, m.put(0, NOT_CANONICAL))).toBe(-EINVAL);
    expect(m.call('callback_op', 0, 0x1000)).toBe(-EFAULT);
  });

  test('set_callbacks sets three at once; stack_switch the kernel stack', () => {
    const m = new PvMachine();
    expect(m.call('set_callbacks', KERNEL, KERNEL + 1, KERNEL + 2)).toBe(0);
    expect(m.v.syscallCallback?.address).toBe(KERNEL + 2);
    expect(m.call('stack_switch', 0xe028, KERNEL)).toBe(0);
    expect([m.v.kernelSp, m.v.kernelSs]).toEqual([KERNEL, 0xe02b]);
    expect(m.call('stack_switch', 0, NOT_CANONICAL)).toBe(0);
    expect(m.v.kernelSp).toBeUndefined();
  });
});

describe('debug registers', () => {
  // biome-ignore format: one row per value
  test.each([
    ['an address',                  0, 0x1234n,                 0,       0x1234],
    ["an address of Xen's",         1, 0xffff_8000_0000_0000n,  -EPERM,  0],
    ['status, reserved bits fixed', 6, 0xffff_ffffn,            0,       0xffff_efff],
    ['status above 32 bits',        6, 1n << 32n,               -EINVAL, 0xffff_0ff0],
    ['control',                     7, 0x3n,                    0,       0x403],
    ['general detect',              7, 0x2000n,                 -EPERM,  0x400],
    ['DR4, another name of DR6',    4, 0xfn,                    0,       0xffff_0fff],
    ['no such register',            8, 0n,                      -ENODEV, -ENODEV],
  ])('%s', (_what, n, value, result, readBack) => {
    const m = new PvMachine();
    expect(m.call('set_debugreg', n, value)).toBe(result);
    expect(m.call('get_debugreg', n)).toBe(readBack);
  });
});

describe('vm_assist', () => {
  test('known types go on and off, others are refused', () => {
    const m = new PvMachine();
    for (const type of [0, 1, 2, 3, 4, 5]) expect(m.call('vm_assist', 0, type)).toBe(0);
    expect(m.pvDomain.vmAssist).toBe(0x3f);
    expect(m.call('vm_assist', 1, 4)).toBe(0);
    expect(m.pvDomain.hasArchitecturalIopl).toBe(false);
    expect(m.call('vm_assist', 0, 32)).toBe(0);
    expect(m.pvDomain.m2pStrict).toBe(true);
    expect(m.call('vm_assist', 0, 6)).toBe(-EINVAL);
    expect(m.call('vm_assist', 2, 2)).toBe(-ENOSYS);
  });
});

test('fpu_taskswitch sets and clears CR0.TS', () => {
  const m = new PvMachine();
  expect(m.call('fpu_taskswitch', 1)).toBe(0);
  expect(m.registers.cr0 & 8).toBe(8);
  expect(m.call('fpu_taskswitch', 0)).toBe(0);
  expect(m.registers.cr0 & 8).toBe(0);
});

describe('physdev_op', () => {
  test('sets the I/O privileges of the vCPU', () => {
    const m = new PvMachine();
    expect(m.call('physdev_op', PHYSDEVOP.SET_IOPL, m.put(1))).toBe(0);
    expect(m.v.iopl).toBe(1);
    expect(m.call('physdev_op', PHYSDEVOP.SET_IOPL, m.put(4))).toBe(-EINVAL);
    expect(m.call('physdev_op', PHYSDEVOP.SET_IOBITMAP, m.put(KERNEL, 1024))).toBe(0);
    expect([m.v.ioBitmap, m.v.ioBitmapPorts]).toEqual([KERNEL, 1024]);
    expect(m.call('physdev_op', PHYSDEVOP.SET_IOBITMAP, m.put(KERNEL, 65537))).toBe(-EINVAL);
    expect(m.call('physdev_op_compat', m.put(PHYSDEVOP.SET_IOPL, 2))).toBe(0);
    expect(m.v.iopl).toBe(2);
  });

  test('a guest without devices gets no more', () => {
    const m = new PvMachine();
    expect(m.call('physdev_op', PHYSDEVOP.MAP_PIRQ, 0)).toBe(-EPERM);
    expect(m.call('physdev_op', PHYSDEVOP.EOI, 0)).toBe(-EINVAL);
    expect(m.call('physdev_op', 99, 0)).toBe(-ENOSYS);
    expect(m.call('physdev_op', PHYSDEVOP.SET_IOPL, asVirtAddr(0x1000))).toBe(-EFAULT);
  });
});
