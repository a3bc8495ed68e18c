/** SSE and SSE2 conversions between integers and the two float formats. */
// Spec: SDM 2A, the CVT... entries; out-of-range results are the integer indefinite, SDM 1 §11.5.2.1.

import type { Builder, Operand, Semantics, Value } from './builder.js';
import type { Family } from './define.js';
import type { Op } from './ops.js';
import {
  allLanes,
  between,
  inexactIsEasy,
  ordinary,
  plainNumber,
  runSlow,
  slowVector,
  toBits,
  toFloat,
} from './sse-float.js';
import { LEFT } from './sse-host.js';
import { mmx, sse } from './sse-moves.js';
import { enterMmx, fromLow64, readMmx, splat32, writeMmx } from './sse-vector.js';
import { SLOT } from './state.js';

type Width = 32 | 64;
const intType = (bits: Width) => (bits === 64 ? 'i64' : 'i32');
const floatType = (bits: Width) => (bits === 64 ? 'f64' : 'f32');

/** Truncation does not look at the rounding mode: only the inexact flag must be set and masked. */
const truncationIsEasy = (b: Builder): Value =>
  b.eq(b.and(b.state(SLOT.MXCSR, 'i32'), b.const(32, 0x1020)), b.const(32, 0x1020));

const power = (b: Builder, bits: Width, exponent: number): Value =>
  bits === 64 ? b.f64(2 ** exponent) : b.f32(2 ** exponent);

// ---- scalars

/** CVTSI2SS and CVTSI2SD. */
const fromInteger = (from: Width, to: Width): Semantics => {
  const name = `cvtsi2s${to === 64 ? 'd' : 's'}${from}`;
  const exactBits = to === 64 ? 53 : 24;
  return sse((b, { dst, src }) => {
    const value = b.readAs(src, intType(from));
    const result = toBits(b, b.op(`${floatType(to)}.convert_i${from}_s` as Op, value));
    if (from === 32 && to === 64) {
      b.writeAs(dst, result);
      return;
    }
    const shifted = b.add(value, b.const(from, 2 ** exactBits));
    const exact = b.ltU(shifted, b.const(from, 2 ** (exactBits + 1)));
    b.if(
      b.or(exact, inexactIsEasy(b)),
      () => b.writeAs(dst, result),
      () => slowVector(b, name, dst, value),
    );
  });
};

/** CVT(T)SS2SI and CVT(T)SD2SI. */
const toInteger = (from: Width, to: Width, truncate: boolean): Semantics => {
  const f = floatType(from);
  const name = `cvt${truncate ? 't' : ''}s${from === 64 ? 'd' : 's'}2si${to}`;
  return sse((b, { dst, src }) => {
    const bits = b.readAs(src, intType(from));
    const x = toFloat(b, bits);
    const rounded = b.op(`${f}.${truncate ? 'trunc' : 'nearest'}` as Op, x);
    const fits = b.op(`${f}.lt` as Op, b.op(`${f}.abs` as Op, rounded), power(b, from, to - 1));
    const exact = b.op(`${f}.eq` as Op, rounded, x);
    const easy = b.or(exact, truncate ? truncationIsEasy(b) : inexactIsEasy(b));
    b.if(
      b.and(fits, easy),
      () => b.write(dst, b.op(`i${to}.trunc_sat_${f}_s` as Op, rounded)),
      () => {
        runSlow(b, name, bits, bits);
        b.write(dst, b.state(LEFT, intType(to)));
      },
    );
  });
};

