/** The name of a file in a folder of the service: a core, a saved domain, a recording. */

import { z } from 'zod';

export const ShelfName = z
  .string()
  .min(1)
  .max(160)
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.+-]*$/, 'letters, digits and _ . + - only, no path');
