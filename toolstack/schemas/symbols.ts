/** Symbols of a domain's kernel: which are asked for, and what they are. */

import { z } from 'zod';

const list = (description: string) =>
  z
    .string()
    .max(4096)
    .transform((text) => text.split(',').filter((word) => word !== ''))
    .optional()
    .describe(description);

export const SymbolsQuery = z.strictObject({
  address: list('Addresses to be named, hexadecimal, separated by commas.'),
  name: list('Symbols whose addresses are wanted, separated by commas.'),
});
export type SymbolsQuery = z.output<typeof SymbolsQuery>;

export const KernelSymbols = z
  .strictObject({
    source: z
      .enum(['elf', 'map', 'none'])
      .describe(
        "Where they come from: the kernel's own file, an image beside it (KERNEL.map, System.map-VERSION), or nowhere.",
      ),
    symbols: z.int().describe('How many there are.'),
    found: z
      .array(
        z.strictObject({
          address: z.string().optional(),
          symbol: z.string().optional().describe('With its distance: `start_kernel+0x1a`.'),
        }),
      )
      .describe('One for each that was asked for; what is not known is left out.'),
  })
  .meta({ id: 'KernelSymbols', description: "Symbols of a domain's kernel." });
export type KernelSymbols = z.infer<typeof KernelSymbols>;
