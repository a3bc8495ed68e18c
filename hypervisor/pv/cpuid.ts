/**
 * CPUID as a guest sees it: an x86-64 processor of the first level (SSE2, nothing newer but CMPXCHG16B, POPCNT, RDRAND, RDSEED
 * and FSGSBASE), and Xen's own leaves. Only what the engine carries out is offered. Spec: SDM 2A, CPUID; AMD APM 3 appendix E; xen-abi §1.7.
 */

import { TSC_KHZ } from '../common/time.js';
import { XEN_CPUID } from '../public/arch-x86.js';

type Leaf = readonly [eax: number, ebx: number, ecx: number, edx: number];

const NONE: Leaf = [0, 0, 0, 0];
const LAST_BASIC = 7;
const LAST_EXTENDED = 0x8000_0008;
/** Family 15, model 5, stepping 1: the first x86-64 processor. */
const SIGNATURE = 0x0f51;
const bits = (...numbers: readonly number[]): number =>
  numbers.reduce((mask, bit) => (mask | (1 << bit)) >>> 0, 0);

// biome-ignore format: one row per leaf
/** fpu de tsc msr pae cx8 apic sep cmov pat clflush mmx fxsr sse sse2 */
const FEATURES_EDX = bits(0, 2, 4, 5, 6, 8, 9, 11, 15, 16, 19, 23, 24, 25, 26);
/** cx16 popcnt rdrand hypervisor; neither xsave nor osxsave */
const FEATURES_ECX = bits(13, 23, 30, 31);
/** fsgsbase rdseed */
const STRUCTURED_EBX = bits(0, 18);
/** The bits of leaf 1 that AMD repeats, and syscall nx rdtscp lm. */
const EXTENDED_EDX =
  (FEATURES_EDX & bits(0, 2, 4, 5, 6, 8, 9, 15, 16, 23, 24)) | bits(11, 20, 27, 29);
/** lahf_lm */
const EXTENDED_ECX = bits(0);
const CLFLUSH_BYTES = 64;
const VIRTUAL_BITS = 48;
const PHYSICAL_BITS = 40;
/** tsc_mode "always emulated" never: the counter is the same for all and never stops. */
const TSC_MODE_NATIVE = 2;

const text = (value: string): number[] => {
  const padded = value.padEnd(48, '\0');
  return Array.from({ length: 12 }, (_, n) =>
    [0, 1, 2, 3].reduce((word, k) => (word | (padded.charCodeAt(n * 4 + k) << (k * 8))) >>> 0, 0),
  );
};
const VENDOR = text('AuthenticAMD');
const BRAND = text('Xenolith emulated x86-64');
const word = (words: readonly number[], n: number): number => words[n] ?? 0;

/** What CPUID needs to know of its surroundings. */
export interface CpuidContext {
  readonly vcpuId: number;
  /** Major and minor of the hypervisor's version, as xen_version tells it. */
  readonly version: readonly [major: number, minor: number];
}

/** @returns eax, ebx, ecx, edx. Unknown leaves read as zero. */
export function cpuid(context: CpuidContext, leaf: number, subleaf: number): Leaf {
  if (leaf >= XEN_CPUID.FIRST_LEAF && leaf <= XEN_CPUID.LAST_LEAF) {
    return xenLeaf(context, leaf, subleaf);
  }
  switch (leaf) {
    case 0:
      return [LAST_BASIC, word(VENDOR, 0), word(VENDOR, 2), word(VENDOR, 1)];
    case 1: {
      const ebx = ((context.vcpuId * 2) << 24) | ((CLFLUSH_BYTES / 8) << 8);
      return [SIGNATURE, ebx >>> 0, FEATURES_ECX, FEATURES_EDX];
    }
    case 7:
      return subleaf === 0 ? [0, STRUCTURED_EBX, 0, 0] : NONE;
    case 0x8000_0000:
      return [LAST_EXTENDED, word(VENDOR, 0), word(VENDOR, 2), word(VENDOR, 1)];
    case 0x8000_0001:
      return [SIGNATURE, 0, EXTENDED_ECX, EXTENDED_EDX];
    case 0x8000_0002:
    case 0x8000_0003:
    case 0x8000_0004: {
      const at = (leaf - 0x8000_0002) * 4;
      return [word(BRAND, at), word(BRAND, at + 1), word(BRAND, at + 2), word(BRAND, at + 3)];
    }
    case 0x8000_0007:
      return [0, 0, 0, bits(8)]; // invariant TSC
    case 0x8000_0008:
      return [(VIRTUAL_BITS << 8) | PHYSICAL_BITS, 0, 0, 0];
    default:
      return NONE;
  }
}

function xenLeaf(context: CpuidContext, leaf: number, subleaf: number): Leaf {
  switch (leaf) {
    case XEN_CPUID.FIRST_LEAF:
      return [
        XEN_CPUID.LAST_LEAF,
        XEN_CPUID.SIGNATURE_EBX,
        XEN_CPUID.SIGNATURE_ECX,
        XEN_CPUID.SIGNATURE_EDX,
      ];
    case XEN_CPUID.VERSION:
      return [(context.version[0] << 16) | context.version[1], 0, 0, 0];
    case XEN_CPUID.HYPERCALL:
      return [1, 0x4000_0000, XEN_CPUID.FEAT1_MMU_PT_UPDATE_PRESERVE_AD, 0];
    case XEN_CPUID.TSC:
      return tscLeaf(subleaf);
    case XEN_CPUID.ADDRESS_WIDTH:
      return [PHYSICAL_BITS, 0, 0, 0];
    default:
      return NONE;
  }
}

/** One tick is one nanosecond (common/time.ts), so offset and scale are trivial. */
function tscLeaf(subleaf: number): Leaf {
  if (subleaf === 0) return [bits(1, 2), TSC_MODE_NATIVE, TSC_KHZ, 0]; // host TSC safe, RDTSCP there
  if (subleaf === 1) return [0, 0, 0x8000_0000, 1]; // (ticks << 1) * 2^31 / 2^32
  if (subleaf === 2) return [TSC_KHZ, 0, 0, 0];
  return NONE;
}
