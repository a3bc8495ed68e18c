/** SSE and SSE2 data movement: aligned, unaligned, scalar, halves, non-temporal, and to and from general registers. */
// Spec: SDM 2B, the MOV... entries; alignment as in SDM 1 §10.4.1.1.

import type { Builder, Operand, Operands, Semantics, Type, Value } from './builder.js';
import type { Family } from './define.js';
import { ACCESS } from './processor.js';
import { enterMmx, fromLow32, fromLow64, readMmx, writeMmx } from './sse-vector.js';

/** SSE semantics: #NM first, then the body. */
export const sse =
  (body: Semantics): Semantics =>
  (b, o) => {
    b.requireFpu('sse');
    body(b, o);
  };

/** MMX semantics: #NM and pending x87 exceptions first. */
export const mmx =
  (body: Semantics): Semantics =>
  (b, o) => {
    b.requireFpu('x87');
    body(b, o);
  };

const low64 = (b: Builder, vector: Value): Value => b.op('i64x2.extract_lane', vector, 0);
const high64 = (b: Builder, vector: Value): Value => b.op('i64x2.extract_lane', vector, 1);

const moveAligned: Semantics = (b, { dst, src }) => b.writeAligned(dst, b.readAligned(src));
const moveUnaligned: Semantics = (b, { dst, src }) => b.write(dst, b.read(src));

/** A scalar from memory clears the rest of the register; one from a register keeps it. */
const loadScalar =
  (type: Type): Semantics =>
  (b, { dst, src }) => {
    const value = b.readAs(src, type);
    if (src.kind !== 'memory') b.writeAs(dst, value);
    else b.write(dst, type === 'i64' ? fromLow64(b, value) : fromLow32(b, value));
  };

const storeScalar =
  (type: Type): Semantics =>
  (b, { dst, src }) =>
    b.writeAs(dst, b.readAs(src, type));

const replaceLow = (b: Builder, dst: Operand, low: Value): void => b.writeAs(dst, low);
const replaceHigh = (b: Builder, dst: Operand, high: Value): void =>
  b.write(dst, b.op('i64x2.replace_lane', b.readAs(dst, 'v128'), high, 1));

const loadLow: Semantics = (b, { dst, src }) => replaceLow(b, dst, b.readAs(src, 'i64'));
const loadHigh: Semantics = (b, { dst, src }) => replaceHigh(b, dst, b.readAs(src, 'i64'));
const storeHigh: Semantics = (b, { dst, src }) => b.writeAs(dst, high64(b, b.readAs(src, 'v128')));
const highToLow: Semantics = (b, { dst, src }) =>
  replaceLow(b, dst, high64(b, b.readAs(src, 'v128')));

/** To XMM with zeros above. */
const intoVector = (b: Builder, { dst, src }: Operands): void => {
  const wide = src.bits === 64;
  b.write(dst, wide ? fromLow64(b, b.readAs(src, 'i64')) : fromLow32(b, b.readAs(src, 'i32')));
};
const fromVector = (b: Builder, { dst, src }: Operands): void =>
  b.write(dst, b.readAs(src, dst.bits === 64 ? 'i64' : 'i32'));
/** MOVQ clears the upper half even when it copies a register. */
const copyLow: Semantics = (b, { dst, src }) => {
  const low = b.readAs(src, 'i64');
  if (dst.kind === 'memory') b.writeAs(dst, low);
  else b.write(dst, fromLow64(b, low));
};

const intoMmx: Semantics = (b, { dst, src }) => {
  const wide = src.bits === 64;
  const value = wide ? fromLow64(b, b.readAs(src, 'i64')) : fromLow32(b, b.readAs(src, 'i32'));
  enterMmx(b);
  writeMmx(b, dst, value);
};
const fromMmx: Semantics = (b, { dst, src }) => {
  const value = b.readAs(src, dst.bits === 64 ? 'i64' : 'i32');
  b.write(dst, value);
  enterMmx(b);
};
const copyMmx: Semantics = (b, { dst, src }) => {
  const value = readMmx(b, src);
  if (dst.kind === 'memory') b.probeWrite(dst);
  enterMmx(b);
  writeMmx(b, dst, value);
};
const mmxToVector: Semantics = (b, { dst, src }) => {
  enterMmx(b);
  b.write(dst, readMmx(b, src));
};
const vectorToMmx: Semantics = (b, { dst, src }) => {
  enterMmx(b);
  writeMmx(b, dst, fromLow64(b, low64(b, b.readAs(src, 'v128'))));
};

const signMask =
  (op: 'i32x4.bitmask' | 'i64x2.bitmask' | 'i8x16.bitmask'): Semantics =>
  (b, { dst, src }) =>
    b.write(dst, b.zeroExtend(b.op(op, b.readAs(src, 'v128')), dst.bits));
