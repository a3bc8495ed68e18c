/**
 * A decoded instruction: 32 bytes in the code arena.
 *
 *    0 u16 case number in the interpreter           16 u32 address of the source: a register, or this record's imm
 *    2 u16 offset in the page | length << 12        20 u16 index register's address
 *    4 u16 address of the destination register      22 u8  scale (a shift)
 *    6 u16 base register's address                  23 u8  instructions from here to the end of the block
 *    8 i64 immediate; a branch's target             24 i32 displacement
 *          relative to the start of the page        28 u32 branch target's record, or memory operand's
 *                                                          u16 segment base's address, u8 1 = half the address width
 *
 * Records of a block lie one after the other. Addresses of registers fit 16 bits: STATE lies below 64 KiB.
 * Some records are no instructions ("pseudo"): they link, chain or stop blocks, and count for nothing.
 */

// biome-ignore format: one row per field
export const RECORD = {
  OP: 0, OFFSET: 2, DST: 4, BASE: 6, IMM: 8, SRC: 16, INDEX: 20, SCALE: 22, COUNT: 23, DISP: 24, LINK: 28,
  SEGMENT: 28, NARROW: 30,
  SIZE: 32,
} as const;

/** Pseudo-records: the first cases of the interpreter. */
// biome-ignore format: one row per case
export const PSEUDO = {
  STOP:     0, // laid over the record at which the budget ends
  LINK:     1, // resolves the branch whose record is in SRC to offset IMM of this page
  GOTO:     2, // goes on at LINK, in the same page
  CROSS:    3, // goes on at IMM relative to this page's address, in another page
  STRADDLE: 4, // guards an instruction that reaches into the next page: IMM = identity of that page's code
  FENCE:    5, // what was stored before is seen by other threads before what follows is loaded
  COUNT:    6,
} as const;

/** Software TLB: three direct-mapped arrays of 16-byte entries. */
// biome-ignore format: one row per field
export const TLB = {
  ENTRIES: 512,
  READ:    0x0000, // from LAYOUT.TLB; i64 page address, i32 host address - guest address
  WRITE:   0x2000,
  EXECUTE: 0x4000, // i64 page address, u32 offset map, u32 identity of the map
  ADDEND:  8,
  MAP:     8,
  MAP_ID:  12,
} as const;

/** Frame information, FRAME_INFO_SIZE bytes for each host frame. */
// biome-ignore format: one row per field
export const FRAME_INFO = {
  MAP:    0, // u32: address of the offset map of 64-bit code (CODE_MAP); 0 = the frame holds no decoded code
  MAP_ID: 4, // u32: never used twice
  CHUNKS: 8, // u64: which 64-byte chunks hold decoded code
} as const;

/** An offset map: a record for each offset; that of 64-bit code is followed by the addresses of those of other code, by MODE. */
export const CODE_MAP = { OTHERS: 4096 * 4, SIZE: 4096 * 4 + 32 } as const;

/** Fields of LAYOUT.SCRATCH. */
// biome-ignore format: one row per field
export const SCRATCH = {
  CROSSING:  0x1200, // 1 KiB: a copy of what an access that crosses a page touches
  ONE_SHOT:  0x000, // records decoded to be run once
  LOG:       0x100, // u32 addresses of filled TLB entries
  LOG_LIMIT: 1024,
} as const;

/** Reasons for which the generated code returns to the engine, not to the hypervisor. */
// biome-ignore format: one row per reason
export const INTERNAL = {
  DECODE:    16, // no record for rip
  CODE_HIT:  17, // the instruction at rip would write to decoded code in SLOT.EXIT_FRAME
  STOP:      18, // a STOP record
  SHORT:     19, // the budget ends within the block at rip
  RESYNC:    20, // go on at rip (TF may have changed)
  STRADDLE:  21, // a STRADDLE guard failed
  UNSHARE:   22, // the instruction at rip would write to the shared machine frame in SLOT.EXIT_FRAME
  WATCH:     23, // the instruction at rip touches a data breakpoint: run it alone
} as const;
