/** The promise of one semantics for two executors: regions with constant operands do what the interpreter does. */

import { expect, test } from 'vitest';
import { STATE_SIZE } from '../../hypervisor/machine/layout.js';
import { asVirtAddr } from '../../hypervisor/machine/types.js';
import { OUTCOME } from '../../hypervisor/x86/builder.js';
import { SLOT } from '../../hypervisor/x86/state.js';
import { FLAT, FlatMachine, hex } from '../support/flat-machine.js';
import { translateRegion } from '../support/region.js';

// biome-ignore format: one row per region
const ROWS: readonly (readonly [name: string, code: string])[] = [
  ['arithmetic and its flags',    '4801d8 4819c8 80ec05 66ffc2 f7de 4883d07f 9c 59'],
  ['logic, tests, conditions',    '4831d8 21c8 0cf0 84c0 0f95c1 480f44d3 a9ff000000 0f9ac2'],
  ['shifts and rotates',          '48c1e007 d3e8 c1fb03 48d1c1 66c1ca05 48d3d6 0fa4d805 480facd1 11'],
  ['multiply and divide',         '480fafc3 69c810270000 48f7e6 4831d2 48f7f7'],
  ['moves, widening, exchange',   '480fb6c1 480fbed9 4863d0 4887d9 0fc8 488d445905 98 99'],
  ['memory, base and index',      '48890f 8b4704 48034f08 014708 ff4f10 8744b708 4c8b14b7'],
  ['stack',                       '50 6a85 68ffffff7f 59 5a 5b 9c 58'],
  ['strings',                     '4889fe 4883c640 aa ab 48ab a4 ac ae a7'],
  ['bits',                        '480fbcc1 0fbdd3 480fbaf807 0fa3d8 f3480fb8f0'],
  ['exchange and compare',        '480fc1d8 0fb10f 480fc10f'],
];

const SEEDS = [1, 2, 3];

/** The same state for both: registers from a seed, pointers where there is memory. */
function prepare(m: FlatMachine, seed: number): void {
  const { registers } = m.engine;
  let x = BigInt(seed) * 0x9e3779b97f4a7c15n;
  for (let n = 0; n < 16; n++) {
    x = BigInt.asUintN(64, x * 6364136223846793005n + 1442695040888963407n);
    registers.set(n, x);
  }
  registers.set(4, BigInt(FLAT.STACK + 0x800));
  registers.set(7, BigInt(FLAT.DATA + 0x100));
  registers.set(6, 9n);
  registers.rflags = 0x8d5 & Number(x >> 20n);
  m.load(
    FLAT.DATA,
    Uint8Array.from({ length: 4096 }, (_, i) => i * seed),
  );
}

const stateOf = (m: FlatMachine): string => {
  const state = new Uint8Array(STATE_SIZE);
  m.engine.saveState(state);
  const registers = Buffer.from(state.subarray(0, 128)).toString('hex');
  return `${registers} ${m.engine.registers.rflags} ${Buffer.from(m.read(FLAT.DATA, 4096)).toString('base64')}`;
};

test.each(ROWS)('%s', (_name, text) => {
  const code = hex(text);
  for (const seed of SEEDS) {
    const [interpreted, translated] = [new FlatMachine(), new FlatMachine()];
    prepare(interpreted, seed);
    interpreted.run([...code, 0x0f, 0x05]);
    prepare(translated, seed);
    translated.engine.registers.rip = asVirtAddr(FLAT.CODE);
    translated.ram.u64[SLOT.PAGE_VA / 8] = BigInt(FLAT.CODE);
    expect(translateRegion(translated.ram, code)()).toBe(OUTCOME.NEXT);
    expect(stateOf(translated)).toBe(stateOf(interpreted));
  }
});

test('a fault in a region leaves rip at the instruction and no trace of it', () => {
  const code = hex('4889f8 48c7c100000000 48f7f1'); // mov rax,rdi; mov rcx,0; div rcx
  const m = new FlatMachine();
  prepare(m, 1);
  m.ram.u64[SLOT.PAGE_VA / 8] = BigInt(FLAT.CODE);
  expect(translateRegion(m.ram, code)()).toBe(OUTCOME.EXIT_BEFORE);
  expect(m.engine.registers.rip).toBe(FLAT.CODE + 10);
  expect(m.engine.exit.vector).toBe(0);
});
