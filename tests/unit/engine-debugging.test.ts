/** The processor's debugging facilities: TF, breakpoints of the debug registers, alignment checks, RF. */

import { describe, expect, test } from 'vitest';
import { asVirtAddr, fromU64 } from '../../hypervisor/machine/types.js';
import { BREAKPOINT, type Breakpoint, EXIT, VECTOR } from '../../hypervisor/x86/processor.js';
import { GPR, RFLAGS } from '../../hypervisor/x86/state.js';
import { FLAT, FlatMachine, hex } from '../support/flat-machine.js';

const { CODE, DATA } = FLAT;
const BS = 1 << 14;
/** Flat segments that may be loaded: a writable data segment of DPL 3. */
const SEGMENTS = { readDescriptor: () => ({ lo: 0xffff, hi: 0x00cf_f300 }) };

interface Stop {
  /** rip - CODE. */
  readonly at: number;
  /** "db:" and DR6, a vector, or why else it stopped. */
  readonly why: string;
}

/** Goes on until the SYSCALL at the end of the code; every #DB is noted, a fault of it resumed with RF. */
function stops(m: FlatMachine, code: string, limit = 50): Stop[] {
  m.load(CODE, hex(`${code} 0f05`));
  m.engine.registers.rip = asVirtAddr(CODE);
  const seen: Stop[] = [];
  while (seen.length < limit) {
    const reason = m.engine.run(1000);
    const { rip, rflags } = m.engine.registers;
    const { vector, debugStatus } = m.engine.exit;
    const at = rip - CODE;
    if (reason === EXIT.SYSCALL) return [...seen, { at, why: 'syscall' }];
    if (reason !== EXIT.EXCEPTION) return [...seen, { at, why: `exit ${reason}` }];
    if (vector !== VECTOR.DB) return [...seen, { at, why: `vector ${vector}` }];
    seen.push({ at, why: `db:${debugStatus.toString(16)}` });
    m.engine.registers.rflags = rflags | RFLAGS.RF;
  }
  return seen;
}

const text = (list: readonly Stop[]): string =>
  list.map(({ at, why }) => `${at} ${why}`).join(', ');

function machine(breakpoints: readonly Breakpoint[] = [], flags = 0): FlatMachine {
  const m = new FlatMachine(8 << 20, SEGMENTS);
  const { registers } = m.engine;
  registers.rflags |= flags;
  registers.set(GPR.RDI, BigInt(DATA + 0x800));
  registers.set(GPR.RSI, BigInt(DATA + 0x1800));
  m.engine.setBreakpoints(breakpoints);
  return m;
}

const breakpoint = (
  index: number,
  address: number,
  kind: Breakpoint['kind'] = BREAKPOINT.EXECUTE,
  bytes = 1,
): Breakpoint => ({ index, address: asVirtAddr(address), kind, bytes });

describe('TF gives #DB after', () => {
  // biome-ignore format: one row per sequence of instructions
  test.each([
    ['each instruction',                       '90 31c0 ffc0',             '1 db:4000, 3 db:4000, 5 db:4000, 7 syscall'],
    ['a branch, where it goes',                'eb01 cc 90',               '3 db:4000, 4 db:4000, 6 syscall'],
    ['each element of a repeated string',      'b903000000 f3a4 90',       '5 db:4000, 5 db:4000, 5 db:4000, 7 db:4000, 8 db:4000, 10 syscall'],
    ['a repetition of nothing, once',          '31c9 f3aa',                '2 db:4000, 4 db:4000, 6 syscall'],
    ['MOV SS and what follows, together',      '66b81b00 8ed0 90 90',      '4 db:4000, 7 db:4000, 8 db:4000, 10 syscall'],
    ['POPF that clears it, for the last time', '6a02 9d 90 90',            '2 db:4000, 3 db:4000, 7 syscall'],
  ])('%s', (_what, code, expected) => {
    expect(text(stops(machine([], RFLAGS.TF), code))).toBe(expected);
  });

  test('the instruction after the POPF that sets it', () => {
    // push 0x102; popf; nop; push 2; popf
    expect(text(stops(machine(), '6802010000 9d 90 6a02 9d 90'))).toBe(
      '7 db:4000, 9 db:4000, 10 db:4000, 13 syscall',
    );
  });

  test('not after INT3 and INT1, which are exceptions themselves', () => {
    expect(text(stops(machine([], RFLAGS.TF), '90 cc'))).toBe('1 db:4000, 2 vector 3');
    expect(text(stops(machine([], RFLAGS.TF), 'f1 90'))).toBe('1 db:0, 2 db:4000, 4 syscall');
  });

  test('not in place of a fault', () => {
    expect(text(stops(machine([], RFLAGS.TF), '90 0f0b'))).toBe('1 db:4000, 1 vector 6');
  });

  test('exactly one instruction of the budget each', () => {
    const m = machine([], RFLAGS.TF);
    stops(m, '90 90 90');
    expect(m.engine.retired).toBe(4);
  });
});

