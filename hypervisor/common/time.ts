/**
 * The time that guests read: vcpu_time_info and the wall clock in shared_info. The virtual TSC ticks in nanoseconds of
 * system time (1 GHz), so a page written once stays right; it is written anew wherever a guest may have spoilt it.
 * Spec: xen.h, vcpu_time_info: ns = ((tsc - tscTimestamp) << shift) * mul >> 32, plus systemTime.
 */

import type { Clock } from '../machine/clock.js';
import type { Ram } from '../machine/ram.js';
import type { HostAddr } from '../machine/types.js';
import { PVCLOCK, sharedInfo, vcpuInfo, vcpuTimeInfo } from '../public/xen.js';

const NS_PER_SECOND = 1_000_000_000;
/** One tick is one nanosecond: (1 << 1) * 2^31 / 2^32 = 1. */
const TICKS_TO_NS = { tscToSystemMul: 0x8000_0000, tscShift: 1 } as const;

/** TSC frequency that follows from the above. */
export const TSC_KHZ = 1_000_000;

/** A vcpu_time_info that is right from `now` on, as bytes for a guest's own copy. */
export function encodeTime(view: DataView, at: number, now: number): void {
  const version = view.getUint32(at + vcpuTimeInfo.offset.version, true);
  vcpuTimeInfo.encode(view, at, {
    version: ((version | 1) + 1) >>> 0,
    tscTimestamp: BigInt(now),
    systemTime: BigInt(now),
    ...TICKS_TO_NS,
    flags: PVCLOCK.TSC_STABLE,
  });
}

/** Writes the time of one vCPU into its vcpu_info. */
export function writeVcpuTime(ram: Ram, infoAddress: HostAddr, now: number): void {
  encodeTime(ram.view, infoAddress + vcpuInfo.offset.time, now);
}

/** Writes the wall clock, the Unix time at system time 0, into shared_info. */
export function writeWallClock(ram: Ram, sharedInfoAddress: HostAddr, clock: Clock): void {
  const seconds = Math.floor(clock.wallClockAtStart / NS_PER_SECOND);
  const version = ram.view.getUint32(sharedInfoAddress + sharedInfo.offset.wcVersion, true);
  sharedInfo.encode(ram.view, sharedInfoAddress, {
    wcVersion: ((version | 1) + 1) >>> 0,
    wcSec: seconds >>> 0,
    wcSecHi: Math.floor(seconds / 2 ** 32),
    wcNsec: clock.wallClockAtStart - seconds * NS_PER_SECOND,
  });
}
