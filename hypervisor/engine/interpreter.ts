/**
 * Makes the interpreter: one WebAssembly module with a loop over decoded records, one case for each hot form of an
 * instruction and one function for each of the others.
 *
 *   exit:    leaves                 lookup:  finds the record of `target` through the execute TLB
 *   short:   the budget ends here   dispatch: runs the case of the record at pc
 *
 * The budget is paid by blocks: entering a record costs the number of instructions up to the end of its block,
 * and leaving a block early pays back what was not run. So a straight line of instructions counts nothing.
 */

import { OUTCOME, type Type, type Value } from '../x86/builder.js';
import { EXIT, VECTOR } from '../x86/processor.js';
import { SLOT } from '../x86/state.js';
import { type Case, FIRST_COLD } from './cases.js';
import { emitAdvance, emitEnterBlock, FunctionEnds, type Loop, LoopEnds } from './ends.js';
import { POOL } from './function-builder.js';
import type { Fusion } from './fusion.js';
import { InstructionBuilder } from './instruction-builder.js';
import type { IntegerBuilder } from './integer-builder.js';
import type { FlagStore } from './lazy-flags-builder.js';
import { TLB_EXECUTE, tlbEntry } from './mmu.js';
import {
  codeAddress,
  codeOffset,
  operandList,
  RecordOperands,
  type TargetShape,
} from './operands.js';
import { INTERNAL, PSEUDO, RECORD, TLB } from './record.js';
import { FETCH, type Runtime } from './runtime.js';
import type { FunctionBody, Signature } from './wasm-module.js';

/** Parameter of the interpreter: the budget. Result: an EXIT or INTERNAL reason. */
export const RUN_SIGNATURE: Signature = { params: ['i32'], results: ['i32'] };
/** Parameter of a cold function: the record. Result: an OUTCOME. */
export const COLD_SIGNATURE: Signature = { params: ['i32'], results: ['i32'] };

// biome-ignore format: one row
const LOCAL = { BUDGET: 0, PC: 1, RESULT: 2, AUX: 3, TARGET: 4, STATUS: 5 } as const;
const FIXED: readonly Type[] = ['i32', 'i64', 'i32', 'i64', 'i32'];

const inLocals = (b: IntegerBuilder): FlagStore => {
  const result = b.fixed(LOCAL.RESULT);
  const aux = b.fixed(LOCAL.AUX);
  return {
    result: () => result,
    setResult: (value) => b.assign(result, value),
    aux: () => aux,
    setAux: (value) => b.assign(aux, value),
  };
};

export const inMemory = (b: IntegerBuilder): FlagStore => ({
  result: () => b.hostLoad(b.const(32, SLOT.FRES), 'i64'),
  setResult: (value) => b.hostStore(b.const(32, SLOT.FRES), value, 8),
  aux: () => b.hostLoad(b.const(32, SLOT.FAUX), 'i32'),
  setAux: (value) => b.hostStore(b.const(32, SLOT.FAUX), value, 4),
});

export interface InterpreterParts {
  readonly runtime: Runtime;
  readonly hot: readonly Case[];
  readonly fused: readonly Fusion[];
  /** CR0.TS and CR0.EM are known to be clear: inlined SSE instructions do not test them. */
  readonly hasFpu: boolean;
  /** Index of COLD_SIGNATURE among the module's types. */
  readonly coldType: number;
}

export function emitCold(item: Case, runtime: Runtime): FunctionBody {
  const b = new InstructionBuilder(COLD_SIGNATURE, [], runtime, inMemory);
  const source = new RecordOperands(b, b.fixed(0), runtime.mode);
  b.begin(source, new FunctionEnds(b, source));
  item.definition.body(b, operandList(item.operands, item.form));
  b.return(b.const(32, item.definition.options.ends ? OUTCOME.NEXT_BLOCK : OUTCOME.NEXT));
  return b.body();
}

