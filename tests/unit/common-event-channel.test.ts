/** Event channels on RAM alone: what becomes pending where, and what each refusal is. */

import { describe, expect, test } from 'vitest';
import type { Domain } from '../../hypervisor/common/domain.js';
import { ERRNO } from '../../hypervisor/public/errno.js';
import { EVTCHNSTAT, VIRQ } from '../../hypervisor/public/event-channel.js';
import { sharedInfo, vcpuInfo } from '../../hypervisor/public/xen.js';
import { CommonMachine } from '../support/common-machine.js';

function pair() {
  const machine = new CommonMachine();
  const [a, b] = [machine.domain(), machine.domain()];
  const far = a.events.allocateUnbound(b.id);
  const near = b.events.bindInterdomain(a.events, far);
  return { machine, a, b, far, near };
}

const pendingWord = (machine: CommonMachine, domain: Domain, word: number) =>
  machine.ram.u32[(domain.sharedInfoAddress + sharedInfo.offset.evtchnPending) / 4 + word];
const setMask = (machine: CommonMachine, domain: Domain, port: number) => {
  const at = (domain.sharedInfoAddress + sharedInfo.offset.evtchnMask) / 4 + (port >>> 5);
  machine.ram.u32[at]! |= 1 << (port & 31);
};
const selector = (machine: CommonMachine, domain: Domain, vcpu = 0) =>
  machine.ram.view.getBigUint64(
    domain.vcpus[vcpu]!.infoAddress + vcpuInfo.offset.evtchnPendingSel,
    true,
  );

describe('interdomain channels', () => {
  test('ports begin at 1', () => {
    const { far, near } = pair();
    expect([far, near]).toEqual([1, 1]);
  });

  test('binding marks the port of the binder pending', () => {
    const { b, near } = pair();
    expect(b.events.isPending(near)).toBe(true);
    expect(b.vcpus[0]!.upcallPending).toBe(true);
  });

  test('a notification sets pending bit, selector and upcall of the other end', () => {
    const { machine, a, b, far, near } = pair();
    expect(b.events.send(near)).toBe(0);
    expect(pendingWord(machine, a, 0)).toBe(1 << far);
    expect(selector(machine, a)).toBe(1n);
    expect(a.vcpus[0]!.upcallPending).toBe(true);
  });

  test('a masked port becomes pending but is not delivered until it is unmasked', () => {
    const { machine, a, b, far, near } = pair();
    setMask(machine, a, far);
    b.events.send(near);
    expect(a.events.isPending(far)).toBe(true);
    expect(a.vcpus[0]!.upcallPending).toBe(false);
    expect(a.events.unmask(far)).toBe(0);
    expect(a.vcpus[0]!.upcallPending).toBe(true);
  });

  test('a notification wakes a blocked vCPU', () => {
    const { a, b, near } = pair();
    a.vcpus[0]!.block();
    b.events.send(near);
    expect(a.vcpus[0]!.blocked).toBe(false);
  });

  test('a masked notification wakes one that polls the port, and no other', () => {
    const { machine, a, b, far, near } = pair();
    setMask(machine, a, far);
    const other = a.events.allocateUnbound(b.id);
    a.vcpus[0]!.poll([other], 0);
    b.events.send(near);
    expect(a.vcpus[0]!.blocked).toBe(true);
    a.vcpus[0]!.unblock();
    a.events.unmask(far);
    setMask(machine, a, far);
    machine.ram.u32.fill(0, (a.sharedInfoAddress + 0x800) / 4, (a.sharedInfoAddress + 0x820) / 4);
    a.vcpus[0]!.poll([far], 0);
    b.events.send(near);
    expect(a.vcpus[0]!.blocked).toBe(false);
  });

  test('closing one end makes the other unbound again, for the same domain', () => {
    const { a, b, far, near } = pair();
    expect(b.events.close(near)).toBe(0);
    expect(a.events.lookup(far)).toMatchObject({ state: EVTCHNSTAT.UNBOUND, remoteDom: b.id });
    expect(a.events.send(far)).toBe(0);
    expect(b.events.bindInterdomain(a.events, far)).toBe(near);
  });

  test('closing clears the pending bit', () => {
    const { machine, b, near } = pair();
    b.events.close(near);
    expect(pendingWord(machine, b, 0)).toBe(0);
  });

  test('only the domain that is meant can bind', () => {
    const machine = new CommonMachine();
    const [a, b, c] = [machine.domain(), machine.domain(), machine.domain()];
    const far = a.events.allocateUnbound(b.id);
    expect(c.events.bindInterdomain(a.events, far)).toBe(-ERRNO.EINVAL);
    expect(b.events.bindInterdomain(a.events, far)).toBe(1);
    expect(b.events.bindInterdomain(a.events, far)).toBe(-ERRNO.EINVAL);
  });

  test('notifications to dom0 go to its callback', () => {
    const machine = new CommonMachine();
    const { domain: dom0, ports } = machine.dom0();
    const guest = machine.domain();
    const far = guest.events.allocateUnbound(dom0.id);
    const near = dom0.events.bindInterdomain(guest.events, far);
    guest.events.send(far);
    guest.events.send(far);
    expect(ports).toEqual([near, near, near]);
  });
});

