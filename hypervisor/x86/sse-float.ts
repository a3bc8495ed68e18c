/**
 * SSE and SSE2 arithmetic and comparison: WebAssembly's own operations where they cannot differ from the
 * processor's, the exact ones of sse-lanes.ts where they can.
 *
 * Nothing but "inexact" can be signalled when operands and result are ordinary (normal, and not next to underflow).
 * So the fast path asks for that, for rounding to nearest, and for an inexact flag that is set already and masked.
 */
// Spec: SDM 1 §11.4.1, §11.5; SDM 2A and 2B, the instructions by name.

import type { Builder, Operand, Semantics, Value } from './builder.js';
import type { Define, Family } from './define.js';
import type { Op } from './ops.js';
import { VECTOR } from './processor.js';
import { LEFT, RIGHT, SSE_SLOW } from './sse-host.js';
import { sseOperation } from './sse-lanes.js';
import { sse } from './sse-moves.js';
import { splat32, splat64, zeroVector } from './sse-vector.js';
import { SLOT } from './state.js';

/** A scalar or packed form: how its lanes are told apart. */
interface Form {
  readonly suffix: 'ss' | 'sd' | 'ps' | 'pd';
  readonly source: string;
  readonly packed: boolean;
  readonly bits: 32 | 64;
}
// biome-ignore format: one row per form
const FORMS: readonly Form[] = [
  { suffix: 'ss', source: 'xmmm32',  packed: false, bits: 32 },
  { suffix: 'sd', source: 'xmmm64',  packed: false, bits: 64 },
  { suffix: 'ps', source: 'xmmm128', packed: true,  bits: 32 },
  { suffix: 'pd', source: 'xmmm128', packed: true,  bits: 64 },
];

// Magnitudes as integers. "Ordinary" leaves out the smallest normal binade: a result there may have been tiny.
const INFINITY_64 = 0x7ff0_0000_0000_0000n;
const INFINITY_32 = 0x7f80_0000;
const ORDINARY_64 = 0x0020_0000_0000_0000n;
const ORDINARY_32 = 0x0100_0000;
const NORMAL_64 = 0x0010_0000_0000_0000n;
const NORMAL_32 = 0x0080_0000;

/** PE set, PM set, RC = nearest. */
const EASY_FIELDS = 0x7020;
const EASY = 0x1020;

export const inexactIsEasy = (b: Builder): Value =>
  b.eq(b.and(b.state(SLOT.MXCSR, 'i32'), b.const(32, EASY_FIELDS)), b.const(32, EASY));

const all = (b: Builder, ...conditions: readonly Value[]): Value =>
  conditions.reduce((sum, condition) => b.and(sum, condition));

/** A scalar's magnitude lies in [least, infinity): bits in an i32 or i64. */
function inRange(b: Builder, bits: Value, least: number | bigint, limit: number | bigint): Value {
  const magnitude = b.and(
    bits,
    b.const(bits.bits, bits.bits === 64 ? 0x7fff_ffff_ffff_ffffn : 0x7fff_ffff),
  );
  const span = BigInt(limit) - BigInt(least);
  const distance = b.sub(
    magnitude,
    b.const(bits.bits, bits.bits === 64 ? BigInt(least) : Number(least)),
  );
  return b.ltU(distance, b.const(bits.bits, bits.bits === 64 ? span : Number(span)));
}
export const ordinary = (b: Builder, bits: Value): Value =>
  bits.bits === 64
    ? inRange(b, bits, ORDINARY_64, INFINITY_64)
    : inRange(b, bits, ORDINARY_32, INFINITY_32);

/** Zero, normal or infinite: nothing that a comparison would signal. */
export function plainNumber(b: Builder, bits: Value): Value {
  const normal =
    bits.bits === 64
      ? inRange(b, bits, NORMAL_64, INFINITY_64 + 1n)
      : inRange(b, bits, NORMAL_32, INFINITY_32 + 1);
  return b.or(normal, b.isZero(b.shl(bits, 1)));
}

/** The same of every lane: a vector of masks. */
const ordinaryLanes = (b: Builder, vector: Value, bits: 32 | 64): Value =>
  bits === 64
    ? between(b, vector, 64, ORDINARY_64 - 1n, INFINITY_64)
    : between(b, vector, 32, ORDINARY_32 - 1, INFINITY_32);
