/** How instructions leave: out of the interpreter's loop, and out of a cold function. */

import { OUTCOME, type Value, type Variable } from '../x86/builder.js';
import { VECTOR } from '../x86/processor.js';
import { SLOT } from '../x86/state.js';
import type { Label } from './function-builder.js';
import type { Ends, InstructionBuilder } from './instruction-builder.js';
import type { OperandSource, TargetShape } from './operands.js';
import { RECORD } from './record.js';

/** Fixed locals and labels of the interpreter's loop. */
export interface Loop {
  readonly pc: Variable;
  readonly budget: Variable;
  /** Where `lookup` goes. */
  readonly target: Variable;
  /** OUTCOME of what leaves through `exit`. */
  readonly status: Variable;
  /** Leaves the interpreter, status set. */
  readonly exit: Label;
  /** The budget ends within the block at pc. */
  readonly short: Label;
  /** Goes on at `target`. */
  readonly lookup: Label;
  /** Goes on at pc, which is paid for. */
  readonly dispatch: Label;
}

/** Pays for the block at pc and goes there. */
export function emitEnterBlock(b: InstructionBuilder, loop: Loop): void {
  const count = b.hostLoad(loop.pc, 'i32', 1, RECORD.COUNT);
  b.assign(loop.budget, b.op('i32.sub', loop.budget, count));
  b.brIf(loop.short, b.op('i32.lt_s', loop.budget, b.const(32, 0)), false);
  b.br(loop.dispatch);
}

export function emitAdvance(b: InstructionBuilder, loop: Loop): void {
  b.assign(loop.pc, b.op('i32.add', loop.pc, b.const(32, RECORD.SIZE)));
}

export class LoopEnds implements Ends {
  readonly #b: InstructionBuilder;
  readonly #loop: Loop;
  readonly #source: OperandSource;
  readonly #shape: TargetShape;

  constructor(b: InstructionBuilder, loop: Loop, source: OperandSource, shape: TargetShape) {
    this.#b = b;
    this.#loop = loop;
    this.#source = source;
    this.#shape = shape;
  }

  fault(): void {
    this.#leave(OUTCOME.EXIT_BEFORE);
  }

  trap(): void {
    this.#leave(OUTCOME.EXIT_AFTER);
  }

  branch(target: Value): void {
    this.#b.assign(this.#loop.target, target);
    this.#b.br(this.#loop.lookup);
  }

  branchIf(condition: Value | undefined): void {
    if (this.#shape === 'near') this.#near(condition);
    else this.#cross(condition);
  }

  repeat(): void {
    emitEnterBlock(this.#b, this.#loop);
  }

  finish(): void {
    throw new Error('a host function ends an instruction only where it is not hot');
  }

  #near(condition: Value | undefined): void {
    const b = this.#b;
    const { pc } = this.#loop;
    const linked = b.hostLoad(pc, 'i32', 4, RECORD.LINK);
    const next = b.op('i32.add', pc, b.const(32, RECORD.SIZE));
    b.assign(pc, condition ? b.select(condition, linked, next) : linked);
    emitEnterBlock(b, this.#loop);
  }

  #cross(condition: Value | undefined): void {
    const b = this.#b;
    const take = (): void => this.branch(this.#source.target());
    if (!condition) {
      take();
      return;
    }
    b.if(condition, take);
    emitAdvance(b, this.#loop);
    emitEnterBlock(b, this.#loop);
  }

  #leave(status: number): void {
    this.#b.assign(this.#loop.status, this.#b.const(32, status));
    this.#b.br(this.#loop.exit);
  }
}

/** In a function that returns an OUTCOME. */
export class FunctionEnds implements Ends {
  readonly #b: InstructionBuilder;
  readonly #source: OperandSource;

  constructor(b: InstructionBuilder, source: OperandSource) {
    this.#b = b;
    this.#source = source;
  }

  fault(): void {
    this.#return(OUTCOME.EXIT_BEFORE);
  }

  trap(): void {
    this.#return(OUTCOME.EXIT_AFTER);
  }

  branch(target: Value): void {
    this.#b.setState(SLOT.RIP, target);
    this.#return(OUTCOME.BRANCH);
  }

  branchIf(condition: Value | undefined): void {
    const take = (): void => {
      const target = this.#source.target();
      this.#requireInside(target);
      this.branch(target);
    };
    if (!condition) {
      take();
      return;
    }
    this.#b.if(condition, take);
    this.#return(OUTCOME.NEXT_BLOCK);
  }

  repeat(): void {
    this.branch(this.#source.rip());
  }

  finish(outcome: Value): void {
    this.#b.return(outcome);
  }

  /** A branch beyond the limit of the code segment is a #GP of its own. */
  #requireInside(target: Value): void {
    const b = this.#b;
    if (!b.mode.isSegmented) return;
    b.raiseIf(b.isZero(b.ltU(target, b.state(SLOT.CODE_END, 'i64'))), VECTOR.GP);
  }

  #return(outcome: number): void {
    this.#b.return(this.#b.const(32, outcome));
  }
}
