/** Entering a guest's kernel: frames word by word, what is masked, and what crashes the domain. */

import { describe, expect, test } from 'vitest';
import { asVirtAddr } from '../../hypervisor/machine/types.js';
import { iretContext, VGCF } from '../../hypervisor/public/arch-x86.js';
import { EXIT } from '../../hypervisor/x86/processor.js';
import { GPR, RFLAGS } from '../../hypervisor/x86/state.js';
import { PvMachine, pte } from '../support/pv-machine.js';

const HANDLER = asVirtAddr(-0x7ff0_0000);
const GPF = 13;
const PAGE = 14;

/** A machine whose kernel has handlers and a stack at the end of a spare page. */
function machine() {
  const m = new PvMachine();
  const stack = m.spare(0);
  for (let vector = 0; vector < 32; vector++) m.v.trapAddress[vector] = HANDLER + vector;
  m.registers.setAddress(GPR.RSP, asVirtAddr(stack.va + 0x808));
  m.registers.rip = asVirtAddr(0x1234);
  m.registers.set(GPR.RCX, 0xccn);
  m.registers.set(GPR.R11, 0x11n);
  m.v.vcpu.upcallMask = false;
  return { m, stack };
}

/** Words from rsp on. */
function frame(m: PvMachine, words: number): bigint[] {
  const rsp = m.registers.address(GPR.RSP)!;
  return Array.from({ length: words }, (_, n) => m.pv.guest.readU64(asVirtAddr(rsp + n * 8))!);
}

function exception(m: PvMachine, vector: number, errorCode = 0, cr2 = 0): void {
  m.processor.exit = {
    vector,
    errorCode,
    cr2: asVirtAddr(cr2),
    length: 2,
    code: 0,
    debugStatus: 0,
  };
  expect(m.pv.handleExit(m.v, EXIT.EXCEPTION)).toBe(false);
}

const u64 = (va: number) => BigInt.asUintN(64, BigInt(va));

describe('an exception in the kernel', () => {
  test('is pushed on the stack in use, aligned, with cs telling ring 0', () => {
    const { m, stack } = machine();
    m.registers.rflags = RFLAGS.IF | RFLAGS.CF | RFLAGS.TF | RFLAGS.AC;
    exception(m, 6);
    expect(m.registers.rip).toBe(HANDLER + 6);
    expect(m.registers.address(GPR.RSP)).toBe(stack.va + 0x800 - 7 * 8);
    const flags = BigInt(RFLAGS.IF | RFLAGS.CF | RFLAGS.TF | RFLAGS.RF | RFLAGS.AC | RFLAGS.FIXED);
    const ss = 0xe02bn;
    expect(frame(m, 7)).toEqual([0xccn, 0x11n, 0x1234n, 0xe030n, flags, u64(stack.va + 0x808), ss]);
    expect(m.registers.rflags & (RFLAGS.TF | RFLAGS.AC)).toBe(0);
    expect(m.v.vcpu.upcallMask).toBe(false);
  });

  test('has an error code where the processor has one', () => {
    const { m } = machine();
    exception(m, GPF, 0x18);
    expect(frame(m, 4).slice(2)).toEqual([0x18n, 0x1234n]);
  });

  test('shows the event mask in IF and beside cs; a gate with IF masks events', () => {
    const { m } = machine();
    m.v.trapFlags[0] = 4;
    exception(m, 0);
    expect(frame(m, 5)[4]! & BigInt(RFLAGS.IF)).toBe(BigInt(RFLAGS.IF));
    expect(m.v.vcpu.upcallMask).toBe(true);
    exception(m, 0);
    expect(frame(m, 5)[3]).toBe(0x1_0000_e030n);
    expect(frame(m, 5)[4]! & BigInt(RFLAGS.IF)).toBe(0n);
  });

  test('a page fault leaves its address in vcpu_info and hides USER', () => {
    const { m } = machine();
    exception(m, PAGE, 6, -4096);
    expect(m.ram.view.getBigUint64(m.v.vcpu.infoAddress + 16, true)).toBe(u64(-4096));
    expect(frame(m, 3)[2]).toBe(2n);
  });

  test('a frame that crosses pages is written in both', () => {
    const { m, stack } = machine();
    m.registers.setAddress(GPR.RSP, asVirtAddr(stack.va + 4096 + 16));
    exception(m, 6);
    expect(frame(m, 3)).toEqual([0xccn, 0x11n, 0x1234n]);
  });
});

