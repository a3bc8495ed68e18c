/** event_channel_op (32) and its old form (16): ports between domains, vCPUs and Xen. Spec: event_channel.h; xen-abi §2.1. */

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
  const target = call.lookupDomain(input.dom);
  if (!target) return -ERRNO.ESRCH;
  if (!call.mayControl(target)) return -ERRNO.EPERM;
  const remote = call.lookupDomain(input.remoteDom)?.id ?? input.remoteDom;
  const port = target.events.allocateUnbound(remote);
  return returnPort(call, port, (value) =>
    call.guest.encode(abi.evtchnAllocUnbound, arg, { port: value }),
  );
}

function bindInterdomain(call: Hypercall, arg: VirtAddr | undefined): number {
  const input = call.guest.decode(abi.evtchnBindInterdomain, arg);
  if (!input) return EFAULT;
  const remote = call.lookupDomain(input.remoteDom);
  if (!remote) return -ERRNO.ESRCH;
  const port = call.domain.events.bindInterdomain(remote.events, input.remotePort);
  if (port === -ERRNO.EINVAL) {
    return call.refuse(
      port,
      `d${remote.id} port ${input.remotePort} does not wait for this domain`,
    );
  }
  return returnPort(call, port, (localPort) =>
    call.guest.encode(abi.evtchnBindInterdomain, arg, { localPort }),
  );
}

function bindVirq(call: Hypercall, arg: VirtAddr | undefined): number {
  const input = call.guest.decode(abi.evtchnBindVirq, arg);
  if (!input) return EFAULT;
  const bound = call.domain.events.bindVirq(input.virq, input.vcpu);
  return returnPort(call, bound, (port) => call.guest.encode(abi.evtchnBindVirq, arg, { port }));
}

function bindIpi(call: Hypercall, arg: VirtAddr | undefined): number {
  const input = call.guest.decode(abi.evtchnBindIpi, arg);
  if (!input) return EFAULT;
  const bound = call.domain.events.bindIpi(input.vcpu);
  return returnPort(call, bound, (port) => call.guest.encode(abi.evtchnBindIpi, arg, { port }));
}

function bindVcpu(call: Hypercall, arg: VirtAddr | undefined): number {
  const input = call.guest.decode(abi.evtchnBindVcpu, arg);
  return input ? call.domain.events.bindVcpu(input.port, input.vcpu) : EFAULT;
}

function close(call: Hypercall, arg: VirtAddr | undefined): number {
  const port = call.guest.readU32(arg);
  return port === undefined ? EFAULT : call.domain.events.close(port);
}

function send(call: Hypercall, arg: VirtAddr | undefined): number {
  const port = call.guest.readU32(arg);
  return port === undefined ? EFAULT : call.domain.events.send(port);
}

function unmask(call: Hypercall, arg: VirtAddr | undefined): number {
  const port = call.guest.readU32(arg);
  return port === undefined ? EFAULT : call.domain.events.unmask(port);
}

function status(call: Hypercall, arg: VirtAddr | undefined): number {
  const input = call.guest.decode(abi.evtchnStatus, arg);
  if (!input) return EFAULT;
  const target = call.lookupDomain(input.dom);
  if (!target) return -ERRNO.ESRCH;
  if (!call.mayControl(target)) return -ERRNO.EPERM;
  if (!target.events.isValid(input.port)) return -ERRNO.EINVAL;
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
  const target = call.lookupDomain(dom);
  if (!target) return -ERRNO.ESRCH;
  if (!call.mayControl(target)) return -ERRNO.EPERM;
  target.events.reset();
  return 0;
}

function initControl(call: Hypercall, arg: VirtAddr | undefined): number {
  const input = call.guest.decode(abi.evtchnInitControl, arg);
  if (!input) return EFAULT;
  const { vcpu, controlGfn, offset } = input;
  const result = call.domain.events.initControl(vcpu, asMfn(Number(controlGfn)), offset);
  if (result !== 0) return call.refuse(result, `vCPU ${vcpu}: no control block at ${offset} there`);
  const linkBits = abi.EVTCHN_FIFO_LINK_BITS;
  return call.guest.encode(abi.evtchnInitControl, arg, { linkBits }) ? 0 : EFAULT;
}

function expandArray(call: Hypercall, arg: VirtAddr | undefined): number {
  const gfn = call.guest.readU64(arg);
  return gfn === undefined ? EFAULT : call.domain.events.expandArray(asMfn(Number(gfn)));
}

function setPriority(call: Hypercall, arg: VirtAddr | undefined): number {
  const input = call.guest.decode(abi.evtchnSetPriority, arg);
  return input ? call.domain.events.setPriority(input.port, input.priority) : EFAULT;
}
