/**
 * String instructions: MOVS, STOS, LODS, CMPS, SCAS, alone and repeated.
 * Spec: SDM 1 §7.3.9; SDM 2B, REP.
 *
 * A repeated instruction does as many elements at once as lie in one page of each operand, then repeats itself:
 * registers are exact at each such step, so it can be interrupted there, and a fault loses nothing. Each step
 * counts as one instruction.
 */

import type { Builder, Operands, Semantics, Value } from './builder.js';
import type { Family } from './define.js';
import { ACCESS } from './processor.js';
import { GPR, RFLAGS, SEGMENT, SLOT } from './state.js';

const PAGE = 4096;

/** Width of rsi, rdi and rcx. */
const pointerBits = (b: Builder, o: Operands): number => (o.narrow ? b.mode.bits / 2 : b.mode.bits);

const pointer = (b: Builder, o: Operands, n: number): Value =>
  b.zeroExtend(b.reg(n, pointerBits(b, o)), 64);

/** The address of the target, which is in ES whatever the prefixes say. */
const target = (b: Builder, o: Operands, bytes: number, access: number): Value =>
  b.linear(SEGMENT.ES, pointer(b, o, GPR.RDI), bytes, access);

const setPointer = (b: Builder, o: Operands, n: number, value: Value): void =>
  b.setReg(n, b.truncate(value, pointerBits(b, o)));

/** Something wants to know about each element: TF, AC or a data breakpoint. */
const isWatched = (b: Builder): Value => b.state(SLOT.CAREFUL, 'i32');

const goesDown = (b: Builder): Value =>
  b.and(b.state(SLOT.SYSTEM_FLAGS, 'i32'), b.const(32, RFLAGS.DF));

/** Moves rsi or rdi past one element. */
function advance(b: Builder, o: Operands, n: number, bytes: number): void {
  const step = b.select(goesDown(b), b.const(64, -bytes), b.const(64, bytes));
  setPointer(b, o, n, b.add(pointer(b, o, n), step));
}

/** How many elements from an address on lie wholly in its page. */
function inPage(b: Builder, address: Value, bytes: number): Value {
  const offset = b.and(b.truncate(address, 32), b.const(32, PAGE - 1));
  const left = b.sub(b.const(32, PAGE), offset);
  return b.zeroExtend(b.shrU(left, Math.log2(bytes)), 64);
}

const least = (b: Builder, left: Value, right: Value): Value =>
  b.select(b.ltU(left, right), left, right);

/** What an instruction does with elements. */
interface StringSemantics {
  /** One element, rsi and rdi moved. */
  single(b: Builder, o: Operands): void;
  /** Upwards, up to `limit` elements by host addresses, rsi and rdi moved. @returns how many were done (i64). */
  many?(b: Builder, o: Operands, limit: Value): Value;
  /** Which operands there are: bounds of a step. */
  readonly usesSource: boolean;
  readonly usesTarget: boolean;
  /** Whether a repetition stops on ZF: CMPS and SCAS. */
  readonly compares: boolean;
}

/** The elements that can be done in one step: none if the next one crosses a page. */
function stepLimit(
  b: Builder,
  o: Operands,
  bytes: number,
  s: StringSemantics,
  count: Value,
): Value {
  let limit = count;
  if (s.usesSource) limit = least(b, limit, inPage(b, b.address(sourceOf(o)), bytes));
  if (s.usesTarget) limit = least(b, limit, inPage(b, target(b, o, bytes, ACCESS.READ), bytes));
  return limit;
}

/** rsi's operand, the only one that is given: the target is always es:rdi, the accumulator al to rax. */
const sourceOf = (o: Operands) => [o.dst, o.src].find(({ kind }) => kind === 'memory') ?? o.dst;

const repeated =
  (bytes: number, s: StringSemantics): Semantics =>
  (b, o) => {
    if (o.repeat === 'none') {
      s.single(b, o);
      return;
    }
    const bits = pointerBits(b, o);
    const count = b.zeroExtend(b.reg(GPR.RCX, bits), 64);
    const zero = b.const(64, 0);
    b.if(b.ne(count, zero), () => {
      const done = b.variable(b.const(64, 1));
      const many = b.mode.isSegmented ? undefined : s.many; // limits are looked at element by element
      if (many) {
        const limit = stepLimit(b, o, bytes, s, count);
        const isBulk = b.and(b.ne(limit, zero), b.isZero(b.or(goesDown(b), isWatched(b))));
        b.if(
          isBulk,
          () => b.assign(done, many(b, o, limit)),
          () => s.single(b, o),
        );
      } else s.single(b, o);
      const left = b.sub(count, done);
      b.setReg(GPR.RCX, b.truncate(left, bits));
      b.if(b.ne(left, zero), () => goOn(b, o, s));
    });
  };

