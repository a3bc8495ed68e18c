/**
 * Privileged instructions of a guest: carried out as far as a PV guest has the right, #GP otherwise.
 * Spec: xen-abi §1.10. A kernel may touch control, debug and model-specific registers; I/O asks the virtual IOPL.
 */

import { type Instruction, Mnemonic, OpKind, Register } from 'iced-x86';
import { asVirtAddr, type VirtAddr } from '../machine/types.js';
import { vcpuInfo } from '../public/xen.js';
import type { Processor } from '../x86/processor.js';
import { PAGE_FAULT, VECTOR } from '../x86/processor.js';
import { GPR, RFLAGS } from '../x86/state.js';
import { CR0_FIXED, CR0_TS, CR4_FIXED, CR4_GUEST, CR4_TSD } from './control-registers.js';
import {
  armBreakpoints,
  DR6_SINGLE_STEP,
  debugNumber,
  ioBreakpointHits,
  setDebugRegister,
} from './debug-registers.js';
import { type InstructionFetch, registerOperand, writeRegister } from './emulated-instruction.js';
import type { GuestAccess } from './guest-access.js';
import { IoPorts } from './io-ports.js';
import type { Msrs } from './msr.js';
import type { PvVcpu } from './pv-vcpu.js';
import { storeTableRegister } from './table-registers.js';
import type { Traps } from './traps.js';

/** Repetitions of INS or OUTS carried out before the guest's clock is looked at again. */
const MAX_REPEAT = 256;

/** Switches to other page tables of the kernel: by hypercall/mmuext-op.ts as well. */
export type NewBase = (v: PvVcpu, mfn: number) => number;

/** done: go on behind it · gp: #GP(0) · ud: #UD · again: not finished, stay at it · faulted: a fault was injected */
type Outcome = 'done' | 'gp' | 'ud' | 'again' | 'faulted';

export class PrivilegedOperations {
  readonly #processor: Processor;
  readonly #guest: GuestAccess;
  readonly #traps: Traps;
  readonly #msrs: Msrs;
  readonly #newBase: NewBase;
  readonly #fetch: InstructionFetch;
  readonly #view: DataView;
  readonly #ports = new WeakMap<PvVcpu, IoPorts>();
  /** Breakpoints on I/O that the instruction has hit, as in DR6. */
  #ioHits = 0;

  constructor(
    processor: Processor,
    guest: GuestAccess,
    traps: Traps,
    msrs: Msrs,
    view: DataView,
    newBase: NewBase,
    fetch: InstructionFetch,
  ) {
    this.#processor = processor;
    this.#guest = guest;
    this.#traps = traps;
    this.#msrs = msrs;
    this.#view = view;
    this.#newBase = newBase;
    this.#fetch = fetch;
  }

  /** Carries out the instruction at rip, or gives the guest the exception it deserves. */
  emulate(v: PvVcpu): void {
    const { registers } = this.#processor;
    const instruction = this.#fetch.fetch();
    if (!instruction) {
      this.#traps.injectException(v, VECTOR.GP, 0);
      return;
    }
    const { length } = instruction;
    const isStepping = (registers.rflags & RFLAGS.TF) !== 0;
    this.#ioHits = 0;
    const outcome = this.#perform(v, instruction);
    if (outcome === 'done') registers.rip = asVirtAddr(registers.rip + length);
    else if (outcome === 'again') registers.rflags |= RFLAGS.RF;
    else if (outcome === 'gp') this.#traps.injectException(v, VECTOR.GP, 0);
    else if (outcome === 'ud') this.#traps.injectException(v, VECTOR.UD);
    if (outcome !== 'done' && outcome !== 'again') return;
    const status = this.#ioHits | (isStepping ? DR6_SINGLE_STEP : 0);
    if (status !== 0) this.#traps.injectDebug(v, status);
  }

