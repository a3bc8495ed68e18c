/**
 * A case and its outcome, and the records in which native/driver.c takes and gives them.
 *
 *   state, 656 bytes:  0 GPRs in encoding order | 128 rip | 136 rflags | 144 FXSAVE image (SDM 1 §10.5.1)
 *   to the driver:     u32 code bytes, u32 patch bytes, state, code, patches; each padded to 8 bytes
 *   from the driver:   u32 vector, u32 error code, u64 cr2, state, changed memory as runs, an empty run
 *   run:               u32 offset in data, u32 bytes, bytes padded to 8
 */

import { Random } from './random.js';

export const STATE_BYTES = 656;
export const RIP_OFFSET = 128;
export const RFLAGS_OFFSET = 136;
export const FX_OFFSET = 144;
export const FCW_OFFSET = FX_OFFSET;
export const FSW_OFFSET = FX_OFFSET + 2;
export const FTW_OFFSET = FX_OFFSET + 4;
export const MXCSR_OFFSET = FX_OFFSET + 24;
export const ST_OFFSET = FX_OFFSET + 32;
export const XMM_OFFSET = FX_OFFSET + 160;

/** Where data and code of a case lie. Data: two pages read-write, one read-only, nothing around them. */
export const DATA = 0x1000_0000;
export const DATA_BYTES = 0x3000;
export const DATA_WRITABLE = 0x2000;
export const CODE = 0x2000_0000;
export const CODE_BYTES = 0x2000;
/** Where a case's code starts unless it wants to be near the end of a page. */
export const CODE_START = CODE + 0x100;
export const GS_BASE = DATA + 0x800;
/** Where instructions that write a whole machine state put it: parts of it are not compared. */
export const STATE_AREA = DATA + 0x400;

/** The vector of an outcome that is no fault: the case ran to its end, or jumped to an INT3 of the code pages. */
export const STOPPED = 0xff;

