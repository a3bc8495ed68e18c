/** Code that is not 64-bit code: how it is entered and left, its segments, and instructions that exist only there. */

import { describe, expect, test } from 'vitest';
import { asVirtAddr } from '../../hypervisor/machine/types.js';
import { EXIT, VECTOR } from '../../hypervisor/x86/processor.js';
import { MODE } from '../../hypervisor/x86/segment-state.js';
import { GPR, RFLAGS, SEGMENT } from '../../hypervisor/x86/state.js';
import { FLAT, FlatMachine, hex } from '../support/flat-machine.js';

const SELECTOR = {
  CODE32: 0x23,
  DATA: 0x2b,
  CODE64: 0x33,
  SMALL: 0x3b,
  CODE16: 0x43,
  DOWN: 0x4b,
  STACK16: 0x53,
  READ_ONLY: 0x5b,
  BASED: 0x63,
} as const;
const base = (at: number) => ({
  lo: (at & 0xffff) << 16,
  hi: ((at >>> 16) & 0xff) | (at & 0xff00_0000),
});

/** A descriptor with DPL 3. @param type its type and S; @param flags G, D, L as bits 23 to 21. */
function descriptor(at: number, limit: number, type: number, flags: number) {
  const { lo, hi } = base(at);
  return {
    lo: (lo | (limit & 0xffff)) >>> 0,
    hi: (hi | (limit & 0xf_0000) | flags | 0xe000 | (type << 8)) >>> 0,
  };
}
const [CODE, DATA, DOWN, READ_ONLY] = [0x1b, 0x13, 0x17, 0x11];
const [PAGES, BIG, LONG] = [1 << 23, 1 << 22, 1 << 21];

// biome-ignore format: one row per descriptor
const DESCRIPTORS: Readonly<Record<number, { lo: number; hi: number }>> = {
  [SELECTOR.CODE32]:    descriptor(0, 0xf_ffff, CODE, PAGES | BIG),
  [SELECTOR.DATA]:      descriptor(0, 0xf_ffff, DATA, PAGES | BIG),
  [SELECTOR.CODE64]:    descriptor(0, 0xf_ffff, CODE, PAGES | LONG),
  [SELECTOR.SMALL]:     descriptor(FLAT.DATA, 15, DATA, BIG),
  [SELECTOR.CODE16]:    descriptor(FLAT.CODE, 0xffff, CODE, 0),
  [SELECTOR.DOWN]:      descriptor(FLAT.DATA, 0xfff, DOWN, BIG),
  [SELECTOR.STACK16]:   descriptor(FLAT.STACK, 0xffff, DATA, 0),
  [SELECTOR.READ_ONLY]: descriptor(FLAT.DATA, 0xffff, READ_ONLY, BIG),
  [SELECTOR.BASED]:     descriptor(FLAT.CODE, 0x2f, CODE, BIG),
};

function machine(code: number = SELECTOR.CODE32) {
  const m = new FlatMachine(undefined, { readDescriptor: (selector) => DESCRIPTORS[selector] });
  const { segments } = m.engine.registers;
  for (const segment of [SEGMENT.ES, SEGMENT.SS, SEGMENT.DS])
    segments.load(segment, SELECTOR.DATA, DESCRIPTORS[SELECTOR.DATA]);
  segments.enter(code, DESCRIPTORS[code]!, DESCRIPTORS[SELECTOR.DATA]);
  return { m, r: m.engine.registers, segments };
}

/** Runs code up to an INT3 at its end. @returns the exception it ended with. */
function run(m: FlatMachine, code: string, at: number = FLAT.CODE): number {
  m.load(FLAT.CODE, hex(`${code} cc`));
  m.engine.registers.rip = asVirtAddr(at);
  expect(m.engine.run(10_000)).toBe(EXIT.EXCEPTION);
  return m.engine.exit.vector;
}

