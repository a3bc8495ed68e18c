/** physdev_op (33) and its compat form (19): a guest without devices may set its I/O privileges, and asks in vain for more. */

import { asVirtAddr, fromU64, type VirtAddr } from '../machine/types.js';
import { ERRNO } from '../public/errno.js';
import {
  physdevOp as compatOp,
  PHYSDEVOP,
  physdevSetIobitmap,
  physdevSetIopl,
} from '../public/physdev.js';
import type { Hypercall } from './hypercall.js';

const EFAULT = -ERRNO.EFAULT;
const EINVAL = -ERRNO.EINVAL;
const EPERM = -ERRNO.EPERM;
const MAX_PORTS = 65_536;

type Operation = (call: Hypercall, arg: VirtAddr | undefined) => number;
/** The rule by the result: no interrupt line is in range, and there are no devices to ask about. */
const refused =
  (result: number): Operation =>
  (call) =>
    call.refuse(result, RULES[result] ?? '', call.domain.id);

const RULES: Readonly<Record<number, string>> = {
  [EINVAL]: 'there are no physical IRQs: none is bound to d%d',
  [EPERM]: 'd%d has no devices and no right on those of the host',
};

// biome-ignore format: one row per operation
const OPERATIONS: Readonly<Record<number, Operation>> = {
  [PHYSDEVOP.SET_IOPL]:           setIopl,
  [PHYSDEVOP.SET_IOBITMAP]:       setIobitmap,
  [PHYSDEVOP.EOI]:                refused(EINVAL), // no interrupt lines: none is in range
  [PHYSDEVOP.IRQ_STATUS_QUERY]:   refused(EINVAL),
  [PHYSDEVOP.PIRQ_EOI_GMFN_V1]:   refused(EINVAL),
  [PHYSDEVOP.PIRQ_EOI_GMFN_V2]:   refused(EINVAL),
  [PHYSDEVOP.UNMAP_PIRQ]:         refused(EINVAL),
  [PHYSDEVOP.MAP_PIRQ]:           refused(EPERM),
  [PHYSDEVOP.GET_FREE_PIRQ]:      refused(EPERM),
  [PHYSDEVOP.APIC_READ]:          refused(EPERM),
  [PHYSDEVOP.APIC_WRITE]:         refused(EPERM),
  [PHYSDEVOP.ALLOC_IRQ_VECTOR]:   refused(EPERM),
  [PHYSDEVOP.SETUP_GSI]:          refused(EPERM),
  [PHYSDEVOP.MANAGE_PCI_ADD]:     refused(EPERM),
  [PHYSDEVOP.MANAGE_PCI_REMOVE]:  refused(EPERM),
  [PHYSDEVOP.MANAGE_PCI_ADD_EXT]: refused(EPERM),
  [PHYSDEVOP.PCI_MMCFG_RESERVED]: refused(EPERM),
  [PHYSDEVOP.PCI_DEVICE_ADD]:     refused(EPERM),
  [PHYSDEVOP.PCI_DEVICE_REMOVE]:  refused(EPERM),
  [PHYSDEVOP.RESTORE_MSI]:        refused(EPERM),
  [PHYSDEVOP.RESTORE_MSI_EXT]:    refused(EPERM),
  [PHYSDEVOP.PREPARE_MSIX]:       refused(EPERM),
  [PHYSDEVOP.RELEASE_MSIX]:       refused(EPERM),
};

export function physdevOp(call: Hypercall): number {
  return perform(call, call.argLo(0), call.argAddress(1));
}

/** The older form: the command lies in front of its argument. */
export function physdevOpCompat(call: Hypercall): number {
  const at = call.argAddress(0);
  const op = call.guest.decode(compatOp, at);
  if (!op || at === undefined) return EFAULT;
  return perform(call, op.cmd, asVirtAddr(at + compatOp.offset.u));
}

function perform(call: Hypercall, cmd: number, arg: VirtAddr | undefined): number {
  const operation = OPERATIONS[cmd];
  return operation ? operation(call, arg) : call.missing(`physdev_op(${cmd})`);
}

function setIopl(call: Hypercall, arg: VirtAddr | undefined): number {
  const input = call.guest.decode(physdevSetIopl, arg);
  if (!input) return EFAULT;
  if (input.iopl > 3) return call.refuse(EINVAL, 'IOPL is at most 3, not %d', input.iopl);
  call.vcpu.iopl = input.iopl;
  return 0;
}

function setIobitmap(call: Hypercall, arg: VirtAddr | undefined): number {
  const input = call.guest.decode(physdevSetIobitmap, arg);
  if (!input) return EFAULT;
  if (input.nrPorts > MAX_PORTS) {
    return call.refuse(EINVAL, 'there are %d I/O ports, not %d', MAX_PORTS, input.nrPorts);
  }
  const bitmap = fromU64(input.bitmap);
  if (input.nrPorts > 0 && bitmap === undefined) {
    return call.refuse(EINVAL, 'the address of the bitmap is not canonical');
  }
  call.vcpu.ioBitmap = input.nrPorts > 0 ? bitmap : undefined;
  call.vcpu.ioBitmapPorts = input.nrPorts;
  return 0;
}
