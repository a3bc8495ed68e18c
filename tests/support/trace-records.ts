/** Records of the trace made by hand, as bytes in the layout of the ring. */

import { TraceView } from '../../dom0/trace-view.js';
import {
  TRACE_HEAD_SIZE,
  TRACE_KIND,
  TRACE_UNIT,
  traceRecord,
} from '../../hypervisor/public/trace.js';
import { CALLS } from '../../toolstack/trace/names.js';

export interface RecordFields {
  readonly kind?: keyof typeof TRACE_KIND;
  readonly seq?: number;
  readonly domid?: number;
  readonly vcpu?: number;
  /** Name of a call, or a vector. */
  readonly op?: string | number;
  readonly flags?: number;
  readonly result?: number;
  readonly duration?: number;
  readonly time?: number;
  readonly rip?: bigint;
  readonly args?: readonly number[];
  readonly input?: Uint8Array;
}

export function recordBytesOf(fields: RecordFields): Uint8Array {
  const { kind = 'HYPERCALL', op = 'xen_version', args = [], input = new Uint8Array() } = fields;
  const { result = 0, rip = 0xffffffff81000000n } = fields;
  const units = Math.ceil((TRACE_HEAD_SIZE + input.length) / TRACE_UNIT);
  const bytes = new Uint8Array(units * TRACE_UNIT);
  const [arg0 = 0n, arg1 = 0n, arg2 = 0n, arg3 = 0n] = args.map(BigInt);
  traceRecord.encode(new DataView(bytes.buffer), 0, {
    seq: fields.seq ?? 1,
    kind: TRACE_KIND[kind],
    flags: fields.flags ?? 0,
    domid: fields.domid ?? 1,
    vcpu: fields.vcpu ?? 0,
    op: typeof op === 'number' ? op : (CALLS.get(op) ?? 0),
    units,
    inLength: input.length,
    duration: fields.duration ?? 1000,
    time: BigInt(fields.time ?? 5_000_000),
    rip,
    result: BigInt(result),
    arg0,
    arg1,
    arg2,
    arg3,
  });
  bytes.set(input, TRACE_HEAD_SIZE);
  return bytes;
}

export function viewOf(fields: RecordFields): TraceView {
  const view = new TraceView(recordBytesOf(fields));
  view.moveTo(0);
  return view;
}
