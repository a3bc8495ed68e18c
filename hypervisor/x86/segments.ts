/** Segment registers: MOV, PUSH, POP, LSS, LFS, LGS, LES, LDS, ARPL, VERR, VERW, LAR, LSL. */
// Spec: SDM 2A/2B, MOV, POP, LDS/LES/LFS/LGS/LSS; SDM 3A §5.8 (privilege checks), with CPL 3.

import { type Builder, OUTCOME, type Semantics, type Value } from './builder.js';
import { type Family, forms } from './define.js';
import { type HostImplementation, hostFunction, type Machine } from './host-functions.js';
import { VECTOR } from './processor.js';
import { DESCRIPTOR, limitOf } from './segment-state.js';
import { loadStack, pushValue, setStackPointer, stackAbove, stackPointer } from './stack.js';
import { SEGMENT, SLOT } from './state.js';

const RPL = 3;
const isNull = (selector: number): boolean => (selector & ~RPL) === 0;
/** The error code for a selector: its RPL is not part of it. */
export const selectorError = (selector: number): number => selector & ~RPL & 0xffff;
export const dplOf = (high: number): number => (high >>> DESCRIPTOR.DPL_SHIFT) & RPL;

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

/** Loads a segment register. @returns an OUTCOME. */
function loadSegment(machine: Machine, segment: number, selector: number): number {
  if (segment === SEGMENT.SS) {
    const fault = stackSegmentFault(machine, selector);
    if (fault !== undefined) return machine.raise(fault, selectorError(selector));
  } else if (!isNull(selector)) {
    const fault = dataSegmentFault(machine, selector);
    if (fault !== undefined) return machine.raise(fault, selectorError(selector));
  }
  const { segments } = machine.registers;
  const before = segments.mode;
  segments.load(segment, selector, machine.host.readDescriptor(selector));
  return segments.mode === before ? OUTCOME.NEXT : machine.resyncAfter();
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
      const { hi } = known;
      machine.ram.u32[SLOT.RESULT / 4] = kind === PROBE.RIGHTS ? hi & 0x00ff_ff00 : limitOf(known);
      return probeResult(hi, kind);
    },
);

export const SEGMENT_FUNCTIONS: readonly HostImplementation[] = [LOAD_SEGMENT, PROBE_SEGMENT];

const asSelector = (b: Builder, value: Value): Value => b.zeroExtend(b.truncate(value, 16), 32);

/** Leaves if the segment cannot be loaded. @returns what `done` needs at the end of the instruction. */
function load(b: Builder, segment: Value, selector: Value): Value {
  const outcome = b.call(LOAD_SEGMENT, segment, asSelector(b, selector));
  b.raiseRecorded(b.eq(outcome, b.const(32, OUTCOME.EXIT_BEFORE)));
  return outcome;
}

/** Another segment may make another mode: then the engine goes on with that. */
const done = (b: Builder, outcome: Value): void => b.if(outcome, () => b.finish(outcome));

const moveTo: Semantics = (b, { dst, src }) => {
  const selector = b.read(src);
  const segment = b.shrU(b.sub(b.slot(dst), b.const(32, SLOT.SELECTORS)), 1);
  const outcome = load(b, segment, selector);
  // No #DB comes between this and the next instruction, so that SS and RSP change together (SDM 3A §6.8.3).
  b.setState(SLOT.SHADOW, b.eq(segment, b.const(32, SEGMENT.SS)));
  done(b, outcome);
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
    const top = stackPointer(b);
    const selector = loadStack(b, top, bits);
    const above = stackAbove(b, top, bits / 8);
    const outcome = load(b, b.const(32, segment), selector);
    setStackPointer(b, above);
    if (segment === SEGMENT.SS) b.setState(SLOT.SHADOW, b.const(32, 1));
    done(b, outcome);
  };

/** LSS, LFS, LGS, LES, LDS: a register and a selector from memory. As on AMD, REX.W leaves the offset at 32 bits. */
const loadFar =
  (segment: number): Semantics =>
  (b, { dst, src }) => {
    const address = b.address(src);
    const bits = Math.min(dst.bits, 32);
    const offset = b.load(address, bits);
    const selector = b.load(b.add(address, b.const(64, bits / 8)), 16);
    const outcome = load(b, b.const(32, segment), selector);
    b.write(dst, b.zeroExtend(offset, dst.bits));
    done(b, outcome);
  };

/** ARPL: raises the RPL of a selector to that of another; ZF tells whether it was raised. */
const adjustRpl: Semantics = (b, { dst, src }) => {
  const rpl = b.const(32, RPL);
  const old = b.readForWrite(dst);
  const selector = b.zeroExtend(b.truncate(old, 16), 32);
  const wanted = b.and(b.zeroExtend(b.truncate(b.read(src), 16), 32), rpl);
  const isLower = b.ltU(b.and(selector, rpl), wanted);
  const raised = b.or(b.and(selector, b.const(32, 0xffff & ~RPL)), wanted);
  b.write(dst, b.truncate(b.select(isLower, raised, selector), dst.bits));
  b.flags.setZero(isLower);
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
  define(forms('Pushd', 'ES CS SS DS FS GS'), pushSegment(32));
  define(forms('Pushw', 'ES CS SS DS'), pushSegment(16));
  for (const name of ['ES', 'SS', 'DS', 'FS', 'GS'] as const) {
    define([`Popd_${name}`], popSegment(32, SEGMENT[name]));
    if (name !== 'FS' && name !== 'GS') define([`Popw_${name}`], popSegment(16, SEGMENT[name]));
  }
  const far = 'r16_m1616 r32_m1632 r64_m1664';
  define(forms('Lss', far), loadFar(SEGMENT.SS));
  define(forms('Lfs', far), loadFar(SEGMENT.FS));
  define(forms('Lgs', far), loadFar(SEGMENT.GS));
  define(forms('Les', 'r16_m1616 r32_m1632'), loadFar(SEGMENT.ES));
  define(forms('Lds', 'r16_m1616 r32_m1632'), loadFar(SEGMENT.DS));
  define(['Arpl_rm16_r16', 'Arpl_r32m16_r32'], adjustRpl);
  const visible = 'r16_rm16 r32_r32m16 r64_r64m16';
  define(forms('Lar', visible), inspect(PROBE.RIGHTS));
  define(forms('Lsl', visible), inspect(PROBE.LIMIT));
  define(forms('Verr', 'rm16 r32m16 r64m16'), verify(PROBE.READ));
  define(forms('Verw', 'rm16 r32m16 r64m16'), verify(PROBE.WRITE));
};
