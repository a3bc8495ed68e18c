/** Segment registers: MOV, PUSH, POP, LSS, LFS, LGS, VERR, VERW, LAR, LSL. */
// Spec: SDM 2A/2B, MOV, POP, LDS/LES/LFS/LGS/LSS; SDM 3A §5.8 (privilege checks), with CPL 3.

import { type Builder, OUTCOME, type Semantics, type Value } from './builder.js';
import { type Family, forms } from './define.js';
import { type HostImplementation, hostFunction, type Machine } from './host-functions.js';
import { VECTOR } from './processor.js';
import { pushValue } from './stack.js';
import { GPR, SEGMENT, SLOT } from './state.js';

/** Fields of a descriptor's high word (SDM 3A §3.4.5). */
// biome-ignore format: one row per field
export const DESCRIPTOR = {
  WRITABLE:    1 << 9,  // of data; of code: readable
  CONFORMING:  1 << 10, // of code
  CODE:        1 << 11,
  NOT_SYSTEM:  1 << 12,
  DPL_SHIFT:   13,
  PRESENT:     1 << 15,
  LONG:        1 << 21,
  DEFAULT_32:  1 << 22,
  PAGES:       1 << 23, // the limit counts pages
} as const;

const RPL = 3;
const isNull = (selector: number): boolean => (selector & ~RPL) === 0;
/** The error code for a selector: its RPL is not part of it. */
export const selectorError = (selector: number): number => selector & ~RPL & 0xffff;
export const dplOf = (high: number): number => (high >>> DESCRIPTOR.DPL_SHIFT) & RPL;

const TWO_32 = 0x1_0000_0000;
const baseOf = (lo: number, hi: number): number =>
  ((lo >>> 16) | ((hi & 0xff) << 16) | (hi & 0xff00_0000)) >>> 0;

/**
 * What is wrong with loading a selector into SS at CPL 3.
 * @returns the vector of the exception, undefined if nothing is wrong.
 */
export function stackSegmentFault(machine: Machine, selector: number): number | undefined {
  const descriptor = machine.host.readDescriptor(selector);
  if (isNull(selector) || !descriptor || (selector & RPL) !== RPL) return VECTOR.GP;
  const { hi } = descriptor;
  const isStack =
    (hi & (DESCRIPTOR.NOT_SYSTEM | DESCRIPTOR.CODE | DESCRIPTOR.WRITABLE)) ===
    (DESCRIPTOR.NOT_SYSTEM | DESCRIPTOR.WRITABLE);
  if (!isStack || dplOf(hi) !== RPL) return VECTOR.GP;
  return hi & DESCRIPTOR.PRESENT ? undefined : VECTOR.SS;
}

function dataSegmentFault(machine: Machine, selector: number): number | undefined {
  const descriptor = machine.host.readDescriptor(selector);
  if (!descriptor) return VECTOR.GP;
  const { hi } = descriptor;
  const isCode = (hi & DESCRIPTOR.CODE) !== 0;
  const isReadable =
    (hi & DESCRIPTOR.NOT_SYSTEM) !== 0 && (!isCode || (hi & DESCRIPTOR.WRITABLE) !== 0);
  const isConforming = isCode && (hi & DESCRIPTOR.CONFORMING) !== 0;
  if (!isReadable || (!isConforming && dplOf(hi) !== RPL)) return VECTOR.GP;
  return hi & DESCRIPTOR.PRESENT ? undefined : VECTOR.NP;
}

/** Sets FS or GS base from the descriptor, 0 for a null selector. */
function loadBase(machine: Machine, segment: number, selector: number): void {
  const slot = segment === SEGMENT.FS ? SLOT.FS_BASE : SLOT.GS_BASE;
  const descriptor = isNull(selector) ? undefined : machine.host.readDescriptor(selector);
  const base = descriptor ? baseOf(descriptor.lo, descriptor.hi) : 0;
  machine.ram.u32[slot / 4] = base;
  machine.ram.u32[slot / 4 + 1] = Math.floor(base / TWO_32);
}

/** Loads a segment register. @returns an OUTCOME. */
function loadSegment(machine: Machine, segment: number, selector: number): number {
  if (segment === SEGMENT.SS) {
    const fault = stackSegmentFault(machine, selector);
    if (fault !== undefined) return machine.raise(fault, selectorError(selector));
  } else if (!isNull(selector)) {
    const fault = dataSegmentFault(machine, selector);
    if (fault !== undefined) return machine.raise(fault, selectorError(selector));
  }
  machine.registers.setSelector(segment, selector);
  if (segment === SEGMENT.FS || segment === SEGMENT.GS) loadBase(machine, segment, selector);
  return OUTCOME.NEXT;
}

const LOAD_SEGMENT = hostFunction(
  'loadSegment',
  ['i32', 'i32'],
  'i32',
  (machine) =>
    (segment = 0, selector = 0) =>
      loadSegment(machine, segment, selector & 0xffff),
);

const PROBE = { RIGHTS: 0, LIMIT: 1, READ: 2, WRITE: 3 } as const;

/** May LAR and the like look at this descriptor from CPL 3? System descriptors are not shown. */
function isVisible(hi: number): boolean {
  const isConforming = (hi & DESCRIPTOR.CODE) !== 0 && (hi & DESCRIPTOR.CONFORMING) !== 0;
  return (hi & DESCRIPTOR.NOT_SYSTEM) !== 0 && (isConforming || dplOf(hi) === RPL);
}

function limitOf(lo: number, hi: number): number {
  const limit = ((lo & 0xffff) | (hi & 0xf_0000)) >>> 0;
  return hi & DESCRIPTOR.PAGES ? limit * 4096 + 4095 : limit;
}

