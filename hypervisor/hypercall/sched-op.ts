/** sched_op (29) and its old form (6): give the processor away, wait, shut down. Spec: sched.h; xen-abi §2.5. */

import { asVirtAddr, type VirtAddr } from '../machine/types.js';
import { ERRNO } from '../public/errno.js';
import * as abi from '../public/sched.js';
import type { Hypercall } from './hypercall.js';

const { SCHEDOP } = abi;
const EFAULT = -ERRNO.EFAULT;
/** More ports than this are refused. */
const MAX_PORTS = abi.SCHED_POLL_MAX_PORTS;

type Operation = (call: Hypercall, arg: VirtAddr | undefined) => number;

// biome-ignore format: one row per operation
const OPERATIONS: Readonly<Record<number, Operation>> = {
  [SCHEDOP.YIELD]:           yieldProcessor,
  [SCHEDOP.BLOCK]:           block,
  [SCHEDOP.SHUTDOWN]:        shutdown,
  [SCHEDOP.POLL]:            poll,
  [SCHEDOP.REMOTE_SHUTDOWN]: remoteShutdown,
  [SCHEDOP.SHUTDOWN_CODE]:   shutdownCode,
  [SCHEDOP.WATCHDOG]:        watchdog,
  [SCHEDOP.PIN_OVERRIDE]:    () => -ERRNO.EPERM, // the hardware domain only
};

export function schedOp(call: Hypercall): number {
  const cmd = call.argLo(0);
  const operation = OPERATIONS[cmd];
  return operation ? operation(call, call.argAddress(1)) : call.missing(`sched_op(${cmd})`);
}

/** sched_op_compat: yield and block, without arguments. */
export function schedOpCompat(call: Hypercall): number {
  const cmd = call.argLo(0);
  if (cmd === SCHEDOP.YIELD) return yieldProcessor(call);
  return cmd === SCHEDOP.BLOCK ? block(call) : call.missing(`sched_op_compat(${cmd})`);
}

function yieldProcessor(call: Hypercall): number {
  call.hv.yield(call.vcpu.vcpu);
  return 0;
}

/** Unmasks first: an event that is pending already must end the wait before it begins. */
function block(call: Hypercall): number {
  const { vcpu } = call.vcpu;
  vcpu.upcallMask = false;
  if (!vcpu.upcallPending) vcpu.block();
  return 0;
}

function shutdown(call: Hypercall, arg: VirtAddr | undefined): number {
  const code = call.guest.readU32(arg);
  if (code === undefined) return EFAULT;
  const reason = abi.shutdownName(code);
  if (!reason) return call.refuse(-ERRNO.EINVAL, `there is no shutdown reason ${code}`);
  call.domain.shutdown(reason);
  return 0;
}

/** The reason that a later shutdown will have; the first given stands. */
function shutdownCode(call: Hypercall, arg: VirtAddr | undefined): number {
  const code = call.guest.readU32(arg);
  if (code === undefined) return EFAULT;
  const reason = abi.shutdownName(code);
  if (!reason) return -ERRNO.EINVAL;
  call.domain.shutdownReason ??= reason;
  return 0;
}

function poll(call: Hypercall, arg: VirtAddr | undefined): number {
  const input = call.guest.decode(abi.schedPoll, arg);
  if (!input) return EFAULT;
  if (input.nrPorts > MAX_PORTS) return -ERRNO.EINVAL;
  const ports = readPorts(call, input.ports, input.nrPorts);
  if (typeof ports === 'number') return ports;
  const { vcpu } = call.vcpu;
  const { events } = call.domain;
  if (vcpu.eventsDeliverable || ports.some((port) => events.isPending(port))) return 0;
  vcpu.poll(ports, Number(input.timeout));
  return 0;
}

/** @returns the ports, -EFAULT, or -EINVAL if one is none of the domain's. */
function readPorts(call: Hypercall, pointer: bigint, count: number): number[] | number {
  const at = asVirtAddr(Number(BigInt.asIntN(64, pointer)));
  const bytes = call.guest.copyFrom(at, count * 4);
  if (!bytes) return EFAULT;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const ports = Array.from({ length: count }, (_, n) => view.getUint32(n * 4, true));
  return ports.every((port) => port < call.domain.events.limit) ? ports : -ERRNO.EINVAL;
}

function remoteShutdown(call: Hypercall, arg: VirtAddr | undefined): number {
  const input = call.guest.decode(abi.schedRemoteShutdown, arg);
  if (!input) return EFAULT;
  const target = call.hv.lookupDomain(input.domainId);
  if (!target) return -ERRNO.ESRCH;
  if (!call.domain.isPrivileged) return -ERRNO.EPERM;
  const reason = abi.shutdownName(input.reason);
  if (!reason) return -ERRNO.EINVAL;
  target.shutdown(reason);
  return 0;
}

function watchdog(call: Hypercall, arg: VirtAddr | undefined): number {
  const input = call.guest.decode(abi.schedWatchdog, arg);
  return input ? call.domain.watchdogs.set(input.id, input.timeout) : EFAULT;
}
