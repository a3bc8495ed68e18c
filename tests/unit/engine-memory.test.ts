/** Memory as instructions see it: page crossing, faults that leave no trace, code that is written to. */

import { expect, test } from 'vitest';
import { asVirtAddr } from '../../hypervisor/machine/types.js';
import { EXIT, PAGE_FAULT, VECTOR } from '../../hypervisor/x86/processor.js';
import { GPR } from '../../hypervisor/x86/state.js';
import { FLAT, FlatMachine, hex, PTE } from '../support/flat-machine.js';

const PAGE = 4096;

function withRegisters(values: Partial<Record<keyof typeof GPR, number | bigint>>): FlatMachine {
  const m = new FlatMachine();
  for (const [name, value] of Object.entries(values)) {
    m.engine.registers.set(GPR[name as keyof typeof GPR], BigInt(value));
  }
  return m;
}

test('a load and a store may cross a page', () => {
  const m = withRegisters({ RBX: FLAT.DATA + PAGE - 3, RAX: 0x1122334455667788n });
  // mov [rbx],rax; mov rcx,[rbx]; add dword [rbx],1; mov rdx,[rbx]; syscall
  expect(m.run(hex('488903 488b0b 830301 488b13 0f05'))).toBe(EXIT.SYSCALL);
  expect(m.engine.registers.get(GPR.RCX)).toBe(0x1122334455667788n);
  expect(m.engine.registers.get(GPR.RDX)).toBe(0x1122334455667789n);
  expect([...m.read(FLAT.DATA + PAGE - 3, 8)]).toEqual([
    0x89, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,
  ]);
});

test('a store that crosses into a missing page faults there and writes nothing', () => {
  const end = FLAT.DATA + FLAT.PAGES * PAGE;
  const m = withRegisters({ RBX: end - 3, RAX: -1n });
  expect(m.run(hex('488903'))).toBe(EXIT.EXCEPTION);
  expect(m.engine.exit.vector).toBe(VECTOR.PF);
  expect(m.engine.exit.errorCode).toBe(PAGE_FAULT.WRITE | PAGE_FAULT.USER);
  expect(m.engine.exit.cr2).toBe(end);
  expect([...m.read(end - 3, 3)]).toEqual([0, 0, 0]);
  expect(m.engine.registers.rip).toBe(FLAT.CODE);
});

test('rights: read-only, supervisor, no-execute, reserved', () => {
  const m = withRegisters({ RBX: 0x1000_0000 });
  m.map(0x1000_0000, PTE.PRESENT | PTE.USER);
  const write = hex('c60301');
  expect(m.run(write)).toBe(EXIT.EXCEPTION);
  expect(m.engine.exit.errorCode).toBe(PAGE_FAULT.PRESENT | PAGE_FAULT.WRITE | PAGE_FAULT.USER);
  m.map(0x1000_0000, PTE.PRESENT | PTE.WRITE);
  m.engine.flushTlb();
  expect(m.run(hex('8a03'))).toBe(EXIT.EXCEPTION);
  expect(m.engine.exit.errorCode).toBe(PAGE_FAULT.PRESENT | PAGE_FAULT.USER);
  m.map(0x1000_0000, PTE.PRESENT | PTE.WRITE | PTE.USER | PTE.NX);
  m.engine.flushTlb();
  expect(m.run(hex('ffe3'))).toBe(EXIT.EXCEPTION);
  expect(m.engine.exit.errorCode).toBe(PAGE_FAULT.PRESENT | PAGE_FAULT.USER | PAGE_FAULT.FETCH);
  expect(m.engine.registers.rip).toBe(0x1000_0000);
  expect(m.engine.exit.cr2).toBe(0x1000_0000);
  m.ram.u32[m.entryOf(0x1000_0000) / 4 + 1] = 1; // machine frame 2^20 and more
  m.engine.flushTlb();
  expect(m.run(hex('8a03'))).toBe(EXIT.EXCEPTION);
  expect(m.engine.exit.errorCode).toBe(PAGE_FAULT.PRESENT | PAGE_FAULT.RESERVED | PAGE_FAULT.USER);
});

test('accessed and dirty bits', () => {
  const m = withRegisters({ RBX: FLAT.DATA });
  const entry = m.entryOf(FLAT.DATA) / 4;
  m.run(hex('8a03 0f05'));
  expect(m.ram.u32[entry]! & 0x60).toBe(0x20);
  m.run(hex('8803 0f05'));
  expect(m.ram.u32[entry]! & 0x60).toBe(0x60);
});

test('a non-canonical address is #GP(0), #SS(0) on the stack', () => {
  const m = withRegisters({ RBX: 0x8000_0000_0000n });
  m.run(hex('8a03'));
  expect(m.engine.exit.vector).toBe(VECTOR.GP);
  m.engine.registers.set(GPR.RSP, 0x8000_0000_1000n);
  m.run(hex('50'));
  expect(m.engine.exit.vector).toBe(VECTOR.SS);
});

test('the kernel half of the address space', () => {
  const va = -0x8000_0000;
  const m = withRegisters({ RBX: va });
  m.map(va);
  m.run(hex('c703efbeadde 8b03 0f05'));
  expect(m.engine.registers.lo(GPR.RAX)).toBe(0xdeadbeef);
  expect(m.engine.translate(asVirtAddr(va), 0)).toBeGreaterThan(0);
});

