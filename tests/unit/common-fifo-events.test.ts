/** FIFO event channels against a guest's half of the protocol: order, priorities, moves, and that no event is lost. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DomainConfig } from '../../hypervisor/common/domain.js';
import { asMfn } from '../../hypervisor/machine/types.js';
import { ERRNO } from '../../hypervisor/public/errno.js';
import { EVTCHN_FIFO, EVTCHN_FIFO_NR_CHANNELS } from '../../hypervisor/public/event-channel.js';
import { CommonMachine } from '../support/common-machine.js';
import { FifoGuest } from '../support/fifo-guest.js';

const { PENDING, MASKED, LINKED } = EVTCHN_FIFO;
const DEFAULT = 7;

/** A domain with two vCPUs that uses FIFO with one page of words. */
function fifo(config: Partial<DomainConfig> = {}) {
  const machine = new CommonMachine();
  const domain = machine.domain({ maxVcpus: 2, maxPages: 256, ...config });
  const guest = new FifoGuest(domain, machine.ram);
  expect(guest.init()).toEqual([0, 0]);
  expect(guest.expand()).toBe(0);
  const ipis = (count: number, vcpu = 0) =>
    Array.from({ length: count }, () => domain.events.bindIpi(vcpu));
  return { machine, domain, events: domain.events, guest, ipis };
}

describe('delivery', () => {
  test('events of one priority come in the order they were sent', () => {
    const { events, guest, ipis, domain } = fifo();
    const ports = ipis(4);
    for (const port of [3, 1, 4, 1, 2]) events.send(port);
    expect(domain.vcpus[0]!.upcallPending).toBe(true);
    expect(guest.block()).toMatchObject({ ready: 1 << DEFAULT });
    expect(guest.upcall()).toEqual([3, 1, 4, 2]);
    expect(ports.map((port) => guest.word(port))).toEqual([0, 0, 0, 0]);
  });

  test('a more urgent priority comes first', () => {
    const { events, guest, ipis } = fifo();
    ipis(3);
    expect([events.setPriority(3, 0), events.setPriority(1, 15)]).toEqual([0, 0]);
    for (const port of [1, 2, 3]) events.send(port);
    expect(guest.block().ready).toBe((1 << 15) | (1 << DEFAULT) | 1);
    expect(guest.upcall()).toEqual([3, 2, 1]);
  });

  test('each vCPU has its own queues', () => {
    const { events, guest, ipis, domain } = fifo();
    const [a] = ipis(1, 0);
    const [b] = ipis(1, 1);
    events.send(b!);
    expect(domain.vcpus.map((vcpu) => vcpu.upcallPending)).toEqual([false, true]);
    events.send(a!);
    expect([guest.upcall(0), guest.upcall(1)]).toEqual([[a], [b]]);
  });

  test('a second queue that becomes ready raises no second upcall before the first is taken', () => {
    const { events, guest, ipis, domain } = fifo();
    ipis(2);
    events.send(1);
    domain.vcpus[0]!.block();
    events.send(2);
    expect(domain.vcpus[0]!.blocked, 'it has yet to see the first').toBe(true);
    domain.vcpus[0]!.unblock();
    expect(guest.upcall()).toEqual([1, 2]);
  });

  test('a masked port is not linked until it is unmasked', () => {
    const { events, guest, ipis } = fifo();
    ipis(1);
    guest.mask(1);
    events.send(1);
    expect(guest.word(1)).toBe((PENDING | MASKED) >>> 0);
    expect(guest.block().ready).toBe(0);
    expect(events.unmask(1)).toBe(0);
    expect(guest.word(1)).toBe((PENDING | LINKED) >>> 0);
    expect(guest.upcall()).toEqual([1]);
  });

  test('one that was masked while linked is delivered after unmask', () => {
    const { events, guest, ipis } = fifo();
    ipis(1);
    events.send(1);
    guest.mask(1);
    expect(guest.upcall()).toEqual([]);
    expect(events.unmask(1)).toBe(0);
    expect(guest.upcall()).toEqual([1]);
  });

  test('a masked event wakes whoever polls it', () => {
    const { events, guest, ipis, domain } = fifo();
    ipis(1);
    guest.mask(1);
    domain.vcpus[0]!.poll([1], 0);
    events.send(1);
    expect(domain.vcpus[0]!.blocked).toBe(false);
    expect(events.isPending(1)).toBe(true);
  });

  test('a linked port whose priority changes stays in its queue once more', () => {
    const { events, guest, ipis } = fifo();
    ipis(2);
    events.send(1);
    events.setPriority(1, 2);
    expect(guest.block().ready).toBe(1 << DEFAULT);
    expect(guest.upcall()).toEqual([1]);
    events.send(1);
    expect(guest.block().ready).toBe(1 << 2);
  });

  test('the tail of an old queue is forgotten when it moves', () => {
    const { events, guest, ipis } = fifo();
    ipis(3);
    events.send(1);
    expect(guest.upcall()).toEqual([1]);
    events.setPriority(1, 2);
    events.send(1); // in queue 2 now, and still known as the tail of 7
    events.send(2); // must begin queue 7 anew
    expect(guest.word(1) & 0x1_ffff).toBe(0);
    events.send(3);
    expect(guest.upcall()).toEqual([1, 2, 3]);
  });

  test('a port that moves to another vCPU follows with its next event', () => {
    const { events, guest, domain, machine } = fifo();
    const peer = machine.domain();
    const port = events.allocateUnbound(peer.id);
    const far = peer.events.bindInterdomain(events, port);
    peer.events.send(far);
    expect(events.bindVcpu(port, 1)).toBe(0);
    expect(guest.upcall(0)).toEqual([port]);
    peer.events.send(far);
    expect(domain.vcpus[1]!.upcallPending).toBe(true);
    expect([guest.upcall(0), guest.upcall(1)]).toEqual([[], [port]]);
  });
});

