/**
 * A hypercall's record in the trace: its arguments and what lies behind its pointer, taken before the call, as the call may change
 * both; result, duration and what it has put there, after it. Spec: public/trace.ts. It allocates nothing.
 */

import { padded, type Trace } from '../common/trace.js';
import type { Clock } from '../machine/clock.js';
import { asVirtAddr, canonical, type VirtAddr } from '../machine/types.js';
import { HYPERCALL_STUB_SIZE } from '../public/arch-x86.js';
import {
  HYPERCALLS,
  type HypercallRow,
  NR_HYPERCALLS,
  type Payload,
} from '../public/hypercalls.js';
import { TRACE_FLAG, TRACE_KIND, TRACE_PAYLOAD_MAX } from '../public/trace.js';
import { STUB_RETURN_AT, STUB_STACK } from '../pv/hypercall-page.js';
import { type Hypercall, NO_RESULT, PREEMPTED } from './hypercall.js';

const TWO_32 = 0x1_0000_0000;
/** Those that there is room for: no call has a sixth. */
const ARGUMENTS = 5;
const RSP = 4;
/** Bytes of an address. */
const ADDRESS = 8;
/** A call, and one inside its multicall. */
const DEPTH = 2;

/** What is kept of a call in progress. */
class Started {
  readonly args = new Uint32Array(ARGUMENTS * 2);
  readonly input = new Uint8Array(TRACE_PAYLOAD_MAX);
  /** Bytes of them, and of what the call may have put there when it returns. */
  inputLength = 0;
  outputLength = 0;
  at: VirtAddr | undefined;
  /** Where the stub returns to, zero if the call was not made by one. */
  readonly caller = new Uint8Array(ADDRESS);
  // The head of its record.
  readonly kind = TRACE_KIND.HYPERCALL;
  domid = 0;
  vcpu = 0;
  op = 0;
  time = 0;
  rip = 0;
  flags = 0;
}

export class CallTracer {
  readonly #trace: Trace;
  readonly #call: Hypercall;
  readonly #clock: Clock;
  readonly #started: readonly Started[] = Array.from({ length: DEPTH }, () => new Started());
  #depth = 0;

  constructor(trace: Trace, call: Hypercall) {
    this.#trace = trace;
    this.#call = call;
    this.#clock = call.hv.clock;
  }

  /** Whether a call is in progress that will be in the trace, so that the reason of its refusal should be as well. */
  get isTracing(): boolean {
    return this.#depth > 0;
  }