export function emitInterpreter(parts: InterpreterParts): FunctionBody {
  const b = new InstructionBuilder(RUN_SIGNATURE, FIXED, parts.runtime, inLocals, POOL.SMALL);
  if (parts.hasFpu) b.assumeFpu();
  const pc = b.fixed(LOCAL.PC);
  const status = b.fixed(LOCAL.STATUS);
  const target = b.fixed(LOCAL.TARGET);
  const budget = b.fixed(LOCAL.BUDGET);
  emitReloadFlags(b);
  b.assign(target, b.state(SLOT.RIP, 'i64'));
  b.labelled('block', (exit) => {
    b.labelled('block', (short) => {
      b.labelled('loop', (lookup) => {
        const partial = { pc, status, target, budget, exit, short, lookup };
        emitLookup(b, { ...partial, dispatch: lookup });
        b.labelled('loop', (dispatch) => emitDispatch(b, { ...partial, dispatch }, parts));
      });
      b.unreachable();
    });
    b.setState(SLOT.EXIT_REASON, b.const(32, INTERNAL.SHORT));
    b.assign(status, b.const(32, OUTCOME.EXIT_BEFORE));
  });
  emitLeave(b);
  return b.body();
}

function emitReloadFlags(b: InstructionBuilder): void {
  b.assign(b.fixed(LOCAL.RESULT), b.state(SLOT.FRES, 'i64'));
  b.assign(b.fixed(LOCAL.AUX), b.state(SLOT.FAUX, 'i32'));
}

function emitSpillFlags(b: InstructionBuilder): void {
  b.setState(SLOT.FRES, b.fixed(LOCAL.RESULT));
  b.setState(SLOT.FAUX, b.fixed(LOCAL.AUX));
}

/** target → pc, paid for; leaves with a page fault or INTERNAL.DECODE if there is none. */
function emitLookup(b: InstructionBuilder, loop: Loop): void {
  const { target } = loop;
  b.release();
  emitLimitCheck(b, loop, b.const(64, 1));
  const linear = codeAddress(b, target, b.mode);
  const page = b.and(linear, b.const(64, -4096));
  const entry = tlbEntry(b, linear);
  const tag = b.hostLoad(entry, 'i64', 8, TLB_EXECUTE);
  b.if(
    b.ne(tag, page),
    () => {
      const fetched = b.runtime('fetch', [linear]);
      b.if(b.op('i32.eqz', fetched), () => {
        b.setState(SLOT.RIP, target);
        b.assign(loop.status, b.const(32, OUTCOME.EXIT_AT));
        b.br(loop.exit);
      });
      const noCode = b.op('i32.eq', fetched, b.const(32, FETCH.NO_CODE));
      b.if(noCode, () => emitMustDecode(b, loop));
    },
    undefined,
    false,
  );
  const map = b.hostLoad(entry, 'i32', 4, TLB_EXECUTE + TLB.MAP);
  const offset = b.and(b.op('i32.wrap_i64', linear), b.const(32, 0xfff));
  const record = b.hostLoad(b.op('i32.add', map, b.shl(offset, 2)), 'i32');
  b.if(b.op('i32.eqz', record), () => emitMustDecode(b, loop), undefined, false);
  const word = (): Value => b.hostLoad(record, 'i64', 2, RECORD.OFFSET);
  if (b.mode.isSegmented) emitLimitCheck(b, loop, b.shrU(word(), 12));
  b.setState(SLOT.PAGE_VA, page);
  b.setState(SLOT.CODE_MAP, map);
  b.assign(loop.pc, record);
  const count = b.hostLoad(record, 'i32', 1, RECORD.COUNT);
  b.assign(loop.budget, b.op('i32.sub', loop.budget, count));
  b.brIf(loop.short, b.op('i32.lt_s', loop.budget, b.const(32, 0)), false);
}

