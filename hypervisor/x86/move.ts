/** MOV, MOVZX, MOVSX, LEA, XCHG and their like. Spec: SDM 2A, 2B. */

import { WIDE } from './arithmetic.js';
import type { Semantics } from './builder.js';
import { type Family, forms } from './define.js';
import { GPR } from './state.js';

const MOV_FORMS =
  'rm8_r8 rm16_r16 rm32_r32 rm64_r64 r8_rm8 r16_rm16 r32_rm32 r64_rm64 ' +
  'rm8_imm8 rm16_imm16 rm32_imm32 rm64_imm32 r8_imm8 r16_imm16 r32_imm32 r64_imm64';
const MOFFS_FORMS =
  'AL_moffs8 AX_moffs16 EAX_moffs32 RAX_moffs64 moffs8_AL moffs16_AX moffs32_EAX moffs64_RAX';

const mov: Semantics = (b, { dst, src }) => b.write(dst, b.read(src));

const movzx: Semantics = (b, { dst, src }) => b.write(dst, b.zeroExtend(b.read(src), dst.bits));

const movsx: Semantics = (b, { dst, src }) => b.write(dst, b.signExtend(b.read(src), dst.bits));

/** MOVSXD without REX.W only moves. */
const movsxd: Semantics = (b, { dst, src }) => {
  const value = b.read(src);
  b.write(dst, value.bits < dst.bits ? b.signExtend(value, dst.bits) : b.truncate(value, dst.bits));
};

const lea: Semantics = (b, { dst, src }) => b.write(dst, b.truncate(b.offset(src), dst.bits));

const xchg: Semantics = (b, { dst, src }) => {
  const left = b.readForWrite(dst);
  const right = b.readForWrite(src);
  b.write(dst, right);
  b.write(src, left);
};

/** XLAT: al = [rbx + al]. */
const xlat: Semantics = (b, { dst }) => {
  const index = b.zeroExtend(b.reg(GPR.RAX, 8), 64);
  b.setReg(GPR.RAX, b.load(b.address(dst, index), 8));
};

/** CBW, CWDE, CDQE: the lower half of the accumulator, sign-extended to all of it. */
const extendAccumulator =
  (bits: number): Semantics =>
  (b) =>
    b.setReg(GPR.RAX, b.signExtend(b.reg(GPR.RAX, bits / 2), bits));

/** CWD, CDQ, CQO: the sign of the accumulator, all over rdx. */
const signOfAccumulator =
  (bits: number): Semantics =>
  (b) =>
    b.setReg(GPR.RDX, b.shrS(b.reg(GPR.RAX, bits), bits - 1));

export const move: Family = (define) => {
  define(forms('Mov', MOV_FORMS), mov, { hot: [8, 16, 32, 64] });
  define(forms('Mov', MOFFS_FORMS), mov);
  define(forms('Movzx', 'r16_rm8 r32_rm8 r64_rm8 r16_rm16 r32_rm16 r64_rm16'), movzx, {
    hot: WIDE,
  });
  define(forms('Movsx', 'r16_rm8 r32_rm8 r64_rm8 r16_rm16 r32_rm16 r64_rm16'), movsx, {
    hot: WIDE,
  });
  define(forms('Movsxd', 'r16_rm16 r32_rm32 r64_rm32'), movsxd, { hot: WIDE });
  define(forms('Lea', 'r16_m r32_m r64_m'), lea, { hot: WIDE });
  define(forms('Xchg', 'rm8_r8 rm16_r16 rm32_r32 rm64_r64 r16_AX r32_EAX r64_RAX'), xchg, {
    hot: WIDE,
    coldMemory: true,
  });
  define(forms('Movnti', 'm32_r32 m64_r64'), mov);
  define(['Xlat_m8'], xlat);
  define(['Cbw'], extendAccumulator(16));
  define(['Cwde'], extendAccumulator(32), { hot: [0] });
  define(['Cdqe'], extendAccumulator(64), { hot: [0] });
  define(['Cwd'], signOfAccumulator(16));
  define(['Cdq'], signOfAccumulator(32), { hot: [0] });
  define(['Cqo'], signOfAccumulator(64), { hot: [0] });
};