/** REP repeats while rcx is not 0; REPE and REPNE of a comparison also stop on ZF. */
function goOn(b: Builder, o: Operands, { compares }: StringSemantics): void {
  if (compares) {
    const zero = b.flags.zero();
    b.if(o.repeat === 'rep' ? zero : b.isZero(zero), () => b.repeat());
  } else b.repeat();
}

const bytesOf = (b: Builder, elements: Value, bytes: number): Value =>
  b.truncate(b.shl(elements, Math.log2(bytes)), 32);

function moveBy(b: Builder, o: Operands, n: number, bytes: Value): void {
  setPointer(b, o, n, b.add(pointer(b, o, n), b.zeroExtend(bytes, 64)));
}

const elementType = (bytes: number): 'i32' | 'i64' => (bytes === 8 ? 'i64' : 'i32');

/** Runs the body for each of some elements, by their byte offset (i32). */
function each(b: Builder, bytes: number, total: Value, body: (offset: Value) => void): void {
  const offset = b.variable(b.const(32, 0));
  b.loop((again) => {
    body(offset);
    b.assign(offset, b.add(offset, b.const(32, bytes)));
    b.if(b.ltU(offset, total), again);
  });
}

// ---- MOVS

const movs = (bytes: number): StringSemantics => ({
  usesSource: true,
  usesTarget: true,
  compares: false,
  single(b, o) {
    const value = b.load(b.address(sourceOf(o)), bytes * 8);
    b.store(target(b, o, bytes, ACCESS.WRITE), value);
    advance(b, o, GPR.RSI, bytes);
    advance(b, o, GPR.RDI, bytes);
  },
  many(b, o, limit) {
    const total = bytesOf(b, limit, bytes);
    const from = b.translateRead(b.address(sourceOf(o)), total);
    const to = b.translateWrite(target(b, o, bytes, ACCESS.WRITE), total);
    // a target that starts within the source repeats what it wrote
    const overlaps = b.ltU(b.sub(to, from), total);
    b.if(
      overlaps,
      () =>
        each(b, bytes, total, (offset) => {
          const value = b.hostLoad(b.add(from, offset), elementType(bytes), bytes);
          b.hostStore(b.add(to, offset), value, bytes);
        }),
      () => b.memoryCopy(to, from, total),
    );
    moveBy(b, o, GPR.RSI, total);
    moveBy(b, o, GPR.RDI, total);
    return limit;
  },
});

// ---- STOS

const stos = (bytes: number): StringSemantics => ({
  usesSource: false,
  usesTarget: true,
  compares: false,
  single(b, o) {
    b.store(target(b, o, bytes, ACCESS.WRITE), b.reg(GPR.RAX, bytes * 8));
    advance(b, o, GPR.RDI, bytes);
  },
  many(b, o, limit) {
    const total = bytesOf(b, limit, bytes);
    const to = b.translateWrite(target(b, o, bytes, ACCESS.WRITE), total);
    const value = b.reg(GPR.RAX, bytes * 8);
    const low = b.reg(GPR.RAX, 8);
    const fill = (): void => b.memoryFill(to, low, total);
    if (bytes === 1) fill();
    else {
      const spread = b.const(
        value.bits,
        bytes === 8 ? 0x0101_0101_0101_0101n : 0x0101_0101 & (2 ** (bytes * 8) - 1),
      );
      const pattern = b.mul(b.zeroExtend(low, value.bits), spread);
      b.if(b.eq(pattern, value), fill, () =>
        each(b, bytes, total, (offset) => b.hostStore(b.add(to, offset), value, bytes)),
      );
    }
    moveBy(b, o, GPR.RDI, total);
    return limit;
  },
});

// ---- LODS

const lods = (bytes: number): StringSemantics => ({
  usesSource: true,
  usesTarget: false,
  compares: false,
  single(b, o) {
    b.setReg(GPR.RAX, b.load(b.address(sourceOf(o)), bytes * 8));
    advance(b, o, GPR.RSI, bytes);
  },
});

// ---- CMPS and SCAS

