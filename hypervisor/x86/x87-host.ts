/** The host functions behind x87 instructions: one table of operations on the register stack. */
// Spec: SDM 2A and 2B, the F... entries; §8.1.10 for the images of FSTENV and FSAVE.

import { OUTCOME } from './builder.js';
import { IMAGE } from './fxsave.js';
import { hostFunction } from './host-functions.js';
import { EXCEPTION, type Float, INDEFINITE } from './soft-float.js';
import { SLOT } from './state.js';
import {
  BINARY,
  compareOperands,
  compareWithZero,
  conditionsOf,
  examine,
  extract,
  memoryOperation,
  type Order,
  partialRemainder,
  registerOperation,
  roundInteger,
  scaleOperation,
  sqrt,
  unaryOperation,
  underflowInto,
} from './x87-arithmetic.js';
import { readOperand, readRaw, writeOperand, writeRaw, X87_FORMAT } from './x87-formats.js';
import {
  ANGLES,
  angleOperation,
  arctangent,
  exponential,
  logarithm,
  logarithmPlusOne,
  popOperation,
  pushConstant,
} from './x87-functions.js';
import { encode80, type Raw, STATUS, X87 } from './x87-state.js';

/** Returned instead of an outcome: the instruction is done, and nothing is to be stored. */
export const SKIP_STORE = 16;
/** Where memory operands are left by generated code, and results for it. */
export const OPERAND = SLOT.RESULT;

/** @param st register of the stack, or what the operation makes of it. @returns false: store nothing. */
type Operation = (fpu: X87, view: DataView, st: number, format: number) => boolean | undefined;

const popAfter = (fpu: X87, done: boolean): undefined => {
  if (done) fpu.pop();
};

// biome-ignore format: four rows per kind of arithmetic
const arithmetic = Object.fromEntries(
  Object.entries(BINARY).flatMap(([name, operation]): [string, Operation][] => [
    [`${name} m`,      (fpu, view, _, format) => { memoryOperation(fpu, readOperand(view, OPERAND, format), operation); return undefined; }],
    [`${name} st0`,    (fpu, _, st) => { registerOperation(fpu, 0, st, operation); return undefined; }],
    [`${name} sti`,    (fpu, _, st) => { registerOperation(fpu, st, 0, operation); return undefined; }],
    [`${name} sti p`,  (fpu, _, st) => popAfter(fpu, registerOperation(fpu, st, 0, operation))],
  ]),
);

/** Loads a single or double: a signalling NaN becomes quiet, a denormal is noticed. */
const load: Operation = (fpu, view, _, format) => {
  if (format === X87_FORMAT.F80) {
    fpu.push(readRaw(view, OPERAND));
    return undefined;
  }
  const x = readOperand(view, OPERAND, format);
  if (!fpu.isEmpty(7)) fpu.push(encode80(INDEFINITE));
  else if (x.kind === 'signalling') {
    fpu.setC1(false);
    if (!fpu.signal(EXCEPTION.INVALID)) fpu.push(quietRaw(x));
  } else {
    fpu.push(encode80(x));
    if (x.denormal) fpu.signal(EXCEPTION.DENORMAL); // the load is done even if that is not masked
  }
  return undefined;
};
const quietRaw = (x: Float): Raw => {
  const raw = encode80(x);
  return { ...raw, significand: raw.significand | (1n << 62n) };
};

const loadRegister: Operation = (fpu, _, st) => {
  if (fpu.isEmpty(st)) {
    // The push finds an empty source: the default NaN, if that is masked.
    if (!fpu.underflowed()) {
      fpu.top -= 1;
      fpu.set(0, INDEFINITE);
    }
  } else fpu.push(fpu.raw(st));
  return undefined;
};

