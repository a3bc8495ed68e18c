/** The instruction families under test, each a list of mnemonics: their forms come from iced-x86's own tables. */

import { Code, CodeExt, CpuidFeature, EncodingKind, Instruction, Mnemonic } from 'iced-x86';
import type { Lanes } from './operand-values.js';

export interface Family {
  readonly name: string;
  readonly mnemonics: readonly string[];
  /** Cases made of each form. */
  readonly perForm: number;
  /** What XMM and MMX operands hold when the mnemonic does not say. */
  readonly lanes?: Lanes;
  /** Whether random straight-line programs may use the family. */
  readonly programs: boolean;
  /** System flags that every case has set: TF ends it with a #DB after one instruction, AC checks alignment. */
  readonly flags?: number;
}

const TF = 1 << 8;
const AC = 1 << 18;
const CONDITIONS = 'o no b ae e ne be a s ns p np l ge le g'.split(' ');
const each = (stem: string) => CONDITIONS.map((condition) => stem + condition);
const words = (text: string) => text.split(' ');

// biome-ignore format: one row per family
export const FAMILIES: readonly Family[] = [
  { name: 'arithmetic',   perForm: 60,  programs: true,  mnemonics: words('add adc sub sbb cmp neg inc dec') },
  { name: 'logic',        perForm: 60,  programs: true,  mnemonics: words('and or xor test not') },
  { name: 'multiply',     perForm: 240, programs: true,  mnemonics: words('mul imul') },
  { name: 'divide',       perForm: 500, programs: false, mnemonics: words('div idiv') },
  { name: 'shifts',       perForm: 100, programs: true,  mnemonics: words('shl shr sal sar rol ror rcl rcr') },
  { name: 'doubleshifts', perForm: 340, programs: false, mnemonics: words('shld shrd') },
  { name: 'bits',         perForm: 120, programs: true,  mnemonics: words('bt bts btr btc bsf bsr popcnt bswap') },
  { name: 'moves',        perForm: 70,  programs: true,  mnemonics: words('mov movzx movsx movsxd lea xchg nop prefetch prefetchw prefetchnta prefetcht0 prefetcht1 prefetcht2 pause sfence lfence mfence movnti') },
  { name: 'extend',       perForm: 350, programs: true,  mnemonics: words('cbw cwde cdqe cwd cdq cqo cmc clc stc lahf sahf xlatb') },
  { name: 'direction',    perForm: 1000,programs: false, mnemonics: words('cld std') },
  { name: 'exchange',     perForm: 400, programs: true,  mnemonics: words('xadd cmpxchg cmpxchg8b cmpxchg16b') },
  { name: 'conditional',  perForm: 64,  programs: true,  mnemonics: [...each('cmov'), ...each('set')] },
  { name: 'branches',     perForm: 90,  programs: false, mnemonics: [...each('j'), ...words('loop loope loopne jrcxz jecxz jmp call ret')] },
  { name: 'stack',        perForm: 200, programs: false, mnemonics: words('push pop pushf pushfq popf popfq enter leave') },
  { name: 'strings',      perForm: 200, programs: false, mnemonics: words('movsb movsw movsd movsq stosb stosw stosd stosq lodsb lodsw lodsd lodsq scasb scasw scasd scasq cmpsb cmpsw cmpsd cmpsq') },
  { name: 'undefined',    perForm: 200, programs: false, mnemonics: words('ud1 ud2') },
  { name: 'privileged',   perForm: 60,  programs: false, mnemonics: words('in out insb insw insd outsb outsw outsd hlt cli sti clts invd wbinvd lgdt lidt invlpg swapgs sysretq lmsw rdmsr wrmsr int') },
  { name: 'ssemoves',     perForm: 90,  programs: true,  mnemonics: words('movups movupd movaps movapd movss movsd movlps movlpd movhps movhpd movhlps movlhps movdqa movdqu movd movq movntps movntpd movntdq movmskps movmskpd movq2dq movdq2q') },
  { name: 'ssefloat',     perForm: 700, programs: true,  mnemonics: words('addps addpd addss addsd subps subpd subss subsd mulps mulpd mulss mulsd divps divpd divss divsd sqrtps sqrtpd sqrtss sqrtsd minps minpd minss minsd maxps maxpd maxss maxsd') },
  { name: 'ssecompare',   perForm: 600, programs: true,  mnemonics: words('cmpps cmppd cmpss cmpsd ucomiss ucomisd comiss comisd') },
  { name: 'sseconvert',   perForm: 500, programs: true,  mnemonics: words('cvtpi2ps cvtsi2ss cvttps2pi cvttss2si cvtps2pi cvtss2si cvtpi2pd cvtsi2sd cvttpd2pi cvttsd2si cvtpd2pi cvtsd2si cvtps2pd cvtpd2ps cvtss2sd cvtsd2ss cvtdq2ps cvtps2dq cvttps2dq cvttpd2dq cvtdq2pd cvtpd2dq') },
  { name: 'sselogic',     perForm: 290, programs: true,  mnemonics: words('andps andpd andnps andnpd orps orpd xorps xorpd shufps shufpd unpcklps unpcklpd unpckhps unpckhpd') },
  { name: 'ssereciprocal',perForm: 1000,programs: false, mnemonics: words('rcpps rcpss rsqrtps rsqrtss') },
  { name: 'sseinteger',   perForm: 80,  programs: true,  lanes: 'integer', mnemonics: words('punpcklbw punpcklwd punpckldq punpcklqdq punpckhbw punpckhwd punpckhdq punpckhqdq packsswb packssdw packuswb pcmpgtb pcmpgtw pcmpgtd pcmpeqb pcmpeqw pcmpeqd pshufd pshufhw pshuflw pshufw psrlw psraw psllw psrld psrad pslld psrlq psllq psrldq pslldq pinsrw pextrw paddb paddw paddd paddq psubb psubw psubd psubq paddsb paddsw paddusb paddusw psubsb psubsw psubusb psubusw pmullw pmulhw pmulhuw pmuludq pmaddwd psadbw pavgb pavgw pminub pmaxub pminsw pmaxsw pand pandn por pxor pmovmskb') },
  { name: 'ssestate',     perForm: 400, programs: false, mnemonics: words('ldmxcsr stmxcsr maskmovdqu maskmovq movntq emms fxsave fxsave64 fxrstor fxrstor64') },
  { name: 'x87arithmetic',perForm: 300, programs: true,  mnemonics: words('fadd fmul fsub fsubr fdiv fdivr fiadd fimul fisub fisubr fidiv fidivr faddp fmulp fsubp fsubrp fdivp fdivrp fsqrt') },
  { name: 'x87compare',   perForm: 200, programs: true,  mnemonics: words('fcom fcomp fcompp fucom fucomp fucompp fucomi fcomi fucomip fcomip ficom ficomp ftst fxam fcmovb fcmove fcmovbe fcmovu fcmovnb fcmovne fcmovnbe fcmovnu') },
  { name: 'x87moves',     perForm: 200, programs: true,  mnemonics: words('fld fst fstp fild fist fistp fisttp fxch fchs fabs fld1 fldl2t fldl2e fldpi fldlg2 fldln2 fldz') },
  { name: 'x87round',     perForm: 800, programs: true,  mnemonics: words('frndint fscale fxtract fprem fprem1') },
  { name: 'x87decimal',   perForm: 2000,programs: false, mnemonics: words('fbld fbstp') },
  { name: 'x87functions', perForm: 500, programs: false, mnemonics: words('f2xm1 fyl2x fyl2xp1 fptan fpatan fsin fcos fsincos') },
  { name: 'x87control',   perForm: 200, programs: false, mnemonics: words('fldcw fnstcw fnstsw fnclex fninit fincstp fdecstp ffree ffreep fnop wait fnstenv fldenv fnsave frstor') },
  { name: 'stepped',      perForm: 12,  programs: false, flags: TF, mnemonics: words('add xor mul div mov xchg nop cmpxchg8b jmp je call ret loop push pop pushf pushfq popf popfq enter leave movsb movsq stosd lodsw scasb cmpsb cld int ud2 hlt in addps movups fld fxsave') },
  { name: 'aligned',      perForm: 20,  programs: false, flags: AC, mnemonics: words('add neg mov movzx xchg xadd cmpxchg cmpxchg8b cmpxchg16b bt bts shl shld mul imul div popcnt movnti xlatb prefetcht0 jmp call ret push pop pushf pushfq popf popfq enter leave movsb movsw movsd movsq stosb stosd lodsw scasq cmpsd movups movupd movdqu movaps movss movlps movhpd movd movq movntdq movntq addps addss addsd cvtpi2ps cvtps2pd cvtsd2si ucomisd paddb punpcklbw psllw pshufd pinsrw maskmovdqu maskmovq ldmxcsr stmxcsr fxsave fxrstor fadd fiadd fcom fld fst fstp fild fistp fbld fbstp fldcw fnstcw fnstsw fnstenv fldenv fnsave frstor') },
];

