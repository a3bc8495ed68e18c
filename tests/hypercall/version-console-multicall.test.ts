/** xen_version, console_io, multicall, the calls only a control domain may make, and numbers that are none. */

import { describe, expect, test } from 'vitest';
import { ERRNO } from '../../hypervisor/public/errno.js';
import { HYPERCALLS } from '../../hypervisor/public/hypercalls.js';
import * as abi from '../../hypervisor/public/version.js';
import { BAD_POINTERS, CallBench } from '../support/call-bench.js';

const { XENVER } = abi;
const ENTRY = 64;

function text(b: CallBench, at: number): string {
  const bytes = b.machine.ram.u8.slice(b.host(at), b.host(at) + 64);
  return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
}

describe('xen_version', () => {
  test('is 4.17', () => {
    expect(new CallBench().call('xen_version', XENVER.VERSION)).toBe(0x4_0011);
  });

  test.each([
    ['extraversion', XENVER.EXTRAVERSION, '.0-xenolith'],
    ['capabilities', XENVER.CAPABILITIES, 'xen-3.0-x86_64 '],
    ['changeset', XENVER.CHANGESET, 'unavailable'],
    ['commandline', XENVER.COMMANDLINE, '<denied>'],
    ['compile_info', XENVER.COMPILE_INFO, 'tsc'],
  ])('%s', (_, cmd, expected) => {
    const b = new CallBench();
    const at = b.room(1024);
    expect(b.call('xen_version', cmd, at)).toBe(0);
    expect(text(b, at)).toBe(expected);
  });

  test('features of a 64-bit PV domain', () => {
    const b = new CallBench();
    const at = b.put(abi.xenFeatureInfo, { submapIdx: 0 });
    expect(b.call('xen_version', XENVER.GET_FEATURES, at)).toBe(0);
    const { submap } = b.get(abi.xenFeatureInfo, at);
    const set = Array.from({ length: 32 }, (_, n) => n).filter((n) => submap & (1 << n));
    expect(set).toEqual([5, 6, 7, 13, 17]);
    const other = b.put(abi.xenFeatureInfo, { submapIdx: 1 });
    expect(b.call('xen_version', XENVER.GET_FEATURES, other)).toBe(-ERRNO.EINVAL);
  });

  test('platform_parameters, pagesize, guest_handle, build_id', () => {
    const b = new CallBench();
    const at = b.room(64);
    expect(b.call('xen_version', XENVER.PLATFORM_PARAMETERS, at)).toBe(0);
    expect(b.machine.ram.view.getBigUint64(b.host(at), true)).toBe(0xffff_8000_0000_0000n);
    expect(b.call('xen_version', XENVER.PAGESIZE, 0)).toBe(4096);
    expect(b.call('xen_version', XENVER.PAGESIZE, at)).toBe(-ERRNO.EINVAL);
    expect(b.call('xen_version', XENVER.GUEST_HANDLE, at)).toBe(0);
    const handle = b.machine.ram.u8.slice(b.host(at), b.host(at) + 16);
    expect([...handle.subarray(0, 5)]).toEqual([0x01, 0x23, 0x45, 0x67, 0x89]);
    expect(b.call('xen_version', XENVER.BUILD_ID, 0)).toBe(-ERRNO.EPERM);
  });

  test.each(BAD_POINTERS)('a pointer of %o', (pointer) => {
    const b = new CallBench();
    for (const cmd of [1, 2, 3, 4, 5, 6, 8, 9]) {
      expect(b.call('xen_version', cmd, pointer)).toBe(-ERRNO.EFAULT);
    }
    expect(b.call('xen_version', XENVER.VERSION, pointer)).toBe(0x4_0011);
  });
});

describe('console_io', () => {
  test('prints what is printable', () => {
    const b = new CallBench();
    const at = b.room(16);
    b.machine.ram.u8.set(new TextEncoder().encode('hi\x1b[2J\x07 é\n'), b.host(at));
    expect(b.call('console_io', 0, 11, at)).toBe(0);
    expect(b.console.join('')).toBe('hi[2J \n');
  });

  test('more than guest memory holds: what can be read is printed, then -EFAULT', () => {
    const b = new CallBench();
    const at = b.room(64);
    b.machine.ram.u8.fill(0x41, b.host(at), b.host(at) + 0x1_0000);
    expect(b.call('console_io', 0, 0x7fff_ffff, at)).toBe(-ERRNO.EFAULT);
    expect(b.console.join('')).toHaveLength(0x1_0000);
  });

  test('a long text is preempted and goes on', () => {
    const b = new CallBench();
    const at = b.room(4096);
    b.machine.ram.u8.fill(0x41, b.host(at), b.host(at) + 4096);
    b.preemptAfter = 1;
    b.call('console_io', 0, 4096, at);
    expect(b.console.join('')).toHaveLength(2048);
    b.preemptAfter = Number.POSITIVE_INFINITY;
    expect(b.again()).toBe(0);
    expect(b.console.join('')).toHaveLength(4096);
  });

  test.each([
    ['a negative count', 0, -5, 0],
    ['reading', 1, 16, -ERRNO.EPERM],
    ['an operation that is none', 7, 16, -ERRNO.ENOSYS],
  ])('%s', (_, cmd, count, result) => {
    expect(new CallBench().call('console_io', cmd, count, 0x10000)).toBe(result);
  });
});