/** The page tables of the kernel serve for applications as well. */
function userMachine() {
  const { m, stack } = machine();
  m.v.userTable = m.v.kernelTable;
  m.v.kernelSp = asVirtAddr(stack.va + 0x400);
  m.v.inKernel = false;
  m.registers.gsBase = 1n;
  m.registers.kernelGsBase = 2n;
  return { m, stack };
}

describe('from user mode', () => {
  test('the kernel stack is taken, GS changes sides, cs tells ring 3', () => {
    const { m, stack } = userMachine();
    exception(m, PAGE, 7, 0x5000);
    expect(m.v.inKernel).toBe(true);
    expect(m.registers.gsBase).toBe(2n);
    expect(m.registers.address(GPR.RSP)).toBe(stack.va + 0x400 - 8 * 8);
    expect(frame(m, 5).slice(2)).toEqual([7n, 0x1234n, 0xe033n]);
  });

  test('SYSCALL goes to the callback with rcx and r11 as the instruction sets them', () => {
    const { m } = userMachine();
    m.v.syscallCallback = { address: HANDLER, maskEvents: true };
    expect(m.pv.handleExit(m.v, EXIT.SYSCALL)).toBe(false);
    expect(m.registers.rip).toBe(HANDLER);
    expect(frame(m, 3)).toEqual([0x1234n, BigInt(m.registers.rflags), 0x1234n]);
    expect(m.v.vcpu.upcallMask).toBe(true);
  });

  test('without a callback SYSCALL is #UD at the instruction', () => {
    const { m } = userMachine();
    m.pv.handleExit(m.v, EXIT.SYSCALL);
    expect(m.registers.rip).toBe(HANDLER + 6);
    expect(frame(m, 3)[2]).toBe(0x1232n);
  });

  test.each([
    [0, GPF, 0x1234],
    [1, GPF, 0x1234],
    [3, 0x20, 0x1236],
  ])('INT 0x20 through a gate with DPL %i', (dpl, vector, rip) => {
    const { m } = userMachine();
    m.v.trapAddress[0x20] = HANDLER + 0x20;
    m.v.trapFlags[0x20] = dpl;
    m.processor.exit = {
      vector: 0x20,
      errorCode: 0,
      cr2: asVirtAddr(0),
      length: 2,
      code: 0,
      debugStatus: 0,
    };
    m.pv.handleExit(m.v, EXIT.INTERRUPT);
    expect(m.registers.rip).toBe(HANDLER + vector);
    const words = frame(m, 4);
    expect(vector === GPF ? words.slice(2) : words.slice(1, 3)).toEqual(
      vector === GPF ? [0x20n * 8n + 2n, BigInt(rip)] : [0x11n, BigInt(rip)],
    );
  });
});

describe('events', () => {
  test('are delivered when pending and not masked, and mask themselves', () => {
    const { m } = machine();
    m.v.eventCallback = { address: HANDLER, maskEvents: false };
    m.pv.beforeEntry(m.v);
    expect(m.registers.rip).toBe(0x1234);
    m.ram.u8[m.v.vcpu.infoAddress] = 1;
    m.pv.beforeEntry(m.v);
    expect(m.registers.rip).toBe(HANDLER);
    expect(m.v.vcpu.upcallMask).toBe(true);
    m.registers.rip = asVirtAddr(0x1234);
    m.pv.beforeEntry(m.v);
    expect(m.registers.rip).toBe(0x1234);
  });

  test('an NMI comes once until IRET', () => {
    const { m } = machine();
    m.v.nmiCallback = HANDLER;
    m.v.nmiPending = true;
    m.pv.beforeEntry(m.v);
    expect([m.registers.rip, m.v.nmiMasked, m.v.vcpu.upcallMask]).toEqual([HANDLER, true, true]);
  });
});

