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
  [SCHEDOP.PIN_OVERRIDE]:    refusePinOverride,
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

function noReason(call: Hypercall, code: number): number {
  return call.refuse(-ERRNO.EINVAL, 'there is no shutdown reason %d', code);
}

function refusePinOverride(call: Hypercall): number {
  return call.refuse(
    -ERRNO.EPERM,
    'the hardware domain alone may pin its vCPUs, d%d is none',
    call.domain.id,
  );
}

function shutdown(call: Hypercall, arg: VirtAddr | undefined): number {
  const code = call.guest.readU32(arg);
  if (code === undefined) return EFAULT;
  const reason = abi.shutdownName(code);
  if (!reason) return noReason(call, code);
  call.domain.shutdown(reason);
  return 0;
}

/** The reason that a later shutdown will have; the first given stands. */
function shutdownCode(call: Hypercall, arg: VirtAddr | undefined): number {
  const code = call.guest.readU32(arg);
  if (code === undefined) return EFAULT;
  const reason = abi.shutdownName(code);
  if (!reason) return noReason(call, code);
  call.domain.shutdownReason ??= reason;
  return 0;
}

function poll(call: Hypercall, arg: VirtAddr | undefined): number {
  const input = call.guest.decode(abi.schedPoll, arg);
  if (!input) return EFAULT;
  if (input.nrPorts > MAX_PORTS) {
    return call.refuse(
      -ERRNO.EINVAL,
      'at most %d ports are polled, not %d',
      MAX_PORTS,
      input.nrPorts,
    );
  }
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
  const { limit } = call.domain.events;
  const wrong = ports.find((port) => port >= limit);
  if (wrong === undefined) return ports;
  return call.refuse(
    -ERRNO.EINVAL,
    'port %d: ports of d%d end below %d',
    wrong,
    call.domain.id,
    limit,
  );
}

function remoteShutdown(call: Hypercall, arg: VirtAddr | undefined): number {
  const input = call.guest.decode(abi.schedRemoteShutdown, arg);
  if (!input) return EFAULT;
  const target = call.hv.lookupDomain(input.domainId);
  if (!target) return call.noDomain(-ERRNO.ESRCH, input.domainId);
  if (!call.domain.isPrivileged) return call.notAllowed(-ERRNO.EPERM, input.domainId);
  const reason = abi.shutdownName(input.reason);
  if (!reason) return noReason(call, input.reason);
  target.shutdown(reason);
  return 0;
}

function watchdog(call: Hypercall, arg: VirtAddr | undefined): number {
  const input = call.guest.decode(abi.schedWatchdog, arg);
  if (!input) return EFAULT;
  const result = call.domain.watchdogs.set(input.id, input.timeout);
  if (result === -ERRNO.ENOSPC)
    return call.refuse(result, 'all watchdogs of d%d are in use', call.domain.id);
  return result < 0 ? call.refuse(result, 'watchdog %d is not set', input.id) : result;
}
