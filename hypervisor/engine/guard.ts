/**
 * What looks at accesses while TF, AC or a breakpoint makes the engine careful: alignment and data breakpoints.
 * Spec: SDM 3A §6.15, interrupt 17 (#AC); SDM 3B §17.2.5 (which accesses hit a data breakpoint).
 */

import { PAGE_SIZE } from '../machine/layout.js';
import type { Value, Variable } from '../x86/builder.js';
import { ACCESS, EXIT, VECTOR } from '../x86/processor.js';
import { RFLAGS, SLOT } from '../x86/state.js';
import type { IntegerBuilder } from './integer-builder.js';
import { INTERNAL } from './record.js';
import { FETCH, GUARD, type Runtime } from './runtime.js';

/** Debug registers that hold an address. */
const BREAKPOINTS = 4;

const field = (b: IntegerBuilder, slot: number, type: 'i32' | 'i64' = 'i32'): Value =>
  b.hostLoad(b.const(32, slot), type);
const setField = (b: IntegerBuilder, slot: number, value: number): void =>
  b.hostStore(b.const(32, slot), b.const(32, value), 4);

/** Leaves `fetch` for a page with an execution breakpoint, unless the instruction is run alone. */
export function emitBreakCheck(b: IntegerBuilder, page: Value): void {
  b.if(field(b, SLOT.BREAKS), () => {
    b.if(b.isZero(field(b, SLOT.ALONE)), () => {
      for (let n = 0; n < BREAKPOINTS; n++) {
        const isHere = b.eq(page, field(b, SLOT.BREAK_PAGE + n * 8, 'i64'));
        b.if(isHere, () => b.return(b.const(32, FETCH.NO_CODE)));
      }
    });
  });
}

/**
 * Asks the guard if one is posted; the slow path returns 0 if it says to leave.
 * @param access address, bytes, ACCESS. @returns not 0 if the page must stay out of the TLB.
 */
export function emitCallGuard(
  b: IntegerBuilder,
  { internal }: Runtime,
  access: readonly Value[],
): Value {
  const answer = b.variable(b.const(32, GUARD.FILL));
  b.if(field(b, SLOT.CAREFUL), () => {
    b.assign(answer, b.callIndex(internal.guard.index, internal.guard.signature, access));
    b.if(b.op('i32.eq', answer, b.const(32, GUARD.LEAVE)), () => b.return(b.const(32, 0)));
  });
  return answer;
}

/** The function `guard`: address, bytes, ACCESS → GUARD. CR0.AM is taken to be set, and CPL to be 3. */
export function emitGuard(b: IntegerBuilder): void {
  const [address, bytes, access] = [b.fixed(0), b.fixed(1), b.fixed(2)];
  const answer = b.variable(b.const(32, GUARD.FILL));
  const isChecked = b.and(field(b, SLOT.SYSTEM_FLAGS), b.const(32, RFLAGS.AC));
  b.if(isChecked, () => {
    emitAlignmentCheck(b, address, bytes);
    b.assign(answer, b.const(32, GUARD.KEEP_OUT));
  });
  b.if(field(b, SLOT.WATCHES), () => {
    for (let n = 0; n < BREAKPOINTS; n++) emitWatch(b, n, { address, bytes, access, answer });
  });
  b.return(answer);
}

/** An address that is not canonical is #GP or #SS first. Ten bytes want the alignment of eight. */
function emitAlignmentCheck(b: IntegerBuilder, address: Value, bytes: Value): void {
  const sign = b.op('i64.shr_s', b.shl(address, 16), b.const(64, 16));
  const top = b.op('i32.sub', b.const(32, 31), b.op('i32.clz', bytes));
  const mask = b.sub(b.shl(b.const(32, 1), top), b.const(32, 1));
  const low = b.and(b.op('i32.wrap_i64', address), mask);
  b.if(b.select(b.eq(sign, address), low, b.const(32, 0)), () => {
    setField(b, SLOT.EXIT_REASON, EXIT.EXCEPTION);
    setField(b, SLOT.EXIT_VECTOR, VECTOR.AC);
    setField(b, SLOT.EXIT_ERROR, 0);
    b.return(b.const(32, GUARD.LEAVE));
  });
}

interface Access {
  readonly address: Value;
  readonly bytes: Value;
  readonly access: Value;
  readonly answer: Variable;
}

/** A hit is noted if the instruction runs alone; if not, it is to be run again so. */
function emitWatch(b: IntegerBuilder, n: number, { address, bytes, access, answer }: Access): void {
  const first = field(b, SLOT.WATCH_FIRST + n * 8, 'i64');
  const page = b.const(64, -PAGE_SIZE);
  b.if(b.eq(b.and(address, page), b.and(first, page)), () =>
    b.assign(answer, b.const(32, GUARD.KEEP_OUT)),
  );
  const end = b.add(address, b.op('i64.extend_i32_u', b.sub(bytes, b.const(32, 1))));
  const isLow = b.op('i64.le_u', address, field(b, SLOT.WATCH_LAST + n * 8, 'i64'));
  const isHigh = b.op('i64.ge_u', end, first);
  const isWrite = b.op('i32.eq', access, b.const(32, ACCESS.WRITE));
  const isKind = b.or(isWrite, field(b, SLOT.WATCH_READS + n * 4));
  b.if(b.and(b.and(isLow, isHigh), isKind), () => {
    b.if(
      field(b, SLOT.ALONE),
      () => {
        const hits = b.or(field(b, SLOT.HITS), b.const(32, 1 << n));
        b.hostStore(b.const(32, SLOT.HITS), hits, 4);
      },
      () => {
        setField(b, SLOT.EXIT_REASON, INTERNAL.WATCH);
        b.return(b.const(32, GUARD.LEAVE));
      },
    );
  });
}