describe('an execution breakpoint', () => {
  test('stops before the instruction, and not again when it is resumed with RF', () => {
    const m = machine([breakpoint(2, CODE + 1)]);
    expect(text(stops(m, '90 ffc0 90'))).toBe('1 db:4, 6 syscall');
    expect(m.engine.registers.lo(GPR.RAX)).toBe(1);
  });

  test('stops each time round a loop', () => {
    // mov ecx,3; l: dec ecx; jnz l
    const m = machine([breakpoint(0, CODE + 5)]);
    expect(text(stops(m, 'b903000000 ffc9 75fc'))).toBe('5 db:1, 5 db:1, 5 db:1, 11 syscall');
  });

  test('stops once at a repeated string, however many elements it has', () => {
    const m = machine([breakpoint(0, CODE + 5)]);
    m.engine.registers.set(GPR.RAX, 7n);
    expect(text(stops(m, 'b905000000 f3aa 90'))).toBe('5 db:1, 10 syscall');
    expect([...m.read(DATA + 0x800, 6)]).toEqual([7, 7, 7, 7, 7, 0]);
  });

  test('in the middle of an instruction is none', () => {
    expect(text(stops(machine([breakpoint(0, CODE + 2)]), '90 31c0 90'))).toBe('6 syscall');
  });

  test('does not stop the instruction after MOV SS', () => {
    const m = machine([breakpoint(0, CODE + 6)]);
    expect(text(stops(m, '66b81b00 8ed0 90 90'))).toBe('10 syscall');
  });

  test('reports all that lie there, and leaves other pages at full speed', () => {
    const m = machine([breakpoint(0, CODE), breakpoint(3, CODE), breakpoint(1, CODE + 0x1000)]);
    expect(text(stops(m, '90'))).toBe('0 db:9, 3 syscall');
  });

  test('stops at an instruction that reaches into the next page, and at the one behind it', () => {
    const m = machine([breakpoint(0, CODE + 0xffe), breakpoint(1, CODE + 0x1003)]);
    m.load(CODE + 0xffe, hex('b801000000 90 0f05'));
    m.engine.registers.rip = asVirtAddr(CODE + 0xffe);
    const seen: string[] = [];
    while (m.engine.run(100) === EXIT.EXCEPTION) {
      seen.push(`${m.engine.registers.rip - CODE} ${m.engine.exit.debugStatus}`);
      m.engine.registers.rflags |= RFLAGS.RF;
    }
    expect(seen).toEqual([`${0xffe} 1`, `${0x1003} 2`]);
  });

  test('at an address that is not mapped comes before the page fault', () => {
    const m = machine([breakpoint(0, 0x7000_0000)]);
    m.engine.registers.rip = asVirtAddr(0x7000_0000);
    expect([m.engine.run(10), m.engine.exit.vector]).toEqual([EXIT.EXCEPTION, VECTOR.DB]);
    m.engine.registers.rflags |= RFLAGS.RF;
    expect([m.engine.run(10), m.engine.exit.vector]).toEqual([EXIT.EXCEPTION, VECTOR.PF]);
  });

  test('keeps the budget exact', () => {
    for (let budget = 1; budget < 12; budget++) {
      const m = machine([breakpoint(0, CODE + 0x100)]);
      m.load(CODE, hex('b90a000000 ffc9 75fc 0f05'));
      m.engine.registers.rip = asVirtAddr(CODE);
      expect(m.engine.run(budget)).toBe(EXIT.BUDGET);
      expect(m.engine.retired).toBe(budget);
    }
  });
});

