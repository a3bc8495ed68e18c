/** A hypervisor in this thread, driven by hand: create domains, run until something is true, read consoles. No Worker. */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { decodeTrace, formatTrace, type TraceEvent } from '../../dom0/trace-format.js';
import { TraceReader } from '../../dom0/trace-reader.js';
import { Hypervisor } from '../../hypervisor/index.js';
import { type Clock, ManualClock } from '../../hypervisor/machine/clock.js';
import { Ram } from '../../hypervisor/machine/ram.js';
import { SeededRandom } from '../../hypervisor/machine/random.js';
import type {
  CreateDomain,
  CreatedDomain,
  PrivcmdCall,
  PrivcmdError,
  PrivcmdEvent,
  PrivcmdMessage,
  PrivcmdOp,
  PrivcmdOps,
} from '../../hypervisor/public/privcmd.js';
import { TRACE_ALL } from '../../hypervisor/public/trace.js';

const IMAGES = fileURLToPath(new URL('../../guests/images/', import.meta.url));
const HANDLE = '01234567-89ab-cdef-0123-456789abcdef';
const MIB = 1024 * 1024;
const PAGES_PER_MIB = 256;
const LONGEST_SLEEP_MS = 20;

/** Offsets in the console ring page (io/console.h). */
const RING = { IN: 0, OUT: 1024, IN_CONS: 3072, IN_PROD: 3076, OUT_CONS: 3080, OUT_PROD: 3084 };
const RING_SIZE = { IN: 1024, OUT: 2048 };

/** The host's monotonic clock. */
class RealClock implements Clock {
  readonly wallClockAtStart = Date.now() * 1_000_000;
  readonly #start = performance.now();

