/** A trace record as bytes outside the ring, in the layout of hypervisor/public/trace.ts: its reasons as WHY records before it. */

import {
  TRACE_HEAD_SIZE,
  TRACE_KIND,
  TRACE_UNIT,
  traceRecord,
} from '../hypervisor/public/trace.js';
import type { TraceView } from './trace-view.js';

const encoder = new TextEncoder();

/** The record in view and its reasons, copied. */
export function recordBytes(view: TraceView): Uint8Array[] {
  const { seq, domid, vcpu, why } = view;
  const reasons = why.map((text) => textRecord({ seq, domid, vcpu, kind: TRACE_KIND.WHY }, text));
  return [...reasons, new Uint8Array(view.bytes)];
}

interface Head {
  readonly seq: number;
  readonly domid: number;
  readonly vcpu: number;
  readonly kind: number;
}

function textRecord(head: Head, text: string): Uint8Array {
  const payload = encoder.encode(text);
  const units = Math.ceil((TRACE_HEAD_SIZE + payload.length) / TRACE_UNIT);
  const bytes = new Uint8Array(units * TRACE_UNIT);
  traceRecord.encode(new DataView(bytes.buffer), 0, { ...head, units, inLength: payload.length });
  bytes.set(payload, TRACE_HEAD_SIZE);
  return bytes;
}
