/** sched_op, vcpu_op, set_timer_op: waiting, shutting down, vCPUs, timers. */

import { describe, expect, test } from 'vitest';
import { asMfn } from '../../hypervisor/machine/types.js';
import { ERRNO } from '../../hypervisor/public/errno.js';
import * as sched from '../../hypervisor/public/sched.js';
import * as abi from '../../hypervisor/public/vcpu.js';
import { vcpuInfo, vcpuTimeInfo } from '../../hypervisor/public/xen.js';
import { BAD_POINTERS, CallBench } from '../support/call-bench.js';

const { SCHEDOP } = sched;
const { VCPUOP } = abi;
const SECOND = 1_000_000_000;

describe('sched_op', () => {
  test('block unmasks events and waits', () => {
    const b = new CallBench();
    const [vcpu] = b.domain.vcpus;
    vcpu!.upcallMask = true;
    expect(b.call('sched_op', SCHEDOP.BLOCK)).toBe(0);
    expect([vcpu!.upcallMask, vcpu!.blocked]).toEqual([false, true]);
  });

  test('block does not wait when an event is pending already', () => {
    const b = new CallBench();
    const [vcpu] = b.domain.vcpus;
    vcpu!.upcallMask = true;
    b.machine.ram.u8[vcpu!.infoAddress] = 1;
    b.call('sched_op', SCHEDOP.BLOCK);
    expect([vcpu!.upcallMask, vcpu!.blocked]).toEqual([false, false]);
  });

  test.each(Object.entries(sched.SHUTDOWN))('shutdown for %s', (name, reason) => {
    const b = new CallBench();
    expect(b.call('sched_op', SCHEDOP.SHUTDOWN, b.put(sched.schedShutdown, { reason }))).toBe(0);
    expect(b.domain).toMatchObject({ isShutdown: true, shutdownReason: name });
    expect(b.machine.shutdowns).toEqual([b.domain]);
  });

  test('shutdown for no reason that is known', () => {
    const b = new CallBench();
    const at = b.put(sched.schedShutdown, { reason: 6 });
    expect(b.call('sched_op', SCHEDOP.SHUTDOWN, at)).toBe(-ERRNO.EINVAL);
    expect(b.domain.isShutdown).toBe(false);
  });

  test('shutdown_code fixes the reason of a later shutdown', () => {
    const b = new CallBench();
    b.call('sched_op', SCHEDOP.SHUTDOWN_CODE, b.put(sched.schedShutdown, { reason: 4 }));
    expect(b.domain.isShutdown).toBe(false);
    b.call('sched_op', SCHEDOP.SHUTDOWN, b.put(sched.schedShutdown, { reason: 0 }));
    expect(b.domain.shutdownReason).toBe('watchdog');
  });

  test('remote_shutdown is for privileged domains', () => {
    const b = new CallBench();
    const other = b.newDomain();
    const at = b.put(sched.schedRemoteShutdown, { domainId: other.id, reason: 0 });
    expect(b.call('sched_op', SCHEDOP.REMOTE_SHUTDOWN, at)).toBe(-ERRNO.EPERM);
    const p = new CallBench({ isPrivileged: true });
    const victim = p.newDomain();
    const to = p.put(sched.schedRemoteShutdown, { domainId: victim.id, reason: 1 });
    expect(p.call('sched_op', SCHEDOP.REMOTE_SHUTDOWN, to)).toBe(0);
    expect(victim.shutdownReason).toBe('reboot');
  });

  test('yield asks the scheduler', () => {
    const b = new CallBench();
    expect(b.call('sched_op', SCHEDOP.YIELD)).toBe(0);
    expect(b.call('sched_op_compat', SCHEDOP.YIELD)).toBe(0);
    expect(b.yields).toHaveLength(2);
  });

  test('poll waits for its ports, or for its timeout', () => {
    const b = new CallBench();
    const [vcpu] = b.domain.vcpus;
    vcpu!.upcallMask = true;
    const port = b.domain.events.bindIpi(0);
    const ports = b.room(4);
    b.machine.ram.view.setUint32(b.host(ports), port, true);
    const at = b.put(sched.schedPoll, {
      ports: BigInt(ports),
      nrPorts: 1,
      timeout: BigInt(SECOND),
    });
    expect(b.call('sched_op', SCHEDOP.POLL, at)).toBe(0);
    expect(vcpu!.blocked).toBe(true);
    b.domain.events.setPending(port);
    expect(vcpu!.blocked).toBe(false);
    expect(vcpu!.pollTimeout.armed).toBe(false);
    expect(b.call('sched_op', SCHEDOP.POLL, at)).toBe(0);
    expect(vcpu!.blocked, 'the port is pending').toBe(false);
  });

  test.each([
    ['too many ports', { ports: 0x10000n, nrPorts: 129, timeout: 0n }, -ERRNO.EINVAL],
    ['ports in unmapped memory', { ports: 0x7fff_0000n, nrPorts: 1, timeout: 0n }, -ERRNO.EFAULT],
  ])('poll with %s', (_, fields, result) => {
    const b = new CallBench();
    expect(b.call('sched_op', SCHEDOP.POLL, b.put(sched.schedPoll, fields))).toBe(result);
  });

  test('a watchdog that is not put off shuts the domain down', () => {
    const b = new CallBench();
    const at = b.put(sched.schedWatchdog, { id: 0, timeout: 2 });
    expect(b.call('sched_op', SCHEDOP.WATCHDOG, at)).toBe(1);
    b.machine.clock.advance(2 * SECOND);
    b.machine.timers.expire(b.machine.clock.now());
    expect(b.domain.shutdownReason).toBe('watchdog');
  });

  test('pin_override is for hardware domains', () => {
    expect(new CallBench().call('sched_op', SCHEDOP.PIN_OVERRIDE, 0x10000)).toBe(-ERRNO.EPERM);
  });
});

