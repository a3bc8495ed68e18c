/**
 * The builder: what the semantics of an instruction are written over.
 *
 * A semantics function runs once, when the engine is made, and emits WebAssembly through these methods; the
 * values it handles are names of values at run time. Everything that can fault (reads, `readForWrite`,
 * translations) must come before the first write, so that a faulting instruction leaves no trace.
 *
 * Integers of 8, 16 and 32 bits are i32 values, zero-extended; those of 64 bits are i64. A Value remembers its
 * width, and the integer operations below keep it.
 */

import type { Op } from './ops.js';

export type Type = 'i32' | 'i64' | 'f32' | 'f64' | 'v128';

/** A value at run time. `bits` is its width: 8, 16, 32, 64 or 128. */
export interface Value {
  readonly type: Type;
  readonly bits: number;
}

/** A value that can be assigned again, for use across `if` and `loop`. */
export interface Variable extends Value {
  readonly variable: true;
}

/** An explicit operand of the instruction. Which register or address it is, the semantics do not see. */
export interface Operand {
  readonly kind: 'register' | 'memory' | 'immediate' | 'target';
  /** Width; of memory: what the instruction accesses. */
  readonly bits: number;
}

/** The operands in the order of the manual. */
export interface Operands {
  /** Width of the first operand. */
  readonly size: number;
  readonly dst: Operand;
  readonly src: Operand;
  readonly third: Operand;
  readonly count: number;
  /** String instructions: the repeat prefix, and whether rsi, rdi and rcx are used by half (64 to 32 bits, 32 to 16). */
  readonly repeat: Repeat;
  readonly narrow: boolean;
}

export type Repeat = 'none' | 'rep' | 'repne';

/** Where an access goes when its address is not canonical: #GP(0), or #SS(0) for the stack. */
export type Space = 'data' | 'stack';

/** A condition of Jcc, SETcc and CMOVcc by its encoding: 0 O, 1 NO, 2 B, 3 AE, 4 E, 5 NE, 6 BE, 7 A, 8 S, 9 NS, 10 P, 11 NP, 12 L, 13 GE, 14 LE, 15 G. */
export type Condition = number;

/** The status flags, lazily: see lazy-flags.ts. Booleans are i32 values 0 or 1. */
export interface Flags {
  /** After `result = left + right` (or with carry in): all six flags. */
  add(left: Value, right: Value, result: Value): void;
  /** After `result = left - right` (or with borrow in): all six flags. */
  sub(left: Value, right: Value, result: Value): void;
  /** After AND, OR, XOR, TEST: CF = OF = AF = 0. */
  logic(result: Value): void;
  /** After INC: CF stays. */
  inc(result: Value): void;
  /** After DEC: CF stays. */
  dec(result: Value): void;
  /** SF, ZF, PF from the result, AF = 0, CF and OF as given. */
  result(result: Value, carry: Value, overflow: Value): void;
  /** As `result`, with bit 31 of an i32 for CF and bit 30 for CF ^ OF: its other bits are ignored. */
  resultTop(result: Value, top: Value): void;
  /** CF and CF ^ OF as for `resultTop`, the others stay. */
  top(top: Value): void;
  /** CF and OF as given, the others stay. */
  carryOverflow(carry: Value, overflow: Value): void;
  /** CF as given, the others stay. */
  setCarry(carry: Value): void;
  /** ZF as given, the others stay. */
  setZero(zero: Value): void;
  /** All six from an i32 laid out as RFLAGS. */
  load(rflags: Value): void;
  carry(): Value;
  zero(): Value;
  sign(): Value;
  overflow(): Value;
  parity(): Value;
  adjust(): Value;
  /** The six flags in their places in RFLAGS, as an i32. */
  status(): Value;
  test(condition: Condition): Value;
}

/** A function of the host that generated code may call; implemented in JavaScript. */
export interface HostFunction {
  readonly name: string;
  readonly params: readonly Type[];
  readonly result?: Type;
}

