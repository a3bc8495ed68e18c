/** FXSAVE, FXRSTOR, LDMXCSR, STMXCSR, EMMS: the floating-point state as a whole. */
// Spec: SDM 1 §10.5 (the image), table 10-2; SDM 2A, FXSAVE and FXRSTOR.

import { LAYOUT } from '../machine/layout.js';
import type { Builder, Semantics, Value } from './builder.js';
import { OUTCOME } from './builder.js';
import type { Family } from './define.js';
import { hostFunction } from './host-functions.js';
import { ACCESS, VECTOR } from './processor.js';
import { MXCSR } from './sse-host.js';
import { mmx, sse } from './sse-moves.js';
import { enterMmx } from './sse-vector.js';
import { SLOT } from './state.js';

/** Where images are put together and taken apart: 512 bytes of the engine's scratch that it leaves alone. */
export const IMAGE = LAYOUT.SCRATCH + 0x1800;

/** Offsets in the image. */
// biome-ignore format: one row per field
const FX = {
  FCW: 0, FSW: 2, FTW: 4, FOP: 6, FIP: 8, FDP: 16, MXCSR: 24, MXCSR_MASK: 28, ST: 32, XMM: 160,
  SAVED: 416, // what is written of the 512 bytes: the rest is software's
  SIZE: 512,
} as const;
const CHUNK = 16;

/** Builds the image of the current state. @param view all of RAM. @param at where: 512 bytes. */
export function saveImage(view: DataView, at: number): void {
  const copy = (from: number, to: number, bytes: number) => {
    for (let n = 0; n < bytes; n += 2) view.setUint16(to + n, view.getUint16(from + n, true), true);
  };
  copy(SLOT.FPU_CONTROL, at + FX.FCW, 2);
  copy(SLOT.FPU_STATUS, at + FX.FSW, 2);
  view.setUint16(at + FX.FTW, view.getUint8(SLOT.FPU_TAGS), true);
  copy(SLOT.FPU_OPCODE, at + FX.FOP, 2);
  copy(SLOT.FPU_IP, at + FX.FIP, 8);
  copy(SLOT.FPU_DP, at + FX.FDP, 8);
  copy(SLOT.MXCSR, at + FX.MXCSR, 4);
  view.setUint32(at + FX.MXCSR_MASK, MXCSR.VALID, true);
  const top = (view.getUint16(SLOT.FPU_STATUS, true) >> 11) & 7;
  for (let st = 0; st < 8; st++) {
    const register = SLOT.FPU + ((top + st) & 7) * 16;
    copy(register, at + FX.ST + st * 16, 10);
    for (let n = 10; n < 16; n += 2) view.setUint16(at + FX.ST + st * 16 + n, 0, true);
  }
  copy(SLOT.XMM, at + FX.XMM, 16 * 16);
}

/** Takes the state from an image. @returns false, with nothing changed, if its MXCSR has reserved bits. */
export function loadImage(view: DataView, at: number): boolean {
  if (view.getUint32(at + FX.MXCSR, true) & ~MXCSR.VALID) return false;
  const copy = (from: number, to: number, bytes: number) => {
    for (let n = 0; n < bytes; n += 2) view.setUint16(to + n, view.getUint16(from + n, true), true);
  };
  copy(at + FX.FCW, SLOT.FPU_CONTROL, 2);
  // Bits 7 and 13 of the control word do not exist, bit 6 is always set.
  const control = view.getUint16(SLOT.FPU_CONTROL, true);
  view.setUint16(SLOT.FPU_CONTROL, (control & 0x1f3f) | 0x40, true);
  copy(at + FX.FSW, SLOT.FPU_STATUS, 2);
  view.setUint8(SLOT.FPU_TAGS, view.getUint8(at + FX.FTW));
  copy(at + FX.MXCSR, SLOT.MXCSR, 4);
  const top = (view.getUint16(SLOT.FPU_STATUS, true) >> 11) & 7;
  for (let st = 0; st < 8; st++) {
    const register = SLOT.FPU + ((top + st) & 7) * 16;
    copy(at + FX.ST + st * 16, register, 10);
  }
  copy(at + FX.XMM, SLOT.XMM, 16 * 16);
  return true;
}

