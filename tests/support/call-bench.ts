/**
 * Hypercalls without a guest: arguments in registers that are an array, guest memory that is 64 KiB of RAM from virtual
 * address 0x10000 on. The handlers, their table and GuestAccess are the real ones.
 */

import type { Domain, DomainConfig, Vcpu } from '../../hypervisor/common/domain.js';
import { Trace } from '../../hypervisor/common/trace.js';
import { Dispatcher } from '../../hypervisor/hypercall/dispatch.js';
import { PAGE_SIZE } from '../../hypervisor/machine/layout.js';
import { asVirtAddr, type VirtAddr } from '../../hypervisor/machine/types.js';
import { HYPERCALLS } from '../../hypervisor/public/hypercalls.js';
import type { struct } from '../../hypervisor/public/struct.js';
import { TRACE_KIND } from '../../hypervisor/public/trace.js';
import { GuestAccess } from '../../hypervisor/pv/guest-access.js';
import type { PvVcpu } from '../../hypervisor/pv/pv-vcpu.js';
import type { Translations } from '../../hypervisor/pv/translations.js';
import type { Processor } from '../../hypervisor/x86/processor.js';
import { CommonMachine } from './common-machine.js';

const BASE = 0x1_0000;
const SIZE = 0x1_0000;
/** An address in Xen's range, one that is not mapped, and one that is not canonical. */
export const BAD_POINTERS = [-0x8000_0000_0000, 0x7fff_0000, Number.NaN] as const;
const NOT_CANONICAL = [0, 0x1234_5678] as const;
const ARGUMENTS = [7, 6, 2, 10, 8, 9];
const TWO_32 = 2 ** 32;

type AnyStruct = ReturnType<typeof struct>;

export class CallBench {
  readonly machine = new CommonMachine();
  readonly domain: Domain;
  readonly dispatcher: Dispatcher;
  readonly trace: Trace;
  readonly domains = new Map<number, Domain>();
  /** Reasons given for refusals. */
  readonly reasons: string[] = [];
  readonly console: string[] = [];
  readonly yields: number[] = [];
  /** What shouldPreempt answers: true once after so many questions. */
  preemptAfter = Number.POSITIVE_INFINITY;
  readonly lo = new Uint32Array(16);
  readonly hi = new Uint32Array(16);
  rip = 0x1000;
  readonly #memory: number;
  #next = BASE;

