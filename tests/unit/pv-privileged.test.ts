/** Privileged instructions of a guest: carried out, or #GP; CPUID and MSRs as a guest finds them. */

import { describe, expect, test } from 'vitest';
import { asVirtAddr } from '../../hypervisor/machine/types.js';
import { cpuid } from '../../hypervisor/pv/cpuid.js';
import { EXIT } from '../../hypervisor/x86/processor.js';
import { GPR } from '../../hypervisor/x86/state.js';
import { PvMachine } from '../support/pv-machine.js';

const HANDLER = -0x7ff0_0000;
const GP = HANDLER + 13;
const UD = HANDLER + 6;

interface State {
  readonly m: PvMachine;
  /** done, or the handler that was entered: gp, ud, pf. */
  readonly outcome: string;
}

/** Executes one instruction in the kernel; rdi points at a spare page. */
function execute(code: readonly number[], setUp: (m: PvMachine) => void = () => undefined): State {
  const m = new PvMachine();
  for (let vector = 0; vector < 32; vector++) m.v.trapAddress[vector] = HANDLER + vector;
  const at = m.spare(6);
  m.ram.u8.set(code, at.word * 4);
  m.registers.rip = at.va;
  m.registers.setAddress(GPR.RSP, asVirtAddr(m.spare(0).va + 2048));
  m.registers.setAddress(GPR.RDI, m.spare(1).va);
  setUp(m);
  m.processor.exit = {
    vector: 0,
    errorCode: 0,
    cr2: asVirtAddr(0),
    length: code.length,
    code: 0,
    debugStatus: 0,
  };
  m.pv.handleExit(m.v, EXIT.PRIVILEGED);
  const { rip } = m.registers;
  const names = new Map<number, string>([
    [at.va + code.length, 'done'],
    [GP, 'gp'],
    [UD, 'ud'],
    [HANDLER + 14, 'pf'],
  ]);
  return { m, outcome: names.get(rip) ?? `rip ${rip}` };
}

const rax = (m: PvMachine) => m.registers.get(GPR.RAX);

// biome-ignore format: one row per instruction
describe.each([
  ['hlt',                 [0xf4],                   'gp'],
  ['cli',                 [0xfa],                   'gp'],
  ['invlpg (%rdi)',       [0x0f, 0x01, 0x3f],       'gp'],
  ['lgdt (%rdi)',         [0x0f, 0x01, 0x17],       'gp'],
  ['swapgs',              [0x0f, 0x01, 0xf8],       'gp'],
  ['sysretq',             [0x48, 0x0f, 0x07],       'gp'],
  ['rdpmc',               [0x0f, 0x33],             'gp'],
  ['wbinvd',              [0x0f, 0x09],             'done'],
  ['clts',                [0x0f, 0x06],             'done'],
  ['xsetbv',              [0x0f, 0x01, 0xd1],       'ud'],
  ['in $0x80,%al',        [0xe4, 0x80],             'gp'],
  ['mov %rax,%cr8',       [0x44, 0x0f, 0x22, 0xc0], 'gp'],
] as const)('%s', (_text, code, kernel) => {
  test(`in the kernel: ${kernel}`, () => expect(execute(code).outcome).toBe(kernel));

  test('in user mode: gp, or ud', () => {
    const { outcome } = execute(code, (m) => {
      m.v.userTable = m.v.kernelTable;
      m.v.kernelSp = asVirtAddr(m.spare(0).va + 1024);
      m.v.inKernel = false;
    });
    expect(['gp', 'ud']).toContain(outcome);
  });
});