  /** @returns whether the call has to be told of when it returns, by `end`; otherwise nobody wants it, or there is no room. */
  start(number: number): boolean {
    const call = this.#call;
    const domid = call.domain.id;
    if (!this.#trace.wantsCall(number, domid)) return false;
    const started = this.#started[this.#depth];
    if (started === undefined || !this.#trace.hasRoom()) return false;
    this.#depth++;
    started.domid = domid;
    started.vcpu = call.vcpu.vcpu.id;
    started.op = number;
    started.rip = call.regs.rip;
    started.flags = call.inner === undefined ? 0 : TRACE_FLAG.MULTICALL;
    const { args } = started;
    for (let n = 0; n < ARGUMENTS; n++) {
      args[n * 2] = call.argLo(n);
      args[n * 2 + 1] = call.argHi(n);
    }
    this.#takeCaller(started);
    this.#takeInput(started);
    this.#call.guest.forgetFault();
    started.time = this.#clock.now();
    return true;
  }

  end(result: number): void {
    const ended = this.#clock.now();
    this.#depth--;
    const started = this.#started[this.#depth] as Started;
    const trace = this.#trace;
    if (!trace.begin(started, padded(started.inputLength) + started.outputLength)) return;
    const { args } = started;
    for (let n = 0; n < ARGUMENTS; n++) {
      trace.setArgument(n, args[n * 2] as number, args[n * 2 + 1] as number);
    }
    trace.setRip(started.rip);
    trace.setCaller(word(started.caller, 0), word(started.caller, 4));
    const value = result === PREEMPTED || result === NO_RESULT ? 0 : result;
    const took = Math.min(ended - started.time, TWO_32 - 1);
    trace.setResult(value, started.flags | outcome(result), took);
    if (started.inputLength > 0) trace.setInput(started.input, started.inputLength);
    if (started.outputLength > 0 && result !== NO_RESULT) this.#takeOutput(started);
    trace.commit();
  }

  /** Forgets the calls in progress: a handler threw. */
  abandon(): void {
    this.#depth = 0;
  }

  /** Who calls the hypercall page: from the stack, where its stub has put two registers since. */
  #takeCaller({ caller, rip }: Started): void {
    caller.fill(0);
    if ((rip & (HYPERCALL_STUB_SIZE - 1)) !== STUB_RETURN_AT) return;
    const { regs, guest } = this.#call;
    const stack = canonical(regs.lo(RSP), regs.hi(RSP));
    if (stack === undefined) return;
    const length = guest.peek(asVirtAddr(stack + STUB_STACK), ADDRESS, caller, 0);
    if (length < ADDRESS) caller.fill(0);
  }

  #takeInput(started: Started): void {
    started.inputLength = 0;
    started.outputLength = 0;
    const pointer = pointerOf(started.op, started.args[0] as number);
    if (pointer === undefined) return;
    const count = pointer.count < 0 ? 1 : (started.args[pointer.count * 2] as number);
    const size = Math.min(pointer.size * count, TRACE_PAYLOAD_MAX);
    started.at = this.#call.argAddress(pointer.index);
    const length = this.#call.guest.peek(started.at, size, started.input, 0);
    if (pointer.hasInput) started.inputLength = length;
    if (pointer.hasOutput) started.outputLength = length;
  }

  #takeOutput({ at, outputLength }: Started): void {
    const trace = this.#trace;
    trace.setOutputLength(this.#call.guest.peek(at, outputLength, trace.ramBytes, trace.outputAt));
  }
}

/** 32 bits at a byte. */
const word = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)) >>>
  0;

/** Flags for a result that is none. */
function outcome(result: number): number {
  if (result === PREEMPTED) return TRACE_FLAG.PREEMPTED;
  return result === NO_RESULT ? TRACE_FLAG.NO_RESULT : 0;
}

/** The argument that points at structs, and how much of them the trace keeps. */
interface Pointer {
  readonly index: number;
  /** Bytes of each, and the argument that says how many there are; -1 if there is one. */
  readonly size: number;
  readonly count: number;
  readonly hasInput: boolean;
  readonly hasOutput: boolean;
}

function pointerWith(row: HypercallRow, payload: Payload | undefined): Pointer | undefined {
  const index = row.args.findIndex(({ kind }) => kind === 'ptr');
  if (index < 0 || !payload) return undefined;
  const { struct, repeat, input, output } = payload;
  return {
    index,
    size: repeat === 'zero' ? TRACE_PAYLOAD_MAX : struct.size,
    count: repeat === 'count' ? row.args.findIndex(({ kind }) => kind === 'count') : -1,
    hasInput: input.length > 0,
    hasOutput: output.length > 0,
  };
}

/** Pointers of a call: by operation, and of the operations that have none of their own. Made once: searching costs more than tracing. */
interface Pointers {
  readonly byOp: ReadonlyMap<number, Pointer | undefined>;
  readonly others: Pointer | undefined;
}

const POINTERS: readonly (Pointers | undefined)[] = Array.from(
  { length: NR_HYPERCALLS },
  (_, number) => {
    const row = HYPERCALLS[number];
    if (!row) return undefined;
    const byOp = new Map(
      row.ops.map((op) => [op.number, pointerWith(row, op.payload ?? row.payload)]),
    );
    return { byOp, others: pointerWith(row, row.payload) };
  },
);

function pointerOf(number: number, cmd: number): Pointer | undefined {
  const pointers = POINTERS[number];
  if (!pointers) return undefined;
  return pointers.byOp.has(cmd) ? pointers.byOp.get(cmd) : pointers.others;
}