test('an instruction may straddle two pages, and is guarded by both', () => {
  const m = new FlatMachine();
  const at = FLAT.CODE + PAGE - 2;
  const code = hex('b801000000 0f05'); // mov eax,1
  expect(m.run(code, 100, at)).toBe(EXIT.SYSCALL);
  expect(m.engine.registers.lo(GPR.RAX)).toBe(1);
  m.load(FLAT.CODE + PAGE, [7]); // changes the immediate, in the second page
  m.engine.registers.rip = asVirtAddr(at);
  expect(m.engine.run(100)).toBe(EXIT.SYSCALL);
  expect(m.engine.registers.lo(GPR.RAX)).toBe(0x00000700 + 1);
  expect(m.engine.retired).toBe(4);
});

test('a straddling instruction whose second page is missing faults at it', () => {
  const m = new FlatMachine();
  const at = FLAT.CODE + FLAT.PAGES * PAGE - 2;
  m.load(at, hex('b801'));
  m.engine.registers.rip = asVirtAddr(at);
  expect(m.engine.run(10)).toBe(EXIT.EXCEPTION);
  expect(m.engine.exit.cr2).toBe(FLAT.CODE + FLAT.PAGES * PAGE);
  expect(m.engine.registers.rip).toBe(at);
});

test('a loop that patches an instruction ahead of it sees the patch', () => {
  const m = new FlatMachine();
  // mov ecx,5; xor edx,edx; l: add edx,1 (83c201); inc byte [rip-3] (the immediate); loop l; syscall
  const code = hex('b905000000 31d2 83c201 fe05fdffffff'.replace('fdffffff', 'f9ffffff'));
  const all = [...code, ...hex('e2f5 0f05')];
  expect(m.run(all)).toBe(EXIT.SYSCALL);
  expect(m.engine.registers.lo(GPR.RDX)).toBe(1 + 2 + 3 + 4 + 5);
  expect(m.engine.retired).toBe(2 + 15 + 1);
});

test('code that overwrites itself budget by budget gives the same', () => {
  const all = [...hex('b905000000 31d2 83c201 fe05f9ffffff e2f5 0f05')];
  const m = new FlatMachine();
  m.load(FLAT.CODE, all);
  m.engine.registers.rip = asVirtAddr(FLAT.CODE);
  for (let i = 0; i < 17; i++) expect(m.engine.run(1)).toBe(EXIT.BUDGET);
  expect(m.engine.retired).toBe(17);
  expect(m.engine.run(1)).toBe(EXIT.SYSCALL);
  expect(m.engine.registers.lo(GPR.RDX)).toBe(15);
});

test('rep movs across pages, overlapping, and stopped by a fault half way', () => {
  const m = withRegisters({ RSI: FLAT.DATA, RDI: FLAT.DATA + 3 * PAGE + 5, RCX: 2 * PAGE });
  m.load(
    FLAT.DATA,
    Uint8Array.from({ length: 2 * PAGE }, (_, i) => i * 7),
  );
  expect(m.run(hex('f3a4 0f05'))).toBe(EXIT.SYSCALL);
  expect(m.engine.registers.get(GPR.RCX)).toBe(0n);
  expect(m.read(FLAT.DATA + 3 * PAGE + 5, 2 * PAGE)).toEqual(m.read(FLAT.DATA, 2 * PAGE));
  // overlapping by one byte: fills
  const n = withRegisters({ RSI: FLAT.DATA, RDI: FLAT.DATA + 1, RCX: 100 });
  n.load(FLAT.DATA, [0xab]);
  n.run(hex('f3a4 0f05'));
  expect([...n.read(FLAT.DATA, 101)].every((x) => x === 0xab)).toBe(true);
  // into the end of what is mapped
  const end = FLAT.DATA + FLAT.PAGES * PAGE;
  const f = withRegisters({ RDI: end - PAGE - 16, RCX: PAGE, RAX: 0x55 });
  expect(f.run(hex('f348ab'))).toBe(EXIT.EXCEPTION);
  expect(f.engine.registers.get(GPR.RDI)).toBe(BigInt(end));
  expect(f.engine.registers.get(GPR.RCX)).toBe(BigInt(PAGE - (PAGE + 16) / 8));
  expect(f.engine.exit.cr2).toBe(end);
});

test('repe cmps and repne scas', () => {
  const m = withRegisters({ RSI: FLAT.DATA, RDI: FLAT.DATA + PAGE - 100, RCX: 1000 });
  m.load(
    FLAT.DATA,
    Uint8Array.from({ length: 300 }, (_, i) => i + 1),
  );
  m.load(
    FLAT.DATA + PAGE - 100,
    Uint8Array.from({ length: 300 }, (_, i) => i + 1 + (i === 207 ? 1 : 0)),
  );
  expect(m.run(hex('f3a6 0f05'))).toBe(EXIT.SYSCALL);
  expect(m.engine.registers.lo(GPR.RCX)).toBe(1000 - 208);
  expect(m.engine.registers.rflags & 0x41).toBe(0x01); // less: CF, not ZF
  const n = withRegisters({ RDI: FLAT.DATA + 1, RCX: -1n, RAX: 0 });
  n.load(
    FLAT.DATA,
    Uint8Array.from({ length: 5000 }, () => 1),
  );
  n.run(hex('f2ae 0f05'));
  expect(n.engine.registers.get(GPR.RDI)).toBe(BigInt(FLAT.DATA + 5001));
});

test('TF traps after each instruction', () => {
  const m = new FlatMachine();
  m.engine.registers.rflags |= 0x100;
  expect(m.run(hex('ffc0 ffc0 0f05'))).toBe(EXIT.EXCEPTION);
  expect(m.engine.exit.vector).toBe(VECTOR.DB);
  expect(m.engine.registers.rip).toBe(FLAT.CODE + 2);
  expect(m.engine.retired).toBe(1);
});