/** Converts ST(0) for a store to memory. @returns whether to store. */
function convertForStore(fpu: X87, view: DataView, format: number, truncate: boolean): boolean {
  if (fpu.isEmpty(0) && fpu.underflowed()) return false;
  const context = fpu.context(true);
  if (fpu.isEmpty(0)) {
    writeOperand(view, OPERAND, context, INDEFINITE, format, truncate);
    return true;
  }
  if (format === X87_FORMAT.F80) {
    writeRaw(view, OPERAND, fpu.raw(0));
    fpu.setC1(false);
    return true;
  }
  writeOperand(view, OPERAND, context, fpu.get(0), format, truncate);
  fpu.setC1(context.roundedUp);
  fpu.signal(context.flags);
  return (context.flags & ~fpu.masks & ~EXCEPTION.INEXACT) === 0;
}
const store: Operation = (fpu, view, _, format) => convertForStore(fpu, view, format, false);
const storePop =
  (truncate: boolean): Operation =>
  (fpu, view, _, format) => {
    if (fpu.isEmpty(0) && format === X87_FORMAT.F80) {
      if (fpu.underflowed()) return false;
      writeRaw(view, OPERAND, encode80(INDEFINITE));
      fpu.pop();
      return undefined;
    }
    if (!convertForStore(fpu, view, format, truncate)) return false;
    fpu.pop();
    return undefined;
  };

const storeRegister =
  (pops: boolean): Operation =>
  (fpu, _, st) => {
    if (fpu.isEmpty(0)) {
      if (underflowInto(fpu, st) && pops) fpu.pop();
      return undefined;
    }
    fpu.setC1(false);
    fpu.setRaw(st, fpu.raw(0));
    if (pops) fpu.pop();
    return undefined;
  };

const exchange: Operation = (fpu, _, st) => {
  if (fpu.isEmpty(0) || fpu.isEmpty(st)) {
    if (fpu.underflowed()) return undefined;
    for (const n of [0, st]) if (fpu.isEmpty(n)) fpu.set(n, INDEFINITE);
  }
  const [first, other] = [fpu.raw(0), fpu.raw(st)];
  fpu.setRaw(0, other);
  fpu.setRaw(st, first);
  fpu.setC1(false);
  return undefined;
};

const signChange =
  (change: (signExponent: number) => number): Operation =>
  (fpu) => {
    if (fpu.isEmpty(0)) {
      underflowInto(fpu, 0);
      return undefined;
    }
    const raw = fpu.raw(0);
    fpu.setRaw(0, { ...raw, signExponent: change(raw.signExponent) });
    fpu.setC1(false);
    return undefined;
  };

// ---- comparisons

const setOrder = (fpu: X87, order: number | undefined): void => {
  fpu.status = (fpu.status & ~(STATUS.C3 | STATUS.C2 | STATUS.C0)) | conditionsOf(order);
};
const emptyOperand = (fpu: X87): Order => ({ order: undefined, stopped: fpu.underflowed() });
const compareRegisters = (fpu: X87, st: number, quiet: boolean): Order =>
  fpu.isEmpty(0) || fpu.isEmpty(st)
    ? emptyOperand(fpu)
    : compareOperands(fpu, fpu.get(0), fpu.get(st), quiet);

const compare =
  (quiet: boolean, pops: number): Operation =>
  (fpu, _, st) => {
    const { order, stopped } = compareRegisters(fpu, st, quiet);
    setOrder(fpu, order);
    for (let n = 0; n < pops && !stopped; n++) fpu.pop();
    return undefined;
  };
const compareMemory =
  (pops: boolean): Operation =>
  (fpu, view, _, format) => {
    const { order, stopped } = fpu.isEmpty(0)
      ? emptyOperand(fpu)
      : compareOperands(fpu, fpu.get(0), readOperand(view, OPERAND, format), false);
    setOrder(fpu, order);
    if (pops && !stopped) fpu.pop();
    return undefined;
  };
/** FCOMI and its kin leave RFLAGS at OPERAND. The condition codes are not for them, but for C1 of a stack fault. */
const compareToFlags =
  (quiet: boolean, pops: boolean): Operation =>
  (fpu, view, st) => {
    const kept = fpu.isEmpty(0) || fpu.isEmpty(st) ? 0 : fpu.status & STATUS.C1;
    const { order, stopped } = compareRegisters(fpu, st, quiet);
    fpu.status |= kept;
    const flags = order === undefined ? 0x45 : order === 0 ? 0x40 : order < 0 ? 1 : 0;
    view.setUint32(OPERAND, flags, true);
    if (pops && !stopped) fpu.pop();
    return undefined;
  };
