/** event_channel_op: one row per behaviour. The mechanism itself is tested in tests/unit/common-event-channel.test.ts. */

import { describe, expect, test } from 'vitest';
import { asDomId } from '../../hypervisor/machine/types.js';
import { ERRNO } from '../../hypervisor/public/errno.js';
import * as abi from '../../hypervisor/public/event-channel.js';
import { DOMID } from '../../hypervisor/public/xen.js';
import { BAD_POINTERS, CallBench } from '../support/call-bench.js';

const { EVTCHNOP, EVTCHNSTAT } = abi;
const OP = 'event_channel_op';

// biome-ignore format: one row per refusal
const REFUSALS = [
  // operation                struct                       fields                                   result
  ['alloc_unbound',           abi.evtchnAllocUnbound,      { dom: 77, remoteDom: 0 },               -ERRNO.ESRCH],
  ['alloc_unbound',           abi.evtchnAllocUnbound,      { dom: 2, remoteDom: 0 },                -ERRNO.EPERM],
  ['bind_interdomain',        abi.evtchnBindInterdomain,   { remoteDom: 77, remotePort: 1 },        -ERRNO.ESRCH],
  ['bind_interdomain',        abi.evtchnBindInterdomain,   { remoteDom: 2, remotePort: 1 },         -ERRNO.EINVAL],
  ['bind_interdomain',        abi.evtchnBindInterdomain,   { remoteDom: 2, remotePort: 0xffff_ffff }, -ERRNO.EINVAL],
  ['bind_virq',               abi.evtchnBindVirq,          { virq: 24, vcpu: 0 },                   -ERRNO.EINVAL],
  ['bind_virq',               abi.evtchnBindVirq,          { virq: 0, vcpu: 3 },                    -ERRNO.ENOENT],
  ['bind_virq',               abi.evtchnBindVirq,          { virq: abi.VIRQ.CONSOLE, vcpu: 1 },     -ERRNO.EINVAL],
  ['bind_pirq',               abi.evtchnBindPirq,          { pirq: 1, flags: 0 },                   -ERRNO.EINVAL],
  ['bind_ipi',                abi.evtchnBindIpi,           { vcpu: 3 },                             -ERRNO.ENOENT],
  ['bind_vcpu',               abi.evtchnBindVcpu,          { port: 9, vcpu: 0 },                    -ERRNO.EINVAL],
  ['bind_vcpu',               abi.evtchnBindVcpu,          { port: 1, vcpu: 9 },                    -ERRNO.ENOENT],
  ['close',                   abi.evtchnClose,             { port: 9 },                             -ERRNO.EINVAL],
  ['send',                    abi.evtchnSend,              { port: 0 },                             -ERRNO.EINVAL],
  ['send',                    abi.evtchnSend,              { port: 0xffff_ffff },                   -ERRNO.EINVAL],
  ['unmask',                  abi.evtchnUnmask,            { port: 4095 },                          -ERRNO.EINVAL],
  ['status',                  abi.evtchnStatus,            { dom: DOMID.SELF, port: 4095 },         -ERRNO.EINVAL],
  ['status',                  abi.evtchnStatus,            { dom: 2, port: 1 },                     -ERRNO.EPERM],
  ['reset',                   abi.evtchnReset,             { dom: 2 },                              -ERRNO.EPERM],
  ['reset',                   abi.evtchnReset,             { dom: 77 },                             -ERRNO.ESRCH],
  ['init_control',            abi.evtchnInitControl,       { controlGfn: 999n },                    -ERRNO.EINVAL],
  ['init_control',            abi.evtchnInitControl,       { controlGfn: 2n ** 63n },               -ERRNO.EINVAL],
  ['init_control',            abi.evtchnInitControl,       { controlGfn: 1n, vcpu: 3 },             -ERRNO.ENOENT],
  ['init_control',            abi.evtchnInitControl,       { controlGfn: 1n, offset: 4032 },        -ERRNO.EINVAL],
  ['expand_array',            abi.evtchnExpandArray,       { arrayGfn: 1n },                        -ERRNO.EOPNOTSUPP],
  ['set_priority',            abi.evtchnSetPriority,       { port: 1, priority: 7 },                -ERRNO.EINVAL],
] as const;

const numberOf = (name: string) => EVTCHNOP[name.toUpperCase() as keyof typeof EVTCHNOP];

function bench() {
  const result = new CallBench();
  result.newDomain();
  return result;
}

function allocate(b: CallBench, remoteDom: number = DOMID.SELF): number {
  const at = b.put(abi.evtchnAllocUnbound, { dom: DOMID.SELF, remoteDom });
  expect(b.call(OP, EVTCHNOP.ALLOC_UNBOUND, at)).toBe(0);
  return b.get(abi.evtchnAllocUnbound, at).port;
}

test.each(REFUSALS)('%s is refused: %o %o', (name, layout, fields, result) => {
  const b = bench();
  expect(b.call(OP, numberOf(name), b.put(layout, fields as never))).toBe(result);
});

describe.each(BAD_POINTERS)('a pointer of %o', (pointer) => {
  const names = [
    'alloc_unbound',
    'bind_interdomain',
    'bind_virq',
    'bind_ipi',
    'bind_vcpu',
    'close',
    'send',
    'unmask',
    'status',
    'reset',
    'init_control',
    'expand_array',
    'set_priority',
  ];
  test.each(names)('%s is -EFAULT', (name) => {
    expect(bench().call(OP, numberOf(name), pointer)).toBe(-ERRNO.EFAULT);
  });
});

