/** fpu_taskswitch (5), set_debugreg (8), get_debugreg (9), vm_assist (21), iret (23): state of the virtual processor. */

import { ERRNO } from '../public/errno.js';
import { VMASST } from '../public/xen.js';
import { armBreakpoints, debugNumber, setDebugRegister } from '../pv/debug-registers.js';
import { type Hypercall, NO_RESULT } from './hypercall.js';

/** Sets or clears CR0.TS: with it set, the next FPU instruction gives #NM. */
export function fpuTaskswitch(call: Hypercall): number {
  call.hv.pv.setTaskSwitched(call.argLo(0) !== 0);
  return 0;
}

export function setDebugreg(call: Hypercall): number {
  const n = debugNumber(call.vcpu, call.argLo(0));
  if (n === undefined || n > 7) return refuseRegister(call);
  const value = (BigInt(call.argHi(1)) << 32n) | BigInt(call.argLo(1));
  const result = setDebugRegister(call.vcpu, n, value);
  if (result !== 0) {
    const rule =
      "DR%d = %s: addresses are not in Xen's range, DR6 and DR7 have 32 bits, GD is not for guests, I/O breakpoints need CR4.DE";
    return call.refuse(result, rule, n, `0x${value.toString(16)}`);
  }
  armBreakpoints(call.hv.pv.processor, call.vcpu);
  return 0;
}

/** @returns the register: an address or 32 bits, so it fits a result. */
export function getDebugreg(call: Hypercall): number {
  const n = debugNumber(call.vcpu, call.argLo(0));
  const value = n === undefined ? undefined : call.vcpu.debug[n];
  if (value === undefined) return refuseRegister(call);
  return Number(BigInt.asIntN(64, value));
}

function refuseRegister(call: Hypercall): number {
  return call.refuse(-ERRNO.ENODEV, 'there is no debug register %d', call.argLo(0));
}

const { TYPE_M2P_STRICT } = VMASST;
const OFFERED: ReadonlySet<number> = new Set([
  VMASST.TYPE_4GB_SEGMENTS,
  VMASST.TYPE_4GB_SEGMENTS_NOTIFY,
  VMASST.TYPE_WRITABLE_PAGETABLES,
  VMASST.TYPE_PAE_EXTENDED_CR3,
  VMASST.TYPE_ARCHITECTURAL_IOPL,
  VMASST.TYPE_RUNSTATE_UPDATE_FLAG,
  TYPE_M2P_STRICT,
]);

/** @returns 0; -EINVAL: no such assistance; -ENOSYS: neither enable nor disable. */
export function vmAssist(call: Hypercall): number {
  const cmd = call.argLo(0);
  const type = call.argLo(1);
  if (!OFFERED.has(type)) return call.refuse(-ERRNO.EINVAL, 'there is no assistance %d', type);
  if (cmd !== VMASST.CMD_ENABLE && cmd !== VMASST.CMD_DISABLE) {
    return call.refuse(-ERRNO.ENOSYS, 'command %d neither enables nor disables', cmd);
  }
  const on = cmd === VMASST.CMD_ENABLE;
  const { pv } = call;
  if (type === TYPE_M2P_STRICT) pv.m2pStrict = on;
  else pv.vmAssist = on ? pv.vmAssist | (1 << type) : pv.vmAssist & ~(1 << type);
  return 0;
}

/** Never returns to where it was made. */
export function iret(call: Hypercall): number {
  call.hv.pv.iret.perform(call.vcpu);
  return NO_RESULT;
}