const testZero: Operation = (fpu) => {
  const { order } = fpu.isEmpty(0) ? emptyOperand(fpu) : compareWithZero(fpu, fpu.get(0));
  setOrder(fpu, order);
  return undefined;
};

/** FCMOV: the condition is in `format`. */
const conditionalMove: Operation = (fpu, _, st, condition) => {
  if (fpu.isEmpty(0) || fpu.isEmpty(st)) underflowInto(fpu, 0);
  else if (condition) fpu.setRaw(0, fpu.raw(st));
  return undefined;
};

// ---- control

const reset: Operation = (fpu) => {
  fpu.control = 0x37f;
  fpu.status = 0;
  fpu.tags = 0;
  return undefined;
};
const turn =
  (by: number): Operation =>
  (fpu) => {
    fpu.top += by;
    fpu.setC1(false);
    return undefined;
  };
const none =
  (run: (fpu: X87) => void): Operation =>
  (fpu) => {
    run(fpu);
    return undefined;
  };

/** The bits of the control word that exist; bit 6 always reads as one. */
const controlOf = (word: number) => (word & 0x1f3f) | 0x40;

// biome-ignore format: one row per operation
const OPERATIONS: Readonly<Record<string, Operation>> = {
  ...arithmetic,
  'ld m':      load,
  'ld sti':    loadRegister,
  'st m':      store,
  'stp m':     storePop(false),
  'stp m t':   storePop(true),
  'st sti':    storeRegister(false),
  'stp sti':   storeRegister(true),
  'xch':       exchange,
  'chs':       signChange((sign) => sign ^ 0x8000),
  'abs':       signChange((sign) => sign & 0x7fff),
  'constant':  (fpu, _, index) => { pushConstant(fpu, index); return undefined; },
  'sqrt':      none((fpu) => unaryOperation(fpu, sqrt, false)),
  'rndint':    none((fpu) => unaryOperation(fpu, roundInteger, true)),
  '2xm1':      none((fpu) => unaryOperation(fpu, exponential, true)),
  'scale':     none(scaleOperation),
  'xtract':    none(extract),
  'prem':      none((fpu) => partialRemainder(fpu, false)),
  'prem1':     none((fpu) => partialRemainder(fpu, true)),
  'sin':       none((fpu) => angleOperation(fpu, ANGLES.sin, false)),
  'cos':       none((fpu) => angleOperation(fpu, ANGLES.cos, false)),
  'ptan':      none((fpu) => angleOperation(fpu, ANGLES.tan, true)),
  'sincos':    none((fpu) => angleOperation(fpu, ANGLES.sincos, true)),
  'yl2x':      none((fpu) => popOperation(fpu, logarithm)),
  'yl2xp1':    none((fpu) => popOperation(fpu, logarithmPlusOne)),
  'patan':     none((fpu) => popOperation(fpu, arctangent)),
  'com sti':   compare(false, 0),
  'com sti p': compare(false, 1),
  'com sti pp': compare(false, 2),
  'ucom sti':  compare(true, 0),
  'ucom sti p': compare(true, 1),
  'ucom sti pp': compare(true, 2),
  'com m':     compareMemory(false),
  'com m p':   compareMemory(true),
  'comi':      compareToFlags(false, false),
  'comi p':    compareToFlags(false, true),
  'ucomi':     compareToFlags(true, false),
  'ucomi p':   compareToFlags(true, true),
  'tst':       testZero,
  'xam':       none(examine),
  'cmov':      conditionalMove,
  'init':      reset,
  'clex':      none((fpu) => { fpu.status &= 0x7f00; }),
  'incstp':    turn(1),
  'decstp':    turn(-1),
  'free':      (fpu, _, st) => { fpu.free(st); fpu.setC1(false); return undefined; },
  'free p':    (fpu, _, st) => { fpu.free(st); fpu.pop(); fpu.setC1(false); return undefined; },
  'ldcw':      (fpu, _, word) => { fpu.control = controlOf(word); fpu.summarise(); return undefined; },
  'nop':       none(() => {}),
};
const NAMES = Object.keys(OPERATIONS);
const TABLE = Object.values(OPERATIONS);

