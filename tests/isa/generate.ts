/** Makes the cases of a family: every form, operands at the edges, flags and control words in, faults of every kind. */

import { Code, CodeExt, MemorySizeExt } from 'iced-x86';
import { CaseBuilder } from './case-builder.js';
import { type Family, formsOf } from './families.js';
import {
  type Case,
  CODE,
  CODE_BYTES,
  FSW_OFFSET,
  FTW_OFFSET,
  STATE_AREA,
  TOLERANCE,
} from './format.js';
import { float80, type Lanes } from './operand-values.js';
import { type Choices, Operands } from './operands.js';
import { type Random, seedOf } from './random.js';
import { setUpFor } from './set-up.js';

const STATUS_FLAGS = 0x8d5; // CF PF AF ZF SF OF
const DIRECTION_FLAG = 0x400;
const RSP = 4;

/** What XMM operands of this form hold, by the letters at the end of its mnemonic. */
export function lanesOf(code: Code, family: Family | undefined, random: Random): Lanes {
  const name = Code[code]!.split('_')[0]!.toLowerCase();
  if (family?.lanes !== undefined) return family.lanes;
  if (/^cvt(t?)(dq|pi|si)2/.test(name)) return 'integer';
  if (/^cvt(t?)[ps]s2|[ps]s$/.test(name)) return 'float32';
  if (/^cvt(t?)[ps]d2|[ps]d$/.test(name)) return 'float64';
  return random.pick(['float32', 'float64', 'integer'] as const);
}

/** The alignment of the memory operand without which this form faults, 1 if there is none. */
export function alignmentOf(code: Code): number {
  const info = CodeExt.opCode(code);
  const size = MemorySizeExt.size(info.memorySize);
  info.free();
  const name = Code[code]!;
  if (/^Fx/.test(name)) return 16;
  return size !== 16 || /^Mov(up|dqu)/.test(name) ? 1 : 16;
}

function randomMxcsr(random: Random): number {
  if (random.below(10) < 5) return 0x1f80;
  const sticky = random.oneIn(2) ? 0x20 : random.below(64);
  const rounding = random.below(4) << 13;
  const flush = random.oneIn(4) ? random.pick([0x8000, 0x0040, 0x8040]) : 0;
  // An exception that is not masked traps, whether or not its flag was set before.
  const masks = random.oneIn(4) ? 0x1f80 & ~(1 << (7 + random.below(6))) : 0x1f80;
  return masks | sticky | rounding | flush;
}

/** A stack of some depth, control word and status as they may be in life. */
export function randomX87(c: CaseBuilder): void {
  const { random } = c;
  const depth = random.oneIn(4) ? random.below(9) : 4 + random.below(5);
  const top = random.oneIn(4) ? random.below(8) : (8 - depth) & 7;
  let tags = 0;
  for (let st = 0; st < depth; st++) tags |= 1 << ((top + st) & 7);
  for (let st = 0; st < 8; st++) c.setSt(st, float80(random));
  const precision = random.pick([0x300, 0x300, 0x200, 0x000]);
  const rounding = random.oneIn(3) ? random.below(4) << 10 : 0;
  const masks = random.oneIn(12) ? 0x3f & ~(1 << random.below(6)) : 0x3f;
  const control = masks | 0x40 | precision | rounding;
  const exceptions = random.oneIn(4) ? random.below(64) : 0;
  const stackFault = exceptions & 1 && random.oneIn(2) ? 0x40 : 0;
  const pending = exceptions & ~masks ? 0x8080 : 0;
  const conditions = random.u32() & 0x4700;
  c.setX87(control, (top << 11) | conditions | exceptions | stackFault | pending, tags);
}

const isX87 = (code: Code) => /^(F(?!x)|Wait)/.test(Code[code]!);
const usesMmx = (code: Code) => /_mm|Movq2dq|Movdq2q|Emms|_m64_mm/.test(Code[code]!);
const TRANSCENDENTAL = /^(F2xm1|Fyl2x|Fptan|Fpatan|Fsin|Fcos)/;

function toleranceOf(code: Code) {
  const name = Code[code]!;
  if (/^R(cp|sqrt)[ps]s/.test(name)) return TOLERANCE.RECIPROCAL;
  if (/^(Fu?comi|Fcmov|Ffree)/.test(name)) return TOLERANCE.C1;
  return TRANSCENDENTAL.test(name) ? TOLERANCE.TRANSCENDENTAL : TOLERANCE.EXACT;
}

