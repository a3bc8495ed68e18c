/** Debug registers of a guest: checked, read back, and put into the processor. Spec: SDM 3B §17.2; xen-abi §1.7. */

import { asVirtAddr, fromU64 } from '../machine/types.js';
import { ERRNO } from '../public/errno.js';
import { BREAKPOINT, type Breakpoint, type Processor } from '../x86/processor.js';
import type { PvVcpu } from './pv-vcpu.js';

/** DR6 bits that read as 1, DR7 bits that read as 1 and that must not be set (SDM 3B §17.2). */
const DR6_FIXED = 0xffff_0ff0n;
const DR6_STATUS = 0xe00fn;
const DR7_FIXED = 0x400n;
const DR7_RESERVED = 0xd800n;
const DR7_GENERAL_DETECT = 0x2000n;
/** Any breakpoint is enabled. */
const DR7_ACTIVE = 0xff;
/** Four fields of DR7: enable bits (2 each) from bit 0, kind (2 of 4 bits) from bit 16; kind 2 is I/O. */
const BREAKPOINTS = 4;
const KIND_IO = 2;
/** Bytes by the length field, 2 bits above the kind. */
const LENGTHS = [1, 2, 8, 4] as const;
/** CR4.DE: I/O breakpoints, and DR4 and DR5 are gone. */
const CR4_DE = 0x08;
/** Breakpoints lie in the guest's part of the address space. */
const KERNEL_HALF = 1n << 47n;
const XEN_END = 0xffff_8800_0000_0000n;

/** DR6.BS: a single step. */
export const DR6_SINGLE_STEP = 0x4000;

/**
 * Stores a debug register as the guest will read it back; `armBreakpoints` makes it work.
 * @param n 0 to 3, 6 or 7. @returns 0; -EINVAL: more than 32 bits; -EPERM: an address or a use that a guest may not have.
 */
export function setDebugRegister(v: PvVcpu, n: number, value: bigint): number {
  if (n < 4) {
    if (value >= KERNEL_HALF && value < XEN_END) return -ERRNO.EPERM;
    v.debug[n] = value;
    return 0;
  }
  if (value >> 32n !== 0n) return -ERRNO.EINVAL;
  if (n === 6) {
    v.debug[6] = (value & DR6_STATUS) | DR6_FIXED;
    return 0;
  }
  if (value & DR7_GENERAL_DETECT) return -ERRNO.EPERM;
  if (!(v.cr4Bits & CR4_DE) && wantsIo(Number(value))) return -ERRNO.EPERM;
  v.debug[7] = (value & ~DR7_RESERVED) | DR7_FIXED;
  return 0;
}

/** A breakpoint on I/O, enabled or not, among those of which one is enabled. */
function wantsIo(control: number): boolean {
  if ((control & DR7_ACTIVE) === 0) return false;
  for (let n = 0; n < BREAKPOINTS; n++) if (kindOf(control, n) === KIND_IO) return true;
  return false;
}

/** DR4 and DR5 are names of DR6 and DR7 while CR4.DE is off. @returns undefined: #UD or an error. */
export function debugNumber(v: PvVcpu, n: number): number | undefined {
  if (n !== 4 && n !== 5) return n;
  return v.cr4Bits & CR4_DE ? undefined : n + 2;
}

const isEnabled = (control: number, n: number): boolean => ((control >>> (n * 2)) & 3) !== 0;
const kindOf = (control: number, n: number): number => (control >>> (16 + n * 4)) & 3;
const lengthOf = (control: number, n: number): number =>
  LENGTHS[((control >>> (18 + n * 4)) & 3) as 0 | 1 | 2 | 3];
const controlOf = (v: PvVcpu): number => Number(v.debug[7] ?? 0n) >>> 0;

/** Puts the breakpoints of the vCPU that is on the processor into it. */
export function armBreakpoints(processor: Processor, v: PvVcpu): void {
  processor.setBreakpoints(breakpointsOf(v));
}

const NONE: readonly Breakpoint[] = [];

/** Enabled breakpoints on code and data. Low bits of an address that its length does not allow are ignored. */
function breakpointsOf(v: PvVcpu): readonly Breakpoint[] {
  const control = controlOf(v);
  if ((control & DR7_ACTIVE) === 0) return NONE;
  const found: Breakpoint[] = [];
  for (let index = 0; index < BREAKPOINTS; index++) {
    const kind = kindOf(control, index);
    const address = fromU64(v.debug[index] ?? 0n);
    if (!isEnabled(control, index) || kind === KIND_IO || address === undefined) continue;
    const isCode = kind === BREAKPOINT.EXECUTE;
    const bytes = isCode ? 1 : lengthOf(control, index);
    found.push({
      index,
      address: asVirtAddr(address - (address & (bytes - 1))),
      bytes,
      kind: kind as Breakpoint['kind'],
    });
  }
  return found;
}

/** @returns bits B0 to B3 for the enabled breakpoints that an access to I/O ports hits. */
export function ioBreakpointHits(v: PvVcpu, port: number, size: number): number {
  const control = controlOf(v);
  if ((control & DR7_ACTIVE) === 0 || !(v.cr4Bits & CR4_DE)) return 0;
  let hits = 0;
  for (let n = 0; n < BREAKPOINTS; n++) {
    if (!isEnabled(control, n) || kindOf(control, n) !== KIND_IO) continue;
    const bytes = lengthOf(control, n);
    const first = Number((v.debug[n] ?? 0n) & ~BigInt(bytes - 1));
    if (port < first + bytes && port + size > first) hits |= 1 << n;
  }
  return hits;
}
