/** What probes ask: is it alive, and can it take work. */

import { z } from 'zod';

export const Health = z
  .strictObject({ alive: z.literal(true) })
  .meta({ id: 'Health', description: 'The service answers.' });

export const Readiness = z
  .strictObject({
    ready: z.boolean(),
    checks: z.record(z.string(), z.string()).describe('"ok", or what is wrong, by part.'),
  })
  .meta({ id: 'Readiness', description: 'Whether the service can take work.' });
export type Readiness = z.infer<typeof Readiness>;
