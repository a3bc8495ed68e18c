/** Facts of xen/include/public/arch-x86/{xen,xen-x86_64,cpuid}.h: selectors, vCPU context, layout, CPUID leaves. */

import { struct } from './struct.js';

/** Selectors of Xen's own descriptors, in every guest's GDT from FIRST_RESERVED_GDT_PAGE on. */
// biome-ignore format: one row per selector
export const FLAT = {
  RING1_CS32: 0xe019, // 32-bit kernels
  RING1_DS32: 0xe021,
  RING3_CS32: 0xe023,
  RING3_DS32: 0xe02b,
  RING3_SS64: 0xe02b,
  RING3_CS64: 0xe033,
} as const;

export const FIRST_RESERVED_GDT_PAGE = 14;
export const FIRST_RESERVED_GDT_ENTRY = (FIRST_RESERVED_GDT_PAGE * 4096) / 8;
/** Entries an LDT may have. */
export const MAX_LDT_ENTRIES = 8192;

/** First and last level-4 slots that belong to Xen. */
export const HYPERVISOR_FIRST_SLOT = 256;
export const HYPERVISOR_LAST_SLOT = 271;
/** __HYPERVISOR_VIRT_START, 0xFFFF8000_00000000, as a signed 48-bit number. */
export const HYPERVISOR_VIRT_START = -0x8000_0000_0000;
/** __HYPERVISOR_VIRT_END, 0xFFFF8800_00000000: the first address after Xen's range. */
export const HYPERVISOR_VIRT_END = -0x7800_0000_0000;
/** __MACH2PHYS_VIRT_START: the machine-to-physical table, 8 bytes an entry, readable by the guest. */
export const MACH2PHYS_VIRT_START = HYPERVISOR_VIRT_START;
/** __MACH2PHYS_VIRT_END, 0xFFFF8040_00000000. */
export const MACH2PHYS_VIRT_END = -0x7fc0_0000_0000;

/** `which` of set_segment_base. */
// biome-ignore format: one row per base
export const SEGBASE = {
  FS:          0,
  GS_USER:     1,
  GS_KERNEL:   2,
  GS_USER_SEL: 3, // load a selector into the user's %gs
} as const;

/** Flags of vcpu_guest_context and of the iret frame. */
// biome-ignore format: one row per flag
export const VGCF = {
  I387_VALID:               1 << 0,
  IN_KERNEL:                1 << 2,
  FAILSAFE_DISABLES_EVENTS: 1 << 3,
  SYSCALL_DISABLES_EVENTS:  1 << 4,
  ONLINE:                   1 << 5,
  IN_SYSCALL:               1 << 8,
} as const;

/** Flags of trap_info: privilege level in bits 1:0, "mask events" in bit 2. */
export const TI = { DPL_MASK: 3, IF: 4 } as const;

export const trapInfo = struct('trap_info', {
  vector: 'u8',
  flags: 'u8', // TI.*
  cs: 'u16',
  address: 'u64',
});

/** The frame that the iret hypercall finds at the top of the stack. */
export const iretContext = struct('iret_context', {
  rax: 'u64',
  r11: 'u64',
  rcx: 'u64',
  flags: 'u64', // VGCF.IN_SYSCALL: keep rcx and r11
  rip: 'u64',
  cs: 'u64',
  rflags: 'u64',
  rsp: 'u64',
  ss: 'u64',
});

export const cpuUserRegs = struct('cpu_user_regs', {
  r15: 'u64',
  r14: 'u64',
  r13: 'u64',
  r12: 'u64',
  rbp: 'u64',
  rbx: 'u64',
  r11: 'u64',
  r10: 'u64',
  r9: 'u64',
  r8: 'u64',
  rax: 'u64',
  rcx: 'u64',
  rdx: 'u64',
  rsi: 'u64',
  rdi: 'u64',
  errorCode: 'u32',
  entryVector: 'u32',
  rip: 'u64',
  cs: 'u16',
  pad0: 'u16',
  savedUpcallMask: 'u8',
  pad1: { bytes: 3, align: 1 },
  rflags: 'u64', // IF = !savedUpcallMask
  rsp: 'u64',
  ss: 'u16',
  pad2: { bytes: 6, align: 2 },
  es: 'u16',
  pad3: { bytes: 6, align: 2 },
  ds: 'u16',
  pad4: { bytes: 6, align: 2 },
  fs: 'u16',
  pad5: { bytes: 6, align: 2 },
  gs: 'u16',
  pad6: { bytes: 6, align: 2 },
});

/** Initial state of a vCPU: argument of VCPUOP_initialise, made by the domain builder for vCPU 0. */
export const vcpuGuestContext = struct('vcpu_guest_context', {
  fpuCtxt: { bytes: 512, align: 1 },
  flags: 'u64', // VGCF.*
  userRegs: { bytes: cpuUserRegs.size, align: 8 },
  trapCtxt: { bytes: 256 * trapInfo.size, align: 8 },
  ldtBase: 'u64',
  ldtEnts: 'u64',
  gdtFrames: { bytes: 16 * 8, align: 8 },
  gdtEnts: 'u64',
  kernelSs: 'u64',
  kernelSp: 'u64',
  ctrlreg0: 'u64',
  ctrlreg1: 'u64', // user page table, as a CR3, bit 0 set if present
  ctrlreg2: 'u64',
  ctrlreg3: 'u64', // kernel page table, as a CR3
  ctrlreg4: 'u64',
  ctrlreg5: 'u64',
  ctrlreg6: 'u64',
  ctrlreg7: 'u64',
  debugreg: { bytes: 8 * 8, align: 8 },
  eventCallbackEip: 'u64',
  failsafeCallbackEip: 'u64',
  syscallCallbackEip: 'u64',
  vmAssist: 'u64',
  fsBase: 'u64',
  gsBaseKernel: 'u64',
  gsBaseUser: 'u64',
});

/** Bytes in front of CPUID that ask Xen to emulate it: ud2 followed by "xen". */
export const XEN_EMULATE_PREFIX = [0x0f, 0x0b, 0x78, 0x65, 0x6e] as const;

/** Hypervisor CPUID leaves (arch-x86/cpuid.h). */
// biome-ignore format: one row per number
export const XEN_CPUID = {
  FIRST_LEAF:    0x4000_0000, // eax: last leaf; ebx, ecx, edx: "XenVMMXenVMM"
  VERSION:       0x4000_0001, // eax: major << 16 | minor
  HYPERCALL:     0x4000_0002, // eax: hypercall pages, ebx: MSR base, ecx: features
  TSC:           0x4000_0003, // time-stamp counter scaling
  HVM:           0x4000_0004, // HVM only: zero for PV
  ADDRESS_WIDTH: 0x4000_0005, // eax: bits in a machine address
  LAST_LEAF:     0x4000_0005,
  SIGNATURE_EBX: 0x566e_6558, // "XenV"
  SIGNATURE_ECX: 0x6558_4d4d, // "MMXe"
  SIGNATURE_EDX: 0x4d4d_566e, // "nVMM"
  FEAT1_MMU_PT_UPDATE_PRESERVE_AD: 1,
} as const;

/** First MSR of the hypercall page interface, as told by XEN_CPUID.HYPERCALL. */
export const MSR_HYPERCALL_BASE = 0x4000_0000;

/** Hypercall page: 128 stubs of 32 bytes. */
export const HYPERCALL_STUB_SIZE = 32;
export const HYPERCALL_STUBS = 128;
