/** The hypervisor: wires the machine, the processor, common, pv and the hypercalls, and runs. The only door besides public. */

import { Domain, type DomainServices, type Vcpu } from './common/domain.js';
import { FramePool } from './common/frame-pool.js';
import type { HostHooks } from './common/hooks.js';
import { Scheduler } from './common/scheduler.js';
import { Timers } from './common/timer.js';
import { Trace } from './common/trace.js';
import { pressDebugKey } from './debug-keys.js';
import { Dom0 } from './dom0.js';
import { DomainControl } from './domain-control.js';
import { Engine } from './engine/engine.js';
import type { HypervisorSetup } from './host.js';
import { Dispatcher } from './hypercall/dispatch.js';
import { encodeRunstate } from './hypercall/runstate-area.js';
import type { HypercallServices } from './hypercall/services.js';
import { XEN_VERSION, XEN_VERSION_TEXT } from './hypercall/xen-version.js';
import { Inspection } from './inspection.js';
import { Log } from './log.js';
import { HostFrames } from './machine/host-frames.js';
import { asDomId, highHalf, lowHalf } from './machine/types.js';
import { Migration } from './migration.js';
import { PrivcmdServer } from './privcmd-server.js';
import type { PhysInfo } from './public/privcmd.js';
import { TRACE_CLASS, TRACE_KIND } from './public/trace.js';
import { vcpuRunstateInfo } from './public/vcpu.js';
import { Pv } from './pv/pv.js';
import type { PvVcpu } from './pv/pv-vcpu.js';
import { RunLoop } from './run-loop.js';
import { VirtualTime } from './virtual-time.js';
import type { ExitReason, Processor, ProcessorHost } from './x86/processor.js';

/** Frames zeroed between two looks at the mailbox while nothing runs: some 50 µs' worth. */
const SCRUB_FRAMES = 256;

export class Hypervisor {
  readonly #setup: HypervisorSetup;
  readonly #timers = new Timers();
  readonly #scheduler = new Scheduler(this.#timers);
  readonly #domains = new Map<number, Domain>();
  readonly #dom0Pending = new Set<number>();
  readonly #log: Log;
  readonly #trace: Trace;
  readonly #frames: FramePool;
  readonly #processor: Processor;
  readonly #time: VirtualTime;
  readonly #pv: Pv;
  readonly #services: DomainServices;
  readonly #dom0: Dom0;
  readonly #dispatcher: Dispatcher;
  readonly #control: DomainControl;
  readonly #inspection: Inspection;
  readonly #migration: Migration;
  readonly #privcmd: PrivcmdServer;
  readonly #loop: RunLoop;
  #bugs = 0;