/** The number of an operation, as generated code passes it. @throws if there is none of the name. */
export function x87Operation(name: string): number {
  const index = NAMES.indexOf(name);
  if (index < 0) throw new Error(`no x87 operation ${name}`);
  return index;
}

/** Operation, ST index and format in; OUTCOME.NEXT or SKIP_STORE out. */
export const X87_RUN = hostFunction(
  'x87Run',
  ['i32', 'i32', 'i32'],
  'i32',
  ({ ram: { view } }) =>
    (number, st, format) => {
      const operation = TABLE[number ?? -1];
      if (!operation) throw new Error(`no x87 operation ${number}`);
      const fpu = new X87(view);
      const stored = operation(fpu, view, st ?? 0, format ?? 0);
      fpu.store();
      return stored === false ? SKIP_STORE : OUTCOME.NEXT;
    },
);

// ---- environments: FSTENV, FLDENV, FSAVE, FRSTOR with 16-bit or 32-bit fields

/** The full tag of a register: valid, zero, special, empty. */
function fullTag(fpu: X87, physical: number): number {
  const st = (physical - fpu.top) & 7;
  if (fpu.isEmpty(st)) return 3;
  const { significand, signExponent } = fpu.raw(st);
  const exponent = signExponent & 0x7fff;
  if (exponent === 0 && significand === 0n) return 1;
  return exponent === 0 || exponent === 0x7fff || significand >> 63n === 0n ? 2 : 0;
}

const REGISTER_BYTES = 10;

function saveEnvironment(view: DataView, size: number): X87 {
  const fpu = new X87(view);
  const step = size === 14 || size === 94 ? 2 : 4;
  const tags = Array.from({ length: 8 }, (_, n) => fullTag(fpu, n) << (n * 2));
  const words = [fpu.control, fpu.status, tags.reduce((sum, tag) => sum | tag, 0), 0, 0, 0, 0];
  words.forEach((word, n) => {
    view.setUint16(IMAGE + n * step, word, true);
    if (step === 4) view.setUint16(IMAGE + n * step + 2, n < 3 ? 0xffff : 0, true);
  });
  return fpu;
}

function loadEnvironment(view: DataView, size: number): X87 {
  const fpu = new X87(view);
  const step = size === 14 || size === 94 ? 2 : 4;
  fpu.control = controlOf(view.getUint16(IMAGE, true));
  fpu.status = view.getUint16(IMAGE + step, true);
  fpu.summarise();
  const tags = view.getUint16(IMAGE + 2 * step, true);
  fpu.tags = 0;
  for (let n = 0; n < 8; n++) if (((tags >> (n * 2)) & 3) !== 3) fpu.tags |= 1 << n;
  return fpu;
}

const environmentBytes = (size: number) => (size === 14 || size === 94 ? 14 : 28);

/** Builds FSTENV's (14, 28 bytes) or FSAVE's (94, 108) image at IMAGE. */
export const X87_SAVE = hostFunction('x87Save', ['i32'], 'i32', ({ ram: { view } }) => (bytes) => {
  const size = bytes ?? 0;
  const fpu = saveEnvironment(view, size);
  if (size < 94) {
    fpu.control |= 0x3f;
    fpu.summarise();
    fpu.store();
    return OUTCOME.NEXT;
  }
  const start = IMAGE + environmentBytes(size);
  for (let st = 0; st < 8; st++) writeRaw(view, start + st * REGISTER_BYTES, fpu.raw(st));
  reset(fpu, view, 0, 0);
  fpu.store();
  return OUTCOME.NEXT;
});

/** Takes over the image at IMAGE. */
export const X87_RESTORE = hostFunction(
  'x87Restore',
  ['i32'],
  'i32',
  ({ ram: { view } }) =>
    (bytes) => {
      const size = bytes ?? 0;
      const fpu = loadEnvironment(view, size);
      const { tags } = fpu;
      const start = IMAGE + environmentBytes(size);
      if (size >= 94)
        for (let st = 0; st < 8; st++) fpu.setRaw(st, readRaw(view, start + st * REGISTER_BYTES));
      fpu.tags = tags;
      fpu.store();
      return OUTCOME.NEXT;
    },
);

export const X87_FUNCTIONS = [X87_RUN, X87_SAVE, X87_RESTORE];