  constructor(config: Partial<DomainConfig> = {}) {
    const { machine } = this;
    this.domain = this.newDomain({ maxVcpus: 3, ...config });
    this.domain.vcpus[2]!.online = false;
    this.#memory = machine.frames.allocate()! * PAGE_SIZE;
    for (let n = 1; n < SIZE / PAGE_SIZE; n++) machine.frames.allocate();
    this.trace = new Trace(machine.ram);
    const guest = this.#guestAccess();
    this.dispatcher = new Dispatcher(this.#services(), this.#registers(), guest, this.trace);
    this.enter(0);
  }

  newDomain(config: Partial<DomainConfig> = {}): Domain {
    const domain = this.machine.domain(config);
    this.domains.set(domain.id, domain);
    return domain;
  }

  /** The calls come from another vCPU from now on. */
  enter(vcpu: number): void {
    const pv = { vmAssist: 0, domain: this.domain };
    this.dispatcher.enter({ vcpu: this.domain.vcpus[vcpu], pv } as unknown as PvVcpu);
  }

  /** Makes a call by name. NaN stands for a pointer that is not canonical. @returns rax. */
  call(name: string, ...args: readonly number[]): number {
    const number = HYPERCALLS.find((row) => row?.name === name)?.number;
    if (number === undefined) throw new Error(`no hypercall ${name}`);
    return this.callNumber(number, ...args);
  }

  callNumber(number: number, ...args: readonly number[]): number {
    this.#set(0, number);
    for (const [n, register] of ARGUMENTS.entries()) this.#set(register, args[n] ?? 0);
    this.dispatcher.dispatch();
    return this.rax;
  }

  /** Makes the call that is in the registers once more, as a preempted one is. */
  again(): number {
    this.rip += 2;
    this.dispatcher.dispatch();
    return this.rax;
  }

  get rax(): number {
    return (this.hi[0]! | 0) * TWO_32 + this.lo[0]!;
  }

  /** Puts a struct into guest memory. */
  put<S extends AnyStruct>(layout: S, values: Parameters<S['encode']>[2]): VirtAddr {
    const at = this.room(layout.size);
    layout.encode(this.machine.ram.view, this.host(at), values as never);
    return at;
  }

  /** Puts 64-bit numbers into guest memory. */
  putNumbers(...values: readonly number[]): VirtAddr {
    const at = this.room(values.length * 8);
    for (const [n, value] of values.entries()) {
      this.machine.ram.view.setBigUint64(this.host(at) + n * 8, BigInt(value), true);
    }
    return at;
  }

  get<S extends AnyStruct>(layout: S, at: number): ReturnType<S['decode']> {
    return layout.decode(this.machine.ram.view, this.host(at)) as ReturnType<S['decode']>;
  }

  number(at: number): number {
    return Number(this.machine.ram.view.getBigUint64(this.host(at), true));
  }

  /** Fresh guest memory, zeroed, 64-byte aligned. */
  room(bytes: number): VirtAddr {
    const at = this.#next;
    this.#next += Math.ceil(bytes / 64) * 64;
    if (this.#next > BASE + SIZE) throw new Error('the test is out of guest memory');
    return asVirtAddr(at);
  }

  host(va: number): number {
    return this.#memory + va - BASE;
  }

  #set(register: number, value: number): void {
    const [lo, hi] = Number.isNaN(value)
      ? NOT_CANONICAL
      : [value >>> 0, Math.floor(value / TWO_32) >>> 0];
    this.lo[register] = lo;
    this.hi[register] = hi;
  }

  #guestAccess(): GuestAccess {
    const processor = {
      translate: (va: number) => (va >= BASE && va < BASE + SIZE ? this.host(va) : -1),
      frameWritten: () => undefined,
    };
    const translations = { settle: () => undefined };
    return new GuestAccess(
      processor as unknown as Processor,
      this.machine.ram,
      translations as unknown as Translations,
    );
  }

  #registers() {
    const bench = this;
    return {
      get rip() {
        return asVirtAddr(bench.rip);
      },
      set rip(va: VirtAddr) {
        bench.rip = va;
      },
      rflags: 0x202,
      lo: (n: number) => this.lo[n]!,
      hi: (n: number) => this.hi[n]!,
      setHalves: (n: number, lo: number, hi: number) => {
        this.lo[n] = lo;
        this.hi[n] = hi;
      },
      setAddress: (n: number, va: number) => this.#set(n, va),
    };
  }

  #services() {
    const { ram, clock, timers, frames, scheduler } = this.machine;
    return {
      ram,
      clock,
      timers,
      frames,
      lookupDomain: (domid: number) => this.domains.get(domid),
      pv: undefined as never, // there is none here
      pvOf: () => {
        throw new Error('there is no pv here');
      },
      pvVcpuOf: (vcpu: Vcpu) => ({ vcpu }) as PvVcpu,
      initialiseVcpu: () => 0,
      yield: () => void this.yields.push(clock.now()),
      sleep: () => undefined,
      wake: (vcpu: Parameters<typeof scheduler.wake>[0]) => scheduler.wake(vcpu, clock.now()),
      shouldPreempt: () => --this.preemptAfter < 0,
      wantsReasons: () => true,
      explain: (domain: Domain, vcpu: number, why: string) => {
        this.reasons.push(why);
        if (!this.dispatcher.isTracing) return;
        const time = clock.now();
        this.trace.writeText({ kind: TRACE_KIND.WHY, domid: domain.id, vcpu, op: 0, time }, why);
      },
      log: (text: string) => void this.machine.log.push(text),
      consoleWrite: (_domain: Domain, text: string) => void this.console.push(text),
    };
  }
}
