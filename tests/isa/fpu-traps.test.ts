/** With CR0.TS or CR0.EM set, instructions of the FPU and of SSE do not run (SDM 3A table 2-2). */

import { expect, test } from 'vitest';
import { EXIT, VECTOR } from '../../hypervisor/x86/processor.js';
import { FLAT, FlatMachine, hex } from '../support/flat-machine.js';

const TS = 8;
const EM = 4;

// biome-ignore format: one row per instruction
const INSTRUCTIONS: readonly (readonly [text: string, code: string, withEm: number])[] = [
  ['addsd xmm0, xmm1',      'f20f58c1',   VECTOR.UD],
  ['movaps xmm0, [rsp]',    '0f280424',   VECTOR.UD],
  ['pshufd xmm0, xmm1, 0',  '660f70c100', VECTOR.UD],
  ['fld1',                  'd9e8',       VECTOR.NM],
  ['fnstsw ax',             'dfe0',       VECTOR.NM],
];

test.each(INSTRUCTIONS)('%s', (_, code, withEm) => {
  const machine = new FlatMachine();
  const { registers, exit } = machine.engine;
  for (const [cr0, vector] of [
    [TS, VECTOR.NM],
    [EM, withEm],
    [0, VECTOR.BP],
  ] as const) {
    registers.cr0 = cr0;
    expect(machine.run([...hex(code), 0xcc])).toBe(EXIT.EXCEPTION);
    expect(exit.vector).toBe(vector);
    expect(registers.rip).toBe(FLAT.CODE + (vector === VECTOR.BP ? hex(code).length + 1 : 0));
  }
});

test('the state of the FPU belongs to the vCPU', () => {
  const machine = new FlatMachine();
  const fldpi = [...hex('d9eb'), 0xcc];
  const saved = new Uint8Array(2048);
  machine.run(fldpi);
  machine.engine.saveState(saved);
  machine.run([...hex('dbe3'), 0xcc]); // fninit
  machine.engine.loadState(saved);
  machine.run([...hex('dd1c24'), 0xcc]); // fstp qword ptr [rsp]
  const stored = machine.read(FLAT.STACK + (FLAT.PAGES / 2) * 4096, 8);
  expect(new DataView(stored.buffer).getFloat64(0, true)).toBe(Math.PI);
});
