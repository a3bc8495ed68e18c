/** The stack: PUSH, POP, PUSHA, POPA, PUSHF, ENTER, LEAVE. */
// Spec: SDM 2B, PUSH, POP, PUSHA, POPA, PUSHF; SDM 2A, ENTER, LEAVE. The new stack pointer is written last: a fault leaves no trace.

import type { Builder, Semantics, Value, Variable } from './builder.js';
import { type Family, forms } from './define.js';
import { ACCESS } from './processor.js';
import { GPR, RFLAGS, SEGMENT, SLOT } from './state.js';

/** A register as an offset in the stack segment (i64). */
function stackRegister(b: Builder, n: number): Value {
  if (b.mode.isSegmented) return b.and(b.reg(n, 64), b.state(SLOT.STACK_MASK, 'i64'));
  return b.zeroExtend(b.reg(n, b.mode.bits), 64);
}

/** An offset as far as the stack pointer goes: 64, 32 or 16 bits. */
function wrapped(b: Builder, offset: Value): Value {
  if (b.mode.isSegmented) return b.and(offset, b.state(SLOT.STACK_MASK, 'i64'));
  return b.mode.bits === 64 ? offset : b.and(offset, b.const(64, 0xffff_ffff));
}

export const stackPointer = (b: Builder): Value => stackRegister(b, GPR.RSP);

export const stackAbove = (b: Builder, top: Value, bytes: number): Value =>
  wrapped(b, b.add(top, b.const(64, bytes)));
export const stackBelow = (b: Builder, top: Value, bytes: number): Value =>
  wrapped(b, b.sub(top, b.const(64, bytes)));

/** Writes as much of a register as the stack pointer has: a 16-bit one leaves the rest. */
function setStackRegister(b: Builder, n: number, offset: Value): void {
  if (b.mode.isSegmented) {
    const kept = b.and(b.reg(n, 64), b.state(SLOT.STACK_KEPT, 'i64'));
    b.setReg(n, b.or(kept, wrapped(b, offset)));
  } else b.setReg(n, b.truncate(offset, b.mode.bits));
}

export const setStackPointer = (b: Builder, offset: Value): void =>
  setStackRegister(b, GPR.RSP, offset);

/** The address of so many bytes at an offset in the stack segment. */
export const stackAddress = (b: Builder, offset: Value, bytes: number, access: number): Value =>
  b.linear(SEGMENT.SS, offset, bytes, access);

export const loadStack = (b: Builder, offset: Value, bits: number): Value =>
  b.load(stackAddress(b, offset, bits / 8, ACCESS.READ), bits, 'stack');

const storeStack = (b: Builder, offset: Value, value: Value): void =>
  b.store(stackAddress(b, offset, value.bits / 8, ACCESS.WRITE), value, 'stack');

export function pushValue(b: Builder, value: Value): void {
  const top = stackBelow(b, stackPointer(b), value.bits / 8);
  storeStack(b, top, value);
  setStackPointer(b, top);
}

/** PUSH RSP pushes the value from before; an operand in memory is addressed with it. */
const push: Semantics = (b, { dst }) => pushValue(b, b.read(dst));

const pop: Semantics = (b, { dst }) => {
  const bytes = dst.bits / 8;
  const value = loadStack(b, stackPointer(b), dst.bits);
  const above = stackAbove(b, stackPointer(b), bytes);
  if (dst.kind !== 'memory') {
    setStackPointer(b, above);
    b.write(dst, value); // POP RSP: the value popped wins
    return;
  }
  // an address based on RSP is computed with RSP after the pop
  const old = b.variable(b.reg(GPR.RSP, 64));
  setStackPointer(b, above);
  const offset = b.offset(dst);
  b.setReg(GPR.RSP, old);
  b.store(b.place(dst, offset, ACCESS.WRITE), value);
  setStackPointer(b, above);
};

/** PUSHA: rAX to rDI, with rSP as it was. */
const pushAll =
  (bits: number): Semantics =>
  (b) => {
    const bytes = bits / 8;
    let top = stackPointer(b);
    const places: Value[] = [];
    for (let n = 0; n < 8; n++) {
      top = stackBelow(b, top, bytes);
      places.push(top);
    }
    // both ends must be good before anything is written
    b.translateWrite(stackAddress(b, top, bytes, ACCESS.WRITE), bytes, 'stack');
    places.forEach((at, n) => {
      storeStack(b, at, b.reg(n, bits));
    });
    setStackPointer(b, top);
  };

