/** What the operands of an instruction do not say: implicit registers and memory, made likely to matter. */

import { Code, Register } from 'iced-x86';
import type { CaseBuilder } from './case-builder.js';
import { DATA, TOLERANCE } from './format.js';
import { float80, integer } from './operand-values.js';
import { jumpTarget, type Operand, type Operands, place } from './operands.js';

const [RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI] = [0, 1, 2, 3, 4, 5, 6, 7];

type SetUp = (c: CaseBuilder, operands: Operands) => void;

const sizeOf = (operands: Operands): number => operands.list[0]?.size ?? 8;

/** Gives an operand a value after it was chosen. */
function setOperand(c: CaseBuilder, operand: Operand, value: bigint): void {
  if (operand.kind === 'memory') c.setMemoryInteger(operand.address, value, operand.size);
  else if (operand.kind === 'gpr') c.setRegister(operand.register, value);
  operand.value = value;
}

const shiftCount: SetUp = (c, { instruction }) => {
  if (/_CL$/.test(Code[instruction.code]!))
    c.setRegister(Register.CL, BigInt(c.random.below(c.random.oneIn(3) ? 256 : 72)));
};

/** A double shift by more than the operand's width is undefined (SDM 2B, SHLD). */
const doubleShiftCount: SetUp = (c, operands) => {
  const count = c.random.oneIn(3) ? c.random.below(256) : c.random.below(72);
  const masked = sizeOf(operands) === 2 ? (count & ~31) | (count & 15) : count;
  if (/_CL$/.test(Code[operands.instruction.code]!)) c.setRegister(Register.CL, BigInt(masked));
  else operands.instruction.immediate8 = masked;
};

/** Half of the dividends are small enough for a quotient. */
const dividend: SetUp = (c, operands) => {
  const { random } = c;
  const size = sizeOf(operands);
  const low = integer(random, size);
  const high = random.pick([0n, 0n, -1n, BigInt(random.below(4)), integer(random, size)]);
  if (size === 1)
    c.setRegister(
      Register.AX,
      random.oneIn(2) ? BigInt.asUintN(16, BigInt(random.below(512) - 256)) : integer(random, 2),
    );
  else {
    c.setRegister([Register.AX, Register.EAX, Register.RAX][Math.log2(size) - 1]!, low);
    const sign = BigInt.asIntN(size * 8, low) >> BigInt(size * 8 - 1);
    c.setRegister(
      [Register.DX, Register.EDX, Register.RDX][Math.log2(size) - 1]!,
      random.oneIn(2) ? sign : high,
    );
  }
};

const multiplicand: SetUp = (c) => c.setGpr(RAX, integer(c.random, c.random.pick([1, 2, 4, 8])));

/** Bit offsets reach outside the operand, but mostly stay in data. */
const bitOffset: SetUp = (c, operands) => {
  const [target, offset] = operands.list;
  if (target?.kind === 'memory' && offset?.kind === 'gpr' && !c.random.oneIn(8))
    c.setRegister(offset.register, BigInt(c.random.below(0x4000) - 0x2000));
};

const equalHalf: SetUp = (c, operands) => {
  if (!c.random.oneIn(2)) c.setGpr(RAX, operands.list[0]!.value);
};

const equalPair: SetUp = (c, operands) => {
  const { size, value } = operands.list[0]!;
  if (c.random.oneIn(3)) return;
  const half = BigInt(size * 4);
  c.setGpr(RAX, BigInt.asUintN(size * 4, value) | (size === 8 ? c.random.u64() << 32n : 0n));
  c.setGpr(
    RDX,
    BigInt.asUintN(size * 4, value >> half) | (size === 8 ? c.random.u64() << 32n : 0n),
  );
};

/** Contents that are equal for a while at both places, or not at all. */
function fillStrings(c: CaseBuilder, from: bigint, to: bigint): void {
  const { random } = c;
  const pattern = integer(random, 8);
  if (!random.oneIn(3))
    for (const start of [from, to])
      for (let at = -64n; at < 64n; at += 8n) c.setMemoryInteger(start + at, pattern, 8);
  if (random.oneIn(2)) c.setMemoryInteger(to + BigInt(random.below(32)), integer(random, 1), 1);
  if (random.oneIn(2)) c.setGpr(RAX, pattern);
}