const signMaskMmx: Semantics = (b, { dst, src }) => {
  enterMmx(b);
  b.write(dst, b.zeroExtend(b.op('i8x16.bitmask', readMmx(b, src)), dst.bits));
};

/** Stores the bytes whose mask byte has its top bit set, at DS:rDI (SDM 2B, MASKMOVDQU): in halves, which is how AC sees it. */
function maskedStore(b: Builder, o: Operands, value: Value, mask: Value, bytes: 8 | 16): void {
  const address = b.address(o.dst, undefined, ACCESS.WRITE);
  const chosen = b.op('i8x16.shr_s', mask, b.const(32, 7));
  const halves = bytes === 16 ? [0, 1] : [0];
  const hosts = halves.map((n) => b.translateWrite(b.add(address, b.const(64, n * 8)), 8));
  for (const [n, host] of hosts.entries()) {
    const isChosen = b.op('i64x2.extract_lane', chosen, n);
    const kept = b.and(b.hostLoad(host, 'i64'), b.not(isChosen));
    b.hostStore(host, b.or(kept, b.and(b.op('i64x2.extract_lane', value, n), isChosen)));
    b.commit(host);
  }
}

// biome-ignore format: one row per body
export const sseMoves: Family = (define) => {
  const HOT = { hot: [128, 64, 32] };
  define(['Movaps_xmm_xmmm128', 'Movapd_xmm_xmmm128', 'Movdqa_xmm_xmmm128',
          'Movaps_xmmm128_xmm', 'Movapd_xmmm128_xmm', 'Movdqa_xmmm128_xmm'],               sse(moveAligned), HOT);
  define(['Movups_xmm_xmmm128', 'Movupd_xmm_xmmm128', 'Movdqu_xmm_xmmm128',
          'Movups_xmmm128_xmm', 'Movupd_xmmm128_xmm', 'Movdqu_xmmm128_xmm'],               sse(moveUnaligned), HOT);
  define(['Movntps_m128_xmm', 'Movntpd_m128_xmm', 'Movntdq_m128_xmm'],                     sse(moveAligned));
  define(['Movss_xmm_xmmm32'],                                                             sse(loadScalar('i32')), HOT);
  define(['Movss_xmmm32_xmm'],                                                             sse(storeScalar('i32')), HOT);
  define(['Movsd_xmm_xmmm64'],                                                             sse(loadScalar('i64')), HOT);
  define(['Movsd_xmmm64_xmm'],                                                             sse(storeScalar('i64')), HOT);
  define(['Movlps_xmm_m64', 'Movlpd_xmm_m64'],                                             sse(loadLow));
  define(['Movlps_m64_xmm', 'Movlpd_m64_xmm'],                                             sse(storeScalar('i64')));
  define(['Movhps_xmm_m64', 'Movhpd_xmm_m64', 'Movlhps_xmm_xmm'],                          sse(loadHigh));
  define(['Movhps_m64_xmm', 'Movhpd_m64_xmm'],                                             sse(storeHigh));
  define(['Movhlps_xmm_xmm'],                                                              sse(highToLow));
  define(['Movd_xmm_rm32', 'Movq_xmm_rm64'],                                               sse(intoVector), HOT);
  define(['Movd_rm32_xmm', 'Movq_rm64_xmm'],                                               sse(fromVector), HOT);
  define(['Movq_xmm_xmmm64', 'Movq_xmmm64_xmm'],                                           sse(copyLow), HOT);
  define(['Movmskps_r32_xmm', 'Movmskps_r64_xmm'],                                         sse(signMask('i32x4.bitmask')));
  define(['Movmskpd_r32_xmm', 'Movmskpd_r64_xmm'],                                         sse(signMask('i64x2.bitmask')));
  define(['Pmovmskb_r32_xmm', 'Pmovmskb_r64_xmm'],                                         sse(signMask('i8x16.bitmask')), { hot: [32] });
  define(['Maskmovdqu_rDI_xmm_xmm'],                                                       sse((b, o) => maskedStore(b, o, b.readAs(o.src, 'v128'), b.readAs(o.third, 'v128'), 16)));

  define(['Movd_mm_rm32', 'Movq_mm_rm64'],                                                 mmx(intoMmx));
  define(['Movd_rm32_mm', 'Movq_rm64_mm'],                                                 mmx(fromMmx));
  define(['Movq_mm_mmm64', 'Movq_mmm64_mm', 'Movntq_m64_mm'],                              mmx(copyMmx));
  define(['Movq2dq_xmm_mm'],                                                               mmx(mmxToVector));
  define(['Movdq2q_mm_xmm'],                                                               mmx(vectorToMmx));
  define(['Pmovmskb_r32_mm', 'Pmovmskb_r64_mm'],                                           mmx(signMaskMmx));
  define(['Maskmovq_rDI_mm_mm'],                                                           mmx((b, o) => { enterMmx(b); maskedStore(b, o, readMmx(b, o.src), readMmx(b, o.third), 8); }));
};
