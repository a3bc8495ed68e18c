/** Debug registers and FPU of a vCPU: what DR7 arms in the processor, with the vCPU that is on it; what a context brings. */

import { describe, expect, test } from 'vitest';
import { cpuUserRegs, VGCF, vcpuGuestContext } from '../../hypervisor/public/arch-x86.js';
import { BREAKPOINT } from '../../hypervisor/x86/processor.js';
import { PvMachine } from '../support/pv-machine.js';

const { EXECUTE, WRITE, ACCESS } = BREAKPOINT;
const [DR0, DR6, DR7] = [0, 6, 7];

/** Breakpoints as "index kind address+bytes". */
const armed = (m: PvMachine): string[] =>
  m.processor.breakpoints.map(
    ({ index, kind, address, bytes }) => `${index} ${kind} ${address.toString(16)}+${bytes}`,
  );

describe('DR7 arms', () => {
  // biome-ignore format: one row per control word; all four addresses are 0x100f
  test.each([
    ['nothing while none is enabled',       0xffff_0400n, []],
    ['code, by the local or global bit',    0x0000_0409n, [`0 ${EXECUTE} 100f+1`, `1 ${EXECUTE} 100f+1`]],
    ['a byte that is written',              0x0001_0402n, [`0 ${WRITE} 100f+1`]],
    ['two bytes, low bits ignored',         0x0050_0404n, [`1 ${WRITE} 100e+2`]],
    ['four bytes',                          0x0d00_0420n, [`2 ${WRITE} 100c+4`]],
    ['eight bytes, read or written',        0xb000_0480n, [`3 ${ACCESS} 1008+8`]],
  ] as const)('%s', (_what, control, expected) => {
    const m = new PvMachine();
    for (const n of [0, 1, 2, 3]) expect(m.call('set_debugreg', n, 0x100f)).toBe(0);
    expect(m.call('set_debugreg', DR7, control)).toBe(0);
    expect(armed(m)).toEqual(expected);
  });

  test('what it refused arms nothing new', () => {
    const m = new PvMachine();
    m.call('set_debugreg', DR7, 0x1n);
    m.call('set_debugreg', DR7, 0x2003n);
    expect(armed(m)).toEqual([`0 ${EXECUTE} 0+1`]);
  });
});

interface Given {
  readonly flags: number;
  readonly fpu?: (image: DataView) => void;
  readonly debug?: Readonly<Record<number, bigint>>;
  readonly cr4?: bigint;
}

/** Initialises the second vCPU and puts it on the processor. */
function second(m: PvMachine, { flags, fpu, debug, cr4 }: Given) {
  const bytes = new Uint8Array(vcpuGuestContext.size);
  const view = new DataView(bytes.buffer);
  const at = vcpuGuestContext.offset;
  view.setBigUint64(at.flags, BigInt(VGCF.IN_KERNEL | flags), true);
  view.setBigUint64(at.ctrlreg3, BigInt(m.v.kernelTable) << 12n, true);
  view.setBigUint64(at.ctrlreg4, cr4 ?? 0n, true);
  view.setBigUint64(at.userRegs + cpuUserRegs.offset.rip, 0x1000n, true);
  fpu?.(view);
  for (const [n, value] of Object.entries(debug ?? {})) {
    view.setBigUint64(at.debugreg + Number(n) * 8, value, true);
  }
  const where = m.spare(20).va;
  expect(m.pv.guest.copyTo(where, bytes)).toBe(true);
  const vcpu = m.domain.vcpus[1]!;
  expect(m.pv.initialiseVcpu(m.domain, vcpu, where)).toBe(0);
  m.pv.contextSwitch(m.pv.vcpuOf(vcpu));
  return m.pv.vcpuOf(vcpu);
}

describe('a context', () => {
  const image = (view: DataView): void => {
    view.setUint16(0, 0x27f, true); // FCW
    view.setUint32(24, 0x1fa0, true); // MXCSR
    view.setUint32(160 + 3 * 16, 0x1234_5678, true); // XMM3
  };

  test('with a valid FPU image brings x87, MXCSR and XMM', () => {
    const m = new PvMachine();
    second(m, { flags: VGCF.I387_VALID, fpu: image });
    expect(m.registers.mxcsr).toBe(0x1fa0);
    expect([...m.registers.xmm.subarray(48, 52)]).toEqual([0x78, 0x56, 0x34, 0x12]);
  });

  test('without one starts as after FNINIT', () => {
    const m = new PvMachine();
    second(m, { flags: 0, fpu: image });
    expect(m.registers.mxcsr).toBe(0x1f80);
    expect([...m.registers.xmm.subarray(48, 52)]).toEqual([0, 0, 0, 0]);
  });

  test('whose image FXRSTOR would refuse starts so, too', () => {
    const m = new PvMachine();
    const refused = (view: DataView): void => view.setUint32(24, 0xffff_ffff, true);
    second(m, { flags: VGCF.I387_VALID, fpu: refused });
    expect(m.registers.mxcsr).toBe(0x1f80);
  });

  test('brings debug registers, which are in force while its vCPU is on the processor', () => {
    const m = new PvMachine();
    const debug = { [DR0]: 0x2000n, [DR6]: 0x1n, [DR7]: 0x1_0001n };
    const v = second(m, { flags: 0, debug });
    expect(armed(m)).toEqual([`0 ${WRITE} 2000+1`]);
    expect([v.debug[DR6], v.debug[DR7]]).toEqual([0xffff_0ff1n, 0x1_0401n]);
    m.pv.contextSwitch(m.v);
    expect(armed(m)).toEqual([]);
    m.pv.contextSwitch(v);
    expect(armed(m)).toEqual([`0 ${WRITE} 2000+1`]);
  });

  test('brings the bits of CR4 that a guest has for itself', () => {
    const m = new PvMachine();
    second(m, { flags: 0, cr4: 0xffff_ffffn });
    expect(m.registers.cr4).toBe(0x1_000c);
    m.pv.contextSwitch(m.v);
    expect(m.registers.cr4).toBe(0);
  });
});
