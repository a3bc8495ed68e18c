/** The hypervisor's log: kept for `xl dmesg` and sent to dom0 line by line. */

import { ConsoleRing } from './common/console-ring.js';
import type { Domain } from './common/domain.js';
import type { HypervisorHost } from './host.js';
import type { Clock } from './machine/clock.js';

/** Characters of a line that a domain has not ended yet: then it is cut. */
const LONGEST_LINE = 1024;
/** Lines a domain may write at once, and how many a second it gets back: a flood is told of, not kept. */
const BURST_LINES = 200;
const LINES_A_SECOND = 50;

interface Writer {
  partial: string;
  tokens: number;
  refilled: number;
  dropped: number;
}

export class Log {
  readonly ring = new ConsoleRing();
  readonly #host: HypervisorHost;
  readonly #clock: Clock;
  readonly #writers = new Map<Domain, Writer>();

  constructor(host: HypervisorHost, clock: Clock) {
    this.#host = host;
    this.#clock = clock;
  }

  line(text: string): void {
    const seconds = (this.#clock.now() / 1e9).toFixed(6).padStart(12);
    this.ring.append(`[${seconds}] ${text}`);
    this.#host.send({ event: 'log', text });
  }

  /** Text that a domain wrote with console_io: whole lines go into the log. */
  fromDomain(domain: Domain, text: string): void {
    const writer = this.#writer(domain);
    const lines = (writer.partial + text).split('\n');
    writer.partial = lines.pop() ?? '';
    if (writer.partial.length > LONGEST_LINE) {
      lines.push(writer.partial);
      writer.partial = '';
    }
    const kept = this.#admit(writer, lines.length);
    for (const line of lines.slice(0, kept)) {
      this.line(`(d${domain.id}) ${line}`);
      this.#host.send({ event: 'console_io', domid: domain.id, text: line });
    }
    writer.dropped += lines.length - kept;
  }

  forget(domain: Domain): void {
    const writer = this.#writers.get(domain);
    if (writer?.partial) this.line(`(d${domain.id}) ${writer.partial}`);
    this.#writers.delete(domain);
  }

  #writer(domain: Domain): Writer {
    const known = this.#writers.get(domain);
    if (known) return known;
    const fresh = { partial: '', tokens: BURST_LINES, refilled: this.#clock.now(), dropped: 0 };
    this.#writers.set(domain, fresh);
    return fresh;
  }

  /** How many of so many lines may pass; tells what was dropped when lines pass again. */
  #admit(writer: Writer, lines: number): number {
    const now = this.#clock.now();
    const refill = ((now - writer.refilled) * LINES_A_SECOND) / 1e9;
    writer.tokens = Math.min(writer.tokens + refill, BURST_LINES);
    writer.refilled = now;
    const kept = Math.min(lines, Math.floor(writer.tokens));
    writer.tokens -= kept;
    if (kept > 0 && writer.dropped > 0) {
      this.line(`${writer.dropped} lines of a domain's console_io were dropped`);
      writer.dropped = 0;
    }
    return kept;
  }
}
