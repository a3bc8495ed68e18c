/** 32-bit applications of a 64-bit kernel: how they enter it, and how it returns to them. xen-abi §1.9. */

import { describe, expect, test } from 'vitest';
import { asVirtAddr } from '../../hypervisor/machine/types.js';
import { FLAT, iretContext } from '../../hypervisor/public/arch-x86.js';
import { EXIT, VECTOR } from '../../hypervisor/x86/processor.js';
import { MODE } from '../../hypervisor/x86/segment-state.js';
import { GPR, RFLAGS } from '../../hypervisor/x86/state.js';
import { PvMachine } from '../support/pv-machine.js';

const HANDLER = asVirtAddr(-0x7ff0_0000);
const RIP = 0x804_8002;

/** An application in flat 32-bit code, entered by the iret hypercall. */
function application() {
  const m = new PvMachine();
  const { registers } = m;
  const stack = m.spare(0);
  for (let vector = 0; vector < 256; vector++) m.v.trapAddress[vector] = HANDLER + vector;
  m.v.kernelSp = asVirtAddr(stack.va + 0x800);
  m.v.userTable = m.v.kernelTable;
  registers.setAddress(GPR.RSP, stack.va);
  m.pv.guest.encode(iretContext, stack.va, {
    ...{ rax: 1n, r11: 2n, rcx: 3n, flags: 0n, rip: BigInt(RIP), rflags: BigInt(RFLAGS.IF) },
    ...{ cs: BigInt(FLAT.RING3_CS32), rsp: 0xffff_d000n, ss: BigInt(FLAT.RING3_DS32) },
  });
  return { m, registers, enter: () => m.pv.iret.perform(m.v) };
}

/** The frame on the kernel stack: rcx, r11, [error code], rip, cs, rflags, rsp, ss. */
const frame = (m: PvMachine, words = 7): bigint[] =>
  Array.from(
    { length: words },
    (_, n) => m.pv.guest.readU64(asVirtAddr(m.registers.address(GPR.RSP)! + n * 8))!,
  );

describe('a 32-bit application', () => {
  test('is entered by iret to a 32-bit code segment', () => {
    const { m, registers, enter } = application();
    enter();
    expect([registers.cs, registers.rip, registers.lo(GPR.RSP)]).toEqual([
      0xe023,
      RIP,
      0xffff_d000,
    ]);
    // its data segments are null still: accesses are looked at until it has loaded them
    expect([registers.mode, m.v.inKernel]).toEqual([MODE.SEGMENTED, false]);
  });

  test('cannot be entered beyond the end of 4 GiB', () => {
    const { m, enter } = application();
    m.v.failsafeCallback = { address: HANDLER, maskEvents: false };
    m.pv.guest.encode(iretContext, m.registers.address(GPR.RSP)!, { rip: 0x1_0000_0000n });
    enter();
    expect([m.registers.rip, m.registers.mode]).toEqual([HANDLER, MODE.LONG]);
  });

  test('SYSCALL goes to its own callback, with the 32-bit segments in the frame', () => {
    const { m, registers, enter } = application();
    m.v.syscallCallback = { address: asVirtAddr(HANDLER + 1), maskEvents: false };
    m.v.syscall32Callback = { address: HANDLER, maskEvents: true };
    enter();
    expect(m.pv.handleExit(m.v, EXIT.SYSCALL)).toBe(false);
    expect([registers.rip, registers.cs, registers.mode]).toEqual([HANDLER, 0xe033, MODE.LONG]);
    const flags = BigInt(RFLAGS.IF | RFLAGS.FIXED);
    const wanted = [BigInt(RIP), flags, BigInt(RIP), 0xe023n, flags, 0xffff_d000n, 0xe02bn];
    expect(frame(m)).toEqual(wanted);
    expect(m.v.vcpu.upcallMask).toBe(true);
  });

  test('SYSENTER leaves nothing of where it was but the flags', () => {
    const { m, registers, enter } = application();
    m.v.sysenterCallback = { address: HANDLER, maskEvents: false };
    enter();
    registers.rflags |= RFLAGS.NT;
    m.pv.handleExit(m.v, EXIT.SYSENTER);
    expect(registers.rip).toBe(HANDLER);
    const flags = BigInt(RFLAGS.IF | RFLAGS.FIXED);
    expect(frame(m)).toEqual([3n, 2n, 0n, 3n, flags, 0n, 0xe02bn]);
  });

  test.each([
    ['SYSCALL', EXIT.SYSCALL],
    ['SYSENTER', EXIT.SYSENTER],
  ] as const)('without a callback %s is #UD at the instruction', (_, reason) => {
    const { m, registers, enter } = application();
    m.v.syscallCallback = { address: asVirtAddr(HANDLER + 1), maskEvents: false };
    enter();
    m.pv.handleExit(m.v, reason);
    expect(registers.rip).toBe(HANDLER + VECTOR.UD);
    expect(frame(m).slice(2, 4)).toEqual([BigInt(RIP - 2), 0xe023n]);
  });

  test('INT 0x80 is a trap through a gate of DPL 3', () => {
    const { m, registers, enter } = application();
    m.v.trapFlags[0x80] = 3;
    enter();
    m.processor.exit = { ...m.processor.exit, vector: 0x80, length: 2 };
    m.pv.handleExit(m.v, EXIT.INTERRUPT);
    expect(registers.rip).toBe(HANDLER + 0x80);
    expect(frame(m).slice(2, 4)).toEqual([BigInt(RIP + 2), 0xe023n]);
  });
});