const plainLanes = (b: Builder, vector: Value, bits: 32 | 64): Value => {
  const shape = bits === 64 ? 'i64x2' : 'i32x4';
  const normal =
    bits === 64
      ? between(b, vector, 64, NORMAL_64 - 1n, INFINITY_64 + 1n)
      : between(b, vector, 32, NORMAL_32 - 1, INFINITY_32 + 1);
  const doubled = b.op(`${shape}.shl`, vector, b.const(32, 1));
  return b.op('v128.or', normal, b.op(`${shape}.eq`, doubled, zeroVector(b)));
};
/** Lanes whose magnitude lies strictly between two bounds. */
export function between(
  b: Builder,
  vector: Value,
  bits: 32 | 64,
  above: number | bigint,
  below: number | bigint,
): Value {
  const [floats, ints] =
    bits === 64 ? (['f64x2', 'i64x2'] as const) : (['f32x4', 'i32x4'] as const);
  const splat = (value: number | bigint) =>
    bits === 64 ? splat64(b, BigInt(value)) : splat32(b, Number(value));
  const magnitude = b.op(`${floats}.abs`, vector);
  return b.op(
    'v128.and',
    b.op(`${ints}.gt_s`, magnitude, splat(above)),
    b.op(`${ints}.lt_s`, magnitude, splat(below)),
  );
}
export const allLanes = (b: Builder, bits: 32 | 64, ...masks: readonly Value[]): Value =>
  b.op(
    bits === 64 ? 'i64x2.all_true' : 'i32x4.all_true',
    masks.reduce((sum, mask) => b.op('v128.and', sum, mask)),
  );

export const toFloat = (b: Builder, bits: Value): Value =>
  b.op(bits.bits === 64 ? 'f64.reinterpret_i64' : 'f32.reinterpret_i32', bits);
export const toBits = (b: Builder, float: Value): Value =>
  b.op(float.type === 'f64' ? 'i64.reinterpret_f64' : 'i32.reinterpret_f32', float);

/** Runs the exact operation; afterwards the result lies at LEFT. The only outcome besides a result is #XM. */
export function runSlow(b: Builder, name: string, left: Value, right: Value, imm?: Value): void {
  b.setState(LEFT, left);
  b.setState(RIGHT, right);
  const number = b.const(32, sseOperation(name));
  const outcome = b.call(SSE_SLOW, number, imm ?? b.const(32, 0));
  b.if(outcome, () => b.raise(VECTOR.XM));
}

/** The exact operation with a vector as destination: scalars keep the rest of it. */
export function slowVector(
  b: Builder,
  name: string,
  dst: Operand,
  right: Value,
  imm?: Value,
): void {
  runSlow(b, name, b.readAs(dst, 'v128'), right, imm);
  b.write(dst, b.state(LEFT, 'v128'));
}

const readSource = (b: Builder, src: Operand, form: Form): Value =>
  form.packed ? b.readAligned(src) : b.readAs(src, form.bits === 64 ? 'i64' : 'i32');
const readTarget = (b: Builder, dst: Operand, form: Form): Value =>
  b.readAs(dst, form.packed ? 'v128' : form.bits === 64 ? 'i64' : 'i32');
const shapeOf = ({ packed, bits }: Form) =>
  packed ? (bits === 64 ? 'f64x2' : 'f32x4') : bits === 64 ? 'f64' : 'f32';

type Compute = (b: Builder, left: Value, right: Value) => Value;
/** Lifts a WebAssembly float operation to the bits that registers hold. */
const compute =
  (form: Form, op: string, unary: boolean): Compute =>
  (b, left, right) => {
    const name = `${shapeOf(form)}.${op}` as Op;
    if (form.packed) return unary ? b.op(name, right) : b.op(name, left, right);
    const [x, y] = [toFloat(b, left), toFloat(b, right)];
    return toBits(b, unary ? b.op(name, y) : b.op(name, x, y));
  };

function easy(b: Builder, form: Form, values: readonly Value[]): Value {
  if (form.packed) {
    const masks = values.map((value) => ordinaryLanes(b, value, form.bits));
    return all(b, inexactIsEasy(b), allLanes(b, form.bits, ...masks));
  }
  return all(b, inexactIsEasy(b), ...values.map((value) => ordinary(b, value)));
}

/** ADD, SUB, MUL, DIV, SQRT. */
const arithmetic = (form: Form, stem: string, unary = false): Semantics => {
  const run = compute(form, stem, unary);
  return sse((b, { dst, src }) => {
    const right = readSource(b, src, form);
    const left = readTarget(b, dst, form);
    const result = run(b, left, right);
    const values = unary ? [right, result] : [left, right, result];
    b.if(
      easy(b, form, values),
      () => b.writeAs(dst, result),
      () => slowVector(b, `${stem}${form.suffix}`, dst, right),
    );
  });
};

const plain = (b: Builder, form: Form, left: Value, right: Value): Value =>
  form.packed
    ? allLanes(b, form.bits, plainLanes(b, left, form.bits), plainLanes(b, right, form.bits))
    : b.and(plainNumber(b, left), plainNumber(b, right));