/** For which code semantics are emitted: 64-bit code, 32-bit code in flat segments, or any other with its segments. */
export interface CodeMode {
  /** Width of addresses and of the stack pointer, as far as it is known. */
  readonly bits: 64 | 32;
  /** Bases and limits count, and the stack pointer may have 16 bits. */
  readonly isSegmented: boolean;
}

export interface Builder {
  readonly mode: CodeMode;
  readonly flags: Flags;

  // ---- operands
  /** The value of an operand: an integer, or v128 if it is 128 bits wide. A memory operand may fault. */
  read(operand: Operand): Value;
  /** As `read`, but first makes sure that `write` of the same operand cannot fault. */
  readForWrite(operand: Operand): Value;
  /** Makes sure that a later `write` of this operand cannot fault. */
  probeWrite(operand: Operand): void;
  /** A 32-bit write to a general register clears its upper half; 8 and 16-bit writes keep the rest. */
  write(operand: Operand, value: Value): void;
  /** The low part of an XMM/MM/general register, or memory, as a value of this type (its width, not the operand's). */
  readAs(operand: Operand, type: Type): Value;
  /** Writes only as many bytes as the value has: the rest of an XMM register stays. */
  writeAs(operand: Operand, value: Value): void;
  /** As `read` of 128 bits from memory, but a misaligned address is #GP(0). Registers: plain read. */
  readAligned(operand: Operand): Value;
  writeAligned(operand: Operand, value: Value): void;
  /**
   * The linear address of a memory operand (i64); `plus` belongs to the offset. Faults if its segment does not allow the
   * ACCESS (READ, unless given).
   */
  address(operand: Operand, plus?: Value, access?: number): Value;
  /** The effective address without the segment base: what LEA gives (i64). */
  offset(operand: Operand, plus?: Value): Value;
  /** The linear address of an offset in the segment of a memory operand. */
  place(operand: Operand, offset: Value, access: number): Value;
  /** The linear address of so many bytes at an offset in a segment (SEGMENT: ES, SS, DS): may fault. */
  linear(segment: number, offset: Value, bytes: number, access: number): Value;

  /** Host address of a register operand: tells which register it is. */
  slot(operand: Operand): Value;

  // ---- registers and processor state
  /** Bits of general register `n` (GPR), low part. */
  reg(n: number, bits: number): Value;
  setReg(n: number, value: Value): void;
  /** A field of the processor state (SLOT in state.ts), zero-extended from `bytes` for integers. */
  state(slot: number, type: Type, bytes?: number): Value;
  setState(slot: number, value: Value, bytes?: number): void;
  /** Address of this instruction (i64). */
  rip(): Value;
  /** Address of the next instruction (i64). */
  nextRip(): Value;

  // ---- memory by address (i64)
  load(address: Value, bits: number, space?: Space): Value;
  loadAs(address: Value, type: Type, space?: Space): Value;
  store(address: Value, value: Value, space?: Space): void;
  /** A host address good for reading `bytes` from the address: see `hostLoad`. May fault; may be a scratch copy. */
  translateRead(address: Value, bytes: number | Value, space?: Space): Value;
  /** A host address good for reading and writing. After the last `hostStore` to it, call `commit`. May fault. */
  translateWrite(address: Value, bytes: number | Value, space?: Space): Value;
  hostLoad(host: Value, type: Type, bytes?: number, offset?: number): Value;
  hostStore(host: Value, value: Value, bytes?: number, offset?: number): void;
  commit(host: Value): void;
  /** Copies between host addresses as if all were read before any is written. */
  memoryCopy(to: Value, from: Value, bytes: Value): void;
  memoryFill(to: Value, byte: Value, bytes: Value): void;

