/** event_channel_op (32) and its old form (16): ports between domains, vCPUs and Xen. Spec: event_channel.h; xen-abi §2.1. */

import type { Domain } from '../common/domain.js';
import { asMfn, asVirtAddr, type VirtAddr } from '../machine/types.js';
import { ERRNO } from '../public/errno.js';
import * as abi from '../public/event-channel.js';
import type { Hypercall } from './hypercall.js';

const { EVTCHNOP, EVTCHNSTAT } = abi;
const EFAULT = -ERRNO.EFAULT;

type Operation = (call: Hypercall, arg: VirtAddr | undefined) => number;

// biome-ignore format: one row per operation
const OPERATIONS: Readonly<Record<number, Operation>> = {
  [EVTCHNOP.BIND_INTERDOMAIN]: bindInterdomain,
  [EVTCHNOP.BIND_VIRQ]:        bindVirq,
  [EVTCHNOP.CLOSE]:            close,
  [EVTCHNOP.SEND]:             send,
  [EVTCHNOP.STATUS]:           status,
  [EVTCHNOP.ALLOC_UNBOUND]:    allocUnbound,
  [EVTCHNOP.BIND_IPI]:         bindIpi,
  [EVTCHNOP.BIND_VCPU]:        bindVcpu,
  [EVTCHNOP.UNMASK]:           unmask,
  [EVTCHNOP.RESET]:            reset,
  [EVTCHNOP.BIND_PIRQ]:        (call) => call.refuse(-ERRNO.EINVAL, 'there are no physical IRQs'),
  [EVTCHNOP.INIT_CONTROL]:     initControl,
  [EVTCHNOP.EXPAND_ARRAY]:     expandArray,
  [EVTCHNOP.SET_PRIORITY]:     setPriority,
};

const NO_FIFO = 'the domain has not switched to FIFO: EVTCHNOP_init_control comes first';
const EXPANSION_RULES: Readonly<Record<number, string>> = {
  [-ERRNO.EOPNOTSUPP]: NO_FIFO,
  [-ERRNO.ENOSPC]: 'there are words for all ports: mfn %x is not needed',
  [-ERRNO.EINVAL]: 'mfn %x is not memory that Xen may write to',
};

export function eventChannelOp(call: Hypercall): number {
  const cmd = call.argLo(0);
  // The one that must be fast.
  if (cmd === EVTCHNOP.SEND) return send(call, call.argAddress(1));
  const operation = OPERATIONS[cmd];
  return operation ? operation(call, call.argAddress(1)) : call.missing(`event_channel_op(${cmd})`);
}

/** event_channel_op_compat: one struct evtchn_op of a u32 command and the argument behind it. */
export function eventChannelOpCompat(call: Hypercall): number {
  const at = call.argAddress(0);
  const cmd = call.guest.readU32(at);
  if (at === undefined || cmd === undefined) return EFAULT;
  const operation = cmd <= EVTCHNOP.UNMASK ? OPERATIONS[cmd] : undefined;
  return operation
    ? operation(call, asVirtAddr(at + 4))
    : call.missing(`event_channel_op_compat(${cmd})`);
}

/** -ENOSPC of an operation that needs a new port. */
function noPort(call: Hypercall, { id, events }: Domain): number {
  return call.refuse(
    -ERRNO.ENOSPC,
    'd%d has %d ports in use below %d',
    id,
    events.open,
    events.limit,
  );
}

function noVcpu(call: Hypercall, vcpu: number): number {
  const { id, vcpus } = call.domain;
  return call.refuse(-ERRNO.ENOENT, 'd%d has %d vCPUs, none is vCPU %d', id, vcpus.length, vcpu);
}

/** An operation on a port of the caller's: what it is bound to explains why not. */
function onPort(call: Hypercall, port: number, result: number): number {
  if (result >= 0 || !call.hv.wantsReasons()) return result;
  return call.refuse(result, '%s', call.domain.events.describePort(port));
}

/** A new port's number goes back in the struct; if it cannot be written the port is closed again. */
function returnPort(call: Hypercall, port: number, write: (port: number) => boolean): number {
  if (port < 0) return port;
  if (write(port)) return 0;
  call.domain.events.close(port);
  return EFAULT;
}

function allocUnbound(call: Hypercall, arg: VirtAddr | undefined): number {
  const input = call.guest.decode(abi.evtchnAllocUnbound, arg);
  if (!input) return EFAULT;
  const target = call.controlled(input.dom);
  if (typeof target === 'number') return target;
  const remote = call.lookupDomain(input.remoteDom)?.id ?? input.remoteDom;
  const port = target.events.allocateUnbound(remote);
  if (port < 0) return noPort(call, target);
  return returnPort(call, port, (value) =>
    call.guest.encode(abi.evtchnAllocUnbound, arg, { port: value }),
  );
}

function bindInterdomain(call: Hypercall, arg: VirtAddr | undefined): number {
  const input = call.guest.decode(abi.evtchnBindInterdomain, arg);
  if (!input) return EFAULT;
  const remote = call.lookupDomain(input.remoteDom);
  if (!remote) return call.noDomain(-ERRNO.ESRCH, input.remoteDom);
  const port = call.domain.events.bindInterdomain(remote.events, input.remotePort);
  if (port === -ERRNO.EINVAL) {
    const far = remote.events.describePort(input.remotePort);
    return call.refuse(port, '%s: it does not wait for d%d', far, call.domain.id);
  }
  if (port < 0) return noPort(call, call.domain);
  return returnPort(call, port, (localPort) =>
    call.guest.encode(abi.evtchnBindInterdomain, arg, { localPort }),
  );
}