describe('control registers', () => {
  // biome-ignore format: one row per register
  test.each([
    ['CR0', [0x0f, 0x20, 0xc0], () => 0x8005_0033n],
    ['CR3', [0x0f, 0x20, 0xd8], (m: PvMachine) => BigInt(m.v.kernelTable) << 12n],
    ['CR4', [0x0f, 0x20, 0xe0], () => 0x660n],
  ])('%s reads as a guest is to see it', (_name, code, expected) => {
    const { m, outcome } = execute(code);
    expect([outcome, rax(m)]).toEqual(['done', expected(m)]);
  });

  test('only TS of CR0 may change', () => {
    const write = [0x0f, 0x22, 0xc0];
    const { m, outcome } = execute(write, (machine) =>
      machine.registers.set(GPR.RAX, 0x8005_003bn),
    );
    expect([outcome, m.registers.cr0 & 8]).toEqual(['done', 8]);
    expect(execute(write, (machine) => machine.registers.set(GPR.RAX, 1n)).outcome).toBe('gp');
  });

  test('CR3 takes a top-level table, nothing else', () => {
    const write = [0x0f, 0x22, 0xd8];
    const load = (mfn: (m: PvMachine) => number) => (m: PvMachine) =>
      m.registers.set(GPR.RAX, BigInt(mfn(m)) << 12n);
    expect(
      execute(
        write,
        load((m) => m.v.kernelTable),
      ).outcome,
    ).toBe('done');
    expect(
      execute(
        write,
        load((m) => m.spare(3).mfn),
      ).outcome,
    ).toBe('gp');
  });

  test('CR4 keeps what the guest may not change', () => {
    const { m } = execute([0x0f, 0x22, 0xe0], (machine) => machine.registers.set(GPR.RAX, 0xffffn));
    expect(m.v.cr4Bits).toBe(0xc);
  });

  test('an I/O breakpoint needs CR4.DE', () => {
    const write = [0x0f, 0x23, 0xf8]; // mov %rax,%dr7
    const control = (m: PvMachine) => m.registers.set(GPR.RAX, 0x2_0002n);
    expect(execute(write, control).outcome).toBe('gp');
    const { m, outcome } = execute(write, (machine) => {
      control(machine);
      machine.v.cr4Bits = 8;
    });
    expect([outcome, m.v.debug[7]]).toEqual(['done', 0x2_0402n]);
  });
});

describe('model-specific registers', () => {
  const RDMSR = [0x0f, 0x32];
  const WRMSR = [0x0f, 0x30];
  const select =
    (index: number, value = 0n) =>
    (m: PvMachine) => {
      m.registers.set(GPR.RCX, BigInt(index));
      m.registers.set(GPR.RAX, value & 0xffff_ffffn);
      m.registers.set(GPR.RDX, value >> 32n);
    };

  // biome-ignore format: one row per register
  test.each([
    ['EFER',      0xc000_0080, 0xd01n],
    ['PAT',       0x277,       0x0007_0406n],
    ['APIC_BASE', 0x1b,        0x900n],
  ])('%s reads', (_name, index, low) => {
    const { m, outcome } = execute(RDMSR, select(index));
    expect([outcome, rax(m)]).toEqual(['done', low]);
  });

  test('an unknown one is #GP, or zero while there is no handler', () => {
    expect(execute(RDMSR, select(0x1234_5678)).outcome).toBe('gp');
    const { m, outcome } = execute(RDMSR, (machine) => {
      select(0x1234_5678)(machine);
      machine.v.trapAddress[13] = 0;
    });
    expect([outcome, rax(m)]).toEqual(['done', 0n]);
  });

  test('bases are written if canonical', () => {
    const { m } = execute(WRMSR, select(0xc000_0100, 0xffff_8800_0000_1000n));
    expect(m.registers.fsBase).toBe(0xffff_8800_0000_1000n);
    expect(execute(WRMSR, select(0xc000_0100, 1n << 63n)).outcome).toBe('gp');
    expect(execute(WRMSR, select(0xc000_0080, 0xd01n)).outcome).toBe('done');
    expect(execute(WRMSR, select(0xc000_0080, 0xd00n)).outcome).toBe('gp');
  });

  test('the hypercall page is installed where the guest may write', () => {
    const install = (mfn: (m: PvMachine) => number) => (m: PvMachine) =>
      select(0x4000_0000, BigInt(mfn(m)) << 12n)(m);
    const { m, outcome } = execute(
      WRMSR,
      install((machine) => machine.spare(3).mfn),
    );
    expect(outcome).toBe('done');
    const stub = m.spare(3).word * 4 + 17 * 32;
    expect([...m.ram.u8.slice(stub, stub + 8)]).toEqual([0x51, 0x41, 0x53, 0xb8, 17, 0, 0, 0]);
    expect(
      execute(
        WRMSR,
        install((machine) => machine.v.kernelTable),
      ).outcome,
    ).toBe('gp');
  });
});

