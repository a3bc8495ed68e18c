/** A trace record as bytes again, in the layout of hypervisor/public/trace.ts. Reasons come as WHY records before their call. */

import type { TraceRecord } from '../../dom0/trace-reader.js';
import { TRACE_KIND, TRACE_RECORD_SIZE, traceRecord } from '../../hypervisor/public/trace.js';

const { offset } = traceRecord;

export function encodeTrace(record: TraceRecord): Uint8Array {
  const reasons = record.why.map((text) => encode({ ...record, kind: TRACE_KIND.WHY, text }));
  return Buffer.concat([...reasons, encode(record)]);
}

function encode(record: TraceRecord): Uint8Array {
  const isText = record.kind === TRACE_KIND.WHY || record.kind === TRACE_KIND.DOMAIN;
  const input = isText ? new TextEncoder().encode(record.text) : record.input;
  const output = isText ? new Uint8Array(0) : record.output;
  const [arg0 = 0n, arg1 = 0n, arg2 = 0n, arg3 = 0n, arg4 = 0n, arg5 = 0n] = record.args;
  const bytes = new Uint8Array(TRACE_RECORD_SIZE);
  bytes.set(input.subarray(0, TRACE_RECORD_SIZE - offset.input), offset.input);
  bytes.set(output, offset.output);
  traceRecord.encode(new DataView(bytes.buffer), 0, {
    seq: record.seq,
    kind: record.kind,
    flags: record.flags,
    domid: record.domid,
    vcpu: record.vcpu,
    op: record.op,
    duration: record.duration,
    time: BigInt(record.time),
    rip: record.rip,
    result: BigInt(record.result),
    ...{ arg0, arg1, arg2, arg3, arg4, arg5 },
    inLength: input.length,
    outLength: output.length,
  });
  return bytes;
}