describe('multicall', () => {
  function entries(b: CallBench, ...calls: readonly (readonly number[])[]): number {
    const words = calls.flatMap(([op = 0, ...args]) => [
      op,
      0xbad,
      ...args,
      ...Array(6 - args.length).fill(0),
    ]);
    return b.putNumbers(...words.map((word) => (word < 0 ? 2 ** 64 + word : word)));
  }
  const result = (b: CallBench, at: number, n: number) =>
    Number(b.machine.ram.view.getBigInt64(b.host(at) + n * ENTRY + 8, true));

  test('makes its calls in order and keeps each result', () => {
    const b = new CallBench();
    const at = entries(b, [17, 0], [29, 99], [15, 5_000], [17, 7]);
    expect(b.call('multicall', at, 4)).toBe(0);
    expect([0, 1, 2, 3].map((n) => result(b, at, n))).toEqual([0x4_0011, -ERRNO.ENOSYS, 0, 4096]);
    expect(b.machine.timers.next).toBe(5_000);
    expect(b.domain.hypercalls[17]).toBe(2);
  });

  test.each([
    ['a number that is none', [127], -ERRNO.ENOSYS],
    ['a number beyond 32 bits', [2 ** 33 + 17], -ERRNO.ENOSYS],
    ['a multicall', [13, 0x10000, 1], -ERRNO.EINVAL],
  ])('%s in it', (_, call, expected) => {
    const b = new CallBench();
    const at = entries(b, call);
    expect(b.call('multicall', at, 1)).toBe(0);
    expect(result(b, at, 0)).toBe(expected);
  });

  test('runs to the end of guest memory and no further', () => {
    const b = new CallBench();
    const last = 0x2_0000 - ENTRY;
    b.machine.ram.view.setUint32(b.host(last), 17, true);
    expect(b.call('multicall', last, 3)).toBe(-ERRNO.EFAULT);
    expect(result(b, last, 0)).toBe(0x4_0011);
    for (const pointer of BAD_POINTERS) expect(b.call('multicall', pointer, 1)).toBe(-ERRNO.EFAULT);
    expect(b.call('multicall', 0x10000, 0)).toBe(0);
  });

  test('is preempted between calls and goes on', () => {
    const b = new CallBench();
    const at = entries(b, ...Array.from({ length: 10 }, () => [17, 0]));
    b.preemptAfter = 3;
    const { rip } = b;
    b.call('multicall', at, 10);
    expect(b.rip).toBe(rip - 2);
    expect(result(b, at, 3)).toBe(0x4_0011);
    expect(result(b, at, 4)).toBe(0xbad);
    b.preemptAfter = Number.POSITIVE_INFINITY;
    expect(b.again()).toBe(0);
    expect(result(b, at, 9)).toBe(0x4_0011);
    expect(b.domain.hypercalls[17]).toBe(10);
  });

  test('a call in it that is preempted goes on inside it', () => {
    const b = new CallBench();
    const letters = b.room(4096);
    b.machine.ram.u8.fill(0x41, b.host(letters), b.host(letters) + 4096);
    const at = entries(b, [18, 0, 4096, letters], [17, 0]);
    b.preemptAfter = 1;
    b.call('multicall', at, 2);
    b.preemptAfter = Number.POSITIVE_INFINITY;
    expect(b.again()).toBe(0);
    expect(b.console.join('')).toHaveLength(4096);
    expect([result(b, at, 0), result(b, at, 1)]).toEqual([0, 0x4_0011]);
  });
});

describe('permission and absence', () => {
  test.each(['platform_op', 'sysctl', 'domctl', 'kexec_op', 'hypfs_op', 'mca'])(
    '%s: -EPERM',
    (name) => {
      expect(new CallBench().call(name, 0x10000)).toBe(-ERRNO.EPERM);
    },
  );

  test('every number is answered: no handler is -ENOSYS, counted by name', () => {
    const b = new CallBench();
    const missing = ['xsm_op', 'xenoprof_op', 'hvm_op', 'tmem_op', 'argo_op', 'dm_op'];
    for (const name of missing) expect(b.call(name, 0, 0)).toBe(-ERRNO.ENOSYS);
    expect([...b.domain.missingCalls.keys()]).toEqual(missing);
    expect(b.call('xenpmu_op', 0, 0)).toBe(-ERRNO.EOPNOTSUPP);
  });

  test('names of missing calls do not grow without end', () => {
    const b = new CallBench();
    for (let n = 0; n < 1000; n++) b.call('sched_op', 1000 + n);
    expect(b.domain.missingCalls.size).toBeLessThanOrEqual(101);
    expect(b.domain.missingCalls.get('others')).toBe(900);
  });

  test.each([11, 43, 63, 127, 128, 1000, 0xffff_ffff, 2 ** 32 + 17, 2 ** 52])(
    'number %i: -ENOSYS',
    (number) => {
      expect(HYPERCALLS[number]).toBeUndefined();
      expect(new CallBench().callNumber(number, 0)).toBe(-ERRNO.ENOSYS);
    },
  );

  test('rcx and r11 are what SYSCALL leaves there', () => {
    const b = new CallBench();
    b.call('xen_version', 0);
    expect([b.lo[1], b.lo[11]]).toEqual([b.rip, 0x202]);
  });
});
