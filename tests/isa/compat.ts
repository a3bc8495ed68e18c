/**
 * Cases of 64-bit code that mean the same as 32-bit code: the same bytes, the same operands, addresses below 4 GiB. What
 * the processor did with them in 64-bit mode is then what it does in compatibility mode.
 */

import {
  Code,
  Decoder,
  DecoderOptions,
  type Instruction,
  OpKind,
  Register,
  RegisterExt,
} from 'iced-x86';
import { type Case, GS_BASE, type Outcome, RIP_OFFSET } from './format.js';
import type { Vector } from './vectors.js';

const LIMIT = 1n << 32n;
const PAGE_FAULT = 14;
const SIZE_OF_LARGEST_OPERAND = 512n;
/** Images that have XMM8 to XMM15 in 64-bit mode only, and what pushes a return address. */
const DIFFERENT = /^(Fx(save|rstor)|Call)/;
const [RCX, RSP, RBP, RSI, RDI] = [1, 4, 5, 6, 7];

/** 64-bit operands of strings, and what they are in 32-bit code. */
// biome-ignore format: one row per kind
const STRING_KINDS = new Map<OpKind, OpKind>([
  [OpKind.MemorySegRSI, OpKind.MemorySegESI],
  [OpKind.MemorySegRDI, OpKind.MemorySegEDI],
  [OpKind.MemoryESRDI,  OpKind.MemoryESEDI],
]);

function decode(test: Case, bits: 32 | 64): Instruction[] {
  const decoder = new Decoder(
    bits,
    test.code,
    DecoderOptions.NoMPFX_0FBC | DecoderOptions.NoMPFX_0FBD,
  );
  decoder.ip = viewOf(test).getBigUint64(RIP_OFFSET, true);
  const decoded: Instruction[] = [];
  while (decoder.canDecode) decoded.push(decoder.decode());
  decoder.free();
  return decoded;
}

const viewOf = ({ state }: Case) => new DataView(state.buffer, state.byteOffset);
const full = (register: Register): Register =>
  register === Register.None ? register : RegisterExt.fullRegister(register);
/** Branches have a code for each mode. */
const form = (code: Code): string => Code[code]!.replace(/_(rel8|rel32)_(64|32)/, '_$1');

function isSameOperand(a: Instruction, b: Instruction, n: number): boolean {
  const kind = a.opKind(n);
  if (kind === OpKind.NearBranch64) return a.nearBranchTarget === b.nearBranchTarget;
  if (kind === OpKind.Register) return b.opKind(n) === kind && a.opRegister(n) === b.opRegister(n);
  return (STRING_KINDS.get(kind) ?? kind) === b.opKind(n);
}

function isSame(a: Instruction, b: Instruction): boolean {
  if (a.length !== b.length || form(a.code) !== form(b.code) || DIFFERENT.test(form(a.code)))
    return false;
  const isAddressed =
    full(a.memoryBase) === full(b.memoryBase) &&
    full(a.memoryIndex) === full(b.memoryIndex) &&
    a.memorySegment === b.memorySegment &&
    BigInt.asUintN(32, a.memoryDisplacement) === BigInt.asUintN(32, b.memoryDisplacement);
  return (
    isAddressed &&
    Array.from({ length: a.opCount }, (_, n) => n).every((n) => isSameOperand(a, b, n))
  );
}

/** Do all operands of the instruction lie below 4 GiB? Only the first instruction of a program finds the initial state. */
function isLow(test: Case, instruction: Instruction): boolean {
  const view = viewOf(test);
  const value = (register: Register): bigint => {
    if (register === Register.None) return 0n;
    if (register === Register.AL) return view.getBigUint64(0, true) & 0xffn;
    return view.getBigUint64((full(register) - Register.RAX) * 8, true);
  };
  const isWide = (register: number) => view.getBigUint64(register * 8, true) >= LIMIT;
  if (instruction.isStackInstruction && [RSP, RBP].some(isWide)) return false;
  for (let n = 0; n < instruction.opCount; n++) {
    const kind = instruction.opKind(n);
    if (STRING_KINDS.has(kind) && [RCX, RSI, RDI].some(isWide)) return false;
    if (kind !== OpKind.Memory) continue;
    const index = value(instruction.memoryIndex) * BigInt(instruction.memoryIndexScale);
    const base = instruction.memorySegment === Register.GS ? BigInt(GS_BASE) : 0n;
    const address = value(instruction.memoryBase) + index + instruction.memoryDisplacement + base;
    if (BigInt.asUintN(64, address) >= LIMIT - SIZE_OF_LARGEST_OPERAND) return false;
  }
  return true;
}

const isHigh = ({ vector, cr2 }: Outcome): boolean => vector === PAGE_FAULT && cr2 >= LIMIT;

/** Does the case mean the same in 32-bit code? Of longer programs only those with no operands in memory do for sure. */
function meansTheSame(test: Case): boolean {
  const [wide, narrow] = [decode(test, 64), decode(test, 32)];
  const same = wide.length === narrow.length && wide.every((a, n) => isSame(a, narrow[n]!));
  const low = same && wide.length === 1 && isLow(test, wide[0]!);
  for (const instruction of [...wide, ...narrow]) instruction.free();
  return low;
}

/** Those of some recorded cases that are cases of 32-bit code, too. */
export const inCompatibilityMode = (vectors: readonly Vector[]): Vector[] =>
  vectors.filter(({ test, outcome }) => !isHigh(outcome) && meansTheSame(test));