/** Forms that decode as others, and near branches with 16-bit operands: AMD and Intel disagree on those. */
const NOT_TESTED =
  /^(Fstpnce|Reservednop|Prefetchreserved)|_rel(8_)?16|^(Jmp|Call)_(rm16|m16)|^Retnw|_D[CE]D[08]$|^[SLM]fence_|^Bswap_r16/;
const FEATURES = new Set([
  ...[CpuidFeature.INTEL8086, CpuidFeature.INTEL186, CpuidFeature.INTEL286],
  ...[CpuidFeature.INTEL386, CpuidFeature.INTEL486, CpuidFeature.X64, CpuidFeature.PAUSE],
  ...[CpuidFeature.FPU, CpuidFeature.FPU287, CpuidFeature.FPU387, CpuidFeature.SSE],
  ...[CpuidFeature.SSE2, CpuidFeature.SSE3, CpuidFeature.MMX, CpuidFeature.CMOV, CpuidFeature.CX8],
  ...[CpuidFeature.CMPXCHG16B, CpuidFeature.POPCNT, CpuidFeature.FXSR],
  ...[CpuidFeature.MULTIBYTENOP, CpuidFeature.PREFETCHW, CpuidFeature.MSR, CpuidFeature.SYSCALL],
]);

function isTested(code: Code): boolean {
  if (NOT_TESTED.test(Code[code]!)) return false;
  const info = CodeExt.opCode(code);
  const fits = info.isAvailableInMode(64) && info.encoding === EncodingKind.Legacy;
  const real = fits && info.isInstruction && !info.fwait;
  info.free();
  return (
    real &&
    Instruction.create(code)
      .cpuidFeatures()
      .every((feature) => FEATURES.has(feature))
  );
}

