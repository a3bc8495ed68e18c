/**
 * The run loop: who runs, for how long, and what happens when the processor stops.
 *
 * A slice is a budget of instructions, worth at most a millisecond and never past the next timer. Between slices the loop
 * looks at the mailbox and the timers, so dom0 is answered within a slice even while a guest spins with events masked.
 */

import type { Domain, Vcpu } from './common/domain.js';
import type { Scheduler } from './common/scheduler.js';
import type { Timers } from './common/timer.js';
import type { HypervisorHost } from './host.js';
import type { Dispatcher } from './hypercall/dispatch.js';
import type { Clock } from './machine/clock.js';
import { RUNSTATE } from './public/vcpu.js';
import type { Pv } from './pv/pv.js';
import type { PvVcpu } from './pv/pv-vcpu.js';
import type { VirtualTime } from './virtual-time.js';
import { EXIT, type ExitReason, type Processor } from './x86/processor.js';

/** Instructions a nanosecond, before it has been measured, and the bounds of what is believed. */
const RATE = { INITIAL: 0.2, LOWEST: 0.002, HIGHEST: 2 } as const;
/** Less time than this says little about the rate. */
const MEASURABLE_NS = 50_000;
const SMALLEST_BUDGET = 100;
/** Instructions between two looks at the clock and the mailbox: what slow instructions do to a slice stays bounded. */
const CHUNK = 50_000;
const NS_PER_MS = 1e6;
/** A day: a guest may set a timer that no host could wait for. */
const LONGEST_WAIT_MS = 86_400_000;
/** Exits between two looks at the clock: a guest that exits all the time retires few instructions. */
const EXITS_PER_LOOK = 64;

export interface RunLoopParts {
  readonly clock: Clock;
  readonly time: VirtualTime;
  readonly timers: Timers;
  readonly scheduler: Scheduler;
  readonly processor: Processor;
  readonly pv: Pv;
  readonly dispatcher: Dispatcher;
  readonly host: HypervisorHost;
  /** Handles everything that dom0 has sent. */
  answerCalls(): void;
  /** Zeroes some frames that were given back. Returns whether there are more. */
  scrub(): boolean;
  /** Hands dom0 the ports that became pending, now and then. */
  flushEvents(now: number): void;
  /** Hands them over at once. */
  flushAllEvents(): void;
  /** A vCPU is put on the processor. */
  switched(vcpu: Vcpu, now: number): void;
  /** The vCPU in the processor has another runstate: the guest may want to know. */
  runstateChanged(vcpu: Vcpu, now: number): void;
  /** The processor stopped for something that is no hypercall: for the trace. */
  stopped(vcpu: PvVcpu, reason: ExitReason): void;
  /** An exception escaped while an exit of this domain was handled. */
  bug(domain: Domain, error: unknown): void;
}

export class RunLoop {
  readonly #parts: RunLoopParts;
  #isStopped = false;
  /** The vCPU whose state is in the processor: it may not be the one that runs. */
  #loaded: PvVcpu | undefined;
  #seen = 0;
  #rate: number = RATE.INITIAL;
  /** What has been run since the rate was last measured. */
  #sampleRetired = 0;
  #sampleTime = 0;
  #sliceEnd = 0;
  /** Nanoseconds with nothing to run. */
  idleTime = 0;

  constructor(parts: RunLoopParts) {
    this.#parts = parts;
    if (parts.time.isVirtual) this.#rate = 1;
  }

