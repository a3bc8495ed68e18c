/**
 * The trace as JSON in the Trace Event Format, which Perfetto and chrome://tracing show: a process for each domain, a thread for each vCPU, a slice
 * for each hypercall, a mark for each fault, switch, event of a domain, and gap. Times are microseconds since the hypervisor started.
 */

import type { TraceEvent } from '../../dom0/trace-format.js';
import type { DomainName } from './recording-format.js';

type Optional = 'op' | 'result' | 'errno' | 'symbol';
/** What is shown of an event, which may come from elsewhere. */
export type ShownEvent = Omit<
  TraceEvent,
  'class' | 'seq' | 'entries' | 'caller' | 'multicall' | Optional
> & {
  readonly class: string;
} & { readonly [Key in Optional]?: TraceEvent[Key] | undefined };

/** Nanoseconds of a microsecond. */
const US = 1000;

/** Of a mark: how far it goes. */
const SCOPES = { fault: 't', switch: 't', domain: 'p' } as const;

export class PerfettoText {
  /** Threads that something has been said of. */
  readonly #threads = new Map<string, { readonly pid: number; readonly tid: number }>();
  #count = 0;
  #time = 0;

  /** What comes first. */
  begin(): string {
    return '{"displayTimeUnit":"ns","traceEvents":[';
  }

  event(event: ShownEvent): string {
    const { domid: pid, vcpu: tid, kind, class: cat, op } = event;
    const ts = event.time / US;
    this.#time = ts;
    this.#threads.set(`${pid} ${tid}`, { pid, tid });
    const name = op === undefined ? event.name : `${event.name} ${op}`;
    const head = { name, cat, ts, pid, tid };
    const args = argumentsOf(event);
    if (kind !== 'hypercall') return this.#next({ ...head, ph: 'i', s: SCOPES[kind], args });
    return this.#next({ ...head, ph: 'X', dur: event.duration / US, args });
  }

  dropped(records: number): string {
    const name = `${records} records dropped`;
    const place = { ts: this.#time, pid: 0, tid: 0 };
    return this.#next({ name, cat: 'dropped', ph: 'i', s: 'g', ...place, args: { records } });
  }

  /** What comes last: how processes and threads are called. */
  end(domains: readonly DomainName[]): string {
    const names = new Map(domains.map(({ domid, name }) => [domid, name]));
    const threads = [...this.#threads.values()];
    const pids = [...new Set(threads.map(({ pid }) => pid))];
    const rows = [
      ...pids.flatMap((pid) => {
        const name = [`d${pid}`, names.get(pid) ?? ''].join(' ').trimEnd();
        return [
          metadata('process_name', pid, 0, { name }),
          metadata('process_sort_index', pid, 0, { sort_index: pid }),
        ];
      }),
      ...threads.map(({ pid, tid }) => metadata('thread_name', pid, tid, { name: `vCPU ${tid}` })),
    ];
    return `${rows.map((row) => this.#next(row)).join('')}\n]}\n`;
  }

  #next(row: object): string {
    const comma = this.#count === 0 ? '' : ',';
    this.#count += 1;
    return `${comma}\n${JSON.stringify(row)}`;
  }
}

const metadata = (name: string, pid: number, tid: number, args: object): object => ({
  ...{ name, ph: 'M', cat: '__metadata', ts: 0, pid, tid, args },
});

/** What is shown of a slice when it is chosen. */
function argumentsOf(event: ShownEvent): object {
  const { args, output, result, errno, rip, symbol, why, preempted, kind, text } = event;
  const hasCode = kind === 'hypercall' || kind === 'fault';
  return {
    ...args,
    ...(Object.keys(output).length > 0 && { output }),
    ...(result !== undefined && { result }),
    ...(errno !== undefined && { errno }),
    ...(hasCode && { rip }),
    ...(symbol !== undefined && { symbol }),
    ...(why.length > 0 && { why: why.join('; ') }),
    ...(preempted && { preempted }),
    text,
  };
}