describe('virtual IRQs, IPIs and limits', () => {
  test('a per-vCPU VIRQ is raised on its vCPU, once bound', () => {
    const machine = new CommonMachine();
    const domain = machine.domain({ maxVcpus: 2 });
    domain.events.raiseVirq(VIRQ.TIMER, 1);
    const port = domain.events.bindVirq(VIRQ.TIMER, 1);
    domain.events.raiseVirq(VIRQ.TIMER, 1);
    expect(domain.events.isPending(port)).toBe(true);
    expect(domain.vcpus.map((vcpu) => vcpu.upcallPending)).toEqual([false, true]);
    expect(domain.events.bindVirq(VIRQ.TIMER, 1)).toBe(-ERRNO.EEXIST);
    expect(domain.events.close(port)).toBe(0);
    expect(domain.events.bindVirq(VIRQ.TIMER, 1)).toBe(port);
  });

  test.each([
    ['a global VIRQ on another vCPU than 0', VIRQ.CONSOLE, 1, -ERRNO.EINVAL],
    ['a VIRQ that does not exist', 24, 0, -ERRNO.EINVAL],
    ['a vCPU that does not exist', VIRQ.TIMER, 7, -ERRNO.ENOENT],
  ])('binding %s is refused', (_, virq, vcpu, result) => {
    const domain = new CommonMachine().domain({ maxVcpus: 2 });
    expect(domain.events.bindVirq(virq, vcpu)).toBe(result);
  });

  test('an IPI notifies the vCPU it is bound to and cannot be moved', () => {
    const domain = new CommonMachine().domain({ maxVcpus: 2 });
    const port = domain.events.bindIpi(1);
    expect(domain.events.send(port)).toBe(0);
    expect(domain.vcpus[1]!.upcallPending).toBe(true);
    expect(domain.events.bindVcpu(port, 0)).toBe(-ERRNO.EINVAL);
  });

  test('bind_vcpu moves an interdomain port', () => {
    const machine = new CommonMachine();
    const a = machine.domain({ maxVcpus: 2 });
    const b = machine.domain();
    const far = a.events.allocateUnbound(b.id);
    const near = b.events.bindInterdomain(a.events, far);
    expect(a.events.bindVcpu(far, 1)).toBe(0);
    b.events.send(near);
    expect(a.vcpus.map((vcpu) => vcpu.upcallPending)).toEqual([false, true]);
  });

  test('the limit is honoured, and ports are used again', () => {
    const domain = new CommonMachine().domain({ maxEventChannels: 3 });
    const ports = Array.from({ length: 4 }, () => domain.events.allocateUnbound(0));
    expect(ports).toEqual([1, 2, 3, -ERRNO.ENOSPC]);
    domain.events.close(2);
    expect(domain.events.allocateUnbound(0)).toBe(2);
  });

  test.each([0, 4, 4096, 0xffff_ffff])('port %i, which is not open, is refused', (port) => {
    const domain = new CommonMachine().domain();
    expect(domain.events.send(port)).toBe(-ERRNO.EINVAL);
    expect(domain.events.close(port)).toBe(-ERRNO.EINVAL);
    expect(domain.events.unmask(port)).toBe(-ERRNO.EINVAL);
  });

  test('reset closes all and tells the peers', () => {
    const { a, b, far, near } = pair();
    a.events.reset();
    expect(a.events.open).toBe(0);
    expect(a.events.lookup(far)).toBeUndefined();
    expect(b.events.lookup(near)?.state).toBe(EVTCHNSTAT.UNBOUND);
  });
});
