/** Cores: memory and vCPUs of domains at one moment, as ELF files. */

import { z } from 'zod';
import { ShelfName } from './shelf-name.js';

export const CoreParams = z.strictObject({ name: ShelfName });

export const Core = z
  .strictObject({
    name: z.string(),
    bytes: z.int().describe('Size of the file; pages of zeros take no space on the disk.'),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'Core', description: "A core in the ELF layout of Xen's dump-core." });
export type Core = z.infer<typeof Core>;

export const CoreList = z
  .strictObject({ cores: z.array(Core) })
  .meta({ id: 'CoreList', description: 'Cores by name.' });

export const DumpCoreRequest = z
  .strictObject({
    name: ShelfName.optional().describe(
      'Name of the file; made of name, domid and time if absent.',
    ),
    live: z
      .boolean()
      .default(false)
      .describe('Let the domain run meanwhile: pages may be of different moments.'),
  })
  .meta({ id: 'DumpCoreRequest', description: 'How to make a core.' });
export type DumpCoreRequest = z.output<typeof DumpCoreRequest>;