  /** Runs until `stop`. */
  run(): void {
    this.#isStopped = false;
    while (!this.#isStopped) this.step();
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** One round: mailbox, timers, one slice or one wait. */
  step(): void {
    const { clock, timers, scheduler } = this.#parts;
    this.#seen = this.#doorbell();
    this.#parts.answerCalls();
    if (this.#isStopped) return;
    const now = clock.now();
    timers.expire(now);
    this.#parts.flushEvents(now);
    const vcpu = scheduler.pick(now);
    if (vcpu) this.#slice(vcpu, now);
    else this.#idle(now);
  }

  /** @returns whether a long hypercall is to stop half-way. */
  shouldPreempt(): boolean {
    return this.#doorbell() !== this.#seen || this.#parts.clock.now() >= this.#sliceEnd;
  }

  /** Takes a domain's vCPU out of the processor: its memory is about to go. */
  unload(domain: Domain): void {
    if (this.#loaded?.vcpu.domain === domain) this.unloadAny();
  }

  /** Takes the vCPU out that is in the processor, so that its state can be looked at. Not while it runs. */
  unloadAny(): void {
    if (this.#loaded === undefined) return;
    this.#noLongerRunning(this.#parts.clock.now());
    this.#parts.pv.leave();
    this.#loaded = undefined;
  }

  #doorbell(): number {
    return Atomics.load(this.#parts.host.doorbell, 0);
  }

  /** Sleeps until the next timer or until dom0 says something. */
  #idle(now: number): void {
    const { timers, host, time, clock } = this.#parts;
    const { next } = timers;
    this.#noLongerRunning(now);
    this.#parts.flushAllEvents();
    if (time.isVirtual && Number.isFinite(next)) {
      time.skipTo(next);
      return;
    }
    // frames that were given back are zeroed now rather than when a domain waits to be built
    while (this.#doorbell() === this.#seen && clock.now() < next) if (!this.#parts.scrub()) break;
    const asleep = clock.now();
    const wait = Number.isFinite(next) ? Math.max(next - asleep, 0) / NS_PER_MS : undefined;
    host.waitForInput(wait && Math.min(wait, LONGEST_WAIT_MS), this.#seen);
    this.idleTime += clock.now() - asleep;
  }

  /** The vCPU that is loaded could go on, but another runs, or its domain's cap is used up. */
  #noLongerRunning(now: number): void {
    const vcpu = this.#loaded?.vcpu;
    if (vcpu?.runstate.state === RUNSTATE.RUNNING) vcpu.runstate.enter(vcpu.idleState, now);
  }

  #slice(vcpu: Vcpu, now: number): void {
    const { scheduler, processor, clock, time, pv } = this.#parts;
    scheduler.current = vcpu;
    scheduler.mustLeave = false;
    scheduler.preemptSoon = false;
    const before = processor.retired;
    try {
      const pvVcpu = pv.vcpuOf(vcpu);
      this.#load(pvVcpu, now);
      this.#runUntil(pvVcpu, now + scheduler.slice(vcpu, now), now);
    } catch (error) {
      this.#parts.bug(vcpu.domain, error);
    }
    time.follow();
    const elapsed = clock.now() - now;
    const retired = processor.retired - before;
    vcpu.retired += retired;
    this.#measure(retired, elapsed);
    scheduler.charge(vcpu, elapsed);
    scheduler.current = undefined;
    if (!vcpu.isRunnable) this.#stopped(vcpu, now + elapsed);
  }

  /** The vCPU waits or is held back. Its memory is still the one in use, so its runstate can be told. */
  #stopped(vcpu: Vcpu, now: number): void {
    vcpu.runstate.enter(vcpu.idleState, now);
    try {
      this.#parts.runstateChanged(vcpu, now);
    } catch (error) {
      this.#parts.bug(vcpu.domain, error);
    }
  }

  /** Puts the vCPU on the processor, if another was there. */
  #load(next: PvVcpu, now: number): void {
    const previous = this.#loaded;
    if (previous !== next) {
      this.#noLongerRunning(now);
      this.#parts.pv.contextSwitch(next);
      this.#parts.dispatcher.enter(next);
      this.#loaded = next;
    }
    const { runstate } = next.vcpu;
    if (runstate.state === RUNSTATE.RUNNING) return;
    runstate.enter(RUNSTATE.RUNNING, now);
    this.#parts.switched(next.vcpu, now);
  }

  #runUntil(pvVcpu: PvVcpu, end: number, now: number): void {
    const { processor, pv, scheduler, timers } = this.#parts;
    const limited = new Limit(Math.min(end, timers.next), timers.next);
    this.#sliceEnd = limited.end;
    let stopAt = processor.retired + this.#budget(limited.end - now);
    for (;;) {
      pv.beforeEntry(pvVcpu);
      const budget = stopAt - processor.retired;
      if (budget <= 0 || scheduler.mustLeave) return;
      const reason = processor.run(Math.min(budget, CHUNK));
      this.#handle(pvVcpu, reason);
      if (this.#interrupted()) return;
      if (reason === EXIT.BUDGET || limited.isStale(timers.next, scheduler.preemptSoon)) {
        const left = this.#renew(limited, now);
        if (left <= 0) return;
        stopAt = Math.min(stopAt, processor.retired + left);
      }
    }
  }

  #handle(pvVcpu: PvVcpu, reason: ExitReason): void {
    if (reason === EXIT.BUDGET) return;
    if (reason !== EXIT.SYSCALL || !pvVcpu.inKernel) this.#parts.stopped(pvVcpu, reason);
    if (this.#parts.pv.handleExit(pvVcpu, reason)) this.#parts.dispatcher.dispatch();
  }

  /** @returns whether the vCPU has to be left: it may not run any more, or dom0 has said something. */
  #interrupted(): boolean {
    return this.#parts.scheduler.mustLeave || this.#doorbell() !== this.#seen;
  }

  /** Moves the end of the slice if it has to come earlier. @returns the instructions left, 0 if it has come. */
  #renew(limited: Limit, start: number): number {
    const { clock, time, timers, scheduler } = this.#parts;
    time.follow();
    limited.renew(start, timers.next, scheduler.preemptSoon, scheduler.ratelimit);
    this.#sliceEnd = limited.end;
    const left = limited.end - clock.now();
    return left <= 0 ? 0 : this.#budget(left);
  }

  /** Instructions that take about so long. */
  #budget(ns: number): number {
    const instructions = Math.floor(ns * this.#rate);
    return this.#parts.time.isVirtual
      ? Math.max(instructions, 1)
      : Math.max(instructions, SMALLEST_BUDGET);
  }

  #measure(retired: number, elapsed: number): void {
    if (this.#parts.time.isVirtual) return;
    this.#sampleRetired += retired;
    this.#sampleTime += elapsed;
    if (this.#sampleTime < MEASURABLE_NS) return;
    const measured = this.#sampleRetired / this.#sampleTime;
    this.#sampleRetired = 0;
    this.#sampleTime = 0;
    // Much slower than believed: believe it at once, or the next slice lasts too long as well.
    const rate = measured < this.#rate / 2 ? measured : this.#rate * 0.75 + measured * 0.25;
    this.#rate = Math.min(Math.max(rate, RATE.LOWEST), RATE.HIGHEST);
  }
}

/** The end of a slice, which comes earlier when a timer is set or somebody with a better claim wakes. */
class Limit {
  end: number;
  #timer: number;
  #preempt = false;
  #exits = 0;

  constructor(end: number, timer: number) {
    this.end = end;
    this.#timer = timer;
  }

  /** Called after each exit. @returns whether it is time to look at the clock. */
  isStale(timer: number, preempt: boolean): boolean {
    return ++this.#exits % EXITS_PER_LOOK === 0 || timer < this.#timer || preempt !== this.#preempt;
  }

  renew(start: number, timer: number, preempt: boolean, ratelimit: number): void {
    this.#timer = timer;
    this.#preempt = preempt;
    this.end = Math.min(this.end, timer);
    if (preempt) this.end = Math.min(this.end, start + ratelimit);
  }
}