  // ---- integers
  const(bits: number, value: number | bigint): Value;
  add(left: Value, right: Value): Value;
  sub(left: Value, right: Value): Value;
  mul(left: Value, right: Value): Value;
  and(left: Value, right: Value): Value;
  or(left: Value, right: Value): Value;
  xor(left: Value, right: Value): Value;
  not(value: Value): Value;
  neg(value: Value): Value;
  /** Shifts by an i32 or constant below the width. */
  shl(value: Value, count: Value | number): Value;
  shrU(value: Value, count: Value | number): Value;
  shrS(value: Value, count: Value | number): Value;
  zeroExtend(value: Value, bits: number): Value;
  signExtend(value: Value, bits: number): Value;
  /** The low bits. */
  truncate(value: Value, bits: number): Value;
  // comparisons give i32 0 or 1
  eq(left: Value, right: Value): Value;
  ne(left: Value, right: Value): Value;
  ltU(left: Value, right: Value): Value;
  ltS(left: Value, right: Value): Value;
  isZero(value: Value): Value;
  /** The top bit as an i32 0 or 1. */
  signBit(value: Value): Value;
  select(condition: Value, yes: Value, no: Value): Value;

  // ---- anything else WebAssembly can do
  /** A primitive operation by name, lanes given as numbers: `b.op('i32x4.extract_lane', v, 0)`. */
  op(name: Op, ...operands: readonly (Value | number)[]): Value;
  shuffle(left: Value, right: Value, lanes: readonly number[]): Value;
  v128(bytes: readonly number[]): Value;
  f32(value: number): Value;
  f64(value: number): Value;
  /** Calls a function of the host (see host-functions.ts). */
  call(target: HostFunction, ...args: readonly Value[]): Value;

  // ---- control
  /** A copy that can be assigned again. */
  variable(initial: Value): Variable;
  assign(variable: Variable, value: Value): void;
  if(condition: Value, then: () => void, otherwise?: () => void): void;
  /** Runs the body; `again()` inside it goes back to its start. */
  loop(body: (again: () => void) => void): void;
  /** Runs the body; `leave()` inside it goes to its end. */
  block(body: (leave: () => void) => void): void;

  // ---- ends of the instruction: what follows them in the same path is not reached
  /** To the target operand of a near branch, if the condition holds; else to the next instruction. */
  branchIf(condition: Value): void;
  /** To the target operand of a near branch. */
  branchNear(): void;
  /** To an address (i64). */
  branch(target: Value): void;
  /** This instruction once more: what REP does. It counts as retired. */
  repeat(): void;
  /** An exception with rip at this instruction. */
  raise(vector: number, errorCode?: number | Value): void;
  /** Leaves with the exception that a host function has recorded, if the condition holds. */
  raiseRecorded(condition: Value): void;
  /** An exception if the condition, which is unlikely, holds. */
  raiseIf(condition: Value, vector: number, errorCode?: number | Value): void;
  /** An exception with rip after this instruction. */
  raiseTrap(vector: number): void;
  /** Leaves with EXIT `reason`, rip at this instruction. */
  exitBefore(reason: number, vector?: Value): void;
  /** Leaves with EXIT `reason`, rip after this instruction. */
  exitAfter(reason: number): void;
  /** After the instruction the engine looks at rflags again: TF may have been set. */
  resync(): void;
  /** Ends as a host function says: OUTCOME.NEXT, BRANCH (to SLOT.RIP), EXIT_BEFORE, EXIT_AFTER. */
  finish(outcome: Value): void;
  /** #NM if CR0.TS or CR0.EM is set: what x87, MMX and SSE instructions begin with. */
  requireFpu(kind: 'x87' | 'sse'): void;
}

/** How an instruction ended: what cold functions and host functions return. */
// biome-ignore format: one row per outcome
export const OUTCOME = {
  NEXT:        0, // go on with the next instruction
  BRANCH:      1, // go on at SLOT.RIP
  EXIT_BEFORE: 2, // leave with SLOT.EXIT_REASON, rip at this instruction
  EXIT_AFTER:  3, // the same, rip after it
  NEXT_BLOCK:  4, // as NEXT, for instructions that end a block
  EXIT_AT:     5, // leave with SLOT.EXIT_REASON, rip as SLOT.RIP has it
} as const;

/** The semantics of one instruction: emits it. */
export type Semantics = (b: Builder, o: Operands) => void;