// biome-ignore format: one row per crash
const CRASHES: readonly [what: string, spoil: (m: PvMachine) => void, reason: RegExp][] = [
  ['no handler',                   (m) => { m.v.trapAddress[6] = 0; },                                 /Unhandled: vec 6, #UD/],
  ['a stack that is not mapped',   (m) => m.registers.setAddress(GPR.RSP, asVirtAddr(0x1000)),         /Fault at 0xfc8 writing the frame of #UD/],
  ["a stack in Xen's range",       (m) => m.registers.setAddress(GPR.RSP, asVirtAddr(-0x7fff_ffff_0000)), /Fault at 0xffff80000000ffc8/],
  ["a stack that ends in Xen's",   (m) => m.registers.setAddress(GPR.RSP, asVirtAddr(-0x7800_0000_0000 + 16)), /Fault at 0xffff87ffffffffd8/],
  ['a stack that is read-only',    (m) => { m.writeProtect(m.spare(0)); },                             /Fault at .* writing the frame/],
  ['a stack that is not canonical', (m) => m.registers.set(GPR.RSP, 1n << 63n),                        /not canonical/],
];

test.each(CRASHES)('%s crashes the domain and says where', (_what, spoil, reason) => {
  const { m } = machine();
  spoil(m);
  exception(m, 6);
  expect(m.domain.crashReason).toMatch(reason);
  expect(m.domain.isShutdown).toBe(true);
});

describe('iret', () => {
  /** Puts an iret frame on the stack and makes the hypercall. */
  function iret(m: PvMachine, values: Parameters<typeof iretContext.encode>[2]): void {
    const at = m.spare(1);
    iretContext.encode(m.ram.view, at.word * 4, { cs: 0xe030n, ss: 0xe02bn, ...values });
    m.registers.setAddress(GPR.RSP, at.va);
    m.callOnce('iret');
  }

  test('restores everything, and the event mask from IF', () => {
    const { m } = machine();
    iret(m, { rax: 1n, rcx: 2n, r11: 3n, rip: 0x4000n, rflags: 0x5n, rsp: 0x6000n });
    const { registers } = m;
    expect([GPR.RAX, GPR.RCX, GPR.R11].map((n) => registers.get(n))).toEqual([1n, 2n, 3n]);
    expect([registers.rip, registers.number(GPR.RSP), registers.cs]).toEqual([
      0x4000, 0x6000, 0xe033,
    ]);
    expect(registers.rflags & (RFLAGS.CF | RFLAGS.PF)).toBe(RFLAGS.CF | RFLAGS.PF);
    expect(m.v.vcpu.upcallMask).toBe(true);
  });

  test('keeps rcx and r11 of a system call', () => {
    const { m } = machine();
    iret(m, { rcx: 2n, r11: 3n, flags: BigInt(VGCF.IN_SYSCALL), rflags: BigInt(RFLAGS.IF) });
    expect(m.registers.get(GPR.RCX)).toBe(0x1002n); // what the hypercall itself left there
    expect(m.v.vcpu.upcallMask).toBe(false);
  });

  test('to user mode without page tables for it crashes', () => {
    const { m } = machine();
    iret(m, { cs: 0xe033n });
    expect(m.domain.crashReason).toContain('no user page tables');
  });

  test.each([
    ['an address that is not canonical', { rip: 1n << 63n }],
    ['a code segment that is none', { cs: 0xe028n }],
    ['a null stack segment', { ss: 0n }],
    ['a selector outside the tables', { cs: 0x1230n }],
  ])('%s ends in the failsafe callback', (_what, values) => {
    const { m } = machine();
    const rsp = m.spare(2).va + 2048;
    m.v.failsafeCallback = { address: HANDLER, maskEvents: true };
    iret(m, { rip: 0x4000n, rsp: u64(rsp), rflags: BigInt(RFLAGS.IF), ...values });
    expect(m.registers.rip).toBe(HANDLER);
    expect(m.registers.address(GPR.RSP)).toBe(rsp - 11 * 8);
    expect(m.v.vcpu.upcallMask).toBe(true);
  });

  test('a frame that cannot be read crashes', () => {
    const { m } = machine();
    m.registers.setAddress(GPR.RSP, asVirtAddr(0x1000));
    m.callOnce('iret');
    expect(m.domain.crashReason).toContain('Fault while reading IRET context');
  });
});

describe('stores into page tables', () => {
  const L1 = 0x61;

  /** A pinned L1 with one entry; code at rip; rdi points at the entry. */
  function store(code: readonly number[], setUp: (m: PvMachine) => void = () => undefined) {
    const { m } = machine();
    const [table, target] = [m.spare(4), m.spare(5)];
    m.writeProtect(table);
    m.fill(table, { 2: pte(target.mfn, 0x63) });
    expect(m.mmuext(0, table.mfn)).toBe(0);
    const at = m.spare(6);
    m.ram.u8.set(code, at.word * 4);
    m.registers.rip = at.va;
    const va = table.va + 16;
    m.registers.setAddress(GPR.RDI, asVirtAddr(va));
    setUp(m);
    exception(m, PAGE, 7, va);
    const emulated = m.registers.rip === at.va + code.length;
    return { m, emulated, entry: m.entry(table.mfn, 2), target };
  }

  const spareEntry = (m: PvMachine) => pte(m.spare(5).mfn, L1);

  // biome-ignore format: one row per instruction
  test.each([
    ['mov %rax,(%rdi)',            [0x48, 0x89, 0x07],             0x65n],
    ['movb $0x21,(%rdi)',          [0xc6, 0x07, 0x21],             0x25n],
    ['xchg %rax,(%rdi)',           [0x48, 0x87, 0x07],             0x65n],
    ['andb $~2,(%rdi)',            [0x80, 0x27, 0xfd],             0x65n],
    ['lock btr $1,(%rdi)',         [0xf0, 0x48, 0x0f, 0xba, 0x37, 1], 0x65n],
    ['or $0x40,(%rdi)',            [0x48, 0x83, 0x0f, 0x40],       0x67n],
    ['lock cmpxchg %rbx,(%rdi)',   [0xf0, 0x48, 0x0f, 0xb1, 0x1f], 0x67n],
  ])('%s is carried out, checked', (_text, code, flags) => {
    const { m, emulated, entry } = store(code, (machine) => {
      machine.registers.set(GPR.RAX, spareEntry(machine));
    });
    expect(emulated).toBe(true);
    expect(entry & 0x67n).toBe(flags & 0x67n);
    expect(m.wrongCounts()).toEqual([]);
  });

  test('cmpxchg that agrees stores, and says so in ZF', () => {
    const { m, entry } = store([0xf0, 0x48, 0x0f, 0xb1, 0x1f], (machine) => {
      machine.registers.set(GPR.RAX, pte(machine.spare(5).mfn, 0x67) | (1n << 52n));
      machine.registers.set(GPR.RBX, 0n);
    });
    expect(entry).toBe(0n);
    expect(m.registers.rflags & RFLAGS.ZF).toBe(RFLAGS.ZF);
  });

  test('xchg gives the old entry back', () => {
    const { m, target } = store([0x48, 0x87, 0x07], (machine) =>
      machine.registers.set(GPR.RAX, 0n),
    );
    expect(m.registers.get(GPR.RAX)).toBe(pte(target.mfn, 0x67) | (1n << 52n));
    expect(m.wrongCounts()).toEqual([]);
  });

  // biome-ignore format: one row per refusal
  test.each([
    ['a live table, writable',  [0x48, 0x89, 0x07], (m: PvMachine) => pte(m.v.kernelTable, 0x63)],
    ['cache attributes',        [0x48, 0x89, 0x07], (m: PvMachine) => pte(m.spare(5).mfn, 0x7b)],
    ['an SSE store',            [0x0f, 0x11, 0x07], () => 0n],
    ['no instruction',          [0x0f, 0xff, 0x07], () => 0n],
  ])('%s is not: the guest gets its page fault', (_what, code, rax) => {
    const { m, emulated, entry, target } = store(code, (machine) => machine.registers.set(GPR.RAX, rax(machine)));
    expect(emulated).toBe(false);
    expect(m.registers.rip).toBe(HANDLER + PAGE);
    expect(entry).toBe(pte(target.mfn, 0x67) | (1n << 52n));
  });

  test('a page that is no table is just read-only', () => {
    const { m } = machine();
    const page = m.spare(4);
    m.writeProtect(page);
    exception(m, PAGE, 7, page.va);
    expect(m.registers.rip).toBe(HANDLER + PAGE);
  });
});
