/** Where the operands of an instruction are found: in its record at run time, or known when code is emitted. */

import type { CodeMode, Operand, Operands, Repeat, Value } from '../x86/builder.js';
import { segmentEntry } from '../x86/segment-state.js';
import { SEGMENT, SLOT } from '../x86/state.js';
import type { IntegerBuilder } from './integer-builder.js';
import { RECORD } from './record.js';

/** Which fields of a record hold an operand. */
export type Field = 'dst' | 'src' | 'imm' | 'memory' | 'target';
/**
 * How a memory operand's address is made: base + disp; + index << scale; all of it, with segment and 32-bit
 * addresses; a 64-bit number in the instruction, with segment.
 */
export type MemoryShape = 'base' | 'index' | 'full' | 'absolute';
/** A branch within its page has a link to its target; one to another page looks it up. */
export type TargetShape = 'near' | 'cross';

export interface PlacedOperand extends Operand {
  readonly field: Field;
  readonly shape: MemoryShape | TargetShape | undefined;
}

/** How the semantics of one instruction find its operands. All values are i32 host addresses or i64. */
export interface OperandSource {
  /** Host address of a register operand, or of the immediate. */
  slot(operand: PlacedOperand): Value;
  /** The value of an operand that is known when code is emitted. */
  constant?(operand: PlacedOperand): Value | undefined;
  /** Effective address without the segment base. */
  offset(operand: PlacedOperand, plus?: Value): Value;
  /** Host address of the segment base; undefined if it is known to be 0. */
  segment(operand: PlacedOperand): Value | undefined;
  /** Address a near branch goes to. */
  target(): Value;
  rip(): Value;
  nextRip(): Value;
}

const NO_OPERAND: PlacedOperand = { kind: 'immediate', bits: 0, field: 'imm', shape: undefined };

/** The form an instruction has besides its operands: only string instructions have more than the plain one. */
export interface StringForm {
  readonly repeat: Repeat;
  readonly narrow: boolean;
}

export const PLAIN: StringForm = { repeat: 'none', narrow: false };

export function operandList(placed: readonly PlacedOperand[], form: StringForm): Operands {
  const [dst = NO_OPERAND, src = NO_OPERAND, third = NO_OPERAND] = placed;
  return { size: dst.bits, dst, src, third, count: placed.length, ...form };
}

/** Operands read from the record that a variable points to. */
export class RecordOperands implements OperandSource {
  readonly #b: IntegerBuilder;
  readonly #record: Value;
  readonly #mode: CodeMode;

  constructor(builder: IntegerBuilder, record: Value, mode: CodeMode) {
    this.#b = builder;
    this.#record = record;
    this.#mode = mode;
  }

