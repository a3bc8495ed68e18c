/** The trace: what may be asked for, and what one record looks like as JSON. */

import { z } from 'zod';

const list = (description: string) =>
  z
    .string()
    .transform((text) => text.split(',').filter((word) => word !== ''))
    .optional()
    .describe(description);

export const TraceQuery = z.strictObject({
  domain: list('domids, names or uuids, separated by commas; of domains to come, too.'),
  call: list('Names of hypercalls, separated by commas.'),
  class: list('Classes of records, separated by commas; all but fault and switch if absent.'),
  filter: z
    .string()
    .max(2000)
    .optional()
    .describe(
      'An expression, besides the others: `call=mmu_update and (errno=EINVAL or duration>10us)`. Terms are `field operator value` with = != < <= > >= and ~ (contains; with * a pattern of the whole), joined by and, or, not and parentheses; values separated by commas are alternatives. Fields: domain, vcpu, call, op, class, kind, errno, result, duration, rip, text, args.NAME.',
    ),
  format: z
    .enum(['json', 'binary'])
    .default('json')
    .describe('JSON lines, or records as they are.'),
});
export type TraceQuery = z.output<typeof TraceQuery>;

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