test('a channel to oneself: both ends in one domain', () => {
  const b = bench();
  const far = allocate(b);
  const at = b.put(abi.evtchnBindInterdomain, { remoteDom: DOMID.SELF, remotePort: far });
  expect(b.call(OP, EVTCHNOP.BIND_INTERDOMAIN, at)).toBe(0);
  const near = b.get(abi.evtchnBindInterdomain, at).localPort;
  expect(b.call(OP, EVTCHNOP.SEND, b.put(abi.evtchnSend, { port: near }))).toBe(0);
  expect(b.domain.events.isPending(far)).toBe(true);
});

test('status tells each state', () => {
  const b = bench();
  const status = (port: number) => {
    const at = b.put(abi.evtchnStatus, { dom: DOMID.SELF, port });
    expect(b.call(OP, EVTCHNOP.STATUS, at)).toBe(0);
    return b.get(abi.evtchnStatus, at);
  };
  const unbound = allocate(b, 2);
  expect(status(unbound)).toMatchObject({ status: EVTCHNSTAT.UNBOUND, first: 2 });
  const peer = b.domains.get(2)!;
  const near = peer.events.bindInterdomain(b.domain.events, unbound);
  expect(status(unbound)).toMatchObject({ status: EVTCHNSTAT.INTERDOMAIN, first: 2, second: near });
  const virq = b.put(abi.evtchnBindVirq, { virq: 0, vcpu: 1 });
  b.call(OP, EVTCHNOP.BIND_VIRQ, virq);
  const { port } = b.get(abi.evtchnBindVirq, virq);
  expect(status(port)).toMatchObject({ status: EVTCHNSTAT.VIRQ, vcpu: 1, first: 0 });
  const ipi = b.put(abi.evtchnBindIpi, { vcpu: 2 });
  b.call(OP, EVTCHNOP.BIND_IPI, ipi);
  expect(status(b.get(abi.evtchnBindIpi, ipi).port)).toMatchObject({
    status: EVTCHNSTAT.IPI,
    vcpu: 2,
  });
  b.call(OP, EVTCHNOP.CLOSE, b.put(abi.evtchnClose, { port }));
  expect(status(port)).toMatchObject({ status: EVTCHNSTAT.CLOSED });
});

test('a port that cannot be told is closed again', () => {
  const b = bench();
  const at = b.put(abi.evtchnAllocUnbound, { dom: DOMID.SELF, remoteDom: 0 });
  const { guest } = b.dispatcher.call;
  guest.encode = () => false;
  expect(b.call(OP, EVTCHNOP.ALLOC_UNBOUND, at)).toBe(-ERRNO.EFAULT);
  expect(b.domain.events.open).toBe(0);
});

test('a privileged domain may act on others', () => {
  const b = new CallBench({ isPrivileged: true, id: asDomId(0) });
  const other = b.newDomain();
  const at = b.put(abi.evtchnAllocUnbound, { dom: other.id, remoteDom: DOMID.SELF });
  expect(b.call(OP, EVTCHNOP.ALLOC_UNBOUND, at)).toBe(0);
  expect(other.events.lookup(1)).toMatchObject({ state: EVTCHNSTAT.UNBOUND, remoteDom: 0 });
});

test('FIFO: init_control tells the bits of a link, then pages and priorities are taken', () => {
  const b = bench();
  const port = allocate(b);
  const priority = b.put(abi.evtchnSetPriority, { port, priority: 3 });
  expect(b.call(OP, EVTCHNOP.SET_PRIORITY, priority)).toBe(-ERRNO.ENOSYS);
  const controlGfn = BigInt(b.domain.allocatePage()!);
  const control = b.put(abi.evtchnInitControl, { controlGfn, offset: 128, vcpu: 1 });
  expect(b.call(OP, EVTCHNOP.INIT_CONTROL, control)).toBe(0);
  expect(b.get(abi.evtchnInitControl, control).linkBits).toBe(17);
  expect(b.call(OP, EVTCHNOP.INIT_CONTROL, control)).toBe(-ERRNO.EINVAL);
  const arrayGfn = BigInt(b.domain.allocatePage()!);
  const array = b.put(abi.evtchnExpandArray, { arrayGfn });
  expect(b.call(OP, EVTCHNOP.EXPAND_ARRAY, array)).toBe(0);
  expect(b.call(OP, EVTCHNOP.SET_PRIORITY, priority)).toBe(0);
  expect(b.domain.events.lookup(port)!.priority).toBe(3);
});

test('the old form takes the command from memory', () => {
  const b = bench();
  const at = b.room(32);
  b.machine.ram.view.setUint32(b.host(at), EVTCHNOP.ALLOC_UNBOUND, true);
  b.machine.ram.view.setUint16(b.host(at) + 4, DOMID.SELF, true);
  expect(b.call('event_channel_op_compat', at)).toBe(0);
  expect(b.machine.ram.view.getUint32(b.host(at) + 8, true)).toBe(1);
});

test('missing operations are counted by name', () => {
  const b = bench();
  expect(b.call(OP, 99, 0)).toBe(-ERRNO.ENOSYS);
  b.call(OP, 99, 0);
  expect([...b.domain.missingCalls]).toEqual([['event_channel_op(99)', 2]]);
});