const singleToDouble: Semantics = (b, { dst, src }) => {
  const bits = b.readAs(src, 'i32');
  b.if(
    plainNumber(b, bits),
    () => b.writeAs(dst, toBits(b, b.op('f64.promote_f32', toFloat(b, bits)))),
    () => slowVector(b, 'cvtss2sd', dst, bits),
  );
};
const doubleToSingle: Semantics = (b, { dst, src }) => {
  const bits = b.readAs(src, 'i64');
  const result = toBits(b, b.op('f32.demote_f64', toFloat(b, bits)));
  const safe = b.and(ordinary(b, bits), ordinary(b, result));
  const exact = b.op('f64.eq', b.op('f64.promote_f32', toFloat(b, result)), toFloat(b, bits));
  b.if(
    b.and(b.or(inexactIsEasy(b), exact), safe),
    () => b.writeAs(dst, result),
    () => slowVector(b, 'cvtsd2ss', dst, bits),
  );
};

// ---- packed

/** Runs the exact operation and takes the low half of its result, zeros above. */
function slowLow(b: Builder, name: string, dst: Operand, right: Value): void {
  runSlow(b, name, right, right);
  b.write(dst, fromLow64(b, b.state(LEFT, 'i64')));
}

const LOW_TWICE = [0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7];
const lowTwice = (b: Builder, vector: Value): Value => b.shuffle(vector, vector, LOW_TWICE);

const singlesToDoubles: Semantics = (b, { dst, src }) => {
  const value = b.op('i64x2.splat', b.readAs(src, 'i64'));
  b.if(
    allLanes(b, 32, between(b, value, 32, 0x007f_ffff, 0x7f80_0000)),
    () => b.write(dst, b.op('f64x2.promote_low_f32x4', value)),
    () => slowVector(b, 'cvtps2pd', dst, value),
  );
};
const doublesToSingles: Semantics = (b, { dst, src }) => {
  const value = b.readAligned(src);
  const result = b.op('f32x4.demote_f64x2_zero', value);
  const safe = b.and(
    allLanes(b, 64, between(b, value, 64, 0x001f_ffff_ffff_ffffn, 0x7ff0_0000_0000_0000n)),
    allLanes(b, 32, between(b, lowTwice(b, result), 32, 0x00ff_ffff, 0x7f80_0000)),
  );
  b.if(
    b.and(inexactIsEasy(b), safe),
    () => b.write(dst, result),
    () => slowLow(b, 'cvtpd2ps', dst, value),
  );
};
const integersToDoubles: Semantics = (b, { dst, src }) =>
  b.write(dst, b.op('f64x2.convert_low_i32x4_s', fromLow64(b, b.readAs(src, 'i64'))));
const integersToSingles: Semantics = (b, { dst, src }) => {
  const value = b.readAligned(src);
  const small = b.op('i32x4.lt_u', b.op('i32x4.abs', value), splat32(b, 2 ** 24));
  b.if(
    b.or(inexactIsEasy(b), allLanes(b, 32, small)),
    () => b.write(dst, b.op('f32x4.convert_i32x4_s', value)),
    () => slowVector(b, 'cvtdq2ps', dst, value),
  );
};

/** CVT(T)PS2DQ and CVT(T)PD2DQ: all lanes must fit and be easy. */
const lanesToIntegers = (from: Width, truncate: boolean): Semantics => {
  const shape = from === 64 ? 'f64x2' : 'f32x4';
  const name = `cvt${truncate ? 't' : ''}p${from === 64 ? 'd' : 's'}2dq`;
  const op = from === 64 ? 'i32x4.trunc_sat_f64x2_s_zero' : 'i32x4.trunc_sat_f32x4_s';
  return sse((b, { dst, src }) => {
    const value = b.readAligned(src);
    const rounded = b.op(`${shape}.${truncate ? 'trunc' : 'nearest'}` as Op, value);
    const limit = b.op(`${shape}.splat` as Op, power(b, from, 31));
    const magnitude = b.op(`${shape}.abs` as Op, rounded);
    const fits = allLanes(b, from, b.op(`${shape}.lt` as Op, magnitude, limit));
    const exact = allLanes(b, from, b.op(`${shape}.eq` as Op, rounded, value));
    const easy = b.or(exact, truncate ? truncationIsEasy(b) : inexactIsEasy(b));
    b.if(
      b.and(fits, easy),
      () => b.write(dst, b.op(op, rounded)),
      () => (from === 64 ? slowLow(b, name, dst, value) : slowVector(b, name, dst, value)),
    );
  });
};