  now(): number {
    return Math.round((performance.now() - this.#start) * 1e6);
  }
}

export class Refused extends Error {
  readonly error: PrivcmdError;
  constructor(op: string, error: PrivcmdError) {
    super(`${op}: -${error.errno}: ${error.message}`);
    this.error = error;
  }
}

export interface HarnessOptions {
  /** MiB for guests; 64 if absent. */
  readonly memory?: number;
  /** virtual: time passes by instructions, so that runs repeat exactly. */
  readonly clock?: 'real' | 'virtual';
}

export class Harness {
  readonly ram: Ram;
  readonly clock: Clock;
  /** What gnttab.copy copies from and to. */
  readonly bounce = new Uint8Array(new SharedArrayBuffer(64 * 1024));
  readonly hypervisor: Hypervisor;
  /** Everything the hypervisor has said unasked. */
  readonly events: PrivcmdEvent[] = [];
  readonly trace: TraceReader;
  /** Called with dom0's ports that became pending. */
  readonly ports = new Map<number, () => void>();
  readonly #inbox: PrivcmdCall[] = [];
  readonly #replies = new Map<number, PrivcmdMessage>();
  readonly #doorbell = new Int32Array(new SharedArrayBuffer(4));
  #lastId = 0;

  constructor({ memory = 64, clock = 'real' }: HarnessOptions = {}) {
    this.ram = Ram.allocate(memory * MIB);
    this.clock = clock === 'real' ? new RealClock() : new ManualClock(1_700_000_000_000_000_000);
    const doorbell = this.#doorbell;
    this.hypervisor = new Hypervisor({
      ram: this.ram,
      clock: this.clock,
      random: new SeededRandom(1),
      host: {
        doorbell,
        bounce: this.bounce,
        receive: () => this.#inbox.shift(),
        send: (message) => this.#take(message),
        // Nobody can ring while this thread sleeps: without a timer there is nothing to wait for, and a timer may be
        // set for next year, so the driver gets its turn in between.
        waitForInput: (ms, seen) => {
          if (ms !== undefined) Atomics.wait(doorbell, 0, seen, Math.min(ms, LONGEST_SLEEP_MS));
        },
      },
    });
    this.trace = new TraceReader(this.ram.u8);
  }

  /** A privcmd call. @throws Refused */
  call<Op extends PrivcmdOp>(op: Op, args: PrivcmdOps[Op]['args']): PrivcmdOps[Op]['result'] {
    const id = this.post(op, args);
    for (let n = 0; n < 100_000; n++) {
      const reply = this.#replies.get(id);
      if (reply) {
        this.#replies.delete(id);
        if ('error' in reply) throw new Refused(op, reply.error);
        return ('result' in reply ? reply.result : null) as PrivcmdOps[Op]['result'];
      }
      this.hypervisor.step();
    }
    throw new Error(`${op} was not answered`);
  }

  /** Sends a call without waiting for its reply. @returns its id. */
  post<Op extends PrivcmdOp>(op: Op, args: PrivcmdOps[Op]['args']): number {
    const id = ++this.#lastId;
    this.#inbox.push({ ...args, id, op } as PrivcmdCall);
    Atomics.add(this.#doorbell, 0, 1);
    return id;
  }

  /**
   * Creates a domain and lets it run.
   * @param kernel bytes of an ELF, or the name of an image in guests/images.
   */
  create(kernel: Uint8Array | string, options: Partial<CreateDomain> = {}): Guest {
    const created = this.call('createdomain', {
      handle: HANDLE,
      memoryPages: 4 * PAGES_PER_MIB,
      cmdline: '',
      paused: false,
      // what a second domain of an image shares, a first one must be able to write to as well
      ...(typeof kernel === 'string' && { kernelName: kernel }),
      ...options,
      kernel: typeof kernel === 'string' ? image(kernel) : kernel,
    });
    return new Guest(this, created);
  }

  /** Runs rounds until it is true. @returns false if that takes longer than `ms` of the host's time. */
  runUntil(condition: () => boolean, ms = 10_000): boolean {
    const end = performance.now() + ms;
    while (!condition()) {
      if (performance.now() > end) return false;
      this.hypervisor.step();
    }
    return true;
  }

  /** Runs for so long of the host's time. */
  runFor(ms: number): void {
    this.runUntil(() => false, ms);
  }

  get freeFrames(): number {
    return this.call('physinfo', {}).freeFrames;
  }

  get bugs(): number {
    return this.call('physinfo', {}).bugs;
  }

  /** The hypervisor's log. */
  get log(): string {
    return this.call('readconsole', {}).text;
  }

  traceOn(mask: number = TRACE_ALL): void {
    this.call('trace', { mask });
  }

  /** What has been traced since the last time, as lines. */
  traceLines(limit = 10_000): string[] {
    return this.trace.read(limit).map(formatTrace);
  }

  traceEvents(limit = 10_000): TraceEvent[] {
    return this.trace.read(limit).map((record) => decodeTrace(record));
  }

  #take(message: PrivcmdMessage): void {
    if ('id' in message) this.#replies.set(message.id, message);
    else {
      this.events.push(message);
      if (message.event === 'evtchn') for (const port of message.ports) this.ports.get(port)?.();
    }
  }
}

/** A domain as dom0 sees it, its console connected. */
export class Guest {
  readonly domid: number;
  readonly created: CreatedDomain;
  readonly harness: Harness;
  /** Everything it has written to its console. */
  output = '';
  readonly #ring: number;
  readonly #port: number;

  constructor(harness: Harness, created: CreatedDomain) {
    const { domid, consoleMfn, consolePort } = created;
    this.harness = harness;
    this.created = created;
    this.domid = domid;
    this.#ring = harness.call('foreignmap', { domid, mfn: consoleMfn }).address;
    const bound = harness.call('evtchn.bind_interdomain', {
      remoteDom: domid,
      remotePort: consolePort,
    });
    this.#port = bound.port;
    harness.ports.set(bound.port, () => this.#drain());
    this.#drain();
  }

  get info() {
    return this.harness.call('getdomaininfo', { domid: this.domid });
  }

  /** Runs until the console shows the text. @returns false if it does not. */
  shows(text: string | RegExp, ms = 10_000): boolean {
    const seen = () => {
      this.#drain();
      return typeof text === 'string' ? this.output.includes(text) : text.test(this.output);
    };
    return this.harness.runUntil(seen, ms);
  }

  /** Types at the console. */
  type(text: string): void {
    const { u8, u32 } = this.harness.ram;
    const at = (this.#ring + RING.IN_PROD) >>> 2;
    for (const byte of new TextEncoder().encode(text)) {
      const prod = Atomics.load(u32, at);
      u8[this.#ring + RING.IN + (prod % RING_SIZE.IN)] = byte;
      Atomics.store(u32, at, prod + 1);
    }
    this.harness.call('evtchn.send', { port: this.#port });
  }

  /** Runs until the domain has shut down or crashed. */
  ends(ms = 10_000): boolean {
    return this.harness.runUntil(
      () => this.harness.events.some((e) => e.event === 'domain' && e.domid === this.domid),
      ms,
    );
  }

  destroy(): void {
    const { domid, created } = this;
    this.#drain();
    this.harness.ports.delete(this.#port);
    this.harness.call('foreignunmap', { domid, mfn: created.consoleMfn });
    this.harness.call('evtchn.close', { port: this.#port });
    this.harness.call('destroydomain', { domid });
  }

  #drain(): void {
    const { u8, u32 } = this.harness.ram;
    const cons = (this.#ring + RING.OUT_CONS) >>> 2;
    const prod = Atomics.load(u32, (this.#ring + RING.OUT_PROD) >>> 2);
    let at = Atomics.load(u32, cons);
    if (at === prod) return;
    // A guest may write anything into its ring.
    if ((prod - at) >>> 0 > RING_SIZE.OUT) at = (prod - RING_SIZE.OUT) >>> 0;
    while (at !== prod) {
      this.output += String.fromCharCode(u8[this.#ring + RING.OUT + (at % RING_SIZE.OUT)] ?? 0);
      at = (at + 1) >>> 0;
    }
    Atomics.store(u32, cons, at);
    this.harness.post('evtchn.send', { port: this.#port });
  }
}

/** Bytes of a prebuilt guest. */
export function image(name: string): Uint8Array {
  return readFileSync(`${IMAGES}${name}.elf`);
}
