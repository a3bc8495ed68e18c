/** Saved domains: memory and vCPUs of a suspended domain, with what it was created from, as a file. */

import { z } from 'zod';
import { ShelfName } from './shelf-name.js';

export const SaveParams = z.strictObject({ name: ShelfName });

export const Save = z
  .strictObject({
    name: z.string(),
    bytes: z.int().describe('Size of the file.'),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'Save', description: "A saved domain in the format of xl's save files." });
export type Save = z.infer<typeof Save>;

export const SaveList = z
  .strictObject({ saves: z.array(Save) })
  .meta({ id: 'SaveList', description: 'Saved domains by name.' });

export const SaveRequest = z
  .strictObject({
    name: ShelfName.optional().describe(
      'Name of the file; made of name, domid and time if absent.',
    ),
    afterwards: z
      .enum(['destroy', 'pause', 'run'])
      .default('destroy')
      .describe('What becomes of the domain once it is saved.'),
    timeout: z
      .number()
      .min(0)
      .max(3600)
      .default(60)
      .describe('Seconds that its kernel has to suspend itself.'),
  })
  .meta({ id: 'SaveRequest', description: 'How to save a domain.' });
export type SaveRequest = z.output<typeof SaveRequest>;

export const RestoreRequest = z
  .strictObject({
    paused: z.boolean().default(false).describe('Leave it paused.'),
  })
  .meta({ id: 'RestoreRequest', description: 'How to restore a domain.' });
export type RestoreRequest = z.output<typeof RestoreRequest>;
