/** What an operator can do to the host: debug keys, the scheduler. */

import { z } from 'zod';

export const DebugKeys = z
  .strictObject({
    keys: z
      .string()
      .min(1)
      .max(32)
      .regex(/^[!-~]+$/, 'printable characters only')
      .describe('One key after the other; "h" tells what there are.'),
  })
  .meta({ id: 'DebugKeys', description: "Keys of Xen's serial console." });

export const DebugKeysAnswer = z
  .strictObject({ text: z.string().describe('What the keys show; it is in the log as well.') })
  .meta({ id: 'DebugKeysAnswer', description: 'Answer to debug keys.' });

export const SchedulerParameters = z
  .strictObject({
    name: z.string().describe('Whose vocabulary it speaks.'),
    sliceUs: z.number().describe('Microseconds that a vCPU runs before others are looked at.'),
    ratelimitUs: z
      .number()
      .describe('Microseconds that a vCPU runs before one that wakes may take its place.'),
  })
  .meta({ id: 'SchedulerParameters', description: 'The scheduler of the host.' });
export type SchedulerParameters = z.infer<typeof SchedulerParameters>;

export const SchedulerChange = z
  .strictObject({
    sliceUs: z.int().min(100).max(100_000).optional(),
    ratelimitUs: z.int().min(0).max(100_000).optional().describe('Not more than the slice.'),
  })
  .meta({ id: 'SchedulerChange', description: 'What is to be different; the rest stays.' });
export type SchedulerChange = z.infer<typeof SchedulerChange>;
