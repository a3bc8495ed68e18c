/** Answers dom0's calls: one row per operation of public/privcmd.ts. Whatever is refused goes back as an errno. */

import type { Domain } from './common/domain.js';
import type { Trace } from './common/trace.js';
import { ControlError } from './control-error.js';
import type { Dom0 } from './dom0.js';
import type { DomainControl } from './domain-control.js';
import type { Inspection } from './inspection.js';
import type { Migration } from './migration.js';
import { hypercallName } from './public/hypercalls.js';
import type {
  HypercallStats,
  PhysInfo,
  PrivcmdCall,
  PrivcmdEvent,
  PrivcmdOp,
  PrivcmdOps,
  PrivcmdReply,
} from './public/privcmd.js';

export interface PrivcmdServerParts {
  readonly domains: ReadonlyMap<number, Domain>;
  readonly control: DomainControl;
  readonly dom0: Dom0;
  readonly inspection: Inspection;
  readonly migration: Migration;
  readonly trace: Trace;
  readonly ring: { read(): string; clear(): void };
  send(message: PrivcmdReply | PrivcmdEvent): void;
  physinfo(): PhysInfo;
  /** Lines that a debug key is answered with, undefined if there is no such key. */
  debugKey(key: string): string[] | undefined;
  /** A JavaScript exception that is no refusal. */
  bug(error: unknown): void;
  stop(): void;
}

type Handlers = { [Op in PrivcmdOp]: (args: PrivcmdOps[Op]['args']) => PrivcmdOps[Op]['result'] };

export class PrivcmdServer {
  readonly #parts: PrivcmdServerParts;
  readonly #handlers: Handlers;

  constructor(parts: PrivcmdServerParts) {
    this.#parts = parts;
    this.#handlers = this.#table();
  }

  /** Carries a call out and sends its reply. Never throws. */
  answer(call: PrivcmdCall): void {
    const { id } = call;
    try {
      const handler = this.#handlers[call.op] as ((args: unknown) => never) | undefined;
      if (!handler) throw new ControlError('ENOSYS', `there is no operation ${String(call.op)}`);
      this.#parts.send({ id, result: handler(call) });
    } catch (error) {
      this.#parts.send({ id, error: this.#refusal(error).toReply() });
    }
  }

  #refusal(error: unknown): ControlError {
    if (error instanceof ControlError) return error;
    this.#parts.bug(error);
    return new ControlError('EIO', `bug of the hypervisor: ${String(error)}`);
  }

  #table(): Handlers {
    const { control, dom0, inspection, migration, trace, ring, stop } = this.#parts;
    const domain = (domid: number) => control.require(domid);
    // biome-ignore format: one row per operation
    return {
      createdomain:              (args) => control.create(args),
      destroydomain:             ({ domid }) => this.#destroy(domid),
      pausedomain:               ({ domid }) => control.pause(domid),
      unpausedomain:             ({ domid }) => control.unpause(domid),
      shutdown:                  ({ domid, reason }) => control.shutdown(domid, reason),
      getdomaininfo:             ({ domid }) => control.info(domid),
      getdomaininfolist:         () => control.list(),
      setscheduler:              ({ domid, weight, cap }) => control.setScheduler(domid, weight, cap),
      setmaxmem:                 ({ domid, maxPages }) => control.setMaxMemory(domid, maxPages),
      physinfo:                  () => this.#parts.physinfo(),
      schedulerinfo:             () => control.schedulerInfo(),
      setschedulerinfo:          ({ slice, ratelimit }) => control.setSchedulerInfo(slice, ratelimit),
      sendnmi:                   ({ domid, vcpu }) => inspection.sendNmi(domain(domid), vcpu),
      getvcpucontext:            ({ domid, vcpu }) => inspection.context(domain(domid), vcpu),
      getmemlist:                ({ domid }) => inspection.memoryList(domain(domid)),
      readpages:                 ({ domid, mfns, at }) => inspection.readPages(domain(domid), mfns, at),
      getpageframeinfo:          ({ domid, mfns }) => migration.frameTypes(domain(domid), mfns),
      restoredomain:             (args) => migration.begin(args),
      populatephysmap:           ({ domid, pfns }) => migration.populate(domain(domid), pfns),
      writepages:                ({ domid, mfns, at }) => migration.writePages(domain(domid), mfns, at),
      finishrestore:             ({ domid, ...rest }) => migration.finish(domain(domid), { domid, ...rest }),
      resumedomain:              ({ domid }) => migration.resume(domain(domid)),
      debugkey:                  ({ key }) => this.#debugKey(key),
      readconsole:               ({ clear }) => this.#readConsole(ring, clear),
      'evtchn.bind_interdomain': ({ remoteDom, remotePort }) => dom0.bindInterdomain(domain(remoteDom), remotePort),
      'evtchn.alloc_unbound':    ({ remoteDom }) => dom0.allocateUnbound(remoteDom),
      'evtchn.send':             ({ port }) => dom0.send(port),
      'evtchn.close':            ({ port }) => dom0.close(port),
      'gnttab.map':              ({ domid, refs, readonly }) => dom0.grants.map(domain(domid), refs, !readonly),
      'gnttab.unmap':            ({ handles }) => dom0.grants.unmap(handles),
      'gnttab.written':          ({ handles }) => dom0.grants.written(handles),
      'gnttab.copy':             ({ domid, toGuest, copies }) => dom0.grants.copy(domain(domid), copies, toGuest),
      foreignmap:                ({ domid, mfn }) => dom0.mapForeign(domain(domid), mfn),
      foreignunmap:              ({ domid, mfn }) => dom0.unmapForeign(domid, mfn),
      trace:                     (selection) => { trace.select(selection); return null; },
      hypercallstats:            ({ domid }) => this.#stats(domid),
      stop:                      () => { stop(); return null; },
    };
  }

  #destroy(domid: number): null {
    this.#parts.control.destroy(domid);
    this.#parts.send({ event: 'domain', domid, state: 'destroyed' });
    return null;
  }

  #debugKey(key: string): { text: string } {
    const lines = this.#parts.debugKey(key);
    if (!lines) throw new ControlError('EINVAL', `there is no debug key '${key}'`, { key });
    return { text: lines.map((line) => `${line}\n`).join('') };
  }

  #readConsole(ring: PrivcmdServerParts['ring'], clear: boolean | undefined): { text: string } {
    const text = ring.read();
    if (clear) ring.clear();
    return { text };
  }

  /** Of one domain, or of all that live. */
  #stats(domid: number | undefined): HypercallStats {
    const chosen =
      domid === undefined
        ? [...this.#parts.domains.values()]
        : [this.#parts.control.require(domid)];
    const calls: Record<string, number> = {};
    const missing: Record<string, number> = {};
    for (const { hypercalls, missingCalls } of chosen) {
      for (const [number, count] of hypercalls.entries()) {
        if (count > 0) calls[hypercallName(number)] = (calls[hypercallName(number)] ?? 0) + count;
      }
      for (const [name, count] of missingCalls) missing[name] = (missing[name] ?? 0) + count;
    }
    return { calls, missing };
  }
}