/** POPA: rDI to rAX; what was pushed of rSP is dropped. */
const popAll =
  (bits: number): Semantics =>
  (b) => {
    let top = stackPointer(b);
    const values: [number, Value][] = [];
    for (let n = 7; n >= 0; n--) {
      if (n !== GPR.RSP) values.push([n, loadStack(b, top, bits)]);
      top = stackAbove(b, top, bits / 8);
    }
    for (const [n, value] of values) b.setReg(n, value);
    setStackPointer(b, top);
  };

/** RF and VM are pushed as 0. */
const pushFlags =
  (bits: number): Semantics =>
  (b) => {
    const system = b.and(b.state(SLOT.SYSTEM_FLAGS, 'i32'), b.const(32, ~(RFLAGS.RF | RFLAGS.VM)));
    const image = b.or(b.or(b.flags.status(), system), b.const(32, RFLAGS.FIXED));
    pushValue(b, bits === 64 ? b.zeroExtend(image, 64) : b.truncate(image, bits));
  };

const NESTING = 31;

const enter =
  (bits: number): Semantics =>
  (b, { dst, src }) => {
    const size = b.zeroExtend(b.read(dst), 64);
    const level = b.and(b.zeroExtend(b.read(src), 32), b.const(32, NESTING));
    const frame = stackBelow(b, stackPointer(b), bits / 8);
    storeStack(b, frame, b.reg(GPR.RBP, bits));
    const top = b.variable(frame);
    b.if(level, () => copyDisplay(b, top, level, b.truncate(frame, bits)));
    const end = wrapped(b, b.sub(top, size));
    // the processor tests the new top
    b.translateWrite(stackAddress(b, end, bits / 8, ACCESS.WRITE), bits / 8, 'stack');
    b.setReg(GPR.RBP, b.truncate(frame, bits));
    setStackPointer(b, end);
  };

/** Pushes level - 1 frame pointers of the enclosing procedures, then the new one. */
function copyDisplay(b: Builder, target: Variable, level: Value, frame: Value): void {
  const bytes = frame.bits / 8;
  const source = b.variable(stackRegister(b, GPR.RBP));
  const left = b.variable(b.sub(level, b.const(32, 1)));
  b.loop((again) => {
    b.if(left, () => {
      b.assign(source, stackBelow(b, source, bytes));
      b.assign(target, stackBelow(b, target, bytes));
      storeStack(b, target, loadStack(b, source, frame.bits));
      b.assign(left, b.sub(left, b.const(32, 1)));
      again();
    });
  });
  b.assign(target, stackBelow(b, target, bytes));
  storeStack(b, target, frame);
}

const leave =
  (bits: number): Semantics =>
  (b) => {
    const frame = stackRegister(b, GPR.RBP);
    const value = loadStack(b, frame, bits);
    setStackPointer(b, stackAbove(b, frame, bits / 8));
    b.setReg(GPR.RBP, value);
  };

export const stack: Family = (define) => {
  define([...forms('Push', 'r64 rm64'), ...forms('Pushq', 'imm8 imm32')], push, { hot: [64] });
  define([...forms('Push', 'r32 rm32'), ...forms('Pushd', 'imm8 imm32')], push, { hot: [32] });
  define([...forms('Push', 'r16 rm16 imm16'), 'Pushw_imm8'], push);
  define(forms('Pop', 'r64 rm64'), pop, { hot: [64] });
  define(forms('Pop', 'r32 rm32'), pop, { hot: [32] });
  define(forms('Pop', 'r16 rm16'), pop);
  define(['Pushad'], pushAll(32));
  define(['Pushaw'], pushAll(16));
  define(['Popad'], popAll(32));
  define(['Popaw'], popAll(16));
  define(['Pushfq'], pushFlags(64));
  define(['Pushfd'], pushFlags(32));
  define(['Pushfw'], pushFlags(16));
  define(['Enterq_imm16_imm8'], enter(64));
  define(['Enterd_imm16_imm8'], enter(32));
  define(['Enterw_imm16_imm8'], enter(16));
  define(['Leaveq'], leave(64), { hot: [0, 64] });
  define(['Leaved'], leave(32), { hot: [0] });
  define(['Leavew'], leave(16));
};