describe('a data breakpoint', () => {
  const word = DATA + 0x800;
  // biome-ignore format: one row per access
  test.each([
    ['a write hits a write breakpoint',      BREAKPOINT.WRITE,  4, '8907 90',            '2 db:1, 5 syscall'],
    ['a read does not',                      BREAKPOINT.WRITE,  4, '8b07 90',            '5 syscall'],
    ['a read hits an access breakpoint',     BREAKPOINT.ACCESS, 4, '8b07 90',            '2 db:1, 5 syscall'],
    ['a write does, too',                    BREAKPOINT.ACCESS, 4, '8907 90',            '2 db:1, 5 syscall'],
    ['a byte within is a hit',               BREAKPOINT.WRITE,  8, '884707 90',          '3 db:1, 6 syscall'],
    ['a byte behind is none',                BREAKPOINT.WRITE,  4, '884704 90',          '6 syscall'],
    ['a wide access that reaches it is',     BREAKPOINT.WRITE,  1, '488947f9 90',        '4 db:1, 7 syscall'],
    ['one that ends before is not',          BREAKPOINT.WRITE,  1, '488947f8 90',        '7 syscall'],
    ['a read that is written back is',       BREAKPOINT.WRITE,  2, '830701 90',          '3 db:1, 6 syscall'],
    ['PUSH is',                              BREAKPOINT.WRITE,  8, '488d6708 50 90',     '5 db:1, 8 syscall'],
    ['an XMM store is',                      BREAKPOINT.WRITE,  1, '0f1147f1 90',        '4 db:1, 7 syscall'],
    ['only the element of a string that',    BREAKPOINT.WRITE,  1, '4883ef02 b905000000 f3aa 90', '9 db:1, 14 syscall'],
  ])('%s', (_what, kind, bytes, code, expected) => {
    expect(text(stops(machine([breakpoint(0, word, kind, bytes)]), code))).toBe(expected);
  });

  test('stops after the write has been made', () => {
    const m = machine([breakpoint(1, word, BREAKPOINT.WRITE, 4)]);
    m.engine.registers.set(GPR.RAX, 0x1234_5678n);
    expect(text(stops(m, '8907'))).toBe('2 db:2, 4 syscall');
    expect([...m.read(word, 4)]).toEqual([0x78, 0x56, 0x34, 0x12]);
  });

  test('that MOV SS hits waits for the next instruction', () => {
    const m = machine([breakpoint(0, word, BREAKPOINT.ACCESS, 2)]);
    m.load(word, [0x1b, 0]);
    expect(text(stops(m, '8e17 90 90'))).toBe('3 db:1, 6 syscall');
  });

  test('is lost when the instruction faults', () => {
    const m = machine([breakpoint(0, word, BREAKPOINT.ACCESS, 8)]);
    m.load(word, hex('0000000000000080')); // not canonical
    expect(text(stops(m, 'ff27'))).toBe('0 vector 13');
  });

  test('and TF are told together', () => {
    const m = machine([breakpoint(3, word, BREAKPOINT.WRITE, 4)], RFLAGS.TF);
    expect(text(stops(m, '8907'))).toBe(`2 db:${(BS | 8).toString(16)}, 4 syscall`);
  });

  test('two at once are told together', () => {
    const at = [
      breakpoint(0, word, BREAKPOINT.WRITE, 4),
      breakpoint(2, word, BREAKPOINT.ACCESS, 1),
    ];
    expect(text(stops(machine(at), '8907'))).toBe('2 db:5, 4 syscall');
  });

  test('does nothing any more when it is gone', () => {
    const m = machine([breakpoint(0, word, BREAKPOINT.WRITE, 4)]);
    m.engine.setBreakpoints([]);
    expect(text(stops(m, '8907'))).toBe('4 syscall');
  });

  test('at the very top of the address space can be set', () => {
    const top = fromU64(0xffff_ffff_ffff_fff8n)!;
    expect(text(stops(machine([breakpoint(0, top, BREAKPOINT.WRITE, 8)]), '8907'))).toBe(
      '4 syscall',
    );
  });
});

describe('with AC', () => {
  test('an access that was known before the flag was set is checked', () => {
    // mov eax,[rdi+1]; push 0x40002; popf; mov eax,[rdi+4]; mov eax,[rdi+1]
    const m = machine();
    expect(text(stops(m, '8b4701 6802000400 9d 8b4704 8b4701'))).toBe('12 vector 17');
  });

  test('it is checked no more when POPF clears the flag', () => {
    const m = machine([], RFLAGS.AC);
    expect(text(stops(m, '6a02 9d 8b4701'))).toBe('8 syscall');
  });
});
