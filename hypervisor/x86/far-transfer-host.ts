/** Far transfers as host functions: RETF, IRET, far CALL and JMP between segments of CPL 3. */
// Spec: SDM 2A/2B, RET, IRET, CALL, JMP; everything runs at CPL 3, and 64-bit code is the only code there is.

import { asVirtAddr, fromU64, type VirtAddr } from '../machine/types.js';
import { OUTCOME } from './builder.js';
import { type HostImplementation, hostFunction, type Machine } from './host-functions.js';
import { ACCESS, VECTOR } from './processor.js';
import { DESCRIPTOR, dplOf, selectorError, stackSegmentFault } from './segments.js';
import { GPR, RFLAGS, SLOT } from './state.js';

const RPL = 3;
const PAGE = 4096;

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

/** Reads consecutive numbers. @returns undefined after recording the fault. */
function readNumbers(
  machine: Machine,
  va: VirtAddr,
  bytes: number,
  count: number,
): bigint[] | undefined {
  const values: bigint[] = [];
  for (let i = 0; i < count; i++) {
    const value = readNumber(machine, asVirtAddr(va + i * bytes), bytes);
    if (value === undefined) return undefined;
    values.push(value);
  }
  return values;
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
  const wanted = DESCRIPTOR.NOT_SYSTEM | DESCRIPTOR.CODE | DESCRIPTOR.LONG;
  const isCode = (hi & (wanted | DESCRIPTOR.DEFAULT_32)) === wanted;
  const isConforming = (hi & DESCRIPTOR.CONFORMING) !== 0;
  if (!isCode || (!isConforming && dplOf(hi) !== RPL)) return [VECTOR.GP, error];
  return hi & DESCRIPTOR.PRESENT ? undefined : [VECTOR.NP, error];
}

/** Goes to a code segment, after all checks. @returns an OUTCOME. */
function goTo(machine: Machine, selector: number, rip: bigint): number {
  machine.registers.cs = selector;
  machine.registers.ripValue = rip;
  return OUTCOME.BRANCH;
}

const stackTop = (machine: Machine): VirtAddr | undefined => machine.registers.address(GPR.RSP);

/** @param bytes operand size. @param release bytes to drop from the stack besides. */
function returnFar(machine: Machine, bytes: number, release: number): number {
  const top = stackTop(machine);
  if (top === undefined) return machine.raise(VECTOR.SS, 0);
  const frame = readNumbers(machine, top, bytes, 2);
  if (!frame) return OUTCOME.EXIT_BEFORE;
  const [rip = 0n, cs = 0n] = frame;
  const selector = Number(cs & 0xffffn);
  const fault = codeSegmentFault(machine, selector);
  if (fault) return machine.raise(...fault);
  if (fromU64(rip) === undefined) return machine.raise(VECTOR.GP, 0);
  machine.registers.set(GPR.RSP, machine.registers.get(GPR.RSP) + BigInt(2 * bytes + release));
  return goTo(machine, selector, rip);
}

/** What IRET may change at CPL 3 with IOPL 0, besides the status flags. */
const IRET_CHANGES = RFLAGS.TF | RFLAGS.DF | RFLAGS.NT | RFLAGS.RF | RFLAGS.AC | RFLAGS.ID;
/** What changes how the engine runs what follows. */
const OBSERVED = RFLAGS.TF | RFLAGS.AC | RFLAGS.RF;
const UNCHANGED = RFLAGS.IF | RFLAGS.IOPL | RFLAGS.VIF | RFLAGS.VIP;

function returnFromInterrupt(machine: Machine, bytes: number): number {
  const { registers } = machine;
  const top = stackTop(machine);
  if (registers.rflags & RFLAGS.NT) return machine.raise(VECTOR.GP, 0);
  if (top === undefined) return machine.raise(VECTOR.SS, 0);
  const frame = readNumbers(machine, top, bytes, 5);
  if (!frame) return OUTCOME.EXIT_BEFORE;
  const [rip = 0n, cs = 0n, flags = 0n, rsp = 0n, ss = 0n] = frame;
  const selector = Number(cs & 0xffffn);
  const stackSelector = Number(ss & 0xffffn);
  const fault = codeSegmentFault(machine, selector);
  if (fault) return machine.raise(...fault);
  const stackFault = stackSegmentFault(machine, stackSelector);
  if (stackFault !== undefined) return machine.raise(stackFault, selectorError(stackSelector));
  if (fromU64(rip) === undefined) return machine.raise(VECTOR.GP, 0);
  const image = Number(flags & 0xffff_ffffn);
  const system = bytes === 2 ? IRET_CHANGES & 0xffff : IRET_CHANGES;
  const kept = registers.rflags & (UNCHANGED | (IRET_CHANGES & ~system));
  registers.rflags = (image & ~(UNCHANGED | (IRET_CHANGES & ~system))) | kept;
  registers.set(GPR.RSP, rsp);
  registers.ss = stackSelector;
  goTo(machine, selector, rip);
  return image & OBSERVED ? machine.resync() : OUTCOME.BRANCH;
}

/** Far JMP or CALL through memory. SLOT.RESULT holds the pointer: offset (u64), then selector. */
function transfer(machine: Machine, pushBytes: number, next: bigint): number {
  const { ram, registers } = machine;
  const rip = ram.u64[SLOT.RESULT / 8] ?? 0n;
  const selector = ram.u16[(SLOT.RESULT + 8) / 2] ?? 0;
  const fault = codeSegmentFault(machine, selector);
  if (fault) return machine.raise(...fault);
  if (fromU64(rip) === undefined) return machine.raise(VECTOR.GP, 0);
  if (pushBytes > 0) {
    const top = stackTop(machine);
    if (top === undefined) return machine.raise(VECTOR.SS, 0);
    const first = asVirtAddr(top - pushBytes);
    const second = asVirtAddr(first - pushBytes);
    if (!writeNumber(machine, second, pushBytes, next)) return OUTCOME.EXIT_BEFORE;
    if (!writeNumber(machine, first, pushBytes, BigInt(registers.cs))) return OUTCOME.EXIT_BEFORE;
    registers.setAddress(GPR.RSP, second);
  }
  return goTo(machine, selector, rip);
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