/** Code in segments runs up to the limit: #GP(0) for an instruction of so many bytes at `target` that goes beyond it. */
function emitLimitCheck(b: InstructionBuilder, loop: Loop, bytes: Value): void {
  if (!b.mode.isSegmented) return;
  const end = b.add(loop.target, bytes);
  const beyond = b.ltU(b.state(SLOT.CODE_END, 'i64'), end);
  const refuse = (): void => {
    b.setState(SLOT.RIP, loop.target);
    b.setState(SLOT.EXIT_REASON, b.const(32, EXIT.EXCEPTION));
    b.setState(SLOT.EXIT_VECTOR, b.const(32, VECTOR.GP));
    b.setState(SLOT.EXIT_ERROR, b.const(32, 0));
    b.assign(loop.status, b.const(32, OUTCOME.EXIT_AT));
    b.br(loop.exit);
  };
  b.if(beyond, refuse, undefined, false);
}

function emitMustDecode(b: InstructionBuilder, loop: Loop): void {
  b.setState(SLOT.RIP, loop.target);
  b.setState(SLOT.EXIT_REASON, b.const(32, INTERNAL.DECODE));
  b.assign(loop.status, b.const(32, OUTCOME.EXIT_AT));
  b.br(loop.exit);
}

function emitDispatch(b: InstructionBuilder, loop: Loop, parts: InterpreterParts): void {
  const op = b.hostLoad(loop.pc, 'i32', 2, RECORD.OP);
  // each case goes on by itself: a common tail costs a jump, and the branch predictor much of its history
  const goOn = (): void => {
    emitAdvance(b, loop);
    b.br(loop.dispatch);
  };
  const pseudo = pseudoCases(b, loop, goOn);
  const hot = parts.hot.map((item) => () => {
    b.flags.forget();
    emitHot(b, loop, item);
    if (item.definition.options.ends) {
      emitAdvance(b, loop);
      emitEnterBlock(b, loop);
    } else goOn();
  });
  const fused = parts.fused.map(({ first, second }) => () => {
    b.flags.forget();
    emitHot(b, loop, first);
    emitAdvance(b, loop);
    emitHot(b, loop, second);
    goOn();
  });
  b.switch(op, [...pseudo, ...hot, ...fused], () => emitCallCold(b, loop, parts, goOn));
}

function emitHot(b: InstructionBuilder, loop: Loop, item: Case): void {
  const source = new RecordOperands(b, loop.pc, b.mode);
  const shape = item.operands.find(({ field }) => field === 'target')?.shape as TargetShape;
  b.begin(source, new LoopEnds(b, loop, source, shape ?? 'near'));
  item.definition.body(b, operandList(item.operands, item.form));
}

function emitCallCold(
  b: InstructionBuilder,
  loop: Loop,
  parts: InterpreterParts,
  goOn: () => void,
): void {
  // always true; said to be unlikely so that V8 spills the loop's registers here and not at each dispatch
  const op = b.hostLoad(loop.pc, 'i32', 2, RECORD.OP);
  const isCold = b.op('i32.ge_u', op, b.const(32, FIRST_COLD));
  const call = (): void => {
    emitSpillFlags(b);
    const index = b.op('i32.sub', op, b.const(32, FIRST_COLD));
    const outcome = b.callIndirect(parts.coldType, COLD_SIGNATURE, [loop.pc], index);
    emitReloadFlags(b);
    b.if(b.op('i32.eqz', outcome), goOn);
    b.if(b.op('i32.eq', outcome, b.const(32, OUTCOME.NEXT_BLOCK)), () => {
      emitAdvance(b, loop);
      emitEnterBlock(b, loop);
    });
    b.if(b.op('i32.eq', outcome, b.const(32, OUTCOME.BRANCH)), () => {
      b.assign(loop.target, b.state(SLOT.RIP, 'i64'));
      b.br(loop.lookup);
    });
    b.assign(loop.status, outcome);
    b.br(loop.exit);
  };
  b.if(isCold, call, undefined, false);
  b.unreachable();
}

