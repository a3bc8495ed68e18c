/** Model-specific registers that a PV guest may read and write. Spec: xen-abi §1.10. Anything not here is #GP. */

import type { Ram } from '../machine/ram.js';
import { fromU64 } from '../machine/types.js';
import { MSR_HYPERCALL_BASE } from '../public/arch-x86.js';
import type { Processor } from '../x86/processor.js';
import { writeHypercallPage } from './hypercall-page.js';
import { PGT } from './page-types.js';
import type { PvVcpu } from './pv-vcpu.js';

// biome-ignore format: one row per register
const MSR = {
  TSC:               0x0000_0010,
  APIC_BASE:         0x0000_001b,
  UCODE_REV:         0x0000_008b,
  PLATFORM_INFO:     0x0000_00ce,
  MISC_FEATURES:     0x0000_0140,
  MISC_ENABLE:       0x0000_01a0,
  DEBUGCTL:          0x0000_01d9,
  PAT:               0x0000_0277,
  EFER:              0xc000_0080,
  FS_BASE:           0xc000_0100,
  GS_BASE:           0xc000_0101,
  KERNEL_GS_BASE:    0xc000_0102,
  TSC_AUX:           0xc000_0103,
  AMD_SYSCFG:        0xc001_0010,
  AMD_HWCR:          0xc001_0015,
} as const;

/** SCE, LME, LMA, NXE: what a 64-bit guest finds. */
const EFER = 0xd01n;
/** The order of memory types that Xen programs. */
const PAT = 0x0501_0007_0406n;
const APIC_ENABLED = 0x800n;
const APIC_BOOT_PROCESSOR = 0x100n;
/** The TSC counts at its nominal rate. */
const HWCR_TSC_FREQ_SEL = 1n << 24n;

export class Msrs {
  readonly #processor: Processor;
  readonly #ram: Ram;
  readonly #readTsc: () => number;

  constructor(processor: Processor, ram: Ram, readTsc: () => number) {
    this.#processor = processor;
    this.#ram = ram;
    this.#readTsc = readTsc;
  }

  timeStamp(): bigint {
    return BigInt(this.#readTsc());
  }

  /** @returns undefined for a register that does not exist: #GP. */
  read(v: PvVcpu, index: number): bigint | undefined {
    const { registers } = this.#processor;
    switch (index) {
      case MSR.FS_BASE:
        return registers.fsBase;
      case MSR.GS_BASE:
        return registers.gsBase;
      case MSR.KERNEL_GS_BASE:
        return registers.kernelGsBase;
      case MSR.EFER:
        return EFER;
      case MSR.TSC:
        return this.timeStamp();
      case MSR.APIC_BASE:
        return APIC_ENABLED | (v.vcpu.id === 0 ? APIC_BOOT_PROCESSOR : 0n);
      case MSR.PAT:
        return PAT;
      case MSR.AMD_HWCR:
        return HWCR_TSC_FREQ_SEL;
      case MSR.UCODE_REV:
      case MSR.PLATFORM_INFO:
      case MSR.MISC_FEATURES:
      case MSR.MISC_ENABLE:
      case MSR.DEBUGCTL:
      case MSR.TSC_AUX:
      case MSR.AMD_SYSCFG:
        return 0n;
      default:
        return undefined;
    }
  }

  /** @returns false for a register or a value that is refused: #GP. */
  write(v: PvVcpu, index: number, value: bigint): boolean {
    const { registers } = this.#processor;
    switch (index) {
      case MSR.FS_BASE:
        if (fromU64(value) === undefined) return false;
        registers.fsBase = value;
        return true;
      case MSR.GS_BASE:
        if (fromU64(value) === undefined) return false;
        registers.gsBase = value;
        return true;
      case MSR.KERNEL_GS_BASE:
        if (fromU64(value) === undefined) return false;
        registers.kernelGsBase = value;
        return true;
      case MSR.UCODE_REV:
        return true; // written with 0 before it is read
      case MSR_HYPERCALL_BASE:
        return this.#installHypercallPage(v, value);
      default:
        // What is already so may be written again.
        return this.read(v, index) === value && index !== MSR.TSC;
    }
  }

  /** Bits 63:12 name the page, bits 11:0 which of Xen's pages goes there: there is one. */
  #installHypercallPage(v: PvVcpu, value: bigint): boolean {
    const mfn = Number(value >> 12n);
    const { types } = v.pv;
    if ((value & 0xfffn) !== 0n || types.isAlias(mfn)) return false;
    if (types.getPageAndType(mfn, PGT.WRITABLE) !== 0) return false;
    const frame = types.frame(mfn);
    writeHypercallPage(this.#ram, frame);
    this.#processor.frameWritten(frame as never);
    types.putPageAndType(mfn);
    return true;
  }
}
