/** Errors as RFC 9457 problem details, `application/problem+json`. */

import { z } from 'zod';

export const Problem = z
  .strictObject({
    type: z.string().describe('Names the kind of problem: "/problems/<code>".'),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string().describe('The path that was asked for.'),
    requestId: z.string(),
    errors: z
      .array(
        z.strictObject({
          pointer: z.string().describe('JSON pointer to the field, or the parameter as "?name".'),
          detail: z.string(),
          expected: z.string().optional(),
          found: z.string().optional(),
        }),
      )
      .optional()
      .describe('The fields at fault.'),
    errno: z.string().optional().describe('What the hypervisor answered, by name: "ENOMEM".'),
    errnoMeaning: z.string().optional().describe('What Xen means by the errno, in a sentence.'),
    log: z
      .array(z.string())
      .optional()
      .describe(
        "The last lines that say more: of the hypervisor's log about the domain, or of the console of a domain that has stopped.",
      ),
    figures: z
      .record(z.string(), z.number())
      .optional()
      .describe('The numbers behind the refusal.'),
  })
  .meta({ id: 'Problem', description: 'Why a request was refused.' });
export type Problem = z.infer<typeof Problem>;
export type FieldProblem = NonNullable<Problem['errors']>[number];
