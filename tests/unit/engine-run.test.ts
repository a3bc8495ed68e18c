/** The interpreter's loop: running, exact budgets, exits. */

import { expect, test } from 'vitest';
import { EXIT, VECTOR } from '../../hypervisor/x86/processor.js';
import { FLAT, FlatMachine, hex } from '../support/flat-machine.js';

test('a loop of machine code runs to its system call', () => {
  const m = new FlatMachine();
  // mov ecx,10; xor eax,eax; l: add eax,ecx; dec ecx; jnz l; syscall
  const reason = m.run(hex('b90a000000 31c0 01c8 ffc9 75fa 0f05'));
  expect(reason).toBe(EXIT.SYSCALL);
  expect(m.engine.registers.lo(0)).toBe(55);
  expect(m.engine.registers.rip).toBe(FLAT.CODE + 15);
  expect(m.engine.retired).toBe(2 + 30 + 1);
});

test('the budget ends after exactly as many instructions, wherever that is', () => {
  for (let budget = 1; budget < 33; budget++) {
    const m = new FlatMachine();
    expect(m.run(hex('b90a000000 31c0 01c8 ffc9 75fa 0f05'), budget)).toBe(EXIT.BUDGET);
    expect(m.engine.retired).toBe(budget);
    expect(m.engine.run(1000)).toBe(EXIT.SYSCALL);
    expect(m.engine.retired).toBe(33);
    expect(m.engine.registers.lo(0)).toBe(55);
  }
});

test('ud2 raises #UD with rip at it', () => {
  const m = new FlatMachine();
  expect(m.run(hex('90 0f0b'.slice(3)))).toBe(EXIT.EXCEPTION);
  expect(m.engine.exit.vector).toBe(VECTOR.UD);
  expect(m.engine.registers.rip).toBe(FLAT.CODE);
});

test('with CR0.TS an SSE instruction is #NM, inlined or not, and without it runs', () => {
  const m = new FlatMachine();
  const code = hex('0f28c1 0fc6c200 0f05'); // movaps xmm0,xmm1; shufps xmm0,xmm2,0; syscall
  for (const skipped of [0, 3]) {
    m.engine.registers.cr0 = 8;
    expect(m.run(code.subarray(skipped))).toBe(EXIT.EXCEPTION);
    expect(m.engine.exit.vector).toBe(VECTOR.NM);
    m.engine.registers.cr0 = 0;
    expect(m.run(code.subarray(skipped))).toBe(EXIT.SYSCALL);
  }
});
