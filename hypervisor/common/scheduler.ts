/**
 * The scheduler: proportional share among vCPUs on one processor, in the vocabulary of Xen's credit2.
 *
 * Each vCPU has credit in nanoseconds. The runnable one with most credit runs; running burns credit, the faster the smaller
 * the weight of its domain. When the best has none left everybody's is reset, clipped so that a sleeper gathers no more than
 * one allowance: it runs soon after it wakes, but cannot then hold the processor. A cap bounds a domain on top of that.
 */

import { RUNSTATE } from '../public/vcpu.js';
import type { Vcpu } from './domain.js';
import { Timer, type Timers } from './timer.js';

/** Longest time that a vCPU runs before others are looked at. */
const SLICE_NS = 1_000_000;
/** A vCPU that has run so long may be preempted by one that wakes. */
const RATELIMIT_NS = 100_000;
/** What a vCPU gets at a reset. */
const CREDIT_NS = 10_000_000;
/** Weight at which a nanosecond burns a nanosecond. */
export const DEFAULT_WEIGHT = 256;

export class Scheduler {
  /** The vCPU that has the processor. */
  current: Vcpu | undefined;
  /** The current vCPU is to be left at the next exit: it sleeps or yields. */
  mustLeave = false;
  /** A vCPU with a better claim woke: the current one is to be left when `ratelimit` is over. */
  preemptSoon = false;
  /** Nanoseconds that a vCPU runs at most before others are looked at. */
  sliceLength = SLICE_NS;
  /** Nanoseconds that a vCPU runs at least before one that wakes takes its place. */
  ratelimit = RATELIMIT_NS;
  readonly #vcpus = new Set<Vcpu>();
  readonly #queue: Vcpu[] = [];
  readonly #timers: Timers;
  /** The one that yielded, passed over once. */
  #yielded: Vcpu | undefined;
  /** Ends the wait of capped domains. Nothing to do when it fires: whoever waits is looked at again. */
  readonly #capTimer = new Timer(() => undefined);

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  add(vcpu: Vcpu): void {
    this.#vcpus.add(vcpu);
    vcpu.credit = CREDIT_NS;
  }

  remove(vcpu: Vcpu): void {
    this.#vcpus.delete(vcpu);
    const place = this.#queue.indexOf(vcpu);
    if (place >= 0) this.#queue.splice(place, 1);
    vcpu.queued = false;
    if (this.#yielded === vcpu) this.#yielded = undefined;
    if (this.current === vcpu) this.current = undefined;
  }

  /** The vCPU may run again, if nothing else holds it back. */
  wake(vcpu: Vcpu, now: number): void {
    if (!vcpu.isRunnable || !this.#vcpus.has(vcpu)) return;
    if (vcpu !== this.current) vcpu.runstate.enter(RUNSTATE.RUNNABLE, now);
    if (!vcpu.queued) {
      vcpu.queued = true;
      this.#queue.push(vcpu);
    }
    if (this.current && vcpu.credit > this.current.credit) this.preemptSoon = true;
  }

  /** The vCPU may not run: it leaves the queue when it is next looked at, and the processor at the next exit. */
  sleep(vcpu: Vcpu, now: number): void {
    if (vcpu === this.current) this.mustLeave = true;
    else vcpu.runstate.enter(vcpu.idleState, now);
  }

  /** Those that can run or could when they were last looked at. */
  get queue(): readonly Vcpu[] {
    return this.#queue;
  }

  /** The current vCPU lets the others go first. */
  yield(vcpu: Vcpu): void {
    this.#yielded = vcpu;
    this.mustLeave = true;
  }

  /** @returns the vCPU to run next, undefined if none can. */
  pick(now: number): Vcpu | undefined {
    const yielded = this.#yielded;
    this.#yielded = undefined;
    const best = this.#best(now, yielded) ?? (yielded && this.#best(now, undefined));
    if (best && best.credit <= 0) this.#reset(best.credit);
    return best;
  }

  /** Nanoseconds that the vCPU may run from now on. */
  slice(vcpu: Vcpu, now: number): number {
    return Math.min(this.sliceLength, vcpu.domain.cap.available(now));
  }

  /** The vCPU has run for so long. */
  charge(vcpu: Vcpu, ns: number): void {
    vcpu.credit -= (ns * DEFAULT_WEIGHT) / vcpu.domain.weight;
    vcpu.domain.cap.burn(ns);
  }

  /** The one with most credit among those that can run; drops those that cannot from the queue. */
  #best(now: number, except: Vcpu | undefined): Vcpu | undefined {
    let best: Vcpu | undefined;
    for (let place = this.#queue.length - 1; place >= 0; place--) {
      const vcpu = this.#queue[place];
      if (!vcpu) continue;
      if (!vcpu.isRunnable) this.#dequeue(place, vcpu, now);
      else if (vcpu === except || (best && vcpu.credit < best.credit)) continue;
      else if (vcpu.domain.cap.available(now) > 0) best = vcpu;
      else this.#waitForCap(vcpu, now);
    }
    return best;
  }

  #dequeue(place: number, vcpu: Vcpu, now: number): void {
    this.#queue.splice(place, 1);
    vcpu.queued = false;
    vcpu.runstate.enter(vcpu.idleState, now);
  }

  #waitForCap(vcpu: Vcpu, now: number): void {
    const at = vcpu.domain.cap.readyAt(now);
    if (!this.#capTimer.armed || at < this.#capTimer.at) this.#timers.set(this.#capTimer, at);
  }

  /** Everybody gets as many allowances as bring the best above zero. */
  #reset(best: number): void {
    const allowance = CREDIT_NS * (1 + Math.floor(-best / CREDIT_NS));
    for (const vcpu of this.#vcpus) vcpu.credit = Math.min(vcpu.credit + allowance, CREDIT_NS);
  }
}
