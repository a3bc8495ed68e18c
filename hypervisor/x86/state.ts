/** Where the state of the current vCPU lies in RAM: every field at a fixed byte address, so that generated code names it. */

import { LAYOUT } from '../machine/layout.js';

/** General-purpose registers by their number in an instruction encoding (SDM 2A §2.1.5). */
// biome-ignore format: one row
export const GPR = { RAX: 0, RCX: 1, RDX: 2, RBX: 3, RSP: 4, RBP: 5, RSI: 6, RDI: 7, R8: 8, R9: 9, R10: 10, R11: 11, R12: 12, R13: 13, R14: 14, R15: 15 } as const;

/** Segment registers by their number in an instruction encoding. */
export const SEGMENT = { ES: 0, CS: 1, SS: 2, DS: 3, FS: 4, GS: 5 } as const;

const S = LAYOUT.STATE;

/**
 * Byte addresses. The first part (below STATE_SIZE) belongs to the vCPU and is saved and loaded on a switch;
 * the second part is the engine's own and describes what the processor is doing now.
 */
// biome-ignore format: one row per field
export const SLOT = {
  // saved with the vCPU
  GPR:          S + 0x000, // 16 x u64
  RIP:          S + 0x080, // u64; exact at every exit
  SYSTEM_FLAGS: S + 0x088, // u32: rflags without CF PF AF ZF SF OF
  FAUX:         S + 0x08c, // u32: lazy flags, see builder.ts
  FRES:         S + 0x090, // u64: lazy flags, the result
  SELECTORS:    S + 0x098, // 6 x u16: es cs ss ds fs gs
  MODE:         S + 0x0a8, // u32: MODE of segment-state.ts
  KERNEL_GS_BASE: S + 0x0b8, // u64: for pv; nothing in the engine uses it
  CR0:          S + 0x0c0, // u64; only TS (bit 3) and EM (bit 2) mean something to the engine
  CR2:          S + 0x0c8, // u64
  CR4:          S + 0x0d0, // u64; only TSD (bit 2) and FSGSBASE (bit 16) mean something to the engine
  MXCSR:        S + 0x0e0, // u32
  FPU_CONTROL:  S + 0x0e4, // u16: x87 control word
  FPU_STATUS:   S + 0x0e6, // u16: x87 status word; TOP in bits 13 to 11
  FPU_TAGS:     S + 0x0e8, // u8: abridged tag word as FXSAVE has it, bit = 1: physical register not empty
  FPU_OPCODE:   S + 0x0ea, // u16
  FPU_IP:       S + 0x0f0, // u64: last instruction
  FPU_DP:       S + 0x0f8, // u64: last data operand
  XMM:          S + 0x100, // 16 x 16 bytes
  FPU:          S + 0x200, // 8 physical registers of 16 bytes, laid out by x87-state.ts; MM0-7 alias
  FPU_EXTRA:    S + 0x280, // 128 bytes for x87
  SEGMENTS:     S + 0x300, // 6 x 32 bytes: bases, limits and rights of es cs ss ds fs gs (segment-state.ts)
  FS_BASE:      S + 0x380, // u64: the base in the entry of FS, in 64-bit mode all of it counts
  GS_BASE:      S + 0x3a0, // u64
  CODE_END:     S + 0x3c0, // u64: first offset beyond the code segment
  STACK_MASK:   S + 0x3c8, // u64: 0xffff or 0xffff_ffff, what of rsp the stack pointer is outside 64-bit mode
  STACK_KEPT:   S + 0x3d0, // u64: what of rsp stays when the stack pointer is written

  // the engine's own
  ZERO:         S + 0x800, // u64: always 0; the base or index of an operand that has none
  PAGE_SIZE:    S + 0x808, // u64: always 4096
  PAGE_VA:      S + 0x810, // u64: address of the page being executed
  CODE_MAP:     S + 0x818, // u32: offset map of that page
  BUDGET:       S + 0x81c, // i32: instructions left of the budget at an exit
  EXIT_VECTOR:  S + 0x820, // u32
  EXIT_ERROR:   S + 0x824, // u32: error code
  EXIT_CR2:     S + 0x828, // u64
  EXIT_LENGTH:  S + 0x830, // u32: bytes of the exiting instruction
  EXIT_CODE:    S + 0x834, // u32: its iced-x86 code, for EXIT.PRIVILEGED
  EXIT_REASON:  S + 0x838, // u32: reason given by a cold function or a host function
  EXIT_FRAME:   S + 0x83c, // u32: frame whose decoded code was written to
  WALK_L4:      S + 0x840, // u32: byte address of the top page table
  WALK_MAP:     S + 0x844, // u32: root of the frame map
  WALK_LIMIT:   S + 0x848, // u32: first machine frame number that is out of range
  COMMIT_FIRST: S + 0x850, // u32: host address of the first part of a write that crosses a page
  COMMIT_SECOND: S + 0x854, // u32: host address of its second part
  COMMIT_SPLIT: S + 0x858, // u32: bytes in the first part
  COMMIT_SIZE:  S + 0x85c, // u32: bytes in all
  EXIT_RECORD:  S + 0x864, // u32: record at the exit
  TLB_LOG:      S + 0x860, // u32: entries in the list of filled TLB entries
  RESULT:       S + 0x870, // 32 bytes: where host functions leave more results than one
  // what is run with care: engine/debugging.ts
  CAREFUL:      S + 0x890, // u32: 1 = TF, AC or a breakpoint: accesses are looked at one by one, and so are elements of strings
  ALONE:        S + 0x894, // u32: 1 = one instruction is run: data breakpoints that it hits are noted in HITS
  HITS:         S + 0x898, // u32: as in DR6
  SHADOW:       S + 0x89c, // u32: 1 = the instruction loaded SS, so that the next one comes before any #DB
  DEBUG_STATUS: S + 0x8a0, // u32: what a #DB says in DR6
  WATCHES:      S + 0x8a4, // u32: number of data breakpoints
  BREAKS:       S + 0x8a8, // u32: number of execution breakpoints
  WATCH_FIRST:  S + 0x8b0, // 4 x u64: first byte of each data breakpoint
  WATCH_LAST:   S + 0x8d0, // 4 x u64: last byte
  WATCH_READS:  S + 0x8f0, // 4 x u32: 1 = reading is a hit, too
  BREAK_PAGE:   S + 0x900, // 4 x u64: pages of execution breakpoints
} as const;