/** Two strings that may run into each other or into a fault. */
const strings: SetUp = (c, { instruction }) => {
  const { random } = c;
  const isCompare = /^Cmps/.test(Code[instruction.code]!);
  // CMPS reads both strings in an order that is the processor's own: only one of them may fault.
  const edge = () => place(c, random.oneIn(2) ? 64 : 8, 1);
  const from = isCompare ? BigInt(DATA + 0x400 + random.below(0x1000)) : edge();
  const to = random.oneIn(4) ? from + BigInt(random.below(20) - 10) : edge();
  fillStrings(c, from, to);
  c.setGpr(RSI, from);
  c.setGpr(RDI, to);
  const large = random.oneIn(10) ? integer(random, 2) : BigInt(random.below(24));
  c.setGpr(RCX, random.oneIn(4) ? 0n : large);
  if (random.oneIn(2)) c.setFlags(c.flags | 0x400);
  const repeated = random.below(3);
  if (repeated === 1) instruction.hasRepPrefix = true;
  if (repeated === 2 && /^(Cmps|Scas)/.test(Code[instruction.code]!))
    instruction.hasRepnePrefix = true;
};

const STACK_FLAGS = ~((1 << 8) | (1 << 18)); // TF would trap, AC would check the driver's own accesses

const enter: SetUp = (c, { instruction }) => {
  const { random } = c;
  instruction.immediate16 = random.below(random.oneIn(8) ? 65536 : 256);
  const levels = random.oneIn(4) ? 256 : 6;
  instruction.immediate8_2nd = random.oneIn(2) ? 0 : random.below(levels);
  c.setGpr(RBP, place(c, 64, 8));
  if (random.oneIn(2)) c.setGpr(RSP, BigInt(DATA + 0x800));
};

const stack: SetUp = (c, operands) => {
  const { random } = c;
  const name = Code[operands.instruction.code]!;
  const at = place(c, 8, random.oneIn(2) ? 8 : 1);
  c.setGpr(RSP, at);
  if (/^Ret/.test(name)) c.setMemoryInteger(at, jumpTarget(c), 8);
  else if (/^Popf/.test(name))
    c.setMemoryInteger(at, BigInt((random.u32() & STACK_FLAGS) >>> 0), 8);
  else c.setMemoryInteger(at, integer(random, 8), 8);
  if (/^Enter/.test(name)) enter(c, operands);
  if (/^Leave/.test(name)) c.setGpr(RBP, place(c, 8, random.oneIn(2) ? 8 : 1));
};

const jump: SetUp = (c, operands) => {
  const target = operands.list[0];
  const isIndirect = target?.kind === 'gpr' || target?.kind === 'memory';
  // CALL RSP pushes to where it goes: one fault at a time.
  const viaStack = target?.register === Register.RSP;
  if (isIndirect) setOperand(c, target, viaStack ? BigInt(DATA + 0x800) : jumpTarget(c));
  if (/^(Call|Ret)/.test(Code[operands.instruction.code]!) && !viaStack) stack(c, operands);
};

const counter: SetUp = (c) => {
  const value = c.random.pick([0n, 1n, 2n, 0x1_0000_0000n, 0x1_0000_0001n, integer(c.random, 8)]);
  c.setGpr(RCX, value);
};

const translate: SetUp = (c) => {
  c.setGpr(RBX, place(c, 1, 1) - (c.getGpr(RAX) & 0xffn));
};

const scatter: SetUp = (c) => c.setGpr(RDI, place(c, 16, 1));

const mxcsrOperand: SetUp = (c, operands) => {
  const reserved = c.random.oneIn(8) ? c.random.u32() & ~0x2_0000 : 0;
  setOperand(c, operands.list[0]!, BigInt(((c.random.u32() & 0xffff) | reserved) >>> 0));
};