  slot({ field }: PlacedOperand): Value {
    const b = this.#b;
    if (field === 'dst') return b.hostLoad(this.#record, 'i32', 2, RECORD.DST);
    if (field === 'src') return b.hostLoad(this.#record, 'i32', 4, RECORD.SRC);
    return b.op('i32.add', this.#record, b.const(32, RECORD.IMM));
  }

  offset(operand: PlacedOperand, plus?: Value): Value {
    return this.#mode.bits === 64 ? this.#offset64(operand, plus) : this.#offset32(operand, plus);
  }

  #offset64({ shape }: PlacedOperand, plus?: Value): Value {
    const b = this.#b;
    const added = (value: Value): Value => (plus ? b.add(value, plus) : value);
    if (shape === 'absolute') return added(b.hostLoad(this.#record, 'i64', 8, RECORD.IMM));
    const disp = b.hostLoad(this.#record, 'i64', 4, RECORD.DISP, true);
    const withBase = b.add(this.#register(RECORD.BASE), disp);
    if (shape === 'base') return added(withBase);
    const scale = b.hostLoad(this.#record, 'i64', 1, RECORD.SCALE);
    const whole = added(b.add(withBase, b.op('i64.shl', this.#register(RECORD.INDEX), scale)));
    if (shape === 'index') return whole;
    const narrow = b.hostLoad(this.#record, 'i32', 1, RECORD.NARROW);
    return b.select(narrow, b.and(whole, b.const(64, 0xffff_ffff)), whole);
  }

  /** Addresses wrap at 4 GiB; with NARROW at 64 KiB. */
  #offset32({ shape }: PlacedOperand, plus?: Value): Value {
    const b = this.#b;
    const added = (value: Value): Value => (plus ? b.add(value, b.truncate(plus, 32)) : value);
    if (shape === 'absolute') {
      return b.zeroExtend(added(b.hostLoad(this.#record, 'i32', 4, RECORD.IMM)), 64);
    }
    const disp = b.hostLoad(this.#record, 'i32', 4, RECORD.DISP);
    const withBase = b.add(this.#register32(RECORD.BASE), disp);
    if (shape === 'base') return b.zeroExtend(added(withBase), 64);
    const scale = b.hostLoad(this.#record, 'i32', 1, RECORD.SCALE);
    const index = b.op('i32.shl', this.#register32(RECORD.INDEX), scale);
    const whole = added(b.add(withBase, index));
    if (shape === 'index') return b.zeroExtend(whole, 64);
    const narrow = b.hostLoad(this.#record, 'i32', 1, RECORD.NARROW);
    return b.zeroExtend(b.select(narrow, b.and(whole, b.const(32, 0xffff)), whole), 64);
  }

  segment({ shape }: PlacedOperand): Value | undefined {
    if (shape !== 'full' && shape !== 'absolute') return undefined;
    return this.#b.hostLoad(this.#record, 'i32', 2, RECORD.SEGMENT);
  }

  target(): Value {
    const b = this.#b;
    return this.#inCode(b.add(this.#page(), b.hostLoad(this.#record, 'i64', 8, RECORD.IMM)));
  }

  rip(): Value {
    const b = this.#b;
    const word = b.hostLoad(this.#record, 'i64', 2, RECORD.OFFSET);
    return this.#inCode(b.add(this.#page(), b.and(word, b.const(64, 0xfff))));
  }

  nextRip(): Value {
    const b = this.#b;
    const word = b.hostLoad(this.#record, 'i64', 2, RECORD.OFFSET);
    const offset = b.add(b.and(word, b.const(64, 0xfff)), b.shrU(word, 12));
    return this.#inCode(b.add(this.#page(), offset));
  }

  #inCode(linear: Value): Value {
    return codeOffset(this.#b, linear, this.#mode);
  }

  /** The low half of the register whose address is in a 16-bit field. */
  #register32(field: number): Value {
    return this.#b.hostLoad(this.#b.hostLoad(this.#record, 'i32', 2, field), 'i32');
  }

  #page(): Value {
    return this.#b.hostLoad(this.#b.const(32, SLOT.PAGE_VA), 'i64');
  }

  /** The 64-bit register whose address is in a 16-bit field. */
  #register(field: number): Value {
    return this.#b.hostLoad(this.#b.hostLoad(this.#record, 'i32', 2, field), 'i64');
  }
}

const wrapped = (b: IntegerBuilder, value: Value): Value => b.and(value, b.const(64, 0xffff_ffff));
const codeBase = (b: IntegerBuilder): Value =>
  b.hostLoad(b.const(32, segmentEntry(SEGMENT.CS)), 'i64');

/** What RIP says of a linear address: it wraps at 4 GiB outside 64-bit mode, and CS may have a base. */
export function codeOffset(b: IntegerBuilder, linear: Value, mode: CodeMode): Value {
  if (mode.bits === 64) return linear;
  return wrapped(b, mode.isSegmented ? b.sub(linear, codeBase(b)) : linear);
}

/** The linear address of what RIP says. */
export const codeAddress = (b: IntegerBuilder, rip: Value, mode: CodeMode): Value =>
  mode.isSegmented ? wrapped(b, b.add(rip, codeBase(b))) : rip;