describe('I/O', () => {
  const allow = (m: PvMachine) => {
    m.v.iopl = 1;
  };

  test('with enough IOPL ports read as all ones, CLI does nothing', () => {
    expect(rax(execute([0xe4, 0x80], allow).m) & 0xffn).toBe(0xffn);
    expect(execute([0xfa], allow).outcome).toBe('done');
  });

  test('the bitmap opens single ports', () => {
    const open = (m: PvMachine) => {
      m.ram.u8[m.spare(2).word * 4 + 0x10] = 0xfe;
      m.v.ioBitmap = m.spare(2).va;
      m.v.ioBitmapPorts = 0x100;
    };
    expect(execute([0xe4, 0x80], open).outcome).toBe('done');
    expect(execute([0xe4, 0x81], open).outcome).toBe('gp');
    expect(execute([0xe5, 0x80], open).outcome).toBe('gp');
  });

  test('rep insb fills memory, and faults where there is none', () => {
    const count = (m: PvMachine) => {
      allow(m);
      m.registers.set(GPR.RCX, 5n);
    };
    const { m, outcome } = execute([0xf3, 0x6c], count);
    expect([outcome, m.registers.get(GPR.RCX)]).toEqual(['done', 0n]);
    expect([...m.ram.u8.slice(m.spare(1).word * 4, m.spare(1).word * 4 + 6)]).toEqual([
      255, 255, 255, 255, 255, 0,
    ]);
    const beyond = execute([0xf3, 0x6c], (machine) => {
      count(machine);
      machine.registers.set(GPR.RDI, 0x1000n);
    });
    expect([beyond.outcome, beyond.m.registers.get(GPR.RCX)]).toEqual(['pf', 5n]);
  });
});

describe('tables of the hypervisor', () => {
  test('sidt shows one in Xen range', () => {
    const { m, outcome } = execute([0x0f, 0x01, 0x0f]);
    expect(outcome).toBe('done');
    expect(m.pv.guest.readU16(m.spare(1).va)).toBe(0xfff);
    const base = m.pv.guest.readU64(asVirtAddr(m.spare(1).va + 2))!;
    expect(base >> 43n).toBe(0xffff_8000_0000_0000n >> 43n);
  });

  test('str, sldt and smsw in registers; a store that cannot be made faults', () => {
    expect(rax(execute([0x0f, 0x00, 0xc8]).m)).toBe(0xe040n);
    expect(rax(execute([0x0f, 0x00, 0xc0]).m)).toBe(0n);
    expect(rax(execute([0x0f, 0x01, 0xe0]).m)).toBe(0x8005_0033n);
    expect(execute([0x0f, 0x01, 0x0f], (m) => m.registers.set(GPR.RDI, 0n)).outcome).toBe('pf');
  });
});

describe('CPUID', () => {
  const context = { vcpuId: 1, version: [4, 17] as const };
  const text = (leaf: number, order: readonly number[]) =>
    String.fromCharCode(
      ...order.flatMap((n) =>
        [0, 8, 16, 24].map((shift) => (cpuid(context, leaf, 0)[n]! >>> shift) & 255),
      ),
    );

  test('vendor, and Xen behind it', () => {
    expect(text(0, [1, 3, 2])).toBe('AuthenticAMD');
    expect(text(0x4000_0000, [1, 2, 3])).toBe('XenVMMXenVMM');
    expect(cpuid(context, 0x4000_0001, 0)[0]).toBe(0x4_0011);
    expect(cpuid(context, 0x4000_0002, 0)).toEqual([1, 0x4000_0000, 1, 0]);
  });

  test('nothing of a leaf that is not there', () => {
    expect(cpuid(context, 0x1234_5678, 0)).toEqual([0, 0, 0, 0]);
    expect(cpuid(context, 7, 1)).toEqual([0, 0, 0, 0]);
  });

  test('the forced form: ud2, "xen", cpuid', () => {
    const { m } = execute([0xf4]);
    const at = m.spare(7);
    m.ram.u8.set([0x0f, 0x0b, 0x78, 0x65, 0x6e, 0x0f, 0xa2], at.word * 4);
    m.registers.rip = at.va;
    m.registers.set(GPR.RAX, 0x4000_0000n);
    m.processor.exit = { ...m.processor.exit, vector: 6 };
    m.pv.handleExit(m.v, EXIT.EXCEPTION);
    expect([m.registers.rip, rax(m)]).toEqual([at.va + 7, 0x4000_0005n]);
  });
});
