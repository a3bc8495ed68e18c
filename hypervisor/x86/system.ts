/** System instructions: those that leave to the hypervisor, CPUID and RDTSC, segment bases, fences, hints. */
// Spec: SDM 2A/2B, the entries of the same names; SDM 3A §5.9 (privileged instructions).

import { type Builder, OUTCOME, type Semantics, type Value } from './builder.js';
import { type Family, forms } from './define.js';
import { type HostImplementation, hostFunction } from './host-functions.js';
import { EXIT, VECTOR } from './processor.js';
import { loadStack, setStackPointer, stackAbove, stackPointer } from './stack.js';
import { GPR, RFLAGS, SLOT } from './state.js';

const cpuidOnHost = hostFunction('cpuid', [], 'i32', (machine) => () => {
  const { registers, host } = machine;
  const [eax, ebx, ecx, edx] = host.cpuid(registers.lo(GPR.RAX), registers.lo(GPR.RCX));
  registers.setLow(GPR.RAX, eax);
  registers.setLow(GPR.RBX, ebx);
  registers.setLow(GPR.RCX, ecx);
  registers.setLow(GPR.RDX, edx);
  return OUTCOME.NEXT;
});

const TWO_32 = 0x1_0000_0000;
const readTscOnHost = hostFunction('readTsc', [], 'i32', (machine) => () => {
  const ticks = machine.host.readTsc();
  machine.registers.setLow(GPR.RAX, ticks >>> 0);
  machine.registers.setLow(GPR.RDX, Math.floor(ticks / TWO_32) >>> 0);
  return OUTCOME.NEXT;
});

/** Eight random bytes into SLOT.RESULT. */
const randomOnHost = hostFunction('random', [], 'i32', (machine) => {
  const bytes = machine.ram.u8.subarray(SLOT.RESULT, SLOT.RESULT + 8);
  return () => {
    machine.host.random(bytes);
    return OUTCOME.NEXT;
  };
});

export const SYSTEM_HOST_FUNCTIONS: readonly HostImplementation[] = [
  cpuidOnHost,
  readTscOnHost,
  randomOnHost,
];

/** Bits of CR4 that instructions look at (SDM 3A §2.5). */
const CR4 = { TSD: 1 << 2, FSGSBASE: 1 << 16 } as const;
const hasControl = (b: Builder, bit: number): Value =>
  b.and(b.state(SLOT.CR4, 'i32'), b.const(32, bit));

const cpuid: Semantics = (b) => void b.call(cpuidOnHost);
/** With CR4.TSD it is privileged: whose kernel this is, is not known here. */
const readTsc: Semantics = (b) => {
  b.if(hasControl(b, CR4.TSD), () => b.exitBefore(EXIT.PRIVILEGED));
  b.call(readTscOnHost);
};
/** TSC_AUX is always 0: one processor. */
const readTscAux: Semantics = (b, o) => {
  readTsc(b, o);
  b.setReg(GPR.RCX, b.const(32, 0));
};

/** Never short of randomness: CF = 1, the other flags 0 (SDM 2B, RDRAND). */
const random: Semantics = (b, { dst }) => {
  b.call(randomOnHost);
  b.write(dst, b.truncate(b.state(SLOT.RESULT, 'i64'), dst.bits));
  b.flags.load(b.const(32, RFLAGS.CF));
};

const privileged: Semantics = (b) => b.exitBefore(EXIT.PRIVILEGED);
const undefinedOpcode: Semantics = (b) => b.raise(VECTOR.UD);
const nothing: Semantics = () => {};
/** CLFLUSH and its kin access the line as a read does. */
const touch: Semantics = (b, { dst }) => void b.load(b.address(dst), 8);

const requireBaseAccess = (b: Builder): void =>
  b.raiseIf(b.isZero(hasControl(b, CR4.FSGSBASE)), VECTOR.UD);

const readBase =
  (slot: number): Semantics =>
  (b, { dst }) => {
    requireBaseAccess(b);
    b.write(dst, b.truncate(b.state(slot, 'i64'), dst.bits));
  };

const writeBase =
  (slot: number): Semantics =>
  (b, { dst }) => {
    requireBaseAccess(b);
    const base = b.zeroExtend(b.read(dst), 64);
    b.if(isNotCanonical(b, base), () => b.raise(VECTOR.GP));
    b.setState(slot, base);
  };

/** Bits 63 to 47 are not all equal. */
const isNotCanonical = (b: Builder, address: Value): Value =>
  b.ne(b.shrS(b.shl(address, 16), 16), address);

/** What POPF may change with CPL 3 and IOPL 0: neither IF nor IOPL. RF becomes 0. */
const POPF_SYSTEM = RFLAGS.TF | RFLAGS.DF | RFLAGS.NT | RFLAGS.AC | RFLAGS.ID;
const POPF_WORD = RFLAGS.TF | RFLAGS.DF | RFLAGS.NT;