describe('32-bit code', () => {
  test('has inc, dec and pusha where 64-bit code has prefixes and nothing', () => {
    const { m, r } = machine();
    for (let n = 0; n < 8; n++) r.set(n, n === GPR.RSP ? r.get(n) : BigInt(n) << 4n);
    const rsp = r.lo(GPR.RSP);
    expect(run(m, '40 41 4a 60')).toBe(VECTOR.BP);
    expect([r.lo(0), r.lo(1), r.lo(2), r.lo(GPR.RSP)]).toEqual([1, 0x11, 0x1f, rsp - 32]);
    const pushed = new Uint32Array(m.read(rsp - 32, 32).buffer);
    expect([...pushed]).toEqual([0x70, 0x60, 0x50, rsp, 0x30, 0x1f, 0x11, 1]);
    r.set(GPR.RAX, 0n);
    expect(run(m, '61')).toBe(VECTOR.BP);
    expect([r.lo(0), r.lo(GPR.RSP)]).toEqual([1, rsp]);
  });

  test('wraps addresses at 4 GiB, with 16-bit addresses at 64 KiB', () => {
    const { m, r } = machine();
    m.load(FLAT.DATA, [0x78, 0x56, 0x34, 0x12]);
    r.set(GPR.RBX, BigInt(FLAT.DATA) + 0xffff_fff0n);
    expect(run(m, '8b 43 10')).toBe(VECTOR.BP); // mov eax, [ebx + 16]
    expect(r.lo(GPR.RAX)).toBe(0x1234_5678);
    r.set(GPR.RBX, 0xffff_fff0n);
    r.set(GPR.RSI, 0x18n);
    expect(run(m, '67 8d 40 08')).toBe(VECTOR.BP); // lea eax, [bx + si + 8]
    expect(r.lo(GPR.RAX)).toBe(0x10);
  });

  test('goes to 64-bit code by a far jump and comes back by a far return', () => {
    const { m, r } = machine();
    const target = FLAT.CODE + 0x40;
    m.load(target, hex('48 b8 88 77 66 55 44 33 22 11 cb')); // mov rax, imm64; retf
    const low = target.toString(16).padStart(8, '0').match(/../g)!.reverse().join('');
    expect(run(m, `9a ${low} 3300 40`)).toBe(VECTOR.BP); // lcall 0x33:target; inc eax
    expect(r.mode).toBe(MODE.FLAT);
    expect(r.get(GPR.RAX)).toBe(0x5566_7789n); // 32-bit code keeps the low half only
    expect(r.cs).toBe(SELECTOR.CODE32);
  });

  test('one page holds code of two modes', () => {
    const { m, r } = machine();
    expect(run(m, '48')).toBe(VECTOR.BP); // dec eax
    expect(r.lo(GPR.RAX)).toBe(0xffff_ffff);
    r.cs = SELECTOR.CODE64;
    r.set(GPR.RAX, 1n);
    m.engine.registers.rip = asVirtAddr(FLAT.CODE);
    expect(m.engine.run(100)).toBe(EXIT.EXCEPTION); // 48 cc: a prefix, then INT3
    expect([m.engine.exit.vector, r.lo(GPR.RAX), r.rip]).toEqual([VECTOR.BP, 1, FLAT.CODE + 2]);
  });

  test('leaves for SYSCALL and SYSENTER; 64-bit code has no SYSENTER', () => {
    const { m, r } = machine();
    expect(m.run(hex('0f 05'))).toBe(EXIT.SYSCALL);
    expect(m.run(hex('0f 34'))).toBe(EXIT.SYSENTER);
    expect(r.rip).toBe(FLAT.CODE + 2);
    r.cs = SELECTOR.CODE64;
    expect(m.run(hex('0f 34'))).toBe(EXIT.EXCEPTION);
    expect(m.engine.exit.vector).toBe(VECTOR.UD);
  });

  test('BOUND and INTO', () => {
    const { m, r } = machine();
    m.load(FLAT.DATA, new Uint8Array(Int32Array.of(-5, 9).buffer));
    r.set(GPR.RBX, BigInt(FLAT.DATA));
    for (const [index, vector] of [
      [-5, VECTOR.BP],
      [9, VECTOR.BP],
      [10, VECTOR.BR],
      [-6, VECTOR.BR],
    ] as const) {
      r.setLow(GPR.RAX, index);
      expect(run(m, '62 03'), `${index}`).toBe(vector);
    }
    r.rflags = RFLAGS.OF;
    expect(run(m, 'ce')).toBe(VECTOR.OF);
    expect(r.rip).toBe(FLAT.CODE + 1);
    r.rflags = 0;
    expect(run(m, 'ce')).toBe(VECTOR.BP);
  });
});

