/**
 * The map of RAM: engine state low, host frames above. Everything that lies at a fixed place is named here.
 *
 *   0x0000_0000  never used: a zero pointer faults in tests, not in guests
 *   0x0000_1000  processor state of the current vCPU (STATE, 4 KiB; fields in x86/state.ts)
 *   0x0000_2000  scratch of the engine (page-crossing accesses, exit details)
 *   0x0000_4000  software TLBs (read, write, execute)
 *   0x0004_0000  trace ring shared with the main thread
 *   0x0080_0000  frame information: FRAME_INFO_SIZE bytes per host frame
 *   then         decoded records and their per-frame offset maps
 *   then         host frames, from firstFrame to the end of RAM
 */

export const PAGE_SIZE = 4096;
export const PAGE_SHIFT = 12;

// biome-ignore format: one row per region
export const LAYOUT = {
  STATE:         0x0000_1000, // 4 KiB, saved and loaded as a whole on a vCPU switch (first STATE_SIZE bytes)
  SCRATCH:       0x0000_2000, // 8 KiB
  TLB:           0x0000_4000, // up to 240 KiB
  TRACE:         0x0004_0000, // 7.75 MiB
  FRAME_INFO:    0x0080_0000, // 16 bytes for each of at most 2^20 frames
  CODE:          0x0180_0000, // decoded records and offset maps
  FRAMES:        0x0780_0000, // first host frame
} as const;

/** Bytes of processor state copied on a vCPU switch. */
export const STATE_SIZE = 2048;
/** Bytes of frame information per host frame: owned by the engine, which documents the fields. */
export const FRAME_INFO_SIZE = 16;
/** Bytes for decoded records and offset maps. */
export const CODE_SIZE = LAYOUT.FRAMES - LAYOUT.CODE;
