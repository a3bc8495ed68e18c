/** The iret hypercall: back to where the frame on the kernel stack says. Spec: xen-abi §1.9; xen-x86_64.h, iret_context. */

import type { Ram } from '../machine/ram.js';
import { canonical } from '../machine/types.js';
import { FLAT, iretContext, VGCF } from '../public/arch-x86.js';
import type { Processor } from '../x86/processor.js';
import { GPR, RFLAGS, SEGMENT } from '../x86/state.js';
import { DESC } from './descriptors.js';
import type { GuestAccess } from './guest-access.js';
import type { PvVcpu } from './pv-vcpu.js';
import type { Segments } from './segments.js';
import type { Traps } from './traps.js';

const AT = iretContext.offset;
const WORDS = iretContext.size / 4;

export class Iret {
  readonly #processor: Processor;
  readonly #ram: Ram;
  readonly #guest: GuestAccess;
  readonly #traps: Traps;
  readonly #segments: Segments;
  readonly #frame = new Uint32Array(WORDS);

  constructor(
    processor: Processor,
    ram: Ram,
    guest: GuestAccess,
    traps: Traps,
    segments: Segments,
  ) {
    this.#processor = processor;
    this.#ram = ram;
    this.#guest = guest;
    this.#traps = traps;
    this.#segments = segments;
  }

  /**
   * Restores the state in the frame at the top of the kernel stack, rax included.
   * A frame that cannot be read, or that leads to user mode without user page tables, crashes the domain; one that the
   * processor would refuse ends in the failsafe callback.
   */
  perform(v: PvVcpu): void {
    const { registers } = this.#processor;
    if (!this.#fetch()) {
      this.#traps.crash(v, 'Fault while reading IRET context from guest stack');
      return;
    }
    const cs = this.#low(AT.cs) & 0xffff;
    const toUser = (cs & 3) === 3;
    if (toUser && v.userTable === 0) {
      this.#traps.crash(
        v,
        'Guest switching to user mode with no user page tables: MMUEXT_NEW_USER_BASEPTR comes first',
      );
      return;
    }
    if (toUser) this.#traps.toggleMode(v);
    const rflags = this.#low(AT.rflags);
    if (v.pv.hasArchitecturalIopl) v.iopl = (rflags & RFLAGS.IOPL) >>> 12;
    const rip = canonical(this.#low(AT.rip), this.#high(AT.rip));
    if (rip !== undefined) registers.rip = rip;
    registers.rflags = (rflags & ~(RFLAGS.IOPL | RFLAGS.VM)) | RFLAGS.IF;
    this.#restore(GPR.RSP, AT.rsp);
    this.#restore(GPR.RAX, AT.rax);
    if (!(this.#low(AT.flags) & VGCF.IN_SYSCALL)) {
      this.#restore(GPR.R11, AT.r11);
      this.#restore(GPR.RCX, AT.rcx);
    }
    // Like SYSRET, which a return from a system call is, it may trap before the next instruction.
    v.isStepDue = (this.#low(AT.flags) & VGCF.IN_SYSCALL) !== 0 && (rflags & RFLAGS.TF) !== 0;
    v.nmiMasked = false;
    this.#ram.u8[v.vcpu.infoAddress + 1] = rflags & RFLAGS.IF ? 0 : 1;
    const holds = this.#loadSelectors(v, cs | 3, (this.#low(AT.ss) | 3) & 0xffff);
    if (rip === undefined || !holds) this.#traps.enterFailsafe(v);
  }

  #fetch(): boolean {
    const { registers } = this.#processor;
    const rsp = registers.address(GPR.RSP);
    const host = this.#guest.hostAddress(rsp, iretContext.size, 0);
    if (host >= 0 && (host & 3) === 0) {
      for (let n = 0; n < WORDS; n++) {
        this.#frame[n] = this.#ram.u32[(host >>> 2) + n] as number;
      }
      return true;
    }
    const copy = this.#guest.copyFrom(rsp, iretContext.size);
    if (!copy) return false;
    new Uint8Array(this.#frame.buffer).set(copy);
    return true;
  }

  #low = (offset: number): number => this.#frame[offset >>> 2] as number;
  #high = (offset: number): number => this.#frame[(offset >>> 2) + 1] as number;

  #restore(register: number, offset: number): void {
    this.#processor.registers.setHalves(register, this.#low(offset), this.#high(offset));
  }

  /**
   * Loads CS and SS, for code of whatever width.
   * @returns false for what IRET in ring 3 would fault on: SDM 2A, IRET, "return to same privilege level".
   */
  #loadSelectors(v: PvVcpu, cs: number, ss: number): boolean {
    const { registers } = this.#processor;
    registers.cs = cs;
    registers.ss = ss;
    if (cs === FLAT.RING3_CS64 && ss === FLAT.RING3_SS64) return true;
    const code = this.#segments.readDescriptor(v, cs);
    const isCode = code && (code.hi & DESC.CODE_DATA) !== 0 && (code.hi & DESC.CODE) !== 0;
    if (!isCode || !(code.hi & DESC.PRESENT)) return false;
    const stack = this.#segments.readDescriptor(v, ss);
    if (!stack || !(stack.hi & DESC.PRESENT) || !(stack.hi & DESC.CODE_DATA)) return false;
    if ((stack.hi & (DESC.CODE | DESC.WRITABLE)) !== DESC.WRITABLE) return false;
    if (code.hi & DESC.LONG) return (code.hi & DESC.DEFAULT_32) === 0;
    registers.segments.load(SEGMENT.SS, ss, stack);
    registers.segments.enter(cs, code, stack);
    return registers.ripValue < BigInt(registers.segments.codeEnd);
  }
}
