/** The console as a WebSocket: how it is wanted, and what is said beside the output. */

import { z } from 'zod';

export const ConsoleQuery = z.strictObject({
  format: z
    .enum(['binary', 'text'])
    .default('binary')
    .describe('Output as binary frames and notices as JSON, or all as text for people.'),
});

export const ConsoleNotice = z
  .union([
    z.strictObject({ dropped: z.int().describe('Bytes that this reader has missed here.') }),
    z.strictObject({ readOnly: z.literal(true).describe('What is typed is not taken.') }),
    z.strictObject({ ended: z.literal(true).describe('The domain is gone; nothing more comes.') }),
  ])
  .meta({ id: 'ConsoleNotice', description: 'A text frame beside the output of a console.' });
