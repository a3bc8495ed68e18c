/** Far transfers as host functions: RETF, IRET, far CALL and JMP between segments of CPL 3. */
// Spec: SDM 2A/2B, RET, IRET, CALL, JMP. Everything runs at CPL 3; from 64-bit code to other code and back.

import { asVirtAddr, fromU64, type VirtAddr } from '../machine/types.js';
import { OUTCOME } from './builder.js';
import { type HostImplementation, hostFunction, type Machine } from './host-functions.js';
import { ACCESS, VECTOR } from './processor.js';
import { DESCRIPTOR, limitOf, MODE, type SegmentDescriptor } from './segment-state.js';
import { dplOf, selectorError, stackSegmentFault } from './segments.js';
import { GPR, RFLAGS, SEGMENT, SLOT } from './state.js';

const RPL = 3;
const PAGE = 4096;
const WORD = 0xffff;
const TWO_32 = 0x1_0000_0000;

/**
 * Reads a little-endian number of up to 8 bytes, across pages too.
 * @returns undefined after recording the fault.
 */
function readNumber(machine: Machine, va: VirtAddr, bytes: number): bigint | undefined {
  let value = 0n;
  if (!machine.mayAccess(va, bytes, ACCESS.READ)) return undefined;
  for (let i = 0; i < bytes; i++) {
    const at = machine.translate(asVirtAddr(va + i), ACCESS.READ);
    if (at < 0) return undefined;
    value |= BigInt(machine.ram.u8[at] ?? 0) << BigInt(8 * i);
  }
  return value;
}

/** The stack pointer: 64 bits of rsp, or what of it the stack segment uses. Undefined if it is not canonical. */
function stackPointer({ registers }: Machine): number | undefined {
  const { segments } = registers;
  if (segments.mode === MODE.LONG) return registers.address(GPR.RSP);
  return (registers.lo(GPR.RSP) & segments.stackMask) >>> 0;
}

const wrapped = (offset: number, mask: number): number => (offset & mask) >>> 0;

/**
 * The address of so many bytes on the stack, at a distance from its top.
 * @returns undefined after recording the fault.
 */
function stackAddress(
  machine: Machine,
  distance: number,
  bytes: number,
  isWrite: boolean,
): VirtAddr | undefined {
  const { segments } = machine.registers;
  const top = stackPointer(machine);
  if (top !== undefined) {
    if (segments.mode === MODE.LONG) return asVirtAddr(top + distance);
    const offset = wrapped(top + distance, segments.stackMask);
    if (segments.holds(SEGMENT.SS, offset, bytes, isWrite)) {
      return asVirtAddr((segments.baseOf(SEGMENT.SS) + offset) % TWO_32);
    }
  }
  machine.raise(VECTOR.SS, 0);
  return undefined;
}

/** Reads consecutive numbers from the top of the stack. @returns undefined after recording the fault. */
function readStack(machine: Machine, bytes: number, count: number): bigint[] | undefined {
  const values: bigint[] = [];
  for (let i = 0; i < count; i++) {
    const at = stackAddress(machine, i * bytes, bytes, false);
    const value = at === undefined ? undefined : readNumber(machine, at, bytes);
    if (value === undefined) return undefined;
    values.push(value);
  }
  return values;
}

/** Moves the stack pointer, as much of it as there is. */
function moveStack({ registers }: Machine, distance: number): void {
  const { segments } = registers;
  const rsp = registers.get(GPR.RSP);
  if (segments.mode === MODE.LONG) registers.set(GPR.RSP, rsp + BigInt(distance));
  else {
    const mask = segments.stackMask;
    const offset = BigInt(wrapped(registers.lo(GPR.RSP) + distance, mask));
    registers.set(GPR.RSP, mask === WORD ? (rsp & ~BigInt(WORD)) | offset : offset);
  }
}