export interface Run {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export interface Case {
  readonly code: Uint8Array;
  /** Initial state; rip in it says where the code lies. */
  readonly state: Uint8Array;
  /** What lies in data memory besides the background. */
  readonly patches: readonly Run[];
  /** Seed of the background state from which `state` differs little. */
  readonly seed: number;
  /** RFLAGS bits that the SDM leaves undefined after this case. */
  readonly undefinedFlags: number;
  /** How results are compared: exactly, or as the approximation that the SDM promises. */
  readonly tolerance: Tolerance;
}

export const TOLERANCE = {
  EXACT: 0,
  /** RCP and RSQRT: each float32 lane within 1.5 * 2^-12 relative. */
  RECIPROCAL: 1,
  /** x87 transcendentals: registers within two units in the last place, precision flags ignored. */
  TRANSCENDENTAL: 2,
  /** An FXSAVE image at STATE_AREA: pointers, MXCSR_MASK and reserved bytes ignored. */
  FX_AREA: 3,
  /** An x87 environment at STATE_AREA, 28 bytes: pointers and reserved words ignored. */
  X87_ENVIRONMENT_32: 4,
  /** The same of 14 bytes. */
  X87_ENVIRONMENT_16: 5,
  /** C1 of the x87 status word ignored: the manual calls it undefined, or processors do not do as it says. */
  C1: 6,
} as const;
export type Tolerance = (typeof TOLERANCE)[keyof typeof TOLERANCE];

export interface Outcome {
  readonly vector: number;
  readonly errorCode: number;
  /** Low and high half agree with the processor's CR2 after a page fault, else 0. */
  readonly cr2: bigint;
  readonly state: Uint8Array;
  /** Data memory that differs from the background (patches included). */
  readonly memory: readonly Run[];
}

const backgroundRandom = new Random(0xda7a);
/** The data pages before the patches of a case. */
export const DATA_BACKGROUND = Uint8Array.from({ length: DATA_BYTES }, () =>
  backgroundRandom.u32(),
);

/** The state before a generator touches it: every register holds something recognisable as junk. */
export function stateBackground(seed: number): Uint8Array {
  const random = new Random(seed);
  const state = new Uint8Array(STATE_BYTES);
  const view = new DataView(state.buffer);
  for (let at = 0; at < RIP_OFFSET; at += 4) view.setUint32(at, random.u32(), true);
  for (let at = XMM_OFFSET; at < XMM_OFFSET + 256; at += 4) view.setUint32(at, random.u32(), true);
  view.setBigUint64(4 * 8, BigInt(DATA + 0xe00), true);
  view.setUint32(RIP_OFFSET, CODE_START, true);
  view.setUint32(RFLAGS_OFFSET, 0x202, true);
  view.setUint16(FCW_OFFSET, 0x37f, true);
  view.setUint32(MXCSR_OFFSET, 0x1f80, true);
  return state;
}

const padded = (length: number) => (length + 7) & ~7;

/** The driver's input for these cases, the data background first. */
export function encodeForDriver(cases: readonly Case[]): Uint8Array {
  const runBytes = (runs: readonly Run[]) =>
    runs.reduce((sum, run) => sum + 8 + padded(run.bytes.length), 0);
  const total = cases.reduce(
    (sum, c) => sum + 8 + STATE_BYTES + padded(c.code.length) + runBytes(c.patches),
    DATA_BYTES,
  );
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  bytes.set(DATA_BACKGROUND);
  let at = DATA_BYTES;
  for (const { code, state, patches } of cases) {
    view.setUint32(at, code.length, true);
    view.setUint32(at + 4, runBytes(patches), true);
    bytes.set(state, at + 8);
    bytes.set(code, at + 8 + STATE_BYTES);
    at += 8 + STATE_BYTES + padded(code.length);
    for (const run of patches) {
      view.setUint32(at, run.offset, true);
      view.setUint32(at + 4, run.bytes.length, true);
      bytes.set(run.bytes, at + 8);
      at += 8 + padded(run.bytes.length);
    }
  }
  return bytes;
}

/** The resume flag: set in the image that a fault pushes, not by the instruction. */
const RFLAGS_RF = 0x1_0000;

/** Clears what is no part of an outcome: last-instruction pointers, reserved bytes, the resume flag. */
export function normalise(state: Uint8Array): Uint8Array {
  const view = new DataView(state.buffer, state.byteOffset, state.byteLength);
  view.setUint32(RFLAGS_OFFSET, view.getUint32(RFLAGS_OFFSET, true) & ~RFLAGS_RF, true);
  state.fill(0, FX_OFFSET + 5, FX_OFFSET + 24); // FOP, FIP, FDP
  state.fill(0, MXCSR_OFFSET + 4, ST_OFFSET); // MXCSR_MASK
  for (let st = 0; st < 8; st++) state.fill(0, ST_OFFSET + st * 16 + 10, ST_OFFSET + st * 16 + 16);
  return state.fill(0, XMM_OFFSET + 256, STATE_BYTES);
}

/** The outcomes in the driver's output, in the order of the cases. */
export function decodeFromDriver(bytes: Uint8Array): Outcome[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const outcomes: Outcome[] = [];
  for (let at = 0; at < bytes.length; ) {
    const vector = view.getUint32(at, true);
    const errorCode = view.getUint32(at + 4, true);
    const cr2 = view.getBigUint64(at + 8, true);
    const state = normalise(bytes.slice(at + 16, at + 16 + STATE_BYTES));
    at += 16 + STATE_BYTES;
    const memory: Run[] = [];
    for (;;) {
      const offset = view.getUint32(at, true);
      const length = view.getUint32(at + 4, true);
      at += 8;
      if (length === 0) break;
      memory.push({ offset, bytes: bytes.slice(at, at + length) });
      at += padded(length);
    }
    outcomes.push({ vector, errorCode, cr2, state, memory });
  }
  return outcomes;
}