/** @returns 1 if a probe of a visible descriptor succeeds: for READ and WRITE, if CPL 3 could do so. */
function probeResult(hi: number, kind: number): number {
  const isCode = (hi & DESCRIPTOR.CODE) !== 0;
  const isWritable = (hi & DESCRIPTOR.WRITABLE) !== 0;
  if (kind === PROBE.READ) return !isCode || isWritable ? 1 : 0;
  if (kind === PROBE.WRITE) return !isCode && isWritable ? 1 : 0;
  return 1;
}

/** Access rights or limit of a descriptor that CPL 3 may see, into SLOT.RESULT. @returns 1 if it may. */
const PROBE_SEGMENT = hostFunction(
  'probeSegment',
  ['i32', 'i32'],
  'i32',
  (machine) =>
    (selector = 0, kind = 0) => {
      const known = isNull(selector) ? undefined : machine.host.readDescriptor(selector & 0xffff);
      if (!known || !isVisible(known.hi)) return 0;
      const { lo, hi } = known;
      machine.ram.u32[SLOT.RESULT / 4] = kind === PROBE.RIGHTS ? hi & 0x00ff_ff00 : limitOf(lo, hi);
      return probeResult(hi, kind);
    },
);

export const SEGMENT_FUNCTIONS: readonly HostImplementation[] = [LOAD_SEGMENT, PROBE_SEGMENT];

const asSelector = (b: Builder, value: Value): Value => b.zeroExtend(b.truncate(value, 16), 32);

/** Leaves if the segment cannot be loaded. */
function load(b: Builder, segment: Value, selector: Value): void {
  const outcome = b.call(LOAD_SEGMENT, segment, asSelector(b, selector));
  b.if(outcome, () => b.finish(outcome));
}

const moveTo: Semantics = (b, { dst, src }) => {
  const selector = b.read(src);
  const segment = b.shrU(b.sub(b.slot(dst), b.const(32, SLOT.SELECTORS)), 1);
  load(b, segment, selector);
  // No #DB comes between this and the next instruction, so that SS and RSP change together (SDM 3A §6.8.3).
  b.setState(SLOT.SHADOW, b.eq(segment, b.const(32, SEGMENT.SS)));
};

/** A register is written whole, memory 16 bits. */
const moveFrom: Semantics = (b, { dst, src }) => b.write(dst, b.zeroExtend(b.read(src), dst.bits));

const pushSegment =
  (bits: number): Semantics =>
  (b, { dst }) =>
    pushValue(b, b.zeroExtend(b.read(dst), bits));

const popSegment =
  (bits: number, segment: number): Semantics =>
  (b) => {
    const top = b.reg(GPR.RSP, 64);
    load(b, b.const(32, segment), b.load(top, bits, 'stack'));
    b.setReg(GPR.RSP, b.add(top, b.const(64, bits / 8)));
  };

/** LSS, LFS, LGS: a register and a selector from memory. As on AMD, REX.W leaves the offset at 32 bits. */
const loadFar =
  (segment: number): Semantics =>
  (b, { dst, src }) => {
    const address = b.address(src);
    const bits = Math.min(dst.bits, 32);
    const offset = b.load(address, bits);
    const selector = b.load(b.add(address, b.const(64, bits / 8)), 16);
    load(b, b.const(32, segment), selector);
    b.write(dst, b.zeroExtend(offset, dst.bits));
  };

/** LAR and LSL: ZF tells whether there is something to see. */
const inspect =
  (kind: number): Semantics =>
  (b, { dst, src }) => {
    const visible = b.call(PROBE_SEGMENT, asSelector(b, b.read(src)), b.const(32, kind));
    b.if(visible, () => {
      const value = b.zeroExtend(b.state(SLOT.RESULT, 'i32'), 64);
      b.write(dst, b.truncate(value, dst.bits));
    });
    b.flags.setZero(visible);
  };

const verify =
  (kind: number): Semantics =>
  (b, { dst }) =>
    b.flags.setZero(b.call(PROBE_SEGMENT, asSelector(b, b.read(dst)), b.const(32, kind)));

export const segments: Family = (define) => {
  define(forms('Mov', 'Sreg_rm16 Sreg_r32m16 Sreg_r64m16'), moveTo);
  define(forms('Mov', 'rm16_Sreg r32m16_Sreg r64m16_Sreg'), moveFrom);
  define(['Pushq_FS', 'Pushq_GS'], pushSegment(64));
  define(['Pushw_FS', 'Pushw_GS'], pushSegment(16));
  define(['Popq_FS'], popSegment(64, SEGMENT.FS));
  define(['Popq_GS'], popSegment(64, SEGMENT.GS));
  define(['Popw_FS'], popSegment(16, SEGMENT.FS));
  define(['Popw_GS'], popSegment(16, SEGMENT.GS));
  const far = 'r16_m1616 r32_m1632 r64_m1664';
  define(forms('Lss', far), loadFar(SEGMENT.SS));
  define(forms('Lfs', far), loadFar(SEGMENT.FS));
  define(forms('Lgs', far), loadFar(SEGMENT.GS));
  const visible = 'r16_rm16 r32_r32m16 r64_r64m16';
  define(forms('Lar', visible), inspect(PROBE.RIGHTS));
  define(forms('Lsl', visible), inspect(PROBE.LIMIT));
  define(forms('Verr', 'rm16 r32m16 r64m16'), verify(PROBE.READ));
  define(forms('Verw', 'rm16 r32m16 r64m16'), verify(PROBE.WRITE));
};