  constructor(setup: HypervisorSetup) {
    const { ram, clock, host } = setup;
    this.#setup = setup;
    this.#log = new Log(host, clock);
    this.#trace = new Trace(ram);
    this.#processor = new Engine(ram, this.#processorHost());
    this.#frames = new FramePool(new HostFrames(ram), (frame) =>
      this.#processor.forgetFrame(frame),
    );
    this.#time = new VirtualTime(clock, this.#processor);
    this.#pv = this.#makePv();
    this.#services = {
      ram,
      frames: this.#frames,
      clock,
      timers: this.#timers,
      memory: this.#pv.memory,
      host: this.#hostHooks(),
    };
    this.#dom0 = this.#makeDom0();
    const { registers } = this.#processor;
    this.#dispatcher = new Dispatcher(this.#calls(), registers, this.#pv.guest, this.#trace);
    this.#control = this.#makeControl();
    this.#loop = this.#makeLoop();
    this.#inspection = new Inspection({
      ram,
      pv: this.#pv,
      bounce: host.bounce,
      unloadAny: () => this.#loop.unloadAny(),
    });
    this.#migration = new Migration({
      ram,
      pv: this.#pv,
      control: this.#control,
      bounce: host.bounce,
      unloadAny: () => this.#loop.unloadAny(),
    });
    this.#privcmd = this.#makePrivcmd();
  }

  /** Runs until dom0 says stop. */
  run(): void {
    this.#setup.host.send({ event: 'ready' });
    this.#log.line(`Xenolith ${XEN_VERSION_TEXT}: ${this.#frames.free} frames free`);
    this.#loop.run();
  }

  /** One round of the loop, for tests that drive it by hand. */
  step(): void {
    this.#loop.step();
  }

  // ---- wiring ----

  #processorHost(): ProcessorHost {
    return {
      cpuid: (leaf, subleaf) => this.#pv.cpuid(leaf, subleaf),
      readTsc: () => this.#readTsc(),
      random: (into) => this.#setup.random.fill(into),
      hypervisorRange: (va, access) => this.#pv.hypervisorRange(va, access),
      unshare: (mfn) => this.#pv.unshare(mfn),
      readDescriptor: (selector) => this.#pv.readDescriptor(selector),
    };
  }

  #makePv(): Pv {
    return new Pv({
      ram: this.#setup.ram,
      processor: this.#processor,
      frames: this.#frames,
      readTsc: () => this.#readTsc(),
      version: XEN_VERSION,
      explain: (domain, vcpu, why) => {
        // It also refuses what no call has asked for.
        if (this.#dispatcher.isTracing) this.#explain(domain, vcpu, why());
      },
    });
  }

  #makeDom0(): Dom0 {
    const { host, ram } = this.#setup;
    const config = {
      id: asDomId(0),
      handle: '00000000-0000-0000-0000-000000000000',
      isPrivileged: true,
      maxPages: 0,
      maxVcpus: 0,
      maxGrantFrames: 1,
      maxMaptrackFrames: 4096,
      maxEventChannels: 0,
      weight: 256,
      cap: 0,
    };
    const domain = new Domain(config, this.#services, (port) => this.#dom0Pending.add(port));
    this.#domains.set(0, domain);
    const { frameWritten } = this.#services.host;
    return new Dom0(domain, this.#dom0Pending, { host, ram, frames: this.#frames, frameWritten });
  }

  #makeControl(): DomainControl {
    return new DomainControl({
      services: this.#services,
      scheduler: this.#scheduler,
      pv: this.#pv,
      domains: this.#domains,
      log: (text) => this.#log.line(text),
      unload: (domain) => this.#loop.unload(domain),
      forgotten: (domain) => this.#log.forget(domain),
    });
  }

  #makeLoop(): RunLoop {
    const { clock, host } = this.#setup;
    return new RunLoop({
      clock,
      host,
      time: this.#time,
      timers: this.#timers,
      scheduler: this.#scheduler,
      processor: this.#processor,
      pv: this.#pv,
      dispatcher: this.#dispatcher,
      answerCalls: () => this.#answerCalls(),
      scrub: () => this.#frames.scrub(SCRUB_FRAMES),
      flushEvents: (now) => this.#dom0.flushEvents(now),
      flushAllEvents: () => this.#dom0.flushAllEvents(),
      runstateChanged: (vcpu, now) => this.#writeRunstate(vcpu, now),
      switched: (vcpu, now) => this.#switched(vcpu, now),
      stopped: (vcpu, reason) => this.#traceStop(vcpu, reason),
      bug: (domain, error) => this.#guestBug(domain, error),
    });
  }

  #makePrivcmd(): PrivcmdServer {
    return new PrivcmdServer({
      domains: this.#domains,
      control: this.#control,
      dom0: this.#dom0,
      inspection: this.#inspection,
      migration: this.#migration,
      trace: this.#trace,
      ring: this.#log.ring,
      send: (message) => this.#setup.host.send(message),
      physinfo: () => this.#physinfo(),
      debugKey: (key) => this.#debugKey(key),
      bug: (error) => this.#bug('a control call', error),
      stop: () => this.#loop.stop(),
    });
  }

  #hostHooks(): HostHooks<Domain, Vcpu> {
    const now = () => this.#setup.clock.now();
    return {
      frameWritten: (frame) => this.#processor.frameWritten(frame),
      wake: (vcpu) => this.#scheduler.wake(vcpu, now()),
      sleep: (vcpu) => this.#scheduler.sleep(vcpu, now()),
      domainShutdown: (domain) => this.#domainShutdown(domain),
      log: (text) => this.#log.line(text),
    };
  }

  #calls(): HypercallServices {
    const { ram, clock } = this.#setup;
    return {
      ram,
      clock,
      timers: this.#timers,
      frames: this.#frames,
      pv: this.#pv,
      lookupDomain: (domid) => this.#domains.get(domid),
      pvOf: (domain) => this.#pv.of(domain),
      pvVcpuOf: (vcpu) => this.#pv.vcpuOf(vcpu),
      initialiseVcpu: (domain, vcpu, context) => this.#pv.initialiseVcpu(domain, vcpu, context),
      yield: (vcpu) => this.#scheduler.yield(vcpu),
      sleep: (vcpu) => this.#scheduler.sleep(vcpu, clock.now()),
      wake: (vcpu) => this.#scheduler.wake(vcpu, clock.now()),
      shouldPreempt: () => this.#loop.shouldPreempt(),
      wantsReasons: () => this.#dispatcher.isTracing,
      explain: (domain, vcpu, why) => this.#explain(domain, vcpu, why),
      log: (text) => this.#log.line(text),
      consoleWrite: (domain, text) => this.#log.fromDomain(domain, text),
    };
  }

  // ---- what happens ----

  /** The TSC ticks in nanoseconds of system time: common/time.ts. */
  #readTsc(): number {
    this.#time.follow();
    return this.#setup.clock.now();
  }

  #answerCalls(): void {
    const { host } = this.#setup;
    for (let call = host.receive(); call; call = host.receive()) this.#privcmd.answer(call);
  }

  #writeRunstate({ runstate }: Vcpu, now: number): void {
    if (runstate.area === undefined) return;
    this.#pv.guest.encode(vcpuRunstateInfo, runstate.area, encodeRunstate(runstate, now));
  }

  #switched(vcpu: Vcpu, now: number): void {
    this.#writeRunstate(vcpu, now);
    const { id: domid } = vcpu.domain;
    if (!this.#trace.wants(TRACE_CLASS.switch, domid)) return;
    const head = { kind: TRACE_KIND.SWITCH, domid, vcpu: vcpu.id, op: 0, time: now };
    if (this.#trace.begin(head, 0)) this.#trace.commit();
  }

  #traceStop({ vcpu }: PvVcpu, reason: ExitReason): void {
    const { id: domid } = vcpu.domain;
    if (!this.#trace.wants(TRACE_CLASS.fault, domid)) return;
    const { vector, errorCode, cr2 } = this.#processor.exit;
    const time = this.#setup.clock.now();
    const head = { kind: TRACE_KIND.FAULT, domid, vcpu: vcpu.id, op: vector, time };
    if (!this.#trace.begin(head, 0)) return;
    this.#trace.setArgument(0, errorCode, 0);
    this.#trace.setArgument(1, lowHalf(cr2), highHalf(cr2));
    this.#trace.setArgument(2, reason, 0);
    this.#trace.setRip(this.#processor.registers.rip);
    this.#trace.commit();
  }

  #explain(domain: Domain, vcpu: number, why: string): void {
    this.#text(TRACE_KIND.WHY, domain, vcpu, why);
  }

  #text(kind: number, domain: Domain, vcpu: number, text: string): void {
    const time = this.#setup.clock.now();
    this.#trace.writeText({ kind, domid: domain.id, vcpu, op: 0, time }, text);
  }

  #domainShutdown(domain: Domain): void {
    const { id: domid, crashReason: detail, shutdownReason: reason } = domain;
    const state = detail === undefined ? 'shutdown' : 'crashed';
    const text = detail === undefined ? `shut down: ${reason}` : `crashed: ${detail}`;
    this.#log.line(`d${domid} ${text}`);
    if (this.#trace.wants(TRACE_CLASS.domain, domid))
      this.#text(TRACE_KIND.DOMAIN, domain, 0, text);
    this.#setup.host.send({
      event: 'domain',
      domid,
      state,
      ...(reason ? { reason } : {}),
      ...(detail === undefined ? {} : { detail }),
    });
  }

  /** The one place where an exception in handling a guest's exit ends: the guest goes, the others live on. */
  #guestBug(domain: Domain, error: unknown): void {
    this.#dispatcher.abandon();
    this.#bug(`an exit of d${domain.id}`, error);
    domain.crash(
      `bug of the hypervisor: ${error instanceof Error ? error.message : String(error)}`,
    );
  }

  #bug(where: string, error: unknown): void {
    this.#bugs++;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#log.line(`BUG in ${where}: ${text}`);
  }

  #debugKey(key: string): string[] | undefined {
    const lines = pressDebugKey(
      {
        clock: this.#setup.clock,
        timers: this.#timers,
        scheduler: this.#scheduler,
        frames: this.#frames,
        domains: this.#domains,
        inspection: this.#inspection,
      },
      key,
    );
    for (const line of lines ?? []) this.#log.line(line);
    return lines;
  }

  #physinfo(): PhysInfo {
    return {
      totalFrames: this.#frames.total,
      freeFrames: this.#frames.free,
      sharedFrames: this.#frames.shared.reserved,
      uptime: this.#setup.clock.now(),
      domains: this.#domains.size - 1,
      retired: this.#processor.retired,
      idleTime: this.#loop.idleTime,
      bugs: this.#bugs,
      xenVersion: XEN_VERSION_TEXT,
    };
  }
}
