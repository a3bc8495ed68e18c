/** Debug registers of a guest: stored, checked and read back. No breakpoint fires from them. Spec: SDM 3B §17.2; xen-abi §1.7. */

import type { PvVcpu } from './pv-vcpu.js';

/** DR6 bits that read as 1, DR7 bits that read as 1 and that must not be set (SDM 3B §17.2). */
const DR6_FIXED = 0xffff_0ff0n;
const DR6_STATUS = 0xe00fn;
const DR7_FIXED = 0x400n;
const DR7_RESERVED = 0xd800n;
const DR7_GENERAL_DETECT = 0x2000n;
/** Four fields of DR7: enable bits (2 each) from bit 0, kind (2 of 4 bits) from bit 16; kind 2 is I/O. */
const BREAKPOINTS = 4;
const KIND_IO = 2n;
/** CR4.DE: I/O breakpoints, and DR4 and DR5 are gone. */
const CR4_DE = 0x08;
/** Breakpoints lie in the guest's part of the address space. */
const KERNEL_HALF = 1n << 47n;
const XEN_END = 0xffff_8800_0000_0000n;

/**
 * Stores a debug register as the guest will read it back.
 * @param n 0 to 3, 6 or 7. @returns false for a value that is refused.
 */
export function setDebugRegister(v: PvVcpu, n: number, value: bigint): boolean {
  if (n < 4) {
    if (value >= KERNEL_HALF && value < XEN_END) return false;
    v.debug[n] = value;
    return true;
  }
  if (n === 6) {
    if (value >> 32n !== 0n) return false;
    v.debug[6] = (value & DR6_STATUS) | DR6_FIXED;
    return true;
  }
  if (value >> 32n !== 0n || value & DR7_GENERAL_DETECT) return false;
  if (!(v.cr4Bits & CR4_DE) && wantsIo(value)) return false;
  v.debug[7] = (value & ~DR7_RESERVED & 0xffff_ffffn) | DR7_FIXED;
  return true;
}

/** An enabled breakpoint on I/O. */
function wantsIo(control: bigint): boolean {
  for (let n = 0; n < BREAKPOINTS; n++) {
    const enabled = (control >> BigInt(n * 2)) & 3n;
    if (enabled && ((control >> BigInt(16 + n * 4)) & 3n) === KIND_IO) return true;
  }
  return false;
}

/** DR4 and DR5 are names of DR6 and DR7 while CR4.DE is off. @returns undefined: #UD or an error. */
export function debugNumber(v: PvVcpu, n: number): number | undefined {
  if (n !== 4 && n !== 5) return n;
  return v.cr4Bits & CR4_DE ? undefined : n + 2;
}