// ---- MMX: rare, so always exact. The x87 state changes even if #XM follows, as on real processors.

const singlesFromMmx: Semantics = (b, { dst, src }) => {
  const value = b.readAs(src, 'i64');
  if (src.kind !== 'memory') enterMmx(b);
  runSlow(b, 'cvtpi2ps', b.readAs(dst, 'v128'), value);
  b.write(dst, b.state(LEFT, 'v128'));
};
const doublesFromMmx: Semantics = (b, { dst, src }) => {
  const value = readMmx(b, src);
  if (src.kind !== 'memory') enterMmx(b);
  b.write(dst, b.op('f64x2.convert_low_i32x4_s', value));
};
const toMmx =
  (name: string, from: Width): Semantics =>
  (b, { dst, src }) => {
    const value = from === 64 ? b.readAligned(src) : b.readAs(src, 'i64');
    enterMmx(b);
    runSlow(b, name, value, value);
    writeMmx(b, dst, fromLow64(b, b.state(LEFT, 'i64')));
  };

// biome-ignore format: one row per instruction
export const sseConvert: Family = (define) => {
  define(['Cvtsi2ss_xmm_rm32'],      fromInteger(32, 32));
  define(['Cvtsi2ss_xmm_rm64'],      fromInteger(64, 32));
  define(['Cvtsi2sd_xmm_rm32'],      fromInteger(32, 64));
  define(['Cvtsi2sd_xmm_rm64'],      fromInteger(64, 64));
  define(['Cvtss2si_r32_xmmm32'],    toInteger(32, 32, false));
  define(['Cvtss2si_r64_xmmm32'],    toInteger(32, 64, false));
  define(['Cvtsd2si_r32_xmmm64'],    toInteger(64, 32, false));
  define(['Cvtsd2si_r64_xmmm64'],    toInteger(64, 64, false));
  define(['Cvttss2si_r32_xmmm32'],   toInteger(32, 32, true));
  define(['Cvttss2si_r64_xmmm32'],   toInteger(32, 64, true));
  define(['Cvttsd2si_r32_xmmm64'],   toInteger(64, 32, true));
  define(['Cvttsd2si_r64_xmmm64'],   toInteger(64, 64, true));
  define(['Cvtss2sd_xmm_xmmm32'],    sse(singleToDouble));
  define(['Cvtsd2ss_xmm_xmmm64'],    sse(doubleToSingle));
  define(['Cvtps2pd_xmm_xmmm64'],    sse(singlesToDoubles));
  define(['Cvtpd2ps_xmm_xmmm128'],   sse(doublesToSingles));
  define(['Cvtdq2pd_xmm_xmmm64'],    sse(integersToDoubles));
  define(['Cvtdq2ps_xmm_xmmm128'],   sse(integersToSingles));
  define(['Cvtps2dq_xmm_xmmm128'],   lanesToIntegers(32, false));
  define(['Cvttps2dq_xmm_xmmm128'],  lanesToIntegers(32, true));
  define(['Cvtpd2dq_xmm_xmmm128'],   lanesToIntegers(64, false));
  define(['Cvttpd2dq_xmm_xmmm128'],  lanesToIntegers(64, true));
  define(['Cvtpi2ps_xmm_mmm64'],     mmx(singlesFromMmx));
  define(['Cvtpi2pd_xmm_mmm64'],     mmx(doublesFromMmx));
  define(['Cvtps2pi_mm_xmmm64'],     mmx(toMmx('cvtps2pi', 32)));
  define(['Cvttps2pi_mm_xmmm64'],    mmx(toMmx('cvttps2pi', 32)));
  define(['Cvtpd2pi_mm_xmmm128'],    mmx(toMmx('cvtpd2dq', 64)));
  define(['Cvttpd2pi_mm_xmmm128'],   mmx(toMmx('cvttpd2dq', 64)));
};
