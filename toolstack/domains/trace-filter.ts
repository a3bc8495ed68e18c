/** Which records a reader of the trace wants: what it has asked for, or its mistake as a refusal. */

import type { TraceQuery } from '../schemas/trace.js';
import { FilterError, TraceFilter } from '../trace/filter.js';
import type { TraceDecoder } from '../trace/subject.js';
import { CommandError } from './errors.js';

/** Throws `bad-value` if there is no such call or class, or if the expression cannot be read: then it says where. */
export function traceFilter(
  query: Pick<TraceQuery, 'domain' | 'call' | 'class' | 'filter'>,
  decode: TraceDecoder,
): TraceFilter {
  try {
    return new TraceFilter(query, decode);
  } catch (error) {
    if (!(error instanceof FilterError)) throw error;
    const { part, detail, expected, found } = error;
    const errors = [{ pointer: `?${part}`, detail, expected, found }];
    throw new CommandError('bad-value', error.message, { errors });
  }
}
