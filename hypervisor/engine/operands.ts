/** Where the operands of an instruction are found: in its record at run time, or known when code is emitted. */

import type { Operand, Operands, Repeat, Value } from '../x86/builder.js';
import { SLOT } from '../x86/state.js';
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
  /** Effective address without and with the segment base. */
  offset(operand: PlacedOperand, plus?: Value): Value;
  address(operand: PlacedOperand, plus?: Value): Value;
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

  constructor(builder: IntegerBuilder, record: Value) {
    this.#b = builder;
    this.#record = record;
  }

  slot({ field }: PlacedOperand): Value {
    const b = this.#b;
    if (field === 'dst') return b.hostLoad(this.#record, 'i32', 2, RECORD.DST);
    if (field === 'src') return b.hostLoad(this.#record, 'i32', 4, RECORD.SRC);
    return b.op('i32.add', this.#record, b.const(32, RECORD.IMM));
  }

  offset({ shape }: PlacedOperand, plus?: Value): Value {
    const b = this.#b;
    const added = (value: Value): Value => (plus ? b.add(value, plus) : value);
    if (shape === 'absolute') return added(b.hostLoad(this.#record, 'i64', 8, RECORD.IMM));
    const disp = b.hostLoad(this.#record, 'i64', 4, RECORD.DISP, true);
    const withBase = b.add(this.#register(RECORD.BASE), disp);
    if (shape === 'base') return added(withBase);
    const scale = b.hostLoad(this.#record, 'i64', 1, RECORD.SCALE);
    const whole = added(b.add(withBase, b.op('i64.shl', this.#register(RECORD.INDEX), scale)));
    if (shape === 'index') return whole;
    const narrow = b.hostLoad(this.#record, 'i32', 1, RECORD.ADDRESS32);
    return b.select(narrow, b.and(whole, b.const(64, 0xffff_ffff)), whole);
  }

  address(operand: PlacedOperand, plus?: Value): Value {
    const offset = this.offset(operand, plus);
    return operand.shape === 'full' || operand.shape === 'absolute'
      ? this.#b.add(offset, this.#register(RECORD.SEGMENT))
      : offset;
  }

  target(): Value {
    const b = this.#b;
    return b.add(this.#page(), b.hostLoad(this.#record, 'i64', 8, RECORD.IMM));
  }

  rip(): Value {
    const b = this.#b;
    const word = b.hostLoad(this.#record, 'i64', 2, RECORD.OFFSET);
    return b.add(this.#page(), b.and(word, b.const(64, 0xfff)));
  }

  nextRip(): Value {
    const b = this.#b;
    const word = b.hostLoad(this.#record, 'i64', 2, RECORD.OFFSET);
    const offset = b.add(b.and(word, b.const(64, 0xfff)), b.shrU(word, 12));
    return b.add(this.#page(), offset);
  }

  #page(): Value {
    return this.#b.hostLoad(this.#b.const(32, SLOT.PAGE_VA), 'i64');
  }

  /** The 64-bit register whose address is in a 16-bit field. */
  #register(field: number): Value {
    return this.#b.hostLoad(this.#b.hostLoad(this.#record, 'i32', 2, field), 'i64');
  }
}
