/** The scheduler and the timers under a clock that is moved by hand. */

import { describe, expect, test } from 'vitest';
import { Timer, Timers } from '../../hypervisor/common/timer.js';
import { RUNSTATE } from '../../hypervisor/public/vcpu.js';
import { CommonMachine } from '../support/common-machine.js';

const SECOND = 1_000_000_000;

describe('proportional share', () => {
  test.each([
    ['equal weights', 256, 256, 1],
    ['twice the weight', 512, 256, 2],
    ['four times the weight', 1024, 256, 4],
  ])('%s', (_, first, second, ratio) => {
    const machine = new CommonMachine();
    const a = machine.domain({ weight: first });
    const b = machine.domain({ weight: second });
    const shares = machine.spin(2 * SECOND);
    expect(shares.get(a.id)! / shares.get(b.id)!).toBeCloseTo(ratio, 0);
  });

  test.each([25, 50])('a cap of %i percent bounds a domain that is alone', (cap) => {
    const machine = new CommonMachine();
    const domain = machine.domain({ cap });
    const used = machine.spin(SECOND).get(domain.id)!;
    expect((used / SECOND) * 100).toBeGreaterThan(cap - 2);
    expect((used / SECOND) * 100).toBeLessThan(cap + 2);
  });

  test('what a capped domain leaves, the other gets', () => {
    const machine = new CommonMachine();
    machine.domain({ cap: 10 });
    const other = machine.domain();
    expect(machine.spin(SECOND).get(other.id)! / SECOND).toBeGreaterThan(0.88);
  });

  test('a vCPU that wakes after a long sleep runs next, but not for long', () => {
    const machine = new CommonMachine();
    const sleeper = machine.domain();
    const spinner = machine.domain();
    sleeper.vcpus[0]!.block();
    machine.spin(SECOND);
    sleeper.vcpus[0]!.unblock();
    expect(machine.scheduler.pick(machine.clock.now())).toBe(sleeper.vcpus[0]);
    const shares = machine.spin(SECOND);
    expect(shares.get(sleeper.id)! / shares.get(spinner.id)!).toBeLessThan(1.1);
  });

  test('a wake-up asks for the processor when its claim is better', () => {
    const machine = new CommonMachine();
    const [a, b] = [machine.domain().vcpus[0]!, machine.domain().vcpus[0]!];
    b.block();
    machine.spin(5_000_000);
    machine.scheduler.current = a;
    b.unblock();
    expect(machine.scheduler.preemptSoon).toBe(true);
  });

  test('yield lets the other run first', () => {
    const machine = new CommonMachine();
    const [a, b] = [machine.domain().vcpus[0]!, machine.domain().vcpus[0]!];
    b.credit = 1;
    expect(machine.scheduler.pick(0)).toBe(a);
    machine.scheduler.yield(a);
    expect(machine.scheduler.pick(0)).toBe(b);
    machine.scheduler.yield(a);
    b.block();
    expect(machine.scheduler.pick(0)).toBe(a);
  });

  test('a paused domain does not run, nor one that is shut down', () => {
    const machine = new CommonMachine();
    const domain = machine.domain();
    domain.pause();
    expect(machine.scheduler.pick(0)).toBeUndefined();
    expect(domain.vcpus[0]!.runstate.state).toBe(RUNSTATE.OFFLINE);
    domain.unpause();
    expect(machine.scheduler.pick(0)).toBe(domain.vcpus[0]);
    domain.shutdown('poweroff');
    expect(machine.scheduler.pick(0)).toBeUndefined();
    expect(machine.shutdowns).toEqual([domain]);
  });

  test('pauses nest', () => {
    const domain = new CommonMachine().domain();
    domain.pause();
    domain.pause();
    domain.unpause();
    expect(domain.isPaused).toBe(true);
    expect(domain.unpause()).toBe(true);
    expect(domain.unpause()).toBe(false);
  });
});

describe('timers', () => {
  test('fire in order, whatever the order they were set in', () => {
    const timers = new Timers();
    const fired: number[] = [];
    const times = Array.from({ length: 200 }, (_, n) => (n * 7919) % 1000);
    for (const at of times) timers.set(new Timer(() => fired.push(at)), at);
    timers.expire(500);
    expect(fired).toEqual(times.filter((at) => at <= 500).sort((x, y) => x - y));
    expect(timers.next).toBe(Math.min(...times.filter((at) => at > 500)));
  });

  test('can be moved and cancelled', () => {
    const timers = new Timers();
    const fired: string[] = [];
    const [a, b, c] = ['a', 'b', 'c'].map((name) => new Timer(() => fired.push(name)));
    timers.set(a!, 10);
    timers.set(b!, 20);
    timers.set(c!, 30);
    timers.set(a!, 40);
    timers.cancel(b!);
    timers.cancel(b!);
    timers.expire(100);
    expect(fired).toEqual(['c', 'a']);
    expect(timers.next).toBe(Number.POSITIVE_INFINITY);
  });

  test('a periodic timer fires once for periods that were missed', () => {
    const machine = new CommonMachine();
    const domain = machine.domain();
    const [vcpu] = domain.vcpus;
    const port = domain.events.bindVirq(0, 0);
    vcpu!.period = 1_000_000;
    machine.timers.set(vcpu!.periodic, 1_000_000);
    machine.clock.advance(5_500_000);
    machine.timers.expire(machine.clock.now());
    expect(domain.events.isPending(port)).toBe(true);
    expect(vcpu!.periodic.at).toBe(6_000_000);
  });

  test('a poll ends by its timeout', () => {
    const machine = new CommonMachine();
    const [vcpu] = machine.domain().vcpus;
    vcpu!.poll([], 1000);
    machine.clock.advance(1000);
    machine.timers.expire(machine.clock.now());
    expect(vcpu!.blocked).toBe(false);
  });

  test('watchdogs are set, put off and bite', () => {
    const machine = new CommonMachine();
    const domain = machine.domain();
    expect(domain.watchdogs.set(0, 1)).toBe(1);
    expect(domain.watchdogs.set(0, 1)).toBe(2);
    expect(domain.watchdogs.set(0, 1)).toBe(-28);
    expect(domain.watchdogs.set(3, 1)).toBe(-22);
    expect(domain.watchdogs.set(1, 0)).toBe(0);
    expect(domain.watchdogs.set(1, 1)).toBe(-22);
    machine.clock.advance(SECOND);
    machine.timers.expire(machine.clock.now());
    expect(domain.shutdownReason).toBe('watchdog');
  });
});
