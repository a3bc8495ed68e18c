/** The stack: PUSH, POP, PUSHF, ENTER, LEAVE. */
// Spec: SDM 2B, PUSH, POP, PUSHF; SDM 2A, ENTER, LEAVE. The new stack pointer is written last: a fault leaves no trace.

import type { Builder, Semantics, Value, Variable } from './builder.js';
import { type Family, forms } from './define.js';
import { GPR, RFLAGS, SLOT } from './state.js';

const stackPointer = (b: Builder): Value => b.reg(GPR.RSP, 64);
const down = (b: Builder, bytes: number): Value => b.sub(stackPointer(b), b.const(64, bytes));
const up = (b: Builder, bytes: number): Value => b.add(stackPointer(b), b.const(64, bytes));

export function pushValue(b: Builder, value: Value): void {
  const top = down(b, value.bits / 8);
  b.store(top, value, 'stack');
  b.setReg(GPR.RSP, top);
}

/** PUSH RSP pushes the value from before; an operand in memory is addressed with it. */
const push: Semantics = (b, { dst }) => pushValue(b, b.read(dst));

const pop: Semantics = (b, { dst }) => {
  const bytes = dst.bits / 8;
  const value = b.load(stackPointer(b), dst.bits, 'stack');
  const above = up(b, bytes);
  if (dst.kind !== 'memory') {
    b.setReg(GPR.RSP, above);
    b.write(dst, value); // POP RSP: the value popped wins
    return;
  }
  // an address based on RSP is computed with RSP after the pop
  const old = b.variable(stackPointer(b));
  b.setReg(GPR.RSP, above);
  const address = b.address(dst);
  b.setReg(GPR.RSP, old);
  b.store(address, value);
  b.setReg(GPR.RSP, above);
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
    const frame = down(b, bits / 8);
    b.store(frame, b.reg(GPR.RBP, bits), 'stack');
    const top = b.variable(frame);
    b.if(level, () => copyDisplay(b, top, level, b.truncate(frame, bits)));
    const end = b.sub(top, size);
    b.translateWrite(end, bits / 8, 'stack'); // the processor tests the new top
    b.setReg(GPR.RBP, b.truncate(frame, bits));
    b.setReg(GPR.RSP, end);
  };

/** Pushes level - 1 frame pointers of the enclosing procedures, then the new one. */
function copyDisplay(b: Builder, target: Variable, level: Value, frame: Value): void {
  const step = b.const(64, frame.bits / 8);
  const source = b.variable(b.reg(GPR.RBP, 64));
  const left = b.variable(b.sub(level, b.const(32, 1)));
  b.loop((again) => {
    b.if(left, () => {
      b.assign(source, b.sub(source, step));
      b.assign(target, b.sub(target, step));
      b.store(target, b.load(source, frame.bits, 'stack'), 'stack');
      b.assign(left, b.sub(left, b.const(32, 1)));
      again();
    });
  });
  b.assign(target, b.sub(target, step));
  b.store(target, frame, 'stack');
}

const leave =
  (bits: number): Semantics =>
  (b) => {
    const frame = b.reg(GPR.RBP, 64);
    const value = b.load(frame, bits, 'stack');
    b.setReg(GPR.RSP, b.add(frame, b.const(64, bits / 8)));
    b.setReg(GPR.RBP, value);
  };

export const stack: Family = (define) => {
  define([...forms('Push', 'r64 rm64'), ...forms('Pushq', 'imm8 imm32')], push, { hot: [64] });
  define([...forms('Push', 'r16 rm16 imm16'), 'Pushw_imm8'], push);
  define(forms('Pop', 'r64 rm64'), pop, { hot: [64] });
  define(forms('Pop', 'r16 rm16'), pop);
  define(['Pushfq'], pushFlags(64));
  define(['Pushfw'], pushFlags(16));
  define(['Enterq_imm16_imm8'], enter(64));
  define(['Enterw_imm16_imm8'], enter(16));
  define(['Leaveq'], leave(64), { hot: [0, 64] });
  define(['Leavew'], leave(16));
};