describe('set-up', () => {
  test('what was pending under the two-level ABI is raised again when its page comes', () => {
    const machine = new CommonMachine();
    const domain = machine.domain();
    const guest = new FifoGuest(domain, machine.ram);
    const [port, idle] = [domain.events.bindIpi(0), domain.events.bindIpi(0)];
    domain.events.send(port);
    guest.init();
    expect(domain.events.isPending(port), 'there is no word yet').toBe(false);
    guest.expand();
    expect(guest.upcall()).toEqual([port]);
    expect(guest.word(idle)).toBe(0);
  });

  test('an event for a word that does not exist yet waits for its page', () => {
    const machine = new CommonMachine();
    const domain = machine.domain();
    const guest = new FifoGuest(domain, machine.ram);
    guest.init();
    const port = domain.events.bindIpi(0);
    domain.events.send(port);
    expect(domain.vcpus[0]!.upcallPending).toBe(false);
    guest.expand();
    expect(guest.upcall()).toEqual([port]);
  });

  test('a vCPU without control block gets nothing, and nobody is harmed', () => {
    const machine = new CommonMachine();
    const domain = machine.domain({ maxVcpus: 2 });
    const guest = new FifoGuest(domain, machine.ram);
    const mfn = domain.allocatePage()!;
    expect(domain.events.initControl(0, mfn, 0)).toBe(0);
    guest.expand();
    const port = domain.events.bindIpi(1);
    domain.events.send(port);
    expect(guest.word(port)).toBe(PENDING);
    expect(domain.vcpus[1]!.upcallPending).toBe(false);
  });

  // biome-ignore format: one row per refusal
  test.each([
    ['a vCPU that does not exist',      2, 0,    true,  -ERRNO.ENOENT],
    ['a block across the page\'s end',  0, 4032, true,  -ERRNO.EINVAL],
    ['an offset of 4',                  0, 4,    true,  -ERRNO.EINVAL],
    ['a page that is not its own',      0, 0,    false, -ERRNO.EINVAL],
    ['the last place in a page',        0, 4024, true,  0],
  ])('a control block for %s', (_, vcpu, offset, own, result) => {
    const domain = new CommonMachine().domain({ maxVcpus: 2 });
    const mfn = own ? domain.allocatePage()! : asMfn(0xdead);
    expect(domain.events.initControl(vcpu, mfn, offset)).toBe(result);
    expect(domain.events.expandArray(domain.allocatePage()!)).toBe(result === 0 ? 0 : -ERRNO.EOPNOTSUPP);
  });

  test('a page table holds neither control block nor words', () => {
    const { machine, domain, events } = fifo();
    const mfn = domain.allocatePage()!;
    machine.tables.add(mfn);
    expect(events.expandArray(mfn)).toBe(-ERRNO.EINVAL);
    expect(events.initControl(0, domain.allocatePage()!, 0), 'it has one').toBe(-ERRNO.EINVAL);
  });

  test('128 pages of words, and no more', () => {
    const { guest, domain } = fifo();
    for (let n = 1; n < 128; n++) expect(guest.expand()).toBe(0);
    expect(guest.expand()).toBe(-ERRNO.ENOSPC);
    expect(domain.events.limit).toBe(1024);
  });

  test('more ports than the two-level ABI has', () => {
    const { guest, events, ipis } = fifo({ maxEventChannels: EVTCHN_FIFO_NR_CHANNELS - 1 });
    expect(events.limit).toBe(EVTCHN_FIFO_NR_CHANNELS);
    for (let n = 0; n < 4; n++) guest.expand();
    expect(ipis(5000).at(-1)).toBe(5000);
    events.send(5000);
    events.send(1);
    expect(guest.upcall()).toEqual([5000, 1]);
  });

  test.each([
    [1, 16, -ERRNO.EINVAL],
    [1, 15, 0],
    [9, 3, -ERRNO.EINVAL],
    [0xffff_ffff, 3, -ERRNO.EINVAL],
  ])('port %i gets priority %i: %i', (port, priority, result) => {
    const { events, ipis } = fifo();
    ipis(1);
    expect(events.setPriority(port, priority)).toBe(result);
  });
});