/** Address of general-purpose register `n`. */
export const gprSlot = (n: number): number => SLOT.GPR + n * 8;
/** Address of XMM register `n`. */
export const xmmSlot = (n: number): number => SLOT.XMM + n * 16;
/** Address of the selector in segment register `n` (SEGMENT). */
export const selectorSlot = (n: number): number => SLOT.SELECTORS + n * 2;

/** Bits of RFLAGS (SDM 1 §3.4.3). */
// biome-ignore format: one row per flag
export const RFLAGS = {
  CF: 1 << 0, FIXED: 1 << 1, PF: 1 << 2, AF: 1 << 4, ZF: 1 << 6, SF: 1 << 7, TF: 1 << 8, IF: 1 << 9, DF: 1 << 10, OF: 1 << 11,
  IOPL: 3 << 12, NT: 1 << 14, RF: 1 << 16, VM: 1 << 17, AC: 1 << 18, VIF: 1 << 19, VIP: 1 << 20, ID: 1 << 21,
} as const;

/** The six flags that arithmetic sets. */
export const STATUS_FLAGS = RFLAGS.CF | RFLAGS.PF | RFLAGS.AF | RFLAGS.ZF | RFLAGS.SF | RFLAGS.OF;

/** Bits of FAUX, the second word of the lazy flags. */
// biome-ignore format: one row per field
export const AUX = {
  SIGN_DELTA:   1 << 0,        // SF = sign of FRES ^ this
  AF:           1 << 3,
  PARITY_SHIFT: 8,             // PF = even parity of (low byte of FRES ^ these 8 bits)
  PARTIAL:      0x4000_0000,   // OF = CF ^ this
  CF:           0x8000_0000 | 0,
  CARRY_MASK:   0xc000_0008 | 0, // what a carry vector leaves behind
} as const;
