/** The host function behind SSE arithmetic: runs an operation of sse-lanes.ts on operands left in SLOT.RESULT. */
// Spec: SDM 1 §10.2.3 (MXCSR), §11.5.2 and §11.5.3 (pre- and post-computation exceptions).

import { OUTCOME } from './builder.js';
import { hostFunction, type Machine } from './host-functions.js';
import { VECTOR } from './processor.js';
import { EXCEPTION } from './soft-float.js';
import { SSE_OPERATIONS, type SseContext, type SseOperation } from './sse-lanes.js';
import { type Quick, quickLane, quickOperation } from './sse-quick.js';
import { SLOT } from './state.js';

/** Bits of MXCSR. */
// biome-ignore format: one row per field
export const MXCSR = {
  FLAGS:  0x003f, // sticky exception flags
  DAZ:    0x0040, // denormals are zeros
  MASKS:  0x1f80, // exception masks, in the order of the flags
  RC:     0x6000, // rounding control
  FTZ:    0x8000, // flush to zero
  VALID:  0xffff, // all that may be set
} as const;
const MASK_SHIFT = 7;
const ROUNDING_SHIFT = 13;

/** Where generated code leaves the first operand (and finds the result), and the second. */
export const LEFT = SLOT.RESULT;
export const RIGHT = SLOT.RESULT + 16;

const BEFORE = EXCEPTION.INVALID | EXCEPTION.DENORMAL | EXCEPTION.ZERO_DIVIDE;

function contextFor(mxcsr: number, operation: SseOperation): SseContext {
  return {
    format: operation.format,
    rounding: (mxcsr & MXCSR.RC) >> ROUNDING_SHIFT,
    masks: (mxcsr & MXCSR.MASKS) >> MASK_SHIFT,
    flush: (mxcsr & MXCSR.FTZ) !== 0,
    denormalsAreZero: (mxcsr & MXCSR.DAZ) !== 0,
    flags: 0,
    roundedUp: false,
  };
}

const readLane = (view: DataView, at: number, bits: number): bigint =>
  bits === 32 ? BigInt(view.getUint32(at, true)) : view.getBigUint64(at, true);

function writeLanes(view: DataView, operation: SseOperation, results: readonly bigint[]): void {
  results.forEach((value, n) => {
    if (operation.to === 32) view.setUint32(LEFT + n * 4, Number(value), true);
    else view.setBigUint64(LEFT + n * 8, value, true);
  });
}

const QUICK = SSE_OPERATIONS.map(({ name }) => quickOperation(name));
/** Reused: this path is taken for every operation of code that never rounds. */
const quick: Quick = { value: 0, exact: true };
const quickResults = new Float64Array(4);
const INEXACT_MASK = EXCEPTION.INEXACT << MASK_SHIFT;

const readFloat = (view: DataView, at: number, isDouble: boolean): number =>
  isDouble ? view.getFloat64(at, true) : view.getFloat32(at, true);
const writeFloat = (view: DataView, at: number, isDouble: boolean, value: number): void => {
  if (isDouble) view.setFloat64(at, value, true);
  else view.setFloat32(at, value, true);
};

/** @returns whether all lanes could be done so; then the result is in place, and the inexact flag set if need be. */
function performQuickly(view: DataView, number: number, operation: SseOperation): boolean {
  const run = QUICK[number];
  const mxcsr = view.getUint32(SLOT.MXCSR, true);
  if (!run || (mxcsr & (MXCSR.RC | INEXACT_MASK)) !== INEXACT_MASK) return false;
  const isDouble = operation.from === 64;
  const step = operation.from / 8;
  let exact = true;
  for (let lane = 0; lane < operation.lanes; lane++) {
    const x = run.isUnary ? 0 : readFloat(view, LEFT + lane * step, isDouble);
    const y = readFloat(view, RIGHT + lane * step, isDouble);
    if (!quickLane(run, isDouble, quick, x, y)) return false;
    exact = exact && quick.exact;
    quickResults[lane] = quick.value;
  }
  for (let lane = 0; lane < operation.lanes; lane++)
    writeFloat(view, LEFT + lane * step, isDouble, quickResults[lane] ?? 0);
  if (!exact) view.setUint32(SLOT.MXCSR, mxcsr | EXCEPTION.INEXACT, true);
  return true;
}

/** @returns OUTCOME.NEXT with the result in place, or the outcome of #XM. */
function perform(machine: Machine, operation: SseOperation, immediate: number): number {
  const { view } = machine.ram;
  const mxcsr = view.getUint32(SLOT.MXCSR, true);
  const masks = (mxcsr & MXCSR.MASKS) >> MASK_SHIFT;
  const step = operation.from / 8;
  let flags = 0;
  const results = Array.from({ length: operation.lanes }, (_, n) => {
    const context = contextFor(mxcsr, operation);
    const left = readLane(view, LEFT + n * step, operation.from);
    const right = readLane(view, RIGHT + n * step, operation.from);
    const result = operation.lane(context, left, right, immediate);
    flags |= context.flags;
    return result;
  });
  // An exception seen before computing, in any lane, keeps all lanes from being computed.
  if (flags & BEFORE & ~masks) flags &= BEFORE;
  view.setUint32(SLOT.MXCSR, mxcsr | flags, true);
  if (flags & ~masks) return machine.raise(VECTOR.XM, 0);
  writeLanes(view, operation, results);
  return OUTCOME.NEXT;
}

/** Operation number and immediate in, OUTCOME out; operands and result at LEFT and RIGHT. */
export const SSE_SLOW = hostFunction(
  'sseSlow',
  ['i32', 'i32'],
  'i32',
  (machine) => (number, immediate) => {
    const operation = SSE_OPERATIONS[number ?? -1];
    if (!operation) throw new Error(`no SSE operation ${number}`);
    if (performQuickly(machine.ram.view, number ?? 0, operation)) return OUTCOME.NEXT;
    return perform(machine, operation, immediate ?? 0);
  },
);
