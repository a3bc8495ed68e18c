/** The trace: what may be asked for, and what one record looks like as JSON. */

import { z } from 'zod';
import { ShelfName } from './shelf-name.js';

export const list = (description: string) =>
  z
    .string()
    .transform((text) => text.split(',').filter((word) => word !== ''))
    .optional()
    .describe(description);

const seconds = z.coerce.number().min(0.1);

/** Which records are wanted. */
export const selection = {
  domain: list('domids, names or uuids, separated by commas; of domains to come, too.'),
  call: list('Names of hypercalls, separated by commas.'),
  class: list(
    'Classes of records, separated by commas; all but fault and switch if absent, and these as well where the filter names them.',
  ),
  filter: z
    .string()
    .max(2000)
    .optional()
    .describe(
      'An expression, besides the others: `call=mmu_update and (errno=EINVAL or duration>10us)`. Terms are `field operator value` with = != < <= > >= and ~ (contains; with * a pattern of the whole), joined by and, or, not and parentheses; values separated by commas are alternatives. Fields: domain, vcpu, call, op, class, kind, errno, result, duration, rip, symbol, text, args.NAME.',
    ),
};

const by = z
  .enum(['call', 'domain'])
  .default('call')
  .describe('A row for each call, or for each call of each domain.');

export const TraceQuery = z.strictObject({
  ...selection,
  format: z
    .enum(['json', 'binary', 'summary', 'recording'])
    .default('json')
    .describe(
      'JSON lines; records as they are; a TraceSummary each second, and at once when anything is sent; or frames that are a recording when they are put together.',
    ),
  by,
  recording: ShelfName.optional().describe('Plays this one instead, and ends with it.'),
  speed: z.coerce
    .number()
    .min(0.001)
    .max(1e6)
    .optional()
    .describe('Of a recording: 1 is as it was; as fast as it is taken if absent.'),
  limit: z.coerce.number().int().min(1).optional().describe('Ends after so many records.'),
  seconds: seconds.max(86_400).optional().describe('Ends after so long.'),
});
export type TraceQuery = z.output<typeof TraceQuery>;

export const TraceSummaryQuery = z.strictObject({
  ...selection,
  by,
  seconds: seconds.max(60).default(1).describe('For how long records are counted.'),
});
export type TraceSummaryQuery = z.output<typeof TraceSummaryQuery>;

const Fields = z.record(z.string(), z.string());

export const TraceLine = z
  .strictObject({
    seq: z.int().describe('Counts all records of all classes, modulo 2^32.'),
    time: z.number().describe('Nanoseconds since the hypervisor started.'),
    kind: z.enum(['hypercall', 'fault', 'switch', 'domain']),
    domid: z.int(),
    vcpu: z.int(),
    class: z.string(),
    name: z.string().describe('Name of the call, of the exception, or what happened.'),
    op: z.string().optional().describe('Sub-operation.'),
    args: Fields.describe('Arguments, and fields of the struct behind the pointer.'),
    output: Fields.describe('Fields of the struct that the call has filled in.'),
    entries: z
      .array(Fields)
      .optional()
      .describe('All structs behind the pointer, where there are several: those that were kept.'),
    result: z.number().optional(),
    errno: z.string().optional(),
    duration: z.number().describe('Nanoseconds.'),
    rip: z.string().describe('Guest address behind the call.'),
    caller: z
      .string()
      .optional()
      .describe('Where the hypercall page returns to, if the call was made through it.'),
    symbol: z
      .string()
      .optional()
      .describe(
        "The caller, or else rip, by the symbols of the guest's kernel: `start_kernel+0x1a`.",
      ),
    preempted: z.boolean(),
    multicall: z.boolean(),
    why: z.array(z.string()).describe('Why the hypervisor refused something.'),
    text: z.string().describe('The whole as one line.'),
  })
  .meta({ id: 'TraceLine', description: 'One record of the trace.' });

/** Comes instead of records that are lost: the reader was too slow, or the ring was full. */
export const TraceDrops = z
  .strictObject({ dropped: z.int().positive() })
  .meta({ id: 'TraceDrops', description: 'So many records were dropped here.' });

const nanoseconds = z.number().describe('Nanoseconds.');

export const TraceSummary = z
  .strictObject({
    seconds: z.number().describe('How long records were counted.'),
    calls: z.int(),
    errors: z.int(),
    total: nanoseconds,
    dropped: z.int().describe('Records that are missing in it.'),
    rows: z
      .array(
        z.strictObject({
          domid: z.int().optional().describe('With by=domain.'),
          call: z.string().describe('Name of the call, or of the exception.'),
          calls: z.int(),
          errors: z.int(),
          errnos: z.record(z.string(), z.int()).describe('How often which error.'),
          total: nanoseconds,
          share: z.number().describe('Of the time of all rows, 0 to 1.'),
          average: nanoseconds,
          min: nanoseconds,
          max: nanoseconds,
          p50: nanoseconds.describe('Nanoseconds, within a thirtieth.'),
          p99: nanoseconds.describe('Nanoseconds, within a thirtieth.'),
        }),
      )
      .describe('Those that took most time come first.'),
  })
  .meta({
    id: 'TraceSummary',
    description:
      'The trace by call. A preempted call counts once; a multicall without the time of its calls; faults are counted and take no time.',
  });
export type TraceSummary = z.output<typeof TraceSummary>;