describe('closing', () => {
  test('a closed port that is still linked is not given out', () => {
    const { events, guest, ipis } = fifo();
    ipis(2);
    events.send(1);
    expect(events.close(1)).toBe(0);
    expect(guest.word(1)).toBe(LINKED);
    expect(ipis(1)).toEqual([3]);
    expect(guest.upcall()).toEqual([]);
    expect(ipis(1)).toEqual([1]);
  });

  test('a port used again has the default priority, and its old tail is forgotten', () => {
    const { events, guest, ipis } = fifo();
    ipis(2);
    events.setPriority(1, 3);
    events.send(1);
    guest.upcall();
    events.close(1);
    expect(ipis(1)).toEqual([1]);
    events.send(1);
    events.setPriority(2, 3);
    events.send(2);
    expect(guest.upcall()).toEqual([2, 1]);
  });

  test('reset goes back to two levels and lets go of the pages', () => {
    const { machine, domain, events, ipis } = fifo();
    ipis(2);
    events.reset();
    expect([...machine.references.values()].every((count) => count === 0)).toBe(true);
    expect(events.setPriority(1, 3)).toBe(-ERRNO.ENOSYS);
    expect(events.send(events.bindIpi(0))).toBe(0);
    expect(machine.ram.u32[(domain.sharedInfoAddress + 0x800) / 4]).toBe(2);
    const again = new FifoGuest(domain, machine.ram);
    expect(again.init()).toEqual([0, 0]);
  });
});

const PORTS = 6;
const step = fc.oneof(
  fc.record({ kind: fc.constant('send'), port: fc.integer({ min: 1, max: PORTS }) }),
  fc.record({ kind: fc.constant('mask'), port: fc.integer({ min: 1, max: PORTS }) }),
  fc.record({ kind: fc.constant('unmask'), port: fc.integer({ min: 1, max: PORTS }) }),
  fc.record({ kind: fc.constant('upcall'), port: fc.integer({ min: 0, max: 1 }) }),
  fc.record({
    kind: fc.constant('priority'),
    port: fc.integer({ min: 1, max: PORTS }),
    to: fc.integer({ min: 0, max: 15 }),
  }),
  fc.record({
    kind: fc.constant('vcpu'),
    port: fc.integer({ min: 1, max: PORTS }),
    to: fc.integer({ min: 0, max: 1 }),
  }),
) as fc.Arbitrary<{ kind: string; port: number; to?: number }>;

describe('whatever happens in whatever order', () => {
  test('each event is delivered once, after the last unmask at the latest', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { machine, events, guest } = fifo();
        const peer = machine.domain();
        const far = Array.from({ length: PORTS }, () =>
          peer.events.bindInterdomain(events, events.allocateUnbound(peer.id)),
        );
        const waiting = new Set<number>();
        const upcall = (vcpu: number) => {
          for (const port of guest.upcall(vcpu))
            expect(waiting.delete(port), 'no ghost').toBe(true);
        };
        // biome-ignore format: one row per step
        const run: Readonly<Record<string, (port: number, to: number) => void>> = {
          send:     (port) => { waiting.add(port); peer.events.send(far[port - 1]!); },
          mask:     (port) => guest.mask(port),
          unmask:   (port) => void events.unmask(port),
          upcall:   (vcpu) => upcall(vcpu),
          priority: (port, to) => void events.setPriority(port, to),
          vcpu:     (port, to) => void events.bindVcpu(port, to),
        };
        for (const { kind, port, to } of steps) run[kind]!(port, to ?? 0);
        for (let port = 1; port <= PORTS; port++) events.unmask(port);
        for (const vcpu of [0, 1, 0, 1]) upcall(vcpu);
        expect([...waiting]).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  test('a guest that writes anything into its words harms nobody', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(step, fc.nat(0xffff_ffff)), { maxLength: 40 }), (steps) => {
        const { machine, events, guest, ipis } = fifo();
        ipis(PORTS);
        const neighbour = machine.domain();
        const before = machine.ram.frameBytes(neighbour.sharedInfo.frame).slice();
        // biome-ignore format: one row per step
        const run: Readonly<Record<string, (port: number, to: number) => void>> = {
          send:     (port) => void events.send(port),
          mask:     (port) => void events.close(port),
          unmask:   (port) => void events.unmask(port),
          upcall:   () => void events.bindIpi(0),
          priority: (port, to) => void events.setPriority(port, to),
          vcpu:     (port, to) => void events.bindVcpu(port, to),
        };
        for (const [{ kind, port, to }, word] of steps) {
          guest.setWord(Math.max(port, 1), word);
          run[kind]!(port, to ?? 0);
        }
        expect(machine.ram.frameBytes(neighbour.sharedInfo.frame)).toEqual(before);
      }),
      { numRuns: 200 },
    );
  });
});