/** Takes flags from an image as POPF does; @param system the system flags that the image may change. */
function loadFlags(b: Builder, image: Value, system: number): void {
  const before = b.variable(b.state(SLOT.SYSTEM_FLAGS, 'i32'));
  const kept = b.and(b.state(SLOT.SYSTEM_FLAGS, 'i32'), b.const(32, ~(system | RFLAGS.RF)));
  b.setState(SLOT.SYSTEM_FLAGS, b.or(kept, b.and(image, b.const(32, system))));
  b.flags.load(image);
  // TF, and AC when it is new, change how the engine runs what follows.
  const observed = b.const(32, system & (RFLAGS.TF | RFLAGS.AC));
  const isOld = b.and(before, b.const(32, RFLAGS.AC));
  b.if(b.and(b.and(image, observed), b.not(isOld)), () => b.resync());
}

const popFlags =
  (bits: number): Semantics =>
  (b) => {
    const top = stackPointer(b);
    const image = b.zeroExtend(b.truncate(loadStack(b, top, bits), Math.min(bits, 32)), 32);
    setStackPointer(b, stackAbove(b, top, bits / 8));
    loadFlags(b, image, bits === 16 ? POPF_WORD : POPF_SYSTEM);
  };

// biome-ignore format: one row per group
const PRIVILEGED: readonly string[] = [
  'Hlt', 'Cli', 'Sti', 'Clts', 'Wbinvd', 'Wbnoinvd', 'Invd', 'Rdmsr', 'Wrmsr', 'Rdpmc', 'Swapgs', 'Sysretd', 'Sysretq',
  ...forms('In', 'AL_imm8 AX_imm8 EAX_imm8 AL_DX AX_DX EAX_DX'), ...forms('Out', 'imm8_AL imm8_AX imm8_EAX DX_AL DX_AX DX_EAX'),
  'Mov_r64_cr', 'Mov_cr_r64', 'Mov_r64_dr', 'Mov_dr_r64', 'Mov_r32_cr', 'Mov_cr_r32', 'Mov_r32_dr', 'Mov_dr_r32',
  'Lgdt_m1664', 'Lidt_m1664', ...forms('Lgdt', 'm1632 m1632_16'), ...forms('Lidt', 'm1632 m1632_16'), ...forms('Lldt', 'rm16 r32m16 r64m16'), ...forms('Ltr', 'rm16 r32m16 r64m16'),
  ...forms('Lmsw', 'rm16 r32m16 r64m16'), 'Invlpg_m',
  'Insb_m8_DX', 'Insw_m16_DX', 'Insd_m32_DX', 'Outsb_DX_m8', 'Outsw_DX_m16', 'Outsd_DX_m32',
  // not privileged by themselves, but what they tell belongs to the hypervisor
  'Sgdt_m1664', 'Sidt_m1664', ...forms('Sgdt', 'm1632 m1632_16'), ...forms('Sidt', 'm1632 m1632_16'), ...forms('Sldt', 'rm16 r32m16 r64m16'), ...forms('Str', 'rm16 r32m16 r64m16'), ...forms('Smsw', 'rm16 r32m16 r64m16'),
];

// biome-ignore format: one row per group
const NOTHING: readonly string[] = [
  'Nopw', 'Nopd', 'Nopq', ...forms('Nop', 'rm16 rm32 rm64'), 'Pause', 'Endbr64', 'Endbr32',
  'Lfence', 'Mfence', 'Sfence', 'Prefetch_m8', 'Prefetchw_m8', 'Prefetchwt1_m8', 'Prefetchnta_m8', 'Prefetcht0_m8', 'Prefetcht1_m8', 'Prefetcht2_m8',
  'Prefetchreserved3_m8', 'Prefetchreserved4_m8', 'Prefetchreserved5_m8', 'Prefetchreserved6_m8', 'Prefetchreserved7_m8', 'Cldemote_m8',
];

/** Known, but not announced by CPUID. */
const NOT_OFFERED: readonly string[] = [
  'Xgetbv',
  'Xsetbv',
  'Monitorq',
  'Monitord',
  'Monitorw',
  'Mwait',
];

export const system: Family = (define) => {
  const last = { ends: true, last: true } as const;
  define(PRIVILEGED, privileged, last);
  define(NOT_OFFERED, undefinedOpcode, last);
  define(NOTHING, nothing, { hot: [0, 16, 32, 64] });
  define(['Clflush_m8'], touch);
  define(['Cpuid'], cpuid);
  define(['Rdtsc'], readTsc);
  define(['Rdtscp'], readTscAux);
  define([...forms('Rdrand', 'r16 r32 r64'), ...forms('Rdseed', 'r16 r32 r64')], random);
  define(forms('Rdfsbase', 'r32 r64'), readBase(SLOT.FS_BASE));
  define(forms('Rdgsbase', 'r32 r64'), readBase(SLOT.GS_BASE));
  define(forms('Wrfsbase', 'r32 r64'), writeBase(SLOT.FS_BASE));
  define(forms('Wrgsbase', 'r32 r64'), writeBase(SLOT.GS_BASE));
  define(['Popfq'], popFlags(64));
  define(['Popfd'], popFlags(32));
  define(['Popfw'], popFlags(16));
};