describe('segments', () => {
  const load = (selector: number) => `66 b8 ${selector.toString(16)} 00 8e d8`; // mov ax, selector; mov ds, ax

  // biome-ignore format: one row per access
  test.each<[name: string, selector: number, offset: number, code: string, vector: number]>([
    ['the last double word within the limit',   SELECTOR.SMALL,     12,     '8b 0b', VECTOR.BP],
    ['a double word across the limit',          SELECTOR.SMALL,     13,     '8b 0b', VECTOR.GP],
    ['a write beyond the limit',                SELECTOR.SMALL,     16,     '88 0b', VECTOR.GP],
    ['expand-down below its limit',             SELECTOR.DOWN,      0xfff,  '8a 0b', VECTOR.GP],
    ['expand-down above its limit',             SELECTOR.DOWN,      0x1000, '8a 0b', VECTOR.BP],
    ['reading what is read-only',               SELECTOR.READ_ONLY, 4,      '8b 0b', VECTOR.BP],
    ['writing what is read-only',               SELECTOR.READ_ONLY, 4,      '89 0b', VECTOR.GP],
    ['read-modify-write of what is read-only',  SELECTOR.READ_ONLY, 4,      '01 0b', VECTOR.GP],
    ['ES, which is flat still',                 SELECTOR.SMALL,     FLAT.DATA + 64, '26 8b 0b', VECTOR.BP],
    ['another segment by prefix',               SELECTOR.SMALL,     FLAT.DATA + 64, '36 89 0b', VECTOR.BP],
    ['writing through CS',                      SELECTOR.DATA,      FLAT.DATA, '2e 89 0b', VECTOR.GP],
    ['a null FS',                               SELECTOR.DATA,      FLAT.DATA, '64 8b 0b', VECTOR.GP],
  ])('%s', (_, selector, offset, code, vector) => {
    const { m, r } = machine();
    r.setLow(GPR.RBX, offset);
    expect(run(m, `${load(selector)} ${code}`)).toBe(vector);
    if (vector !== VECTOR.BP) expect([r.rip, m.engine.exit.errorCode]).toEqual([FLAT.CODE + 6, 0]);
  });

  test('a base is added to what an operand says', () => {
    const { m, r } = machine();
    m.load(FLAT.DATA + 8, [0x2a]);
    r.setLow(GPR.RBX, 8);
    expect(run(m, `${load(SELECTOR.SMALL)} 0f b6 0b`)).toBe(VECTOR.BP);
    expect([r.lo(GPR.RCX), r.mode]).toEqual([0x2a, MODE.SEGMENTED]);
    expect(run(m, `${load(SELECTOR.DATA)} 90`)).toBe(VECTOR.BP);
    expect(r.mode).toBe(MODE.FLAT);
  });

  test('a null DS refuses every access, a selector that is not there is refused itself', () => {
    const { m } = machine();
    expect(run(m, '31 c0 8e d8 8b 03')).toBe(VECTOR.GP); // xor eax, eax; mov ds, ax; mov eax, [ebx]
    expect(run(m, '66 b8 83 00 8e d8')).toBe(VECTOR.GP);
    expect(m.engine.exit.errorCode).toBe(0x80);
  });

  test('a 16-bit stack pointer leaves the upper half of ESP', () => {
    const { m, r, segments } = machine();
    segments.load(SEGMENT.SS, SELECTOR.STACK16, DESCRIPTORS[SELECTOR.STACK16]);
    r.set(GPR.RSP, 0x1234_0002n);
    expect(run(m, '68 78 56 34 12')).toBe(VECTOR.SS); // push imm32: its end is beyond 64 KiB
    r.set(GPR.RSP, 0x1234_0004n);
    expect(run(m, '68 78 56 34 12')).toBe(VECTOR.BP);
    expect(r.lo(GPR.RSP)).toBe(0x1234_0000);
    expect([...m.read(FLAT.STACK, 4)]).toEqual([0x78, 0x56, 0x34, 0x12]);
  });

  test('code with a base and a limit', () => {
    const { m, r } = machine(SELECTOR.BASED);
    expect(run(m, '40 e8 00 00 00 00 5a', 0)).toBe(VECTOR.BP); // inc eax; call next; pop edx
    expect([r.lo(GPR.RAX), r.lo(GPR.RDX), r.rip]).toEqual([1, 6, 8]);
    expect(run(m, 'e9 00 01 00 00', 0)).toBe(VECTOR.GP); // a jump beyond the limit is at fault itself
    expect(r.rip).toBe(0);
    m.load(FLAT.CODE + 0x2e, hex('90 90 90'));
    r.rip = asVirtAddr(0x2e);
    expect(m.engine.run(100)).toBe(EXIT.EXCEPTION);
    expect([m.engine.exit.vector, r.rip]).toEqual([VECTOR.GP, 0x30]);
  });

  test('16-bit code', () => {
    const { m, r } = machine(SELECTOR.CODE16);
    r.set(GPR.RAX, 0x1_ffffn);
    expect(run(m, '40 b9 03 00 e2 fe', 0)).toBe(VECTOR.BP); // inc ax; mov cx, 3; loop to itself
    expect([r.lo(GPR.RAX), r.lo(GPR.RCX) & 0xffff, r.mode]).toEqual([
      0x1_0000,
      0,
      MODE.SEGMENTED_16,
    ]);
  });
});

