/** Fused pairs do what the two instructions do: random programs run whole and one instruction at a time. */

import { expect, test } from 'vitest';
import { STATE_SIZE } from '../../hypervisor/machine/layout.js';
import { asVirtAddr } from '../../hypervisor/machine/types.js';
import { EXIT } from '../../hypervisor/x86/processor.js';
import { FLAT, FlatMachine } from '../support/flat-machine.js';

/** A small generator of pseudo-random numbers (xorshift32). */
function randomFrom(seed: number): (limit: number) => number {
  let x = seed | 1;
  return (limit) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % limit;
  };
}

/** rax rcx rdx rbx rbp rsi: rdi points to data, rsp to the stack. */
const REGISTERS = [0, 1, 2, 3, 5, 6];
const ALU = [0x01, 0x29, 0x31, 0x21, 0x39, 0x85, 0x89, 0x09];
const ALU_IMMEDIATE = [0, 5, 6, 4, 7, 1];
const DATA_POINTER = 7;

type Random = (limit: number) => number;
const pick = (random: Random): number => REGISTERS[random(REGISTERS.length)]!;
const rex = (random: Random): number[] => (random(2) ? [0x48] : []);
const modrm = (mod: number, reg: number, rm: number): number => (mod << 6) | (reg << 3) | rm;

// biome-ignore format: one row per kind of instruction
const KINDS: readonly ((random: Random) => number[])[] = [
  (r) => [...rex(r), ALU[r(ALU.length)]!, modrm(3, pick(r), pick(r))],
  (r) => [...rex(r), ALU[r(ALU.length)]!, modrm(3, pick(r), pick(r))],
  (r) => [...rex(r), 0x83, modrm(3, ALU_IMMEDIATE[r(6)]!, pick(r)), r(256)],
  (r) => [...rex(r), 0x8b, modrm(1, pick(r), DATA_POINTER), r(16) * 8],
  (r) => [...rex(r), 0x89, modrm(1, pick(r), DATA_POINTER), r(16) * 8],
  (r) => [...rex(r), 0x39, modrm(1, pick(r), DATA_POINTER), r(16) * 8],
  (r) => [...rex(r), 0x3b, modrm(1, pick(r), DATA_POINTER), r(16) * 8],
  (r) => [...rex(r), 0x8d, modrm(1, pick(r), 3), r(256)],
  (r) => [...rex(r), 0xc1, modrm(3, [4, 5, 7, 0, 1][r(5)]!, pick(r)), r(64)],
  (r) => [...rex(r), 0xff, modrm(3, r(2), pick(r))],
  (r) => [0x50 + pick(r), 0x50 + pick(r), 0x58 + pick(r), 0x58 + pick(r)],
  (r) => [0x38, modrm(3, r(4), r(4))],
  // fences: LOCK ADD, XCHG with memory, MFENCE
  (r) => [0xf0, ...rex(r), 0x01, modrm(1, pick(r), DATA_POINTER), r(16) * 8],
  (r) => [...rex(r), 0x87, modrm(1, pick(r), DATA_POINTER), r(16) * 8],
  () => [0x0f, 0xae, 0xf0],
];

/** A straight line of instructions with conditional branches forwards. */
function randomProgram(random: Random, length: number): number[] {
  const parts: number[][] = [];
  for (let i = 0; i < length; i++) parts.push(KINDS[random(KINDS.length)]!(random));
  const withBranches = parts.map((part, i) => {
    if (random(3) !== 0) return part;
    const skipped = parts.slice(i + 1, i + 1 + random(3));
    const distance = skipped.flat().length;
    return distance < 100 ? [...part, 0x70 + random(16), 0] : part;
  });
  // branch displacements: over the next part, whatever it became
  return withBranches.flatMap((part, i) => {
    const isBranch = part.length > parts[i]!.length;
    const next = withBranches[i + 1] ?? [];
    return isBranch ? [...part.slice(0, -1), random(2) ? next.length : 0] : part;
  });
}

function machine(code: readonly number[], seed: number): FlatMachine {
  const m = new FlatMachine();
  const random = randomFrom(seed * 7919);
  for (const n of REGISTERS) {
    const low = random(4) ? random(0x1_0000_0000) : random(3);
    m.engine.registers.setHalves(n, low, random(2) ? random(0x1_0000_0000) : 0);
  }
  m.engine.registers.set(DATA_POINTER, BigInt(FLAT.DATA));
  m.load(
    FLAT.DATA,
    Uint8Array.from({ length: 256 }, () => random(256)),
  );
  m.load(FLAT.CODE, [...code, 0x0f, 0x05]);
  m.engine.registers.rip = asVirtAddr(FLAT.CODE);
  return m;
}

function stateOf(m: FlatMachine): string {
  const state = new Uint8Array(STATE_SIZE);
  m.engine.saveState(state);
  const registers = Buffer.from(state.subarray(0, 0x88)).toString('hex');
  return `${registers} ${m.engine.registers.rflags} ${m.engine.retired} ${Buffer.from(m.read(FLAT.DATA, 256)).toString('hex')}`;
}

test.each(Array.from({ length: 60 }, (_, i) => [i + 1]))('program %i', (seed) => {
  const code = randomProgram(randomFrom(seed * 104729), 80);
  const whole = machine(code, seed);
  expect(whole.engine.run(100_000)).toBe(EXIT.SYSCALL);
  const stepped = machine(code, seed);
  let reason: number = EXIT.BUDGET;
  while (reason === EXIT.BUDGET) reason = stepped.engine.run(1);
  expect(reason).toBe(EXIT.SYSCALL);
  expect(stateOf(whole)).toBe(stateOf(stepped));
  const parts = machine(code, seed);
  reason = EXIT.BUDGET;
  while (reason === EXIT.BUDGET) reason = parts.engine.run(1 + (seed % 7));
  expect(stateOf(parts)).toBe(stateOf(whole));
});