/** MIN and MAX: the second operand unless the first is strictly less, or greater. */
const extreme = (form: Form, stem: 'min' | 'max'): Semantics => {
  const op = `${shapeOf(form)}.${stem === 'min' ? 'lt' : 'gt'}` as Op;
  return sse((b, { dst, src }) => {
    const right = readSource(b, src, form);
    const left = readTarget(b, dst, form);
    const first = form.packed
      ? b.op(op, left, right)
      : b.op(op, toFloat(b, left), toFloat(b, right));
    const result = form.packed
      ? b.op('v128.bitselect', left, right, first)
      : b.select(first, left, right);
    b.if(
      plain(b, form, left, right),
      () => b.writeAs(dst, result),
      () => slowVector(b, `${stem}${form.suffix}`, dst, right),
    );
  });
};

/** The mask of a packed comparison by an immediate that is known only at run time. */
function compareLanes(b: Builder, form: Form, left: Value, right: Value, imm: Value): Value {
  const shape = form.bits === 64 ? 'f64x2' : 'f32x4';
  const op = (name: string) => b.op(`${shape}.${name}` as Op, left, right);
  const chosen = (n: number) => b.eq(b.and(imm, b.const(32, 3)), b.const(32, n));
  const eq = op('eq');
  const lt = op('lt');
  const le = op('le');
  // Without NaNs "unordered" is never.
  const base = b.select(
    chosen(0),
    eq,
    b.select(chosen(1), lt, b.select(chosen(2), le, zeroVector(b))),
  );
  const inverted = b.op(
    'i32x4.splat',
    b.sub(b.const(32, 0), b.and(b.shrU(imm, 2), b.const(32, 1))),
  );
  return b.op('v128.xor', base, inverted);
}

const compare = (form: Form): Semantics =>
  sse((b, { dst, src, third }) => {
    const right = readSource(b, src, form);
    const left = readTarget(b, dst, form);
    const imm = b.zeroExtend(b.read(third), 32);
    const widen = (value: Value) =>
      form.packed ? value : b.op(form.bits === 64 ? 'i64x2.splat' : 'i32x4.splat', value);
    const lane = form.bits === 64 ? 'i64x2.extract_lane' : 'i32x4.extract_lane';
    b.if(
      plain(b, form, left, right),
      () => {
        const mask = compareLanes(b, form, widen(left), widen(right), imm);
        b.writeAs(dst, form.packed ? mask : b.op(lane, mask, 0));
      },
      () => slowVector(b, `cmp${form.suffix}`, dst, right, imm),
    );
  });

/** COMIS, UCOMIS: ZF PF CF tell how, OF SF AF are cleared. */
const compareToFlags = (name: string, form: Form): Semantics =>
  sse((b, { dst, src }) => {
    const right = readSource(b, src, form);
    const left = readTarget(b, dst, form);
    const [x, y] = [toFloat(b, left), toFloat(b, right)];
    const shape = shapeOf(form);
    b.if(
      plain(b, form, left, right),
      () => {
        const equal = b.shl(b.op(`${shape}.eq` as Op, x, y), 6);
        b.flags.load(b.or(equal, b.op(`${shape}.lt` as Op, x, y)));
      },
      () => {
        runSlow(b, name, left, right);
        b.flags.load(b.state(LEFT, 'i32'));
      },
    );
  });

const approximation = (stem: string, form: Form): Semantics =>
  sse((b, { dst, src }) => slowVector(b, `${stem}${form.suffix}`, dst, readSource(b, src, form)));

const capitalised = (name: string) => name.charAt(0).toUpperCase() + name.slice(1);

/** The operations of one form. Scalar doubles are what compiled code is full of; others are called. */
const defineForm = (define: Define, form: Form): void => {
  const code = (stem: string) => [`${capitalised(stem)}${form.suffix}_xmm_${form.source}`];
  const hot = form.suffix === 'sd' ? ({ hot: [128], coldMemory: true } as const) : {};
  for (const stem of ['add', 'sub', 'mul']) define(code(stem), arithmetic(form, stem), hot);
  define(code('div'), arithmetic(form, 'div'));
  define(code('sqrt'), arithmetic(form, 'sqrt', true));
  for (const stem of ['min', 'max'] as const) define(code(stem), extreme(form, stem));
  define([`Cmp${form.suffix}_xmm_${form.source}_imm8`], compare(form));
};

export const sseFloat: Family = (define) => {
  for (const form of FORMS) {
    defineForm(define, form);
    const code = (stem: string) => [`${capitalised(stem)}${form.suffix}_xmm_${form.source}`];
    if (form.bits === 32)
      for (const stem of ['rcp', 'rsqrt']) define(code(stem), approximation(stem, form));
    if (!form.packed)
      for (const stem of ['comi', 'ucomi'])
        define(code(stem), compareToFlags(`${stem}${form.suffix}`, form));
  }
};
