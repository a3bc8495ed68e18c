/** set_trap_table (0), set_callbacks (4), callback_op (30), nmi_op (28): where a guest's kernel is entered. xen-abi §1.9. */

import { asVirtAddr, fromU64 } from '../machine/types.js';
import { trapInfo } from '../public/arch-x86.js';
import {
  CALLBACKF_MASK_EVENTS,
  CALLBACKOP,
  CALLBACKTYPE,
  callbackRegister,
  callbackUnregister,
} from '../public/callback.js';
import { ERRNO } from '../public/errno.js';
import { guestSelector } from '../pv/descriptors.js';
import type { Callback, PvVcpu } from '../pv/pv-vcpu.js';
import type { Hypercall } from './hypercall.js';

const EFAULT = -ERRNO.EFAULT;
const EINVAL = -ERRNO.EINVAL;
/** An array without an end is cut here: every vector twice. */
const MAX_ENTRIES = 512;

/** @returns 0; -EFAULT: an entry cannot be read; -EINVAL: an address is not canonical. Entries before it are set. */
export function setTrapTable(call: Hypercall): number {
  const v = call.vcpu;
  if (call.argLo(0) === 0 && call.argHi(0) === 0) {
    v.trapAddress.fill(0);
    v.trapFlags.fill(0);
    return 0;
  }
  const table = call.argAddress(0);
  for (let n = 0; n < MAX_ENTRIES; n++) {
    const at = table === undefined ? undefined : asVirtAddr(table + n * trapInfo.size);
    const entry = call.guest.decode(trapInfo, at);
    if (!entry) return EFAULT;
    if (entry.address === 0n) return 0;
    const address = fromU64(entry.address);
    if (address === undefined) {
      return call.refuse(EINVAL, 'the handler of vector %d is not canonical', entry.vector);
    }
    v.trapAddress[entry.vector] = address;
    v.trapFlags[entry.vector] = entry.flags;
    v.trapCs[entry.vector] = guestSelector(entry.cs);
  }
  return 0;
}

/** The older form: event, failsafe and syscall entry at once. */
export function setCallbacks(call: Hypercall): number {
  const v = call.vcpu;
  const at = (n: number): Callback | undefined => {
    const address = call.argAddress(n);
    return address === undefined ? undefined : { address, maskEvents: false };
  };
  v.eventCallback = at(0) ?? v.eventCallback;
  v.failsafeCallback = at(1) ?? v.failsafeCallback;
  v.syscallCallback = at(2) ?? v.syscallCallback;
  return 0;
}

export function callbackOp(call: Hypercall): number {
  const cmd = call.argLo(0);
  if (cmd === CALLBACKOP.REGISTER) return register(call);
  return cmd === CALLBACKOP.UNREGISTER ? unregister(call) : call.missing(`callback_op(${cmd})`);
}

type Setter = (v: PvVcpu, callback: Callback) => void;

// biome-ignore format: one row per type
const REGISTER: Readonly<Record<number, Setter>> = {
  [CALLBACKTYPE.EVENT]:     (v, callback) => { v.eventCallback = callback; },
  [CALLBACKTYPE.FAILSAFE]:  (v, callback) => { v.failsafeCallback = callback; },
  [CALLBACKTYPE.SYSCALL]:   (v, callback) => { v.syscallCallback = callback; },
  [CALLBACKTYPE.SYSENTER]:  (v, callback) => { v.sysenterCallback = callback; },
  [CALLBACKTYPE.SYSCALL32]: (v, callback) => { v.syscall32Callback = callback; },
  [CALLBACKTYPE.NMI]:       (v, callback) => { v.nmiCallback = callback.address; },
};

function register(call: Hypercall): number {
  const input = call.guest.decode(callbackRegister, call.argAddress(1));
  if (!input) return EFAULT;
  const address = fromU64(input.address);
  if (address === undefined)
    return call.refuse(EINVAL, 'the address of callback %d is not canonical', input.type);
  const set = REGISTER[input.type];
  if (!set) return call.missing(`callback_op(register type ${input.type})`);
  set(call.vcpu, { address, maskEvents: (input.flags & CALLBACKF_MASK_EVENTS) !== 0 });
  return 0;
}

function unregister(call: Hypercall): number {
  const input = call.guest.decode(callbackUnregister, call.argAddress(1));
  if (!input) return EFAULT;
  if (input.type === CALLBACKTYPE.NMI) {
    call.vcpu.nmiCallback = undefined;
    return 0;
  }
  if (input.type in REGISTER) {
    return call.refuse(EINVAL, 'callback %d can be replaced, not unregistered', input.type);
  }
  return call.missing(`callback_op(unregister type ${input.type})`);
}

const NMI_REGISTER = 0;
const NMI_UNREGISTER = 1;

/** nmi.h: register_callback { address, pad }, unregister_callback. */
export function nmiOp(call: Hypercall): number {
  const cmd = call.argLo(0);
  if (cmd === NMI_UNREGISTER) {
    call.vcpu.nmiCallback = undefined;
    return 0;
  }
  if (cmd !== NMI_REGISTER) return call.missing(`nmi_op(${cmd})`);
  const value = call.guest.readU64(call.argAddress(1));
  if (value === undefined) return EFAULT;
  const address = fromU64(value);
  if (address === undefined) return call.refuse(EINVAL, 'the NMI handler is not canonical');
  call.vcpu.nmiCallback = address;
  return 0;
}

/** stack_switch (3): the stack on which the kernel is entered from user mode. */
export function stackSwitch(call: Hypercall): number {
  call.vcpu.kernelSs = guestSelector(call.argLo(0) & 0xffff);
  // Any value is taken; one that is not canonical crashes the domain when it is used.
  call.vcpu.kernelSp = call.argAddress(1);
  return 0;
}