  #perform(v: PvVcpu, instruction: Instruction): Outcome {
    switch (instruction.mnemonic) {
      case Mnemonic.In:
        return this.#in(v, instruction);
      case Mnemonic.Out:
        return this.#out(v, instruction);
      case Mnemonic.Insb:
      case Mnemonic.Insw:
      case Mnemonic.Insd:
      case Mnemonic.Outsb:
      case Mnemonic.Outsw:
      case Mnemonic.Outsd:
        return this.#string(v, instruction);
      case Mnemonic.Cli:
      case Mnemonic.Sti:
        // With enough virtual IOPL they are allowed, and deliberately do nothing: the event mask is the flag.
        return this.#hasIopl(v) ? 'done' : 'gp';
      case Mnemonic.Rdtsc:
      case Mnemonic.Rdtscp:
        return this.#readTsc(v, instruction.mnemonic);
      default:
        return this.#tableRegister(v, instruction);
    }
  }

  #tableRegister(v: PvVcpu, instruction: Instruction): Outcome {
    const cr0 = this.#readControl(v, 0) ?? 0n;
    const state = { hasLdt: v.ldtEntries > 0, cr0 };
    const outcome = storeTableRegister(this.#processor, this.#guest, instruction, state);
    if (outcome === 'other') return v.inKernel ? this.#kernelOnly(v, instruction) : 'gp';
    if (outcome !== 'fault') return outcome;
    const code = PAGE_FAULT.WRITE | PAGE_FAULT.USER;
    this.#traps.injectPageFault(v, this.#guest.faultAddress, code);
    return 'faulted';
  }

  #kernelOnly(v: PvVcpu, instruction: Instruction): Outcome {
    switch (instruction.mnemonic) {
      case Mnemonic.Mov:
        return this.#mov(v, instruction);
      case Mnemonic.Clts:
        this.#setTs(false);
        return 'done';
      case Mnemonic.Wbinvd:
      case Mnemonic.Wbnoinvd:
        return 'done';
      case Mnemonic.Rdmsr:
        return this.#rdmsr(v);
      case Mnemonic.Wrmsr:
        return this.#wrmsr(v);
      case Mnemonic.Xsetbv:
        return 'ud'; // there is no XSAVE
      default:
        return 'gp';
    }
  }

  /** Here only with CR4.TSD, which keeps applications from the counter. */
  #readTsc(v: PvVcpu, mnemonic: Mnemonic): Outcome {
    const { registers } = this.#processor;
    if (!v.inKernel && v.cr4Bits & CR4_TSD) return 'gp';
    const ticks = this.#msrs.timeStamp();
    registers.set(GPR.RAX, ticks & 0xffff_ffffn);
    registers.set(GPR.RDX, ticks >> 32n);
    if (mnemonic === Mnemonic.Rdtscp) registers.set(GPR.RCX, 0n);
    return 'done';
  }

  // ---- control and debug registers ----

  #mov(v: PvVcpu, instruction: Instruction): Outcome {
    const to = instruction.opRegister(0);
    const from = instruction.opRegister(1);
    if (isControl(from)) return this.#give(to, this.#readControl(v, from - Register.CR0));
    if (isControl(to)) return this.#writeControl(v, to - Register.CR0, this.#value(from));
    if (isDebug(from)) return this.#readDebug(v, from - Register.DR0, to);
    if (isDebug(to)) return this.#writeDebug(v, to - Register.DR0, this.#value(from));
    return 'gp';
  }

  #value(register: Register): bigint {
    return this.#processor.registers.get(registerOperand(register)?.number ?? 0);
  }

  #give(register: Register, value: bigint | undefined): Outcome {
    const operand = registerOperand(register);
    if (value === undefined || !operand) return 'gp';
    writeRegister(this.#processor, operand, value);
    return 'done';
  }

  #readControl(v: PvVcpu, n: number): bigint | undefined {
    const ts = this.#processor.registers.cr0 & CR0_TS;
    if (n === 0) return BigInt((CR0_FIXED | ts) >>> 0);
    if (n === 2) return v.cr2;
    if (n === 3) return BigInt(v.kernelTable) << 12n;
    if (n === 4) return BigInt(CR4_FIXED | v.cr4Bits);
    return undefined;
  }

  #writeControl(v: PvVcpu, n: number, value: bigint): Outcome {
    switch (n) {
      case 0: {
        const others = BigInt(CR0_FIXED) ^ (value & ~BigInt(CR0_TS));
        if (others !== 0n) return 'gp';
        this.#setTs((value & BigInt(CR0_TS)) !== 0n);
        return 'done';
      }
      case 2:
        v.cr2 = value;
        this.#view.setBigUint64(v.vcpu.infoAddress + vcpuInfo.offset.archCr2, value, true);
        return 'done';
      case 3:
        return this.#newBase(v, Number(value >> 12n)) === 0 ? 'done' : 'gp';
      case 4:
        v.cr4Bits = Number(value & BigInt(CR4_GUEST));
        this.#processor.registers.cr4 = v.cr4Bits;
        return 'done';
      default:
        return 'gp';
    }
  }

  #setTs(on: boolean): void {
    const { registers } = this.#processor;
    registers.cr0 = on ? registers.cr0 | CR0_TS : registers.cr0 & ~CR0_TS;
  }

  #readDebug(v: PvVcpu, n: number, to: Register): Outcome {
    const number = debugNumber(v, n);
    return number === undefined ? 'ud' : this.#give(to, v.debug[number]);
  }

  #writeDebug(v: PvVcpu, n: number, value: bigint): Outcome {
    const number = debugNumber(v, n);
    if (number === undefined) return 'ud';
    if (setDebugRegister(v, number, value) !== 0) return 'gp';
    armBreakpoints(this.#processor, v);
    return 'done';
  }

  // ---- model-specific registers ----

  #rdmsr(v: PvVcpu): Outcome {
    const { registers } = this.#processor;
    let value = this.#msrs.read(v, registers.lo(GPR.RCX));
    // A kernel that has no handler yet could not survive the fault: it reads zero ("faking RDMSR").
    if (value === undefined && v.trapAddress[VECTOR.GP] === 0) value = 0n;
    if (value === undefined) return 'gp';
    registers.set(GPR.RAX, value & 0xffff_ffffn);
    registers.set(GPR.RDX, value >> 32n);
    return 'done';
  }

  #wrmsr(v: PvVcpu): Outcome {
    const { registers } = this.#processor;
    const value = (BigInt(registers.lo(GPR.RDX)) << 32n) | BigInt(registers.lo(GPR.RAX));
    return this.#msrs.write(v, registers.lo(GPR.RCX), value) ? 'done' : 'gp';
  }

  // ---- I/O ----

  /** Level 1 is the kernel's place without vm_assist architectural_iopl, level 0 with it; applications have 3. */
  #hasIopl(v: PvVcpu): boolean {
    const kernelLevel = v.pv.hasArchitecturalIopl ? 0 : 1;
    return (v.inKernel ? kernelLevel : 3) <= v.iopl;
  }

  #mayAccess(v: PvVcpu, port: number, size: number): boolean {
    if (this.#hasIopl(v)) return true;
    if (v.ioBitmap === undefined || port + size > v.ioBitmapPorts) return false;
    const at = v.ioBitmap + (port >>> 3);
    const low = this.#guest.readU8(asVirtAddr(at)) ?? 0xff;
    const high = this.#guest.readU8(asVirtAddr(at + 1)) ?? 0xff;
    const wanted = (2 ** size - 1) << (port & 7);
    return (((high << 8) | low) & wanted) === 0;
  }

  #portsOf(v: PvVcpu): IoPorts {
    let ports = this.#ports.get(v);
    if (!ports) {
      ports = new IoPorts();
      this.#ports.set(v, ports);
    }
    return ports;
  }

  #port(instruction: Instruction, operand: number): number {
    const immediate = instruction.opKind(operand) === OpKind.Immediate8;
    if (immediate) return Number(instruction.immediate(operand) & 0xffn);
    return this.#processor.registers.lo(GPR.RDX) & 0xffff;
  }

  #in(v: PvVcpu, instruction: Instruction): Outcome {
    const operand = registerOperand(instruction.opRegister(0));
    const port = this.#port(instruction, 1);
    if (!operand || !this.#mayAccess(v, port, operand.size)) return 'gp';
    this.#ioHits = ioBreakpointHits(v, port, operand.size);
    const value = this.#portsOf(v).read(port, operand.size);
    writeRegister(this.#processor, operand, BigInt(value));
    return 'done';
  }

  #out(v: PvVcpu, instruction: Instruction): Outcome {
    const operand = registerOperand(instruction.opRegister(1));
    const port = this.#port(instruction, 0);
    if (!operand || !this.#mayAccess(v, port, operand.size)) return 'gp';
    this.#ioHits = ioBreakpointHits(v, port, operand.size);
    const value = this.#processor.registers.lo(GPR.RAX);
    this.#portsOf(v).write(port, operand.size, value);
    return 'done';
  }

  /** INS and OUTS, repeated or not: a bounded number of turns, then the guest executes it again. */
  #string(v: PvVcpu, instruction: Instruction): Outcome {
    const { registers } = this.#processor;
    const form = stringForm(instruction.mnemonic);
    const port = registers.lo(GPR.RDX) & 0xffff;
    if (!this.#mayAccess(v, port, form.size)) return 'gp';
    const repeats = instruction.hasRepPrefix || instruction.hasRepnePrefix;
    const hits = ioBreakpointHits(v, port, form.size);
    const turns = hits !== 0 || registers.rflags & RFLAGS.TF ? 1 : MAX_REPEAT;
    for (let turn = 0; turn < turns; turn++) {
      if (repeats && registers.get(GPR.RCX) === 0n) return 'done';
      const fault = this.#element(v, form, port);
      if (fault) return fault;
      this.#ioHits = hits;
      if (!repeats) return 'done';
      registers.set(GPR.RCX, registers.get(GPR.RCX) - 1n);
    }
    return registers.get(GPR.RCX) === 0n ? 'done' : 'again';
  }

  /** One element in or out, the pointer moved. @returns undefined, or why not. */
  #element(v: PvVcpu, { size, input }: StringForm, port: number): Outcome | undefined {
    const { registers } = this.#processor;
    const pointer = input ? GPR.RDI : GPR.RSI;
    const va = registers.address(pointer);
    const ok = input ? this.#input(v, va, port, size) : this.#output(v, va, port, size);
    if (!ok) return this.#stringFault(v, va, input);
    const step = BigInt(registers.rflags & RFLAGS.DF ? -size : size);
    registers.set(pointer, registers.get(pointer) + step);
    return undefined;
  }

  #stringFault(v: PvVcpu, va: VirtAddr | undefined, input: boolean): Outcome {
    if (va === undefined) return 'gp';
    const code = input ? PAGE_FAULT.WRITE : 0;
    this.#traps.injectPageFault(v, this.#guest.faultAddress, code | PAGE_FAULT.USER);
    return 'faulted';
  }

  #input(v: PvVcpu, va: VirtAddr | undefined, port: number, size: number): boolean {
    const value = this.#portsOf(v).read(port, size);
    if (size === 1) return this.#guest.writeU8(va, value);
    return size === 2 ? this.#guest.writeU16(va, value) : this.#guest.writeU32(va, value);
  }

  #output(v: PvVcpu, va: VirtAddr | undefined, port: number, size: number): boolean {
    const bytes = va === undefined ? undefined : this.#guest.copyFrom(va, size);
    if (!bytes) return false;
    const value = bytes.reduceRight((sum, byte) => sum * 256 + byte, 0);
    this.#portsOf(v).write(port, size, value);
    return true;
  }
}

const isControl = (register: Register): boolean =>
  register >= Register.CR0 && register <= Register.CR15;
const isDebug = (register: Register): boolean =>
  register >= Register.DR0 && register <= Register.DR7;

interface StringForm {
  readonly size: number;
  readonly input: boolean;
}

function stringForm(mnemonic: Mnemonic): StringForm {
  const input =
    mnemonic === Mnemonic.Insb || mnemonic === Mnemonic.Insw || mnemonic === Mnemonic.Insd;
  if (mnemonic === Mnemonic.Insb || mnemonic === Mnemonic.Outsb) return { size: 1, input };
  if (mnemonic === Mnemonic.Insw || mnemonic === Mnemonic.Outsw) return { size: 2, input };
  return { size: 4, input };
}
