/** Names of the trace: calls, classes, kinds and errors, by name and by number. */

import { ERRNO } from '../../hypervisor/public/errno.js';
import { HYPERCALLS } from '../../hypervisor/public/hypercalls.js';
import { TRACE_CLASS, TRACE_KIND } from '../../hypervisor/public/trace.js';

export type Names = ReadonlyMap<string, number>;

/** Numbers of hypercalls. */
export const CALLS: Names = new Map(
  HYPERCALLS.flatMap((row) => (row ? [[row.name, row.number] as const] : [])),
);
/** Bits of the mask. */
export const CLASSES: Names = new Map(Object.entries(TRACE_CLASS));
export const KINDS: Names = new Map([
  ['hypercall', TRACE_KIND.HYPERCALL],
  ['fault', TRACE_KIND.FAULT],
  ['switch', TRACE_KIND.SWITCH],
  ['domain', TRACE_KIND.DOMAIN],
]);
export const ERRORS: Names = new Map(Object.entries(ERRNO));

/** Class of what is no hypercall. */
const CLASS_OF_KIND: Readonly<Record<number, number>> = {
  [TRACE_KIND.FAULT]: TRACE_CLASS.fault,
  [TRACE_KIND.SWITCH]: TRACE_CLASS.switch,
  [TRACE_KIND.DOMAIN]: TRACE_CLASS.domain,
};

/** Bit of the class of a record. @param kind TRACE_KIND.* @param op number of the call, if it is one. */
export const classOf = (kind: number, op: number): number =>
  kind === TRACE_KIND.HYPERCALL
    ? TRACE_CLASS[HYPERCALLS[op]?.traceClass ?? 'control']
    : (CLASS_OF_KIND[kind] ?? 0);
