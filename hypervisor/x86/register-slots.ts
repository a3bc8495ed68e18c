/** Where the registers of iced-x86 lie in the state. */

import { Register } from 'iced-x86';
import { gprSlot, SLOT, selectorSlot, xmmSlot } from './state.js';

// biome-ignore format: one row per width
const NAMES: readonly (readonly [names: string, address: (n: number) => number])[] = [
  ['AL CL DL BL SPL BPL SIL DIL R8L R9L R10L R11L R12L R13L R14L R15L', gprSlot],
  ['AX CX DX BX SP BP SI DI R8W R9W R10W R11W R12W R13W R14W R15W', gprSlot],
  ['EAX ECX EDX EBX ESP EBP ESI EDI R8D R9D R10D R11D R12D R13D R14D R15D', gprSlot],
  ['RAX RCX RDX RBX RSP RBP RSI RDI R8 R9 R10 R11 R12 R13 R14 R15', gprSlot],
  ['AH CH DH BH', (n) => gprSlot(n) + 1],
  ['ES CS SS DS FS GS', selectorSlot],
  ['XMM0 XMM1 XMM2 XMM3 XMM4 XMM5 XMM6 XMM7 XMM8 XMM9 XMM10 XMM11 XMM12 XMM13 XMM14 XMM15', xmmSlot],
  ['MM0 MM1 MM2 MM3 MM4 MM5 MM6 MM7', (n) => SLOT.FPU + n * 16],
];

const slots: number[] = [];
for (const [names, address] of NAMES) {
  names.split(' ').forEach((name, n) => {
    slots[Register[name as keyof typeof Register]] = address(n);
  });
}

/** Address of a register in the state; ZERO for those that have none (control registers, no register at all). */
export const registerSlot = (register: Register): number => slots[register] ?? SLOT.ZERO;