function compare(b: Builder, left: Value, right: Value): void {
  b.flags.sub(left, right, b.sub(left, right));
}

/** Does a repetition want this comparison to go on? */
const wantsMore = (b: Builder, o: Operands, left: Value, right: Value): Value =>
  o.repeat === 'rep' ? b.eq(left, right) : b.ne(left, right);

/** Compares elements until one ends the repetition or `total` bytes are done. @returns bytes done. */
function scan(
  b: Builder,
  o: Operands,
  bytes: number,
  total: Value,
  element: (offset: Value) => readonly [left: Value, right: Value],
): Value {
  const zero = b.const(bytes * 8, 0);
  const [left, right] = [b.variable(zero), b.variable(zero)];
  const done = b.variable(b.const(32, 0));
  b.loop((again) => {
    const [l, r] = element(done);
    b.assign(left, l);
    b.assign(right, r);
    b.assign(done, b.add(done, b.const(32, bytes)));
    b.if(b.and(b.ltU(done, total), wantsMore(b, o, left, right)), again);
  });
  compare(b, left, right);
  return done;
}

const elementsOf = (b: Builder, bytesDone: Value, bytes: number): Value =>
  b.zeroExtend(b.shrU(bytesDone, Math.log2(bytes)), 64);

const loadElement = (b: Builder, host: Value, bytes: number): Value => ({
  ...b.hostLoad(host, elementType(bytes), bytes),
  bits: bytes * 8,
});

const cmps = (bytes: number): StringSemantics => ({
  usesSource: true,
  usesTarget: true,
  compares: true,
  single(b, o) {
    const left = b.load(b.address(sourceOf(o)), bytes * 8);
    const right = b.load(target(b, o, bytes, ACCESS.READ), bytes * 8);
    compare(b, left, right);
    advance(b, o, GPR.RSI, bytes);
    advance(b, o, GPR.RDI, bytes);
  },
  many(b, o, limit) {
    const total = bytesOf(b, limit, bytes);
    const left = b.translateRead(b.address(sourceOf(o)), total);
    const right = b.translateRead(target(b, o, bytes, ACCESS.READ), total);
    const done = scan(b, o, bytes, total, (offset) => [
      loadElement(b, b.add(left, offset), bytes),
      loadElement(b, b.add(right, offset), bytes),
    ]);
    moveBy(b, o, GPR.RSI, done);
    moveBy(b, o, GPR.RDI, done);
    return elementsOf(b, done, bytes);
  },
});

const scas = (bytes: number): StringSemantics => ({
  usesSource: false,
  usesTarget: true,
  compares: true,
  single(b, o) {
    compare(b, b.reg(GPR.RAX, bytes * 8), b.load(target(b, o, bytes, ACCESS.READ), bytes * 8));
    advance(b, o, GPR.RDI, bytes);
  },
  many(b, o, limit) {
    const total = bytesOf(b, limit, bytes);
    const accumulator = b.reg(GPR.RAX, bytes * 8);
    const host = b.translateRead(target(b, o, bytes, ACCESS.READ), total);
    const done = scan(b, o, bytes, total, (offset) => [
      accumulator,
      loadElement(b, b.add(host, offset), bytes),
    ]);
    moveBy(b, o, GPR.RDI, done);
    return elementsOf(b, done, bytes);
  },
});

const suffixed = (mnemonic: string, operands: string): string[] =>
  operands.split(' ').map((form) => mnemonic + form);

export const stringOperations: Family = (define) => {
  // biome-ignore format: one row per instruction
  const rows: readonly (readonly [names: string[], semantics: (bytes: number) => StringSemantics])[] = [
    [suffixed('Movs', 'b_m8_m8 w_m16_m16 d_m32_m32 q_m64_m64'), movs],
    [suffixed('Stos', 'b_m8_AL w_m16_AX d_m32_EAX q_m64_RAX'), stos],
    [suffixed('Lods', 'b_AL_m8 w_AX_m16 d_EAX_m32 q_RAX_m64'), lods],
    [suffixed('Cmps', 'b_m8_m8 w_m16_m16 d_m32_m32 q_m64_m64'), cmps],
    [suffixed('Scas', 'b_AL_m8 w_AX_m16 d_EAX_m32 q_RAX_m64'), scas],
  ];
  for (const [names, semantics] of rows) {
    names.forEach((name, i) => {
      const bytes = 2 ** i;
      define([name], repeated(bytes, semantics(bytes)), { ends: true });
    });
  }
};