function bindVirq(call: Hypercall, arg: VirtAddr | undefined): number {
  const input = call.guest.decode(abi.evtchnBindVirq, arg);
  if (!input) return EFAULT;
  const bound = call.domain.events.bindVirq(input.virq, input.vcpu);
  if (bound < 0) return refuseVirq(call, bound, input);
  return returnPort(call, bound, (port) => call.guest.encode(abi.evtchnBindVirq, arg, { port }));
}

function refuseVirq(
  call: Hypercall,
  result: number,
  { virq, vcpu }: { virq: number; vcpu: number },
): number {
  if (result === -ERRNO.ENOENT) return noVcpu(call, vcpu);
  if (result === -ERRNO.ENOSPC) return noPort(call, call.domain);
  if (result === -ERRNO.EEXIST) {
    const port = call.domain.events.virqPort(virq, vcpu);
    return call.refuse(result, 'VIRQ %d of vCPU %d is bound to port %d already', virq, vcpu, port);
  }
  return virq < abi.NR_VIRQS
    ? call.refuse(result, 'VIRQ %d is global: it is bound on vCPU 0, not on vCPU %d', virq, vcpu)
    : call.refuse(result, 'there are %d VIRQs, none is VIRQ %d', abi.NR_VIRQS, virq);
}

function bindIpi(call: Hypercall, arg: VirtAddr | undefined): number {
  const input = call.guest.decode(abi.evtchnBindIpi, arg);
  if (!input) return EFAULT;
  const bound = call.domain.events.bindIpi(input.vcpu);
  if (bound === -ERRNO.ENOENT) return noVcpu(call, input.vcpu);
  if (bound < 0) return noPort(call, call.domain);
  return returnPort(call, bound, (port) => call.guest.encode(abi.evtchnBindIpi, arg, { port }));
}

function bindVcpu(call: Hypercall, arg: VirtAddr | undefined): number {
  const input = call.guest.decode(abi.evtchnBindVcpu, arg);
  if (!input) return EFAULT;
  const result = call.domain.events.bindVcpu(input.port, input.vcpu);
  return result === -ERRNO.ENOENT ? noVcpu(call, input.vcpu) : onPort(call, input.port, result);
}

function close(call: Hypercall, arg: VirtAddr | undefined): number {
  const port = call.guest.readU32(arg);
  return port === undefined ? EFAULT : onPort(call, port, call.domain.events.close(port));
}

function send(call: Hypercall, arg: VirtAddr | undefined): number {
  const port = call.guest.readU32(arg);
  if (port === undefined) return EFAULT;
  const result = call.domain.events.send(port);
  return result === 0 ? 0 : onPort(call, port, result);
}

function unmask(call: Hypercall, arg: VirtAddr | undefined): number {
  const port = call.guest.readU32(arg);
  return port === undefined ? EFAULT : onPort(call, port, call.domain.events.unmask(port));
}

function status(call: Hypercall, arg: VirtAddr | undefined): number {
  const input = call.guest.decode(abi.evtchnStatus, arg);
  if (!input) return EFAULT;
  const target = call.controlled(input.dom);
  if (typeof target === 'number') return target;
  if (!target.events.isValid(input.port)) {
    return call.refuse(-ERRNO.EINVAL, 'd%d never had a port %d', target.id, input.port);
  }
  const channel = target.events.lookup(input.port);
  const first = channel && channel.state === EVTCHNSTAT.VIRQ ? channel.virq : channel?.remoteDom;
  const output = {
    status: channel?.state ?? EVTCHNSTAT.CLOSED,
    vcpu: channel?.vcpu ?? 0,
    first: first ?? 0,
    second: channel?.remotePort ?? 0,
  };
  return call.guest.encode(abi.evtchnStatus, arg, output) ? 0 : EFAULT;
}

function reset(call: Hypercall, arg: VirtAddr | undefined): number {
  const dom = call.guest.readU16(arg);
  if (dom === undefined) return EFAULT;
  const target = call.controlled(dom);
  if (typeof target === 'number') return target;
  target.events.reset();
  return 0;
}

function initControl(call: Hypercall, arg: VirtAddr | undefined): number {
  const input = call.guest.decode(abi.evtchnInitControl, arg);
  if (!input) return EFAULT;
  const { vcpu, controlGfn, offset } = input;
  const mfn = asMfn(Number(controlGfn));
  const result = call.domain.events.initControl(vcpu, mfn, offset);
  if (result === -ERRNO.ENOENT) return noVcpu(call, vcpu);
  if (result !== 0) {
    const rule =
      'vCPU %d: its one control block is aligned to 8 and within a page that Xen may write to, not at %x in mfn %x';
    return call.refuse(result, rule, vcpu, offset, mfn);
  }
  const linkBits = abi.EVTCHN_FIFO_LINK_BITS;
  return call.guest.encode(abi.evtchnInitControl, arg, { linkBits }) ? 0 : EFAULT;
}

function expandArray(call: Hypercall, arg: VirtAddr | undefined): number {
  const gfn = call.guest.readU64(arg);
  if (gfn === undefined) return EFAULT;
  const mfn = asMfn(Number(gfn));
  const result = call.domain.events.expandArray(mfn);
  if (result === 0) return 0;
  return call.refuse(result, EXPANSION_RULES[result] ?? '', mfn);
}

function setPriority(call: Hypercall, arg: VirtAddr | undefined): number {
  const input = call.guest.decode(abi.evtchnSetPriority, arg);
  if (!input) return EFAULT;
  const result = call.domain.events.setPriority(input.port, input.priority);
  if (result === 0) return 0;
  return result === -ERRNO.ENOSYS
    ? call.refuse(result, NO_FIFO)
    : call.refuse(
        result,
        'port %d, priority %d: there is no such port, or the priority is above %d',
        input.port,
        input.priority,
        abi.EVTCHN_FIFO_PRIORITY_MIN,
      );
}
