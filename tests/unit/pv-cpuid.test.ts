/** CPUID is honest: each feature that is announced has a row here, and its instructions run. */

import { describe, expect, test } from 'vitest';
import { cpuid } from '../../hypervisor/pv/cpuid.js';
import { EXIT } from '../../hypervisor/x86/processor.js';
import { GPR } from '../../hypervisor/x86/state.js';
import { FLAT, FlatMachine, hex } from '../support/flat-machine.js';

const CONTEXT = { vcpuId: 0, version: [4, 17] } as const;
const [EBX, ECX, EDX] = [1, 2, 3];
const CR4_FSGSBASE = 1 << 16;

// biome-ignore format: one row per feature: leaf, register, bit, name, an instruction; '' where it is a matter of the hypervisor
const FEATURES: readonly (readonly [leaf: number, register: number, bit: number, name: string, code: string])[] = [
  [1, ECX, 13, 'cx16',       '480fc70f'],
  [1, ECX, 23, 'popcnt',     'f30fb8c1'],
  [1, ECX, 30, 'rdrand',     '480fc7f0'],
  [1, ECX, 31, 'hypervisor', ''],
  [1, EDX,  0, 'fpu',        'd9e8'],
  [1, EDX,  2, 'de',         ''], // guests/tests/debug-registers
  [1, EDX,  4, 'tsc',        '0f31'],
  [1, EDX,  5, 'msr',        ''], // privileged: pv-privileged.test.ts
  [1, EDX,  6, 'pae',        ''],
  [1, EDX,  8, 'cx8',        '0fc70f'],
  [1, EDX,  9, 'apic',       ''],
  [1, EDX, 11, 'sep',        ''], // AMD announces it, and has no SYSENTER in long mode
  [1, EDX, 15, 'cmov',       '0f44c1'],
  [1, EDX, 16, 'pat',        ''],
  [1, EDX, 19, 'clflush',    '0fae3f'],
  [1, EDX, 23, 'mmx',        '0fefc0'],
  [1, EDX, 24, 'fxsr',       '0fae07'],
  [1, EDX, 25, 'sse',        '0f58c1'],
  [1, EDX, 26, 'sse2',       '660f58c1'],
  [7, EBX,  0, 'fsgsbase',   'f3480faec0'],
  [7, EBX, 18, 'rdseed',     '480fc7f8'],
  [0x8000_0001, ECX,  0, 'lahf_lm', '9f'],
  [0x8000_0001, EDX,  0, 'fpu',     'd9e8'],
  [0x8000_0001, EDX,  2, 'de',      ''],
  [0x8000_0001, EDX,  4, 'tsc',     '0f31'],
  [0x8000_0001, EDX,  5, 'msr',     ''],
  [0x8000_0001, EDX,  6, 'pae',     ''],
  [0x8000_0001, EDX,  8, 'cx8',     '0fc70f'],
  [0x8000_0001, EDX,  9, 'apic',    ''],
  [0x8000_0001, EDX, 11, 'syscall', ''], // every run below ends with one
  [0x8000_0001, EDX, 15, 'cmov',    '0f44c1'],
  [0x8000_0001, EDX, 16, 'pat',     ''],
  [0x8000_0001, EDX, 20, 'nx',      ''],
  [0x8000_0001, EDX, 23, 'mmx',     '0fefc0'],
  [0x8000_0001, EDX, 24, 'fxsr',    '0fae07'],
  [0x8000_0001, EDX, 27, 'rdtscp',  '0f01f9'],
  [0x8000_0001, EDX, 29, 'lm',      '48ffc0'],
];

const has = (leaf: number, register: number, bit: number): boolean =>
  (((cpuid(CONTEXT, leaf, 0)[register] ?? 0) >>> bit) & 1) === 1;

test.each([
  [1, ECX],
  [1, EDX],
  [7, EBX],
  [7, ECX],
  [7, EDX],
  [0x8000_0001, ECX],
  [0x8000_0001, EDX],
])('leaf %i, register %i announces what has a row', (leaf, register) => {
  const rows = FEATURES.filter((row) => row[0] === leaf && row[1] === register);
  const announced = Array.from({ length: 32 }, (_, bit) => bit).filter((bit) =>
    has(leaf, register, bit),
  );
  expect(announced).toEqual(rows.map(([, , bit]) => bit));
});

describe('an instruction of what is announced runs', () => {
  test.each(FEATURES.filter(([, , , , code]) => code !== ''))('%i %i %i %s', (...row) => {
    const m = new FlatMachine();
    m.engine.registers.cr4 = CR4_FSGSBASE;
    m.engine.registers.setAddress(GPR.RDI, (FLAT.DATA + 0x100) as never);
    expect(m.run(hex(`${row[4]} 0f05`))).toBe(EXIT.SYSCALL);
  });
});

describe('without its bit of CR4', () => {
  test.each(['f30faec0', 'f30faec8', 'f3480faed0', 'f3480faed8'])(
    '%s (FSGSBASE) is undefined',
    (code) => {
      const m = new FlatMachine();
      expect([m.run(hex(code)), m.engine.exit.vector]).toEqual([EXIT.EXCEPTION, 6]);
    },
  );
});

test('there is no XSAVE: not announced, and XGETBV is undefined', () => {
  expect(has(1, ECX, 26) || has(1, ECX, 27)).toBe(false);
  const m = new FlatMachine();
  expect([m.run(hex('0f01d0')), m.engine.exit.vector]).toEqual([EXIT.EXCEPTION, 6]);
});

describe('RDRAND and RDSEED', () => {
  // biome-ignore format: one row per width
  test.each([
    ['rdrand ax',  '660fc7f0', 0x1111_2222_3333_a5a5n],
    ['rdrand eax', '0fc7f0',   0xa5a5_a5a5n],
    ['rdseed rax', '480fc7f8', 0xa5a5_a5a5_a5a5_a5a5n],
  ])('%s takes what the host gives, CF alone is set', (_name, code, expected) => {
    const m = new FlatMachine();
    m.engine.registers.set(GPR.RAX, 0x1111_2222_3333_4444n);
    m.engine.registers.rflags |= 0x8d5;
    expect(m.run(hex(`${code} 0f05`))).toBe(EXIT.SYSCALL);
    expect(m.engine.registers.get(GPR.RAX)).toBe(expected);
    expect(m.engine.registers.rflags & 0x8d5).toBe(1);
  });
});