describe('decimal arithmetic', () => {
  type Result = readonly [ax: number, carry: number, adjust: number];
  const digit = (al: number, af: number) => (al & 15) > 9 || af === 1;
  const changed = (ax: number, yes: boolean, by: number): Result => [
    (yes ? ax + by : ax) & 0xff0f,
    yes ? 1 : 0,
    yes ? 1 : 0,
  ];

  /** As the manual's pseudo-code has it, step by step. */
  function packed(ax: number, cf: number, af: number, sign: 1 | -1): Result {
    let al = ax & 255;
    const isHigh = al > 0x99 || cf === 1;
    let carry = 0;
    if (digit(al, af)) {
      carry = cf || (sign < 0 && al < 6) ? 1 : 0;
      al += 6 * sign;
    }
    if (isHigh) {
      al += 0x60 * sign;
      carry = 1;
    } else if (sign > 0) carry = 0;
    return [(ax & 0xff00) | (al & 255), carry, digit(ax & 255, af) ? 1 : 0];
  }

  // biome-ignore format: one row per instruction
  test.each<[name: string, code: string, model: (ax: number, cf: number, af: number) => Result]>([
    ['AAA', '37', (ax, _, af) => changed(ax, digit(ax, af), 0x106)],
    ['AAS', '3f', (ax, _, af) => changed(ax, digit(ax, af), -0x106)],
    ['DAA', '27', (ax, cf, af) => packed(ax, cf, af, 1)],
    ['DAS', '2f', (ax, cf, af) => packed(ax, cf, af, -1)],
  ])('%s for every AL, CF and AF', (_, code, model) => {
    const { m, r } = machine();
    m.load(FLAT.CODE, hex(`${code} cc`));
    for (let n = 0; n < 1024; n++) {
      const [ax, cf, af] = [0x1200 | (n & 255), (n >> 8) & 1, (n >> 9) & 1];
      r.setLow(GPR.RAX, ax);
      r.rflags = cf | (af << 4);
      r.rip = asVirtAddr(FLAT.CODE);
      m.engine.run(10);
      const got: Result = [r.lo(GPR.RAX), r.rflags & 1, (r.rflags >> 4) & 1];
      expect(got, `${ax} ${cf} ${af}`).toEqual(model(ax, cf, af));
    }
  });

  test('AAM, AAD and SALC', () => {
    const { m, r } = machine();
    r.setLow(GPR.RAX, 97);
    expect(run(m, 'd4 0a')).toBe(VECTOR.BP);
    expect(r.lo(GPR.RAX)).toBe(0x907);
    expect(run(m, 'd5 0a')).toBe(VECTOR.BP);
    expect(r.lo(GPR.RAX)).toBe(97);
    expect(run(m, 'd4 00')).toBe(VECTOR.DE);
    expect(run(m, 'f9 d6')).toBe(VECTOR.BP);
    expect(r.lo(GPR.RAX)).toBe(0xff);
  });
});