function choicesFor(code: Code, family: Family, random: Random): Choices {
  const plain = {
    lanes: lanesOf(code, family, random),
    program: false,
    alignment: random.oneIn(12) ? 1 : alignmentOf(code),
  };
  const writesState = /^(Fx(save|rstor)|Fnsave|Frstor|Fnstenv|Fldenv)/.test(Code[code]!);
  if (!writesState) return plain;
  // Where such a big operand faults first is every processor's own choice: it does not, but for its alignment.
  const misaligned = /^Fx/.test(Code[code]!) && random.oneIn(8);
  const bad = misaligned ? BigInt(STATE_AREA + 8) : 0x9000_0000_0000n;
  return { ...plain, address: random.oneIn(8) ? bad : BigInt(STATE_AREA) };
}

/** LOCK where it is allowed, rarely where it is not; then the instruction is undefined. */
function maybeLock(c: CaseBuilder, code: Code, operands: Operands): void {
  const info = CodeExt.opCode(code);
  if (info.canUseLockPrefix) {
    const memory = operands.list[0]?.kind === 'memory';
    if (memory ? c.random.oneIn(3) : c.random.oneIn(30)) operands.instruction.hasLockPrefix = true;
  }
  info.free();
}

/** Undefined bits as the SDM gives them; a shift by a known count of zero changes nothing. */
function undefinedFlags(operands: Operands): number {
  const ICED_FLAGS = [0x800, 0x80, 0x40, 0x10, 0x1, 0x4]; // OF SF ZF AF CF PF: RflagsBits in order
  const bits = operands.instruction.rflagsUndefined;
  return ICED_FLAGS.reduce((mask, flag, n) => (bits & (1 << n) ? mask | flag : mask), 0);
}

function attempt(code: Code, family: Family, seed: number): Case {
  const c = new CaseBuilder(seed);
  const { random } = c;
  c.setFlags(random.u32() & STATUS_FLAGS);
  if (random.oneIn(16)) c.setFlags(c.flags | DIRECTION_FLAG);
  c.setFlags(c.flags | (family.flags ?? 0));
  c.setMxcsr(randomMxcsr(random));
  // Programs rarely execute at the end of a page; instructions that straddle it are fetched from two.
  if (random.oneIn(20)) c.startAt(CODE + 0x1000 - random.below(6));
  // How much of an undefined instruction is fetched is every processor's own choice.
  const whole = family.name === 'undefined';
  if (random.oneIn(60) && !whole) c.startAt(CODE + CODE_BYTES - 1 - random.below(8));
  if (isX87(code)) randomX87(c);
  // What an approximation signals besides its result is not compared, so it must not trap.
  if (TRANSCENDENTAL.test(Code[code]!))
    c.setX87(0x37f, c.view.getUint16(FSW_OFFSET, true) & 0x7f00, c.state[FTW_OFFSET]!);
  else if (usesMmx(code) && random.oneIn(2))
    c.setX87(0x37f, random.below(8) << 11, random.below(256));
  const operands = new Operands(c, code, choicesFor(code, family, random));
  setUpFor(code)?.(c, operands);
  // Stepping, the host's kernel returns to the case by IRET, which wants a canonical stack pointer.
  if (family.flags && BigInt.asIntN(48, c.getGpr(RSP)) !== BigInt.asIntN(64, c.getGpr(RSP)))
    throw new Error('the stack pointer is not canonical');
  maybeLock(c, code, operands);
  c.emit(operands.instruction);
  c.undefinedFlags = undefinedFlags(operands);
  if (c.tolerance === TOLERANCE.EXACT) c.tolerance = toleranceOf(code);
  return c.finish();
}

/** @returns a case of the form, undefined if no encodable one was found (AH needs REX, and the like). */
export function makeCase(code: Code, family: Family, seed: number): Case | undefined {
  for (let retry = 0; retry < 20; retry++) {
    try {
      return attempt(code, family, (seed + retry * 0x1234567) | 0);
    } catch (error) {
      if (error instanceof Error && /generated/.test(error.message)) throw error;
    }
  }
  return undefined;
}

/** All cases of a family. `share` scales how many of each form; another `salt` gives other cases. */
export function familyCases(family: Family, salt: number, share = 1): Case[] {
  const base = seedOf(family.name) ^ Math.imul(salt, 0x9e3779b1);
  const perForm = Math.max(4, Math.round(family.perForm * share));
  const cases: Case[] = [];
  for (const code of formsOf(family))
    for (let n = 0; n < perForm; n++) {
      const made = makeCase(
        code,
        family,
        (base + Math.imul(code, 0x10001) + Math.imul(n, 0x3779)) | 0,
      );
      if (made) cases.push(made);
    }
  return cases;
}
