/**
 * From a SYSCALL of a guest kernel to the handler and back. Spec: xen-abi §1.1.
 * The path of a call that nobody traces allocates nothing.
 */

import type { Trace } from '../common/trace.js';
import { asVirtAddr } from '../machine/types.js';
import { ERRNO } from '../public/errno.js';
import {
  HYPERCALLS,
  type HypercallRow,
  hypercallName,
  NR_HYPERCALLS,
  type Payload,
} from '../public/hypercalls.js';
import { TRACE_CLASS, TRACE_FLAG, TRACE_KIND, TRACE_PAYLOAD_SIZE } from '../public/trace.js';
import type { GuestAccess } from '../pv/guest-access.js';
import type { PvVcpu } from '../pv/pv-vcpu.js';
import { type CallRegisters, Hypercall, NO_RESULT, PREEMPTED } from './hypercall.js';
import type { HypercallServices } from './services.js';
import { TABLE } from './table.js';

const RAX = 0;
const RCX = 1;
const R11 = 11;
/** Bytes of a SYSCALL instruction: what a preempted call steps back. */
const SYSCALL_LENGTH = 2;
const TWO_32 = 0x1_0000_0000;
const ARGUMENTS = 6;

/** Trace class bit by number of the call. */
const CLASSES = Uint32Array.from({ length: NR_HYPERCALLS }, (_, number) => {
  const row = HYPERCALLS[number];
  return row ? TRACE_CLASS[row.traceClass] : TRACE_CLASS.control;
});

export class Dispatcher {
  readonly call: Hypercall;
  /** The call in progress will be in the trace, so why it is refused should be as well. */
  isTracing = false;
  readonly #regs: CallRegisters;
  readonly #trace: Trace;

  constructor(hv: HypercallServices, regs: CallRegisters, guest: GuestAccess, trace: Trace) {
    this.call = new Hypercall(hv, regs);
    this.call.guest = guest;
    this.call.perform = (number) => this.#perform(number);
    this.#regs = regs;
    this.#trace = trace;
  }

  /** The vCPU that makes the calls from now on. */
  enter(vcpu: PvVcpu): void {
    this.call.vcpu = vcpu;
    this.call.pv = vcpu.pv;
    this.call.domain = vcpu.vcpu.domain;
  }

  /** Forgets the call in progress: its handler threw. */
  abandon(): void {
    this.call.inner = undefined;
    this.isTracing = false;
  }

  /** Makes the call that the guest kernel asks for; rip is behind its SYSCALL. */
  dispatch(): void {
    const regs = this.#regs;
    const { rip } = regs;
    // As the instruction itself does.
    regs.setAddress(RCX, rip);
    regs.setHalves(R11, regs.rflags, 0);
    const result = this.#perform(regs.hi(RAX) === 0 ? regs.lo(RAX) : NR_HYPERCALLS);
    if (result >= 0 && result < TWO_32) regs.setHalves(RAX, result, 0);
    else if (result === PREEMPTED) regs.rip = asVirtAddr(rip - SYSCALL_LENGTH);
    else if (result !== NO_RESULT) {
      regs.setHalves(RAX, result >>> 0, Math.floor(result / TWO_32) >>> 0);
    }
  }

  #perform(number: number): number {
    const { call } = this;
    const handler = TABLE[number];
    call.number = number;
    if (number < NR_HYPERCALLS && number >= 0) {
      const { hypercalls } = call.domain;
      hypercalls[number] = (hypercalls[number] ?? 0) + 1;
      if (this.#trace.wants(CLASSES[number] ?? 0)) return this.#traced(number);
    }
    return handler === undefined ? this.#missing(number) : handler(call);
  }

  #missing(number: number): number {
    if (number >= 0 && number < NR_HYPERCALLS) return this.call.missing(hypercallName(number));
    return -ERRNO.ENOSYS; // any number of the guest's would fill the table of names
  }

  // ---- traced calls ----

  /** As #perform, with a record written when the call has returned. */
  #traced(number: number): number {
    const { call } = this;
    const { clock } = call.hv;
    const { rip } = this.#regs;
    const flags = call.inner === undefined ? 0 : TRACE_FLAG.MULTICALL;
    const args = new Uint32Array(ARGUMENTS * 2);
    for (let n = 0; n < ARGUMENTS; n++) {
      args[n * 2] = call.argLo(n);
      args[n * 2 + 1] = call.argHi(n);
    }
    const pointer = pointerOf(number, args[0] ?? 0);
    const at = pointer && call.argAddress(pointer.index);
    const input = pointer && call.guest.copyFrom(at, pointer.size);
    const domid = call.domain.id;
    const vcpu = call.vcpu.vcpu.id;
    const started = clock.now();
    const handler = TABLE[number];
    const outer = this.isTracing;
    this.isTracing = true;
    const result = handler === undefined ? this.#missing(number) : handler(call);
    this.isTracing = outer;
    const ended = clock.now();
    const trace = this.#trace;
    trace.begin({ kind: TRACE_KIND.HYPERCALL, domid, vcpu, op: number, time: started });
    for (let n = 0; n < ARGUMENTS; n++) {
      trace.setArgument(n, args[n * 2] ?? 0, args[n * 2 + 1] ?? 0);
    }
    trace.setRip(rip);
    const value = result === PREEMPTED || result === NO_RESULT ? 0 : result;
    trace.setResult(value, flags | outcome(result), Math.min(ended - started, TWO_32 - 1));
    if (input) trace.setInput(input);
    const output =
      pointer?.hasOutput && result !== NO_RESULT && call.guest.copyFrom(at, pointer.size);
    if (output) trace.setOutput(output);
    trace.commit();
    return result;
  }
}

/** Flags for a result that is none. */
function outcome(result: number): number {
  if (result === PREEMPTED) return TRACE_FLAG.PREEMPTED;
  return result === NO_RESULT ? TRACE_FLAG.NO_RESULT : 0;
}

/** The argument that points at a struct, and how much of it the trace keeps. */
interface Pointer {
  readonly index: number;
  readonly size: number;
  readonly hasOutput: boolean;
}

function pointerWith(row: HypercallRow, payload: Payload | undefined): Pointer | undefined {
  const index = row.args.findIndex((argument) => argument.kind === 'ptr');
  if (index < 0 || !payload) return undefined;
  const size = Math.min(payload.struct.size, TRACE_PAYLOAD_SIZE);
  return { index, size, hasOutput: payload.output.length > 0 };
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
