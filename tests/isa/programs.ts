/** Random straight-line programs: instructions of all families one after the other, on registers and a little memory. */

import { Code, Instruction, OpKind } from 'iced-x86';
import { CaseBuilder } from './case-builder.js';
import { FAMILIES, type Family, formsOf } from './families.js';
import { type Case, DATA } from './format.js';
import { alignmentOf, lanesOf, randomX87 } from './generate.js';
import { integer, vectorBytes } from './operand-values.js';
import { Operands, PROGRAM_BASE, PROGRAM_INDEX } from './operands.js';
import { seedOf } from './random.js';

/** Forms whose implicit operands a program cannot bound: XLAT, memory bit offsets in registers, and the like. */
const NOT_IN_PROGRAMS =
  /^(Xlat|Bt[src]?_rm\d+_r|Mov_.*moffs|Pause|Maskmov|Fldcw|Prefetch|Bswap_r16|F(n)?st(cw|env)|[LSM]fence)/;
const STACK = 4;

/** Which instructions, besides the integer ones, a program may use. */
export const REPERTOIRES = ['integer', 'sse', 'x87'] as const;
export type Repertoire = (typeof REPERTOIRES)[number];

const repertoireOf = (family: Family): Repertoire =>
  family.name.startsWith('x87') ? 'x87' : family.name.startsWith('sse') ? 'sse' : 'integer';

function formsFor(repertoire: Repertoire): [Code, Family][] {
  const wanted = FAMILIES.filter((family) => {
    const kind = repertoireOf(family);
    return family.programs && (kind === repertoire || kind === 'integer');
  });
  return wanted.flatMap((family) =>
    formsOf(family)
      .filter((code) => !NOT_IN_PROGRAMS.test(Code[code]!) && !usesMmx(code))
      .map((code): [Code, Family] => [code, family]),
  );
}

const usesMmx = (code: Code) =>
  /_mm|_mm$|Movq2dq|Movdq2q|pi_/i.test(Code[code]!.replace('xmm', 'x'));

const conditionalJumps = FAMILIES.filter((family) => family.name === 'branches')
  .flatMap((family) => formsOf(family))
  .filter(
    (code) => /^J[a-z]+_rel32_64$/.test(Code[code]!) && !/^J(mp|ecxz|rcxz)/.test(Code[code]!),
  );

/** Flags as bits in iced-x86's order. */
interface FlagUse {
  /** Status flags that hold nothing defined. */
  undefined: number;
  /** The same at any place where the program may have ended: a jump, a pending x87 exception. */
  atEnds: number;
}

const ICED_TO_RFLAGS = [0x800, 0x80, 0x40, 0x10, 0x1, 0x4];
const STATUS = 0x3f;
const toRflags = (bits: number) =>
  ICED_TO_RFLAGS.reduce((sum, flag, n) => (bits & (1 << n) ? sum | flag : sum), 0);

function admissible(instruction: Instruction, use: FlagUse): boolean {
  return (instruction.rflagsRead & use.undefined) === 0;
}

/** A shift by CL may leave every flag as it was, so nothing becomes defined by it. */
function trackFlags(instruction: Instruction, use: FlagUse): void {
  const defined = instruction.rflagsWritten | instruction.rflagsCleared | instruction.rflagsSet;
  const byCl = /_CL$/.test(Code[instruction.code]!);
  if (!byCl) use.undefined &= ~defined;
  use.undefined |= instruction.rflagsUndefined & STATUS;
}

function emitOne(c: CaseBuilder, code: Code, family: Family, use: FlagUse): boolean {
  try {
    const alignment = alignmentOf(code);
    const operands = new Operands(c, code, {
      lanes: lanesOf(code, family, c.random),
      program: true,
      alignment,
    });
    if (!admissible(operands.instruction, use)) return false;
    c.emit(operands.instruction);
    trackFlags(operands.instruction, use);
    return true;
  } catch {
    return false; // not encodable so: another one will be
  }
}

/** A jump over the next few bytes would land inside an instruction: it goes to the very next one, or to an INT3 far away. */
function emitJump(c: CaseBuilder, use: FlagUse): void {
  const instruction = Instruction.create(c.random.pick(conditionalJumps));
  if (!admissible(instruction, use)) return;
  instruction.setOpKind(0, OpKind.NearBranch64);
  instruction.nearBranch64 = c.rip + (c.random.oneIn(3) ? 0x800n : 6n);
  use.atEnds |= use.undefined;
  c.emit(instruction);
}

function startState(c: CaseBuilder, repertoire: Repertoire): void {
  const { random } = c;
  for (let n = 0; n < 16; n++) c.setGpr(n, integer(random, 8));
  for (let n = 0; n < 16; n++)
    c.setXmm(n, vectorBytes(random, random.pick(['float32', 'float64', 'integer'] as const), 16));
  c.setGpr(PROGRAM_BASE, BigInt(DATA + 0x100));
  c.setGpr(PROGRAM_INDEX, BigInt(random.below(0x80)));
  c.setGpr(STACK, BigInt(DATA + 0x1800));
  c.setFlags(random.u32() & 0x8d5);
  if (random.oneIn(3)) c.setMxcsr(0x1f80 | (random.below(4) << 13) | random.below(64));
  if (repertoire === 'x87') randomX87(c);
}

const forms = new Map<Repertoire, [Code, Family][]>();

function makeProgram(seed: number, repertoire: Repertoire): Case {
  const c = new CaseBuilder(seed);
  const known = forms.get(repertoire) ?? formsFor(repertoire);
  forms.set(repertoire, known);
  startState(c, repertoire);
  const use: FlagUse = { undefined: 0, atEnds: 0 };
  const own = known.filter(([, family]) => repertoireOf(family) === repertoire);
  const length = 10 + c.random.below(31);
  for (let made = 0; made < length; ) {
    const [code, family] = c.random.pick(c.random.below(3) > 0 ? own : known);
    if (emitOne(c, code, family, use)) made++;
    if (repertoire === 'x87') use.atEnds |= use.undefined;
    if (c.random.oneIn(10)) emitJump(c, use);
  }
  c.undefinedFlags = toRflags(use.undefined | use.atEnds);
  return c.finish();
}

/** Programs that may use the integer instructions and one other part of the processor. */
export function programs(repertoire: Repertoire, salt: number, count: number): Case[] {
  const base = seedOf(`programs ${repertoire}`) ^ Math.imul(salt, 0x9e3779b1);
  return Array.from({ length: count }, (_, n) =>
    makeProgram((base + Math.imul(n, 0x10001)) | 0, repertoire),
  );
}