const ALL_CODES = Object.values(Code).filter((code): code is Code => typeof code === 'number');

const byMnemonic = new Map<string, Code[]>();
for (const code of ALL_CODES) {
  const name = Mnemonic[CodeExt.opCode(code).mnemonic]!.toLowerCase();
  const known = byMnemonic.get(name);
  if (known) known.push(code);
  else byMnemonic.set(name, [code]);
}

/** Forms that share a mnemonic but belong elsewhere: the string MOVSD in strings, the SSE2 one among SSE moves. */
function belongs(family: Family, code: Code): boolean {
  const vector = /xmm|_mm/i.test(Code[code]!);
  if (family.name === 'strings') return !vector;
  if (family.name.startsWith('sse') && /^(Movsd|Cmpsd)_/.test(Code[code]!)) return vector;
  return !/_(cr|dr|tr)$|_Sreg|_(cr|dr|tr)_|(ES|CS|SS|DS|FS|GS)$/.test(Code[code]!);
}

/** Every form of a family: iced-x86's codes that exist in 64-bit mode with the features that we announce. */
export function formsOf(family: Family): Code[] {
  const codes = family.mnemonics.flatMap((name) => byMnemonic.get(name) ?? []);
  return codes.filter((code) => isTested(code) && belongs(family, code));
}