const FXSAVE_IMAGE = hostFunction('fxsaveImage', [], 'i32', ({ ram }) => () => {
  saveImage(ram.view, IMAGE);
  return OUTCOME.NEXT;
});
const FXRSTOR_IMAGE = hostFunction(
  'fxrstorImage',
  [],
  'i32',
  (machine) => () =>
    loadImage(machine.ram.view, IMAGE) ? OUTCOME.NEXT : machine.raise(VECTOR.GP, 0),
);
export const FXSAVE_FUNCTIONS = [FXSAVE_IMAGE, FXRSTOR_IMAGE];

const offset = (b: Builder, address: Value, bytes: number): Value =>
  b.add(address, b.const(64, bytes));

/** FXSAVE and FXRSTOR want 16-byte alignment. */
function requireAligned(b: Builder, address: Value): void {
  b.if(b.ne(b.and(address, b.const(64, CHUNK - 1)), b.const(64, 0)), () => b.raise(VECTOR.GP, 0));
}

/** Runs the body with the byte offsets 0, step, ... below `bytes`, as an i32. */
export function eachChunk(
  b: Builder,
  bytes: number,
  step: number,
  body: (at: Value) => void,
): void {
  const at = b.variable(b.const(32, 0));
  b.loop((again) => {
    body(at);
    b.assign(at, b.add(at, b.const(32, step)));
    b.if(b.ltU(at, b.const(32, bytes)), again);
  });
}
export const imageAt = (b: Builder, at: Value): Value => b.add(at, b.const(32, IMAGE));

/** Outside 64-bit mode the upper eight XMM registers take no part. */
const UPPER_XMM = FX.XMM + 8 * 16;

const fxsave: Semantics = (b, { dst }) => {
  const address = b.address(dst, undefined, ACCESS.WRITE);
  requireAligned(b, address);
  b.translateWrite(address, CHUNK);
  b.translateWrite(offset(b, address, FX.SIZE - CHUNK), CHUNK);
  b.call(FXSAVE_IMAGE);
  eachChunk(b, b.mode.bits === 64 ? FX.SAVED : UPPER_XMM, CHUNK, (at) => {
    const chunk = b.hostLoad(imageAt(b, at), 'v128');
    b.store(b.add(address, b.zeroExtend(at, 64)), chunk);
  });
};

function keepUpperXmm(b: Builder): void {
  for (let at = UPPER_XMM; at < FX.SAVED; at += CHUNK) {
    const register = b.hostLoad(b.const(32, SLOT.XMM + at - FX.XMM), 'v128');
    b.hostStore(b.const(32, IMAGE + at), register);
  }
}

const fxrstor: Semantics = (b, { dst }) => {
  const address = b.address(dst);
  requireAligned(b, address);
  eachChunk(b, FX.SIZE, CHUNK, (at) => {
    const chunk = b.load(b.add(address, b.zeroExtend(at, 64)), 128);
    b.hostStore(imageAt(b, at), chunk);
  });
  if (b.mode.bits === 32) keepUpperXmm(b);
  b.finish(b.call(FXRSTOR_IMAGE));
};

const ldmxcsr: Semantics = (b, { dst }) => {
  const value = b.readAs(dst, 'i32');
  const reserved = b.and(value, b.const(32, ~MXCSR.VALID));
  b.if(reserved, () => b.raise(VECTOR.GP, 0));
  b.setState(SLOT.MXCSR, value);
};
const stmxcsr: Semantics = (b, { dst }) => b.writeAs(dst, b.state(SLOT.MXCSR, 'i32'));

const emms: Semantics = (b) => {
  enterMmx(b);
  b.setState(SLOT.FPU_TAGS, b.const(32, 0), 1);
};

export const fxState: Family = (define) => {
  define(['Fxsave_m512byte', 'Fxsave64_m512byte'], sse(fxsave));
  define(['Fxrstor_m512byte', 'Fxrstor64_m512byte'], sse(fxrstor));
  define(['Ldmxcsr_m32'], sse(ldmxcsr));
  define(['Stmxcsr_m32'], sse(stmxcsr));
  define(['Emms'], mmx(emms));
};
