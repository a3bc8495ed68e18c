/** Facts of xen/include/public/xen.h: MMU operations, domain numbers, shared pages, start of day. */

import { struct } from './struct.js';

/** Commands of mmu_update, in the two low bits of `ptr`. */
// biome-ignore format: one row per command
export const MMU = {
  NORMAL_PT_UPDATE:       0, // checked store of a page-table entry
  MACHPHYS_UPDATE:        1, // set one entry of the machine-to-physical table
  PT_UPDATE_PRESERVE_AD:  2, // checked store that keeps the accessed and dirty bits of the old entry
  PT_UPDATE_NO_TRANSLATE: 3, // as NORMAL for guests that are not auto-translated
} as const;

/** Commands of mmuext_op. */
// biome-ignore format: one row per command
export const MMUEXT = {
  PIN_L1_TABLE:      0,  // mfn
  PIN_L2_TABLE:      1,  // mfn
  PIN_L3_TABLE:      2,  // mfn
  PIN_L4_TABLE:      3,  // mfn
  UNPIN_TABLE:       4,  // mfn
  NEW_BASEPTR:       5,  // mfn
  TLB_FLUSH_LOCAL:   6,
  INVLPG_LOCAL:      7,  // linear address
  TLB_FLUSH_MULTI:   8,  // vCPU mask
  INVLPG_MULTI:      9,  // linear address, vCPU mask
  TLB_FLUSH_ALL:     10,
  INVLPG_ALL:        11, // linear address
  FLUSH_CACHE:       12,
  SET_LDT:           13, // linear address, number of entries
  NEW_USER_BASEPTR:  15, // mfn, 0 for none
  CLEAR_PAGE:        16, // mfn
  COPY_PAGE:         17, // mfn, source mfn
  FLUSH_CACHE_GLOBAL:18,
  MARK_SUPER:        19, // mfn
  UNMARK_SUPER:      20, // mfn
} as const;

/** Flags of update_va_mapping: what to flush in bits 0-1, where in bits 2 and up. */
// biome-ignore format: one row per flag
export const UVMF = {
  NONE:           0,
  TLB_FLUSH:      1,
  INVLPG:         2,
  FLUSHTYPE_MASK: 3,
  MULTI:          0, // or a pointer to a vCPU bitmap
  LOCAL:          0, // MULTI with a null pointer
  ALL:            4,
} as const;

/** Bit of the `count` arguments of mmu_update and mmuext_op: a preempted call goes on. */
export const MMU_UPDATE_PREEMPTED = 0x8000_0000;

/** Commands and types of vm_assist. */
// biome-ignore format: one row per number
export const VMASST = {
  CMD_ENABLE:                 0,
  CMD_DISABLE:                1,
  TYPE_4GB_SEGMENTS:          0,  // 32-bit guests only
  TYPE_4GB_SEGMENTS_NOTIFY:   1,  // 32-bit guests only
  TYPE_WRITABLE_PAGETABLES:   2,
  TYPE_PAE_EXTENDED_CR3:      3,
  TYPE_ARCHITECTURAL_IOPL:    4,
  TYPE_RUNSTATE_UPDATE_FLAG:  5,
  TYPE_M2P_STRICT:            32,
} as const;

/** Domain numbers with a meaning of their own. */
// biome-ignore format: one row per number
export const DOMID = {
  FIRST_RESERVED: 0x7ff0,
  SELF:           0x7ff0, // the calling domain
  IO:             0x7ff1, // owner of device memory
  XEN:            0x7ff2, // owner of Xen's shared pages
  COW:            0x7ff3, // owner of shared pages
  INVALID:        0x7ff4,
  IDLE:           0x7fff,
  MASK:           0x7fff,
} as const;

export const mmuUpdate = struct('mmu_update', {
  ptr: 'u64', // machine address of the entry, command in bits 1:0
  val: 'u64', // new entry; for MACHPHYS_UPDATE the pseudo-physical frame
});

export const mmuextOp = struct('mmuext_op', {
  cmd: 'u32',
  arg1: 'u64', // mfn or linear_addr
  arg2: 'u64', // nr_ents (low half), vcpumask or src_mfn
});

export const multicallEntry = struct('multicall_entry', {
  op: 'u64',
  result: 's64',
  arg0: 'u64',
  arg1: 'u64',
  arg2: 'u64',
  arg3: 'u64',
  arg4: 'u64',
  arg5: 'u64',
});

export const vcpuTimeInfo = struct('vcpu_time_info', {
  version: 'u32', // odd while Xen writes
  pad0: 'u32',
  tscTimestamp: 'u64',
  systemTime: 'u64', // ns since boot at tscTimestamp
  tscToSystemMul: 'u32', // ns = ((ticks << shift) * mul) >> 32
  tscShift: 's8',
  flags: 'u8', // PVCLOCK.*
  pad1: { bytes: 2, align: 1 },
});

/** Flags of vcpu_time_info. */
export const PVCLOCK = { TSC_STABLE: 1, GUEST_STOPPED: 2 } as const;

export const vcpuInfo = struct('vcpu_info', {
  evtchnUpcallPending: 'u8',
  evtchnUpcallMask: 'u8',
  evtchnPendingSel: 'u64',
  archCr2: 'u64',
  archPad: 'u64',
  time: { bytes: vcpuTimeInfo.size, align: 8 },
});

/** vCPUs whose vcpu_info lies in shared_info; the others register their own. */
export const XEN_LEGACY_MAX_VCPUS = 32;

export const sharedInfo = struct('shared_info', {
  vcpuInfo: { bytes: XEN_LEGACY_MAX_VCPUS * vcpuInfo.size, align: 8 },
  evtchnPending: { bytes: 512, align: 8 },
  evtchnMask: { bytes: 512, align: 8 },
  wcVersion: 'u32', // odd while Xen writes
  wcSec: 'u32', // Unix time at system time 0
  wcNsec: 'u32',
  wcSecHi: 'u32',
  maxPfn: 'u64', // from here on arch_shared_info
  pfnToMfnFrameListList: 'u64',
  nmiReason: 'u64',
  p2mCr3: 'u64',
  p2mVaddr: 'u64',
  p2mGeneration: 'u64',
});

export const MAX_GUEST_CMDLINE = 1024;

export const startInfo = struct('start_info', {
  magic: { bytes: 32, align: 1 }, // "xen-3.0-x86_64"
  nrPages: 'u64',
  sharedInfo: 'u64', // machine address
  flags: 'u32', // SIF.*
  storeMfn: 'u64',
  storeEvtchn: 'u32',
  consoleMfn: 'u64',
  consoleEvtchn: 'u32',
  consolePad: { bytes: 0, align: 8 },
  ptBase: 'u64', // virtual address of the L4
  nrPtFrames: 'u64',
  mfnList: 'u64', // virtual address of the P2M list
  modStart: 'u64', // virtual address of the ramdisk, or its PFN (SIF.MOD_START_PFN)
  modLen: 'u64', // bytes
  cmdLine: { bytes: MAX_GUEST_CMDLINE, align: 1 },
  firstP2mPfn: 'u64',
  nrP2mFrames: 'u64',
});

/** Flags of start_info. */
// biome-ignore format: one row per flag
export const SIF = {
  PRIVILEGED:        1,
  INITDOMAIN:        2,
  MULTIBOOT_MOD:     4,
  MOD_START_PFN:     8,  // modStart is a PFN
  VIRT_P2M_4TOOLS:   16, // tools understand a virtually mapped P2M
} as const;