describe('vcpu_op', () => {
  test('a vCPU that does not exist', () => {
    expect(new CallBench().call('vcpu_op', VCPUOP.IS_UP, 3)).toBe(-ERRNO.ENOENT);
    expect(new CallBench().call('vcpu_op', VCPUOP.IS_UP, 0xffff_ffff)).toBe(-ERRNO.ENOENT);
  });

  test('up needs initialise, down of the last vCPU ends the domain', () => {
    const b = new CallBench();
    expect(b.call('vcpu_op', VCPUOP.IS_UP, 2)).toBe(0);
    expect(b.call('vcpu_op', VCPUOP.UP, 2)).toBe(-ERRNO.EINVAL);
    expect(b.call('vcpu_op', VCPUOP.INITIALISE, 2, 0x10000)).toBe(0);
    expect(b.call('vcpu_op', VCPUOP.INITIALISE, 2, 0x10000)).toBe(-ERRNO.EEXIST);
    expect(b.call('vcpu_op', VCPUOP.UP, 2)).toBe(0);
    expect(b.call('vcpu_op', VCPUOP.IS_UP, 2)).toBe(1);
    for (const vcpu of [1, 2]) expect(b.call('vcpu_op', VCPUOP.DOWN, vcpu)).toBe(0);
    expect(b.domain.isShutdown).toBe(false);
    b.call('vcpu_op', VCPUOP.DOWN, 0);
    expect(b.domain.shutdownReason).toBe('poweroff');
  });

  test('runstate info adds up to the time that has passed', () => {
    const b = new CallBench();
    b.machine.clock.advance(SECOND);
    const at = b.room(abi.vcpuRunstateInfo.size);
    expect(b.call('vcpu_op', VCPUOP.GET_RUNSTATE_INFO, 0, at)).toBe(0);
    const info = b.get(abi.vcpuRunstateInfo, at);
    const { timeRunning, timeRunnable, timeBlocked, timeOffline } = info;
    expect(timeRunning + timeRunnable + timeBlocked + timeOffline).toBe(BigInt(SECOND));
    expect(info.state).toBe(abi.RUNSTATE.RUNNABLE);
  });

  test('a runstate area is written at once', () => {
    const b = new CallBench();
    const area = b.room(abi.vcpuRunstateInfo.size);
    const at = b.put(abi.vcpuRegisterRunstateMemoryArea, { addr: BigInt(area) });
    expect(b.call('vcpu_op', VCPUOP.REGISTER_RUNSTATE_MEMORY_AREA, 0, at)).toBe(0);
    expect(b.get(abi.vcpuRunstateInfo, area).state).toBe(abi.RUNSTATE.RUNNABLE);
    expect(b.domain.vcpus[0]!.runstate.area).toBe(area);
  });

  test.each([
    ['shorter than a millisecond', 999_999n, -ERRNO.EINVAL],
    ['of no length', 0n, -ERRNO.EINVAL],
    ['of 2^64 - 1 ns', 2n ** 64n - 1n, -ERRNO.EINVAL],
    ['of a millisecond', 1_000_000n, 0],
  ])('a period %s', (_, periodNs, result) => {
    const b = new CallBench();
    const at = b.put(abi.vcpuSetPeriodicTimer, { periodNs });
    expect(b.call('vcpu_op', VCPUOP.SET_PERIODIC_TIMER, 0, at)).toBe(result);
    expect(b.domain.vcpus[0]!.periodic.armed).toBe(result === 0);
    expect(b.call('vcpu_op', VCPUOP.STOP_PERIODIC_TIMER, 0)).toBe(0);
    expect(b.domain.vcpus[0]!.periodic.armed).toBe(false);
  });

  test('a single shot that must lie in the future', () => {
    const b = new CallBench();
    b.machine.clock.advance(SECOND);
    const flags = abi.VCPU_SSHOTTMR_FUTURE;
    const past = b.put(abi.vcpuSetSingleshotTimer, { timeoutAbsNs: 5n, flags });
    expect(b.call('vcpu_op', VCPUOP.SET_SINGLESHOT_TIMER, 0, past)).toBe(-ERRNO.ETIME);
    const late = b.put(abi.vcpuSetSingleshotTimer, { timeoutAbsNs: 5n, flags: 0 });
    expect(b.call('vcpu_op', VCPUOP.SET_SINGLESHOT_TIMER, 0, late)).toBe(0);
    expect(b.machine.timers.next).toBe(5);
    expect(b.call('vcpu_op', VCPUOP.SET_SINGLESHOT_TIMER, 1, late)).toBe(-ERRNO.EINVAL);
    expect(b.call('vcpu_op', VCPUOP.STOP_SINGLESHOT_TIMER, 0)).toBe(0);
    expect(b.machine.timers.size).toBe(0);
  });

  test('vcpu_info moves once, with everything pending', () => {
    const b = new CallBench();
    const [vcpu] = b.domain.vcpus;
    const mfn = b.domain.allocatePage()!;
    const at = b.put(abi.vcpuRegisterVcpuInfo, { mfn: BigInt(mfn), offset: 64 });
    expect(b.call('vcpu_op', VCPUOP.REGISTER_VCPU_INFO, 0, at)).toBe(0);
    const frame = b.domain.frameMap.lookup(mfn)!;
    expect(vcpu!.infoAddress).toBe(b.machine.ram.addressOf(frame) + 64);
    expect(vcpuInfo.decode(b.machine.ram.view, vcpu!.infoAddress)).toMatchObject({
      evtchnUpcallPending: 1,
      evtchnPendingSel: 2n ** 64n - 1n,
    });
    expect(b.call('vcpu_op', VCPUOP.REGISTER_VCPU_INFO, 0, at)).toBe(-ERRNO.EINVAL);
  });

  test.each([
    ['beyond the page', { offset: 4096 - 63 }],
    ['not aligned', { offset: 4 }],
    ["in a page that is not the domain's", { mfn: 999_999n }],
  ])('vcpu_info %s', (_, fields) => {
    const b = new CallBench();
    const mfn = BigInt(b.domain.allocatePage()!);
    const at = b.put(abi.vcpuRegisterVcpuInfo, { mfn, offset: 0, ...fields });
    expect(b.call('vcpu_op', VCPUOP.REGISTER_VCPU_INFO, 0, at)).toBe(-ERRNO.EINVAL);
  });

  test('a page table cannot hold a vcpu_info', () => {
    const b = new CallBench();
    const mfn = b.domain.allocatePage()!;
    b.machine.tables.add(asMfn(mfn));
    const at = b.put(abi.vcpuRegisterVcpuInfo, { mfn: BigInt(mfn), offset: 0 });
    expect(b.call('vcpu_op', VCPUOP.REGISTER_VCPU_INFO, 0, at)).toBe(-ERRNO.EINVAL);
  });

  test('a time area gets a time that is right', () => {
    const b = new CallBench();
    b.machine.clock.advance(12_345);
    const area = b.room(vcpuTimeInfo.size);
    const at = b.put(abi.vcpuRegisterTimeMemoryArea, { addr: BigInt(area) });
    expect(b.call('vcpu_op', VCPUOP.REGISTER_VCPU_TIME_MEMORY_AREA, 0, at)).toBe(0);
    const time = b.get(vcpuTimeInfo, area);
    expect(time).toMatchObject({ systemTime: 12_345n, tscTimestamp: 12_345n, flags: 1 });
    expect(time.version % 2).toBe(0);
    const ticks = 1_000_000n;
    expect(((ticks << BigInt(time.tscShift)) * BigInt(time.tscToSystemMul)) >> 32n).toBe(ticks);
  });

  test.each(BAD_POINTERS)('a pointer of %o', (pointer) => {
    const b = new CallBench();
    const { GET_RUNSTATE_INFO, SET_PERIODIC_TIMER, SET_SINGLESHOT_TIMER, REGISTER_VCPU_INFO } =
      VCPUOP;
    for (const cmd of [
      GET_RUNSTATE_INFO,
      SET_PERIODIC_TIMER,
      SET_SINGLESHOT_TIMER,
      REGISTER_VCPU_INFO,
    ]) {
      expect(b.call('vcpu_op', cmd, 0, pointer)).toBe(-ERRNO.EFAULT);
    }
  });

  test('get_physid is for pinned hardware domains', () => {
    expect(new CallBench().call('vcpu_op', VCPUOP.GET_PHYSID, 0, 0x10000)).toBe(-ERRNO.EINVAL);
  });
});

describe('set_timer_op', () => {
  test.each([
    ['in the future', 2 * SECOND, 2 * SECOND],
    ['that has passed', 5, 5],
    ['0', 0, undefined],
    ['that overflowed', -1, SECOND + 100_000_000],
    ['absurdly far away', 2 ** 52, SECOND + 100_000_000],
  ])('a time %s', (_, at, fires) => {
    const b = new CallBench();
    b.machine.clock.advance(SECOND);
    expect(b.call('set_timer_op', at)).toBe(0);
    const { singleshot } = b.domain.vcpus[0]!;
    expect(singleshot.armed ? singleshot.at : undefined).toBe(fires);
  });
});