/** Writes a number at an address whose page, and the next if it crosses, were made sure to be writable. */
function writeNumber(machine: Machine, va: VirtAddr, bytes: number, value: bigint): boolean {
  const places: number[] = [];
  if (!machine.mayAccess(va, bytes, ACCESS.WRITE)) return false;
  for (let i = 0; i < bytes; i++) {
    const at = machine.translate(asVirtAddr(va + i), ACCESS.WRITE);
    if (at < 0) return false;
    places.push(at);
  }
  places.forEach((at, i) => {
    machine.ram.u8[at] = Number((value >> BigInt(8 * i)) & 0xffn);
    if (i === 0 || at % PAGE === 0) machine.written(at);
  });
  return true;
}

/** What is wrong with going to a code segment. @returns vector and error code, undefined if nothing is. */
function codeSegmentFault(
  machine: Machine,
  selector: number,
): readonly [number, number] | undefined {
  const error = selectorError(selector);
  const descriptor = machine.host.readDescriptor(selector);
  if (error === 0 || !descriptor || (selector & RPL) !== RPL) return [VECTOR.GP, error];
  const { hi } = descriptor;
  const wanted = DESCRIPTOR.NOT_SYSTEM | DESCRIPTOR.CODE;
  const both = DESCRIPTOR.LONG | DESCRIPTOR.DEFAULT_32;
  const isCode = (hi & wanted) === wanted && (hi & both) !== both;
  const isConforming = (hi & DESCRIPTOR.CONFORMING) !== 0;
  if (!isCode || (!isConforming && dplOf(hi) !== RPL)) return [VECTOR.GP, error];
  return hi & DESCRIPTOR.PRESENT ? undefined : [VECTOR.NP, error];
}

/** Where to go in a code segment that is in order: offsets outside 64-bit code have 32 bits. */
interface Target {
  readonly selector: number;
  readonly rip: bigint;
  readonly descriptor: SegmentDescriptor;
}

/** @returns undefined after recording the fault. */
function targetAt(machine: Machine, selector: number, offset: bigint): Target | undefined {
  const fault = codeSegmentFault(machine, selector);
  const descriptor = machine.host.readDescriptor(selector);
  if (fault || !descriptor) {
    machine.raise(...(fault ?? [VECTOR.GP, 0]));
    return undefined;
  }
  const isLong = (descriptor.hi & DESCRIPTOR.LONG) !== 0;
  const rip = isLong ? offset : BigInt.asUintN(32, offset);
  const isInside = isLong ? fromU64(rip) !== undefined : rip <= BigInt(limitOf(descriptor));
  if (isInside) return { selector, rip, descriptor };
  machine.raise(VECTOR.GP, 0);
  return undefined;
}

/** Goes to a code segment, after all checks. @returns an OUTCOME. */
function goTo(machine: Machine, { selector, rip, descriptor }: Target): number {
  const { registers, host } = machine;
  const { segments } = registers;
  const before = segments.mode;
  segments.enter(selector, descriptor, stackDescriptor(registers.ss, host));
  registers.ripValue = rip;
  return segments.mode === before ? OUTCOME.BRANCH : machine.resync();
}

const stackDescriptor = (ss: number, host: Machine['host']): SegmentDescriptor | undefined =>
  selectorError(ss) === 0 ? undefined : host.readDescriptor(ss);

/** @param bytes operand size. @param release bytes to drop from the stack besides. */
function returnFar(machine: Machine, bytes: number, release: number): number {
  const frame = readStack(machine, bytes, 2);
  if (!frame) return OUTCOME.EXIT_BEFORE;
  const [rip = 0n, cs = 0n] = frame;
  const target = targetAt(machine, Number(cs & 0xffffn), rip);
  if (!target) return OUTCOME.EXIT_BEFORE;
  moveStack(machine, 2 * bytes + release);
  return goTo(machine, target);
}

/** What IRET may change at CPL 3 with IOPL 0, besides the status flags. */
const IRET_CHANGES = RFLAGS.TF | RFLAGS.DF | RFLAGS.NT | RFLAGS.RF | RFLAGS.AC | RFLAGS.ID;
/** What changes how the engine runs what follows. */
const OBSERVED = RFLAGS.TF | RFLAGS.AC | RFLAGS.RF;
const UNCHANGED = RFLAGS.IF | RFLAGS.IOPL | RFLAGS.VIF | RFLAGS.VIP;