/** An FXSAVE image that FXRSTOR takes, or refuses for its MXCSR. */
const fxImage: SetUp = (c, operands) => {
  const { address } = operands.list[0]!;
  const offset = Number(BigInt.asIntN(64, address)) - DATA;
  if (offset < 0 || offset + 512 > c.data.length) return;
  for (let at = 0; at < 416; at++) c.data[offset + at] = c.random.u32();
  c.dataView.setUint16(offset, 0x37f | (c.random.u32() & 0xf00), true);
  c.dataView.setUint16(offset + 2, c.random.u32() & 0x7f7f, true);
  c.dataView.setUint32(
    offset + 24,
    c.random.oneIn(8) ? c.random.u32() & ~0x2_0000 : c.random.u32() & 0xffff,
    true,
  );
  c.tolerance = TOLERANCE.FX_AREA;
};

/** An x87 environment (14 or 28 bytes) or state (94 or 108) whose control word masks everything. */
const x87Image: SetUp = (c, operands) => {
  const { address, size } = operands.list[0]!;
  const offset = Number(BigInt.asIntN(64, address)) - DATA;
  if (offset < 0 || offset + size > c.data.length) return;
  const wide = size === 28 || size === 108;
  for (let at = 0; at < size; at++) c.data[offset + at] = c.random.u32();
  c.dataView.setUint16(offset, 0x37f | (c.random.u32() & 0xf00), true);
  c.dataView.setUint16(offset + (wide ? 4 : 2), c.random.u32() & 0x7f7f, true);
  c.tolerance = wide ? TOLERANCE.X87_ENVIRONMENT_32 : TOLERANCE.X87_ENVIRONMENT_16;
};

const controlWord: SetUp = (c, operands) =>
  setOperand(c, operands.list[0]!, BigInt((c.random.u32() & 0xf3f) | 0x40));

/** F2XM1 and FYL2XP1 are defined for small arguments only. */
const smallArgument: SetUp = (c) => {
  const x = float80(c.random);
  const exponent = Number((x >> 64n) & 0x7fffn);
  const small = BigInt(
    exponent === 0x7fff || exponent === 0 ? exponent : 0x3ffd - c.random.below(70),
  );
  c.setSt(0, (x & ~(0x7fffn << 64n)) | (small << 64n));
};

/** INT 3, 4 and 0x80 do something on Linux; the others are refused. */
const gate: SetUp = (c, { instruction }) => {
  instruction.immediate8 = c.random.pick([0, 1, 5, 13, 14, 0x20, 0x82, 0xff]);
};

// biome-ignore format: one row per group of mnemonics
const SET_UPS: readonly (readonly [RegExp, SetUp])[] = [
  [/^(Shl|Shr|Sal|Sar|Rol|Ror|Rcl|Rcr)_/,                             shiftCount],
  [/^Sh[lr]d_/,                                                       doubleShiftCount],
  [/^I?div_/,                                                         dividend],
  [/^I?mul_rm(8|16|32|64)$/,                                          multiplicand],
  [/^Bt[srcq]?_rm/,                                                   bitOffset],
  [/^Cmpxchg_/,                                                       equalHalf],
  [/^Cmpxchg(8|16)b/,                                                 equalPair],
  [/^(Movs|Stos|Lods|Scas|Cmps)[bwdq]_(m|[A-Z]+_m|R?[ABCD]?[LX])/,    strings],
  [/^(Push|Pop|Enter|Leave)/,                                         stack],
  [/^(Jmp|Call|Ret)/,                                                 jump],
  [/^(Loop|Jr?e?cxz)/,                                                counter],
  [/^Xlat/,                                                           translate],
  [/^Maskmov/,                                                        scatter],
  [/^Ldmxcsr/,                                                        mxcsrOperand],
  [/^Fx(save|rstor)/,                                                 fxImage],
  [/^(Fn?save|Frstor|Fldenv|Fnstenv)/,                                x87Image],
  [/^Int_imm8/,                                                       gate],
  [/^Fldcw/,                                                          controlWord],
  [/^(F2xm1|Fyl2xp1)/,                                                smallArgument],
];

/** @returns what to do after the operands of `code` were chosen, undefined if nothing. */
export function setUpFor(code: Code): SetUp | undefined {
  const name = Code[code]!;
  return SET_UPS.find(([pattern]) => pattern.test(name))?.[1];
}