/** In the order of PSEUDO. */
function pseudoCases(b: InstructionBuilder, loop: Loop, goOn: () => void): (() => void)[] {
  const { pc } = loop;
  const leave = (reason: number): void => {
    b.setState(SLOT.EXIT_REASON, b.const(32, reason));
    b.assign(loop.status, b.const(32, OUTCOME.EXIT_BEFORE));
    b.br(loop.exit);
  };
  const relativeTarget = (): Value => {
    const linear = b.add(b.state(SLOT.PAGE_VA, 'i64'), b.hostLoad(pc, 'i64', 8, RECORD.IMM));
    return codeOffset(b, linear, b.mode);
  };
  const link = (): void => {
    const offset = b.hostLoad(pc, 'i32', 4, RECORD.IMM);
    const at = b.op('i32.add', b.state(SLOT.CODE_MAP, 'i32'), b.shl(offset, 2));
    const record = b.hostLoad(at, 'i32');
    b.if(b.op('i32.eqz', record), () => {
      b.assign(loop.target, relativeTarget());
      emitMustDecode(b, loop);
    });
    b.hostStore(b.hostLoad(pc, 'i32', 4, RECORD.SRC), record, 4, RECORD.LINK);
    b.assign(pc, record);
    emitEnterBlock(b, loop);
  };
  const follow = (): void => {
    b.assign(pc, b.hostLoad(pc, 'i32', 4, RECORD.LINK));
    emitEnterBlock(b, loop);
  };
  const cross = (): void => {
    b.assign(loop.target, relativeTarget());
    b.br(loop.lookup);
  };
  const straddle = (): void => {
    const page = b.add(b.state(SLOT.PAGE_VA, 'i64'), b.const(64, 4096));
    // code that runs over the end of 4 GiB is left to fault there
    const entry = tlbEntry(b, page);
    const tag = b.hostLoad(entry, 'i64', 8, TLB_EXECUTE);
    b.if(b.ne(tag, page), () => void b.runtime('fetch', [page]), undefined, false); // a fault is found again when it is decoded
    const isPage = b.eq(b.hostLoad(entry, 'i64', 8, TLB_EXECUTE), page);
    const id = b.hostLoad(entry, 'i32', 4, TLB_EXECUTE + TLB.MAP_ID);
    const isCode = b.op('i32.eq', id, b.hostLoad(pc, 'i32', 4, RECORD.IMM));
    b.if(b.and(isPage, isCode), goOn);
    leave(INTERNAL.STRADDLE);
  };
  const cases: (() => void)[] = [];
  cases[PSEUDO.STOP] = () => leave(INTERNAL.STOP);
  cases[PSEUDO.LINK] = link;
  cases[PSEUDO.GOTO] = follow;
  cases[PSEUDO.CROSS] = cross;
  cases[PSEUDO.STRADDLE] = straddle;
  cases[PSEUDO.FENCE] = () => {
    b.fence();
    goOn();
  };
  return cases;
}

/** Pays back what was not run, makes rip exact, spills, returns the reason. */
function emitLeave(b: InstructionBuilder): void {
  b.release();
  const [pc, status, budget] = [b.fixed(LOCAL.PC), b.fixed(LOCAL.STATUS), b.fixed(LOCAL.BUDGET)];
  b.if(b.ne(status, b.const(32, OUTCOME.EXIT_AT)), () => {
    const after = b.op('i32.eq', status, b.const(32, OUTCOME.EXIT_AFTER));
    const word = b.hostLoad(pc, 'i32', 2, RECORD.OFFSET);
    const length = b.shrU({ ...word, bits: 32 }, 12);
    const unrun = b.op('i32.sub', b.hostLoad(pc, 'i32', 1, RECORD.COUNT), after);
    b.assign(budget, b.op('i32.add', budget, unrun));
    const start = b.and({ ...word, bits: 32 }, b.const(32, 0xfff));
    const offset = b.op('i32.add', start, b.select(after, length, b.const(32, 0)));
    const linear = b.add(b.state(SLOT.PAGE_VA, 'i64'), b.zeroExtend({ ...offset, bits: 32 }, 64));
    b.setState(SLOT.RIP, codeOffset(b, linear, b.mode));
    b.setState(SLOT.EXIT_LENGTH, length);
  });
  b.setState(SLOT.BUDGET, budget);
  b.setState(SLOT.EXIT_RECORD, pc);
  emitSpillFlags(b);
  b.return(b.state(SLOT.EXIT_REASON, 'i32'));
}