/** From 64-bit code the stack comes back as well. */
function returnFromInterrupt(machine: Machine, bytes: number): number {
  const { registers } = machine;
  const isLong = registers.mode === MODE.LONG;
  if (registers.rflags & RFLAGS.NT) return machine.raise(VECTOR.GP, 0);
  const frame = readStack(machine, bytes, isLong ? 5 : 3);
  if (!frame) return OUTCOME.EXIT_BEFORE;
  const [rip = 0n, cs = 0n, flags = 0n, rsp = 0n, ss = 0n] = frame;
  const target = targetAt(machine, Number(cs & 0xffffn), rip);
  if (!target) return OUTCOME.EXIT_BEFORE;
  if (isLong) {
    const selector = Number(ss & 0xffffn);
    const fault = stackSegmentFault(machine, selector);
    if (fault !== undefined) return machine.raise(fault, selectorError(selector));
    registers.set(GPR.RSP, rsp);
    registers.segments.load(SEGMENT.SS, selector, machine.host.readDescriptor(selector));
  } else moveStack(machine, 3 * bytes);
  const image = Number(flags & 0xffff_ffffn);
  const system = bytes === 2 ? IRET_CHANGES & 0xffff : IRET_CHANGES;
  const kept = registers.rflags & (UNCHANGED | (IRET_CHANGES & ~system));
  registers.rflags = (image & ~(UNCHANGED | (IRET_CHANGES & ~system))) | kept;
  const outcome = goTo(machine, target);
  return image & OBSERVED ? machine.resync() : outcome;
}

/** Far JMP or CALL. SLOT.RESULT holds the pointer: offset (u64), then selector. */
function transfer(machine: Machine, pushBytes: number, next: bigint): number {
  const { ram, registers } = machine;
  const offset = ram.u64[SLOT.RESULT / 8] ?? 0n;
  const selector = ram.u16[(SLOT.RESULT + 8) / 2] ?? 0;
  const target = targetAt(
    machine,
    selectorError(selector) === 0 ? selector : selector | RPL,
    offset,
  );
  if (!target) return OUTCOME.EXIT_BEFORE;
  if (pushBytes > 0) {
    const first = stackAddress(machine, -pushBytes, pushBytes, true);
    const second = stackAddress(machine, -2 * pushBytes, pushBytes, true);
    if (first === undefined || second === undefined) return OUTCOME.EXIT_BEFORE;
    if (!writeNumber(machine, second, pushBytes, next)) return OUTCOME.EXIT_BEFORE;
    if (!writeNumber(machine, first, pushBytes, BigInt(registers.cs))) return OUTCOME.EXIT_BEFORE;
    moveStack(machine, -2 * pushBytes);
  }
  return goTo(machine, target);
}

export const RETURN_FAR = hostFunction(
  'returnFar',
  ['i32', 'i32'],
  'i32',
  (machine) =>
    (bytes = 8, release = 0) =>
      returnFar(machine, bytes, release),
);
export const RETURN_FROM_INTERRUPT = hostFunction(
  'returnFromInterrupt',
  ['i32'],
  'i32',
  (machine) =>
    (bytes = 8) =>
      returnFromInterrupt(machine, bytes),
);
/** The return address is in SLOT.RESULT + 16. */
export const TRANSFER_FAR = hostFunction(
  'transferFar',
  ['i32'],
  'i32',
  (machine) =>
    (pushBytes = 0) =>
      transfer(machine, pushBytes, machine.ram.u64[(SLOT.RESULT + 16) / 8] ?? 0n),
);

export const FAR_FUNCTIONS: readonly HostImplementation[] = [
  RETURN_FAR,
  RETURN_FROM_INTERRUPT,
  TRANSFER_FAR,
];
